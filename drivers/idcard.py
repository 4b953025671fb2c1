"""Second-generation ID card readers (SAM_V protocol): frames, the three steps, the number.

Responsible for: finding frames in a stream by preamble and length, checking them, the order find,
select, read, and taking the card number out of the text block. Pure: the caller moves the bytes.
Not responsible for: whether a number can be one, or what it is used for. Off unless a shop turns
it on.

Personal data: only the number and the kind of card leave this module. Name, address and photo are
dropped as soon as the frame is read, nothing is logged, and `repr` of a card hides the number. Of a
card that was told, a hash under this process's own salt is kept while it may still be lying there.
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
ABSENT_FINDS = 3
"""A card is gone after so many searches without one: many readers do not find a card that they
have read until it was lifted, some find it every other time."""

_HEAD = len(PREAMBLE) + 2
_NUMBER = slice(122, 158)
_FOREIGN_NUMBER = slice(122, 152)
_KIND_AT = slice(248, 250)


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
    """A card that was read. The number is upper case; it is empty, and the kind unknown, where the
    card holds none that can be used: a permit of another layout.
    """

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
        self._told: int | None = None
        self._absent = 0

    @property
    def searching(self) -> bool:
        """Whether the next command looks for a card, so that it may wait a while."""
        return self._step is Command.FIND

    def next_command(self) -> bytes:
        """What to send now; every 300 ms while no answer asks for more."""
        return command(self._step)

    def heard(self, reply: Reply) -> Card | None:
        """The answer to the last command; a card when one was read for the first time."""
        step, self._step = self._step, Command.FIND
        if step is Command.FIND:
            self._found(here=reply.status == FOUND)
            return None
        if reply.status != OK:
            return None
        if step is Command.SELECT:
            self._step = Command.READ
            return None
        self._absent = 0
        card = read_card(reply.data)
        if card is None:
            return None
        told, self._told = self._told, hash(card)
        return card if self._told != told else None

    def _found(self, *, here: bool) -> None:
        if here:
            self._step = Command.SELECT
            return
        self._absent += 1
        if self._absent >= ABSENT_FINDS:
            self._told = None

    def silence(self) -> None:
        """No answer came: begin again."""
        self._step = Command.FIND


def read_card(data: bytes) -> Card | None:
    """The number in the data of a read, empty in another layout; None without a text block."""
    text = data[4 : 4 + int.from_bytes(data[:2], "big")]
    if len(text) < 256:
        return None
    kind = {"I": CardKind.FOREIGNER, " ": CardKind.CITIZEN, "\0": CardKind.CITIZEN}.get(
        text[_KIND_AT].decode("utf-16-le", "replace"), CardKind.UNKNOWN
    )
    if kind is CardKind.UNKNOWN:
        return _UNREADABLE  # another layout: what stands at the offset is not a number
    where = _FOREIGN_NUMBER if kind is CardKind.FOREIGNER else _NUMBER
    number = text[where].decode("utf-16-le", "replace").strip(" \0").upper()
    return Card(kind, number) if number.isascii() and number.isalnum() else _UNREADABLE


_UNREADABLE = Card(CardKind.UNKNOWN, "")
