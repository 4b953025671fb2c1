"""Second-generation ID card readers (SAM_V protocol): frames, the three steps, the number.

Responsible for: finding frames in a stream by preamble and length, checking them, the order find,
select, read, and taking the card number out of the text block. Pure: the caller moves the bytes.
Not responsible for: what the number is used for. Off unless a shop turns it on.

Personal data: only the number and the kind of card leave this module. Name, address and photo are
dropped as soon as the frame is read, nothing is logged, and `repr` of a card hides the number.
Invariants: nothing raises on any bytes; trust the declared length once in step (the preamble may
occur in the photo); a frame with a wrong checksum is dropped and the search goes on behind its
first byte. Sources: public SAM command tables; checksums recomputed (one public table has an error
in "find": 22 is right).
"""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

PREAMBLE = b"\xaa\xaa\xaa\x96\x69"
FRAME_BYTES_MAX = 4_096
PAUSE_MS = 1_000
_HEAD = len(PREAMBLE) + 2
_NUMBER = slice(122, 158)
_FOREIGN_NUMBER = slice(122, 152)
_KIND_AT = slice(248, 250)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


class Command(IntEnum):
    """Command and parameter byte."""

    RESET = 0x10FF
    STATUS = 0x11FF
    SAM_NUMBER = 0x12FF
    FIND = 0x2001
    SELECT = 0x2002
    READ = 0x3001


OK, FOUND = 0x90, 0x9F


class CardKind(StrEnum):
    """Whose card it is; the text block of each is laid out differently."""

    CITIZEN = "citizen"
    FOREIGNER = "foreigner"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Card:
    """A card that was read. The number is upper case."""

    kind: CardKind
    number: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """One frame of the reader: its third status byte, and the data."""

    status: int
    data: bytes = field(repr=False)


def command(what: Command) -> bytes:
    """A frame to the reader."""
    body = b"\x00\x03" + int(what).to_bytes(2, "big")
    return PREAMBLE + body + bytes([_check(body)])


def _check(body: bytes) -> int:
    out = 0
    for byte in body:
        out ^= byte
    return out


class SamParser:
    """Bytes of the reader to frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._last_ms = 0

    def feed(self, data: bytes, now_ms: int) -> list[Reply]:
        """Take bytes that arrived now; readers behind a network box send a frame in pieces."""
        if now_ms - self._last_ms >= PAUSE_MS:
            self._buffer.clear()
        self._last_ms = now_ms
        self._buffer += data
        replies = []
        while (reply := self._next()) is not None:
            replies += reply
        return replies

    def _next(self) -> list[Reply] | None:
        start = self._buffer.find(PREAMBLE)
        if start < 0:
            del self._buffer[: max(0, len(self._buffer) - len(PREAMBLE) + 1)]
            return None
        del self._buffer[:start]
        if len(self._buffer) < _HEAD:
            return None
        length = int.from_bytes(self._buffer[5:7], "big")
        if not 4 <= length <= FRAME_BYTES_MAX:
            del self._buffer[0]
            return []
        if len(self._buffer) < _HEAD + length:
            return None
        frame = bytes(self._buffer[5 : _HEAD + length])
        if _check(frame[:-1]) != frame[-1]:
            del self._buffer[0]
            return []
        del self._buffer[: _HEAD + length]
        return [Reply(frame[4], frame[5:-1])]


class CardPoll:
    """The three steps, again and again; a card is told once until it was taken away."""

    def __init__(self) -> None:
        self._step = Command.FIND
        self._lying = False

    def next_command(self) -> bytes:
        """What to send now; every 300 ms while no answer asks for more."""
        return command(self._step)

    def heard(self, reply: Reply) -> Card | None:
        """The answer to the last command; a card when one was read for the first time."""
        step, self._step = self._step, Command.FIND
        if step is Command.FIND:
            if reply.status == FOUND:
                self._step = Command.SELECT
            else:
                self._lying = False  # the card left the field
            return None
        if reply.status != OK:
            return None
        if step is Command.SELECT:
            self._step = Command.READ
            return None
        if self._lying:
            return None
        card = read_card(reply.data)
        self._lying = card is not None
        return card

    def silence(self) -> None:
        """No answer came: begin again."""
        self._step = Command.FIND


def read_card(data: bytes) -> Card | None:
    """The number in the data of a read; None when there is no text block or no valid number."""
    if len(data) < 4:
        return None
    text = data[4 : 4 + int.from_bytes(data[:2], "big")]
    if len(text) < 256:
        return None
    kind = {"I": CardKind.FOREIGNER, " ": CardKind.CITIZEN, "\0": CardKind.CITIZEN}.get(
        text[_KIND_AT].decode("utf-16-le", "replace"), CardKind.UNKNOWN
    )
    if kind is CardKind.UNKNOWN:
        return None  # another layout: what stands at the offset is not a number
    where = _FOREIGN_NUMBER if kind is CardKind.FOREIGNER else _NUMBER
    number = text[where].decode("utf-16-le", "replace").strip(" \0").upper()
    if kind is CardKind.CITIZEN and not number_valid(number):
        return None
    return Card(kind, number) if number.isascii() and number.isalnum() else None


def number_valid(number: str) -> bool:
    """Whether an 18-character citizen number has the right check character (mod 11)."""
    if len(number) != 18 or not (number[:17].isascii() and number[:17].isdigit()):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    return _CHECKS[total % 11] == number[17].upper()
