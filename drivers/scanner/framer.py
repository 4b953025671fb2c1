"""Bytes of a scanner, in any pieces, to whole scans.

Responsible for: finding where one scan ends and the next begins (hardware facts: pauses inside a
scan, CR, LF or both, several scans in one read, line feeds inside a QR). Not responsible for:
reading the port or the clock (the caller says when), or judging what was scanned. Pure.

Invariants: the same bytes give the same scans however they are split, as long as the pauses between
pieces stay under `idle_ms`; the buffer never holds more than `length_max` bytes; nothing raises.
Rules:
- An empty scan is none, so a suffix of CR LF, LF CR or CR CR, whatever the split, ends one scan.
- Silence ends a scan only in profiles without a suffix (`idle_ms` > 0), marked `complete=False`;
  a cradle on radio pauses for 400 ms in the middle of a code.
- Too long is noise or a stuck key: it is dropped whole up to the next terminator.
- NUL and 0xFF outside of text are what a line makes when it is plugged: dropped at the edges.
"""

from drivers.scanner import aim
from drivers.scanner.profile import ScannerProfile
from drivers.scanner.scan import Scan, read_text

_NOISE = b"\x00\xff"


class Framer:
    """Feed it bytes and times; it returns the scans that became whole."""

    def __init__(self, profile: ScannerProfile) -> None:
        self._profile = profile
        self._ends = profile.terminator_bytes()
        self._prefix = profile.prefix.encode()
        self._buffer = bytearray()
        self._last_ms = 0
        self._overflowed = False
        self.dropped = 0
        """Scans thrown away: too long, too short, or without the required prefix."""

    def feed(self, data: bytes, now_ms: int) -> list[Scan]:
        """Take bytes that arrived now."""
        scans = self.tick(now_ms)
        for byte in data:
            if byte in self._ends:
                scans += self._finished(now_ms, complete=True)
            else:
                self._append(byte)
        self._last_ms = now_ms
        return scans

    def tick(self, now_ms: int) -> list[Scan]:
        """Time passed: what was waiting may be whole by silence."""
        due = self.due_ms()
        if due is None or now_ms < due:
            return []
        return self._finished(self._last_ms, complete=False)

    def due_ms(self) -> int | None:
        """When `tick` has something to do, or None."""
        if self._profile.idle_ms and (self._buffer or self._overflowed):
            return self._last_ms + self._profile.idle_ms
        return None

    def reset(self) -> None:
        """The link was lost: half a scan must not be joined to the next one."""
        self._buffer.clear()
        self._overflowed = False

    def replies(self) -> bytes:
        """Nothing: scanners that end a scan by a character expect no answer."""
        return b""

    def _append(self, byte: int) -> None:
        if self._overflowed:
            return
        self._buffer.append(byte)
        if len(self._buffer) > self._profile.length_max:
            self._buffer.clear()
            self._overflowed = True

    def _finished(self, at: int, *, complete: bool) -> list[Scan]:
        data, overflowed = bytes(self._buffer).strip(_NOISE), self._overflowed
        self._buffer.clear()
        self._overflowed = False
        if not data and not overflowed:
            return []  # a terminator on its own is not a scan
        if overflowed or not data.startswith(self._prefix):
            self.dropped += 1
            return []
        return self._scan(data[len(self._prefix) :], at, complete=complete)

    def _scan(self, data: bytes, at: int, *, complete: bool) -> list[Scan]:
        identifier, raw = aim.split(data) if self._profile.aim else ("", data)
        if len(raw) < self._profile.length_min:
            self.dropped += 1
            return []
        text, charset = read_text(raw, self._profile.charsets)
        return [Scan(raw, text, identifier, aim.symbology(identifier), charset, complete, at)]
