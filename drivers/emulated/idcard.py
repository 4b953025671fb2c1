"""An emulated ID card reader: it answers SAM_V commands about the card that was laid on it.

Responsible for: the reader's bytes, as published for readers of this kind, and the levers of a bad
day: silence, slowness, answers in pieces, a card of another layout, a failed read. Not responsible
for: what the host makes of it.

    reader = EmulatedIdCardReader()
    path = reader.attach_pty()                  # or emulated://idcard
    reader.lay("11010519491231002X")            # and reader.lift()

As a real one it does not find a card that it has read again until that was lifted, unless `again`.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from drivers.emulated.station import Station
from drivers.idcard import PREAMBLE, Command

_NO_CARD, _SELECT_FAILED, _READ_FAILED, _COMMAND_ERROR = 0x80, 0x81, 0x41, 0x21
_FOUND, _OK = 0x9F, 0x90
_LETTERS = {"citizen": " ", "foreigner": "I", "permit": "J"}


@dataclass(slots=True)
class Levers:
    """What can be wrong. `piece` cuts every answer; 0 sends it whole."""

    silent: bool = False
    delay_ms: float = 0.0
    piece: int = 0
    fail_reads: int = 0
    again: bool = False


class _ReaderDevice:
    def __init__(self, levers: Levers) -> None:
        self.levers = levers
        self.asked: list[Command | None] = []
        self._card: bytes | None = None
        self._was_read = False
        self._selected = False
        self._heard = bytearray()
        self._due: deque[tuple[float, bytes]] = deque()

    def lay(self, block: bytes) -> None:
        self._card, self._was_read, self._selected = block, False, False

    def lift(self) -> None:
        self._card, self._was_read, self._selected = None, False, False

    def room(self) -> int:
        """See `station.Device`."""
        return 4096

    def receive(self, data: bytes, now_ms: float) -> None:
        """See `station.Device`."""
        self._heard += data
        while (frame := self._next_frame()) is not None:
            answer = self._answer(frame)
            if not self.levers.silent:
                size = self.levers.piece or len(answer)
                for start in range(0, len(answer), size):
                    at = now_ms + self.levers.delay_ms
                    self._due.append((at, answer[start : start + size]))

    def advance(self, now_ms: float) -> bytes:
        """See `station.Device`. One piece at a time, so that the host sees pieces."""
        return self._due.popleft()[1] if self._due and self._due[0][0] <= now_ms else b""

    def next_ms(self) -> float | None:
        """See `station.Device`."""
        return self._due[0][0] if self._due else None

    def order(self, line: str) -> None:
        """A line written to the named pipe: `lay NUMBER [citizen|foreigner|permit]` or `lift`."""
        match line.split():
            case ["lay", number, *kind]:
                self.lay(text_block(number, *kind[:1]))
            case ["lift"]:
                self.lift()

    def settled(self) -> None:
        """See `station.Device`."""

    def _next_frame(self) -> bytes | None:
        """The command and parameter of the next whole frame."""
        start = self._heard.find(PREAMBLE)
        if start < 0 or len(self._heard) < start + 10:
            return None
        body = bytes(self._heard[start + 5 : start + 10])
        del self._heard[: start + 10]
        return body[2:4] if _check(body[:4]) == body[4] else b"\0\0"

    def _answer(self, frame: bytes) -> bytes:
        code = int.from_bytes(frame, "big")
        asked = Command(code) if code in set(Command) else None
        self.asked.append(asked)
        match asked:
            case Command.FIND:
                here = self._card is not None and (self.levers.again or not self._was_read)
                return _frame(_FOUND, bytes(8)) if here else _frame(_NO_CARD)
            case Command.SELECT:
                self._selected = self._card is not None
                return _frame(_OK, bytes(12)) if self._selected else _frame(_SELECT_FAILED)
            case Command.READ:
                return self._read()
            case Command.STATUS | Command.RESET | Command.SAM_NUMBER:
                return _frame(_OK)
            case _:
                return _frame(_COMMAND_ERROR)

    def _read(self) -> bytes:
        card, selected, self._selected = self._card, self._selected, False
        if card is None or not selected or self.levers.fail_reads:
            self.levers.fail_reads = max(0, self.levers.fail_reads - 1)
            return _frame(_READ_FAILED)
        self._was_read = True
        photo = PREAMBLE + bytes(1024 - len(PREAMBLE))  # a photo may hold anything
        sizes = len(card).to_bytes(2, "big") + len(photo).to_bytes(2, "big")
        return _frame(_OK, sizes + card + photo)


class EmulatedIdCardReader(Station):
    """A reader on the bench. Everything is thread-safe."""

    device: _ReaderDevice

    def __init__(self) -> None:
        super().__init__(_ReaderDevice(Levers()))

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> "EmulatedIdCardReader":
        """From the options of an `emulated://idcard?...` URL."""
        reader = cls()
        if "card" in options:
            reader.lay(options["card"])
        if "feed" in options:
            reader.take_orders(Path(options["feed"]))
        return reader

    @property
    def levers(self) -> Levers:
        """What can be wrong; change it at any time."""
        return self.device.levers

    def lay(self, number: str, kind: str = "citizen") -> None:
        """Lay a card down: `citizen`, `foreigner` or `permit`, which is laid out differently."""
        with self.lock:
            self.device.lay(text_block(number, kind))

    def lift(self) -> None:
        """Take the card away."""
        with self.lock:
            self.device.lift()

    def asked(self) -> list[Command | None]:
        """The commands so far; None for one that is unknown."""
        with self.lock:
            return list(self.device.asked)


def text_block(number: str, kind: str = "citizen") -> bytes:
    """The 256 bytes of text on a card, with a name and the number."""
    block = bytearray(" ".encode("utf-16-le") * 128)
    block[0:30] = "张 三".ljust(15).encode("utf-16-le")
    block[122:158] = number[:18].ljust(18).encode("utf-16-le")
    block[248:250] = _LETTERS.get(kind, " ").encode("utf-16-le")
    return bytes(block)


def _frame(status: int, data: bytes = b"") -> bytes:
    body = (len(data) + 4).to_bytes(2, "big") + bytes([0, 0, status]) + data
    return PREAMBLE + body + bytes([_check(body)])


def _check(body: bytes) -> int:
    out = 0
    for byte in body:
        out ^= byte
    return out
