"""An emulated scanner that a host can really connect to.

Responsible for: sending scans as a scanner would, in pieces and with pauses if asked, and
remembering what the host told it. Not responsible for: what the host makes of it.

    scanner = EmulatedScanner()
    path = scanner.attach_pty()                 # or emulated://scanner
    scanner.scan("12345678901")                 # with the suffix of a real scanner
    scanner.send([Piece(b"1234"), Piece(b"5678901\\r", after_ms=400)])
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from drivers.emulated.station import Station, now_ms


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that leave the scanner together, some time after the piece before."""

    data: bytes
    after_ms: float = 0.0


class _ScannerDevice:
    def __init__(self, prefix: bytes, suffix: bytes) -> None:
        self.heard = bytearray()
        self.enabled = True
        self._prefix, self._suffix = prefix, suffix
        self._due: deque[tuple[float, bytes]] = deque()

    def room(self) -> int:
        """See `station.Device`."""
        return 4096

    def receive(self, data: bytes, now_ms: float) -> None:
        """See `station.Device`."""
        del now_ms
        self.heard += data

    def advance(self, now_ms: float) -> bytes:
        """See `station.Device`."""
        out = bytearray()
        while self._due and self._due[0][0] <= now_ms:
            out += self._due.popleft()[1]
        return bytes(out)

    def next_ms(self) -> float | None:
        """See `station.Device`."""
        return self._due[0][0] if self._due else None

    def order(self, line: str) -> None:
        """A line written to the named pipe is scanned."""
        self.queue([Piece(self.framed(line.encode()))])

    def settled(self) -> None:
        """See `station.Device`."""

    def framed(self, data: bytes) -> bytes:
        """A scan with the scanner's prefix and suffix."""
        return self._prefix + data + self._suffix

    def queue(self, pieces: Iterable[Piece]) -> None:
        """Send pieces after what is still waiting."""
        at = max(self._due[-1][0] if self._due else 0.0, now_ms())
        for piece in pieces:
            at += piece.after_ms
            self._due.append((at, piece.data))


class EmulatedScanner(Station):
    """A scanner on the bench. Everything is thread-safe."""

    device: _ScannerDevice

    def __init__(self, *, prefix: bytes = b"", suffix: bytes = b"\r") -> None:
        super().__init__(_ScannerDevice(prefix, suffix))

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> "EmulatedScanner":
        """From the options of an `emulated://scanner?...` URL."""
        scanner = cls(
            prefix=options.get("prefix", "").encode(), suffix=options.get("suffix", "\r").encode()
        )
        if "feed" in options:
            scanner.take_orders(Path(options["feed"]))
        return scanner

    def scan(self, what: str | bytes) -> None:
        """Read a symbol, with prefix and suffix."""
        data = what.encode() if isinstance(what, str) else what
        self.send([Piece(self.device.framed(data))])

    def send(self, pieces: Iterable[Piece]) -> None:
        """Send raw pieces."""
        with self.lock:
            self.device.queue(pieces)
        self.wake()

    def heard(self) -> bytes:
        """What the host has sent so far."""
        with self.lock:
            return bytes(self.device.heard)
