"""What a printer sends back, from one stream of bytes to answers.

Responsible for: telling status answers, automatic status, barriers and blocks apart. Pure. Not
responsible for: what was asked (a real-time answer does not say which question it answers).

Invariants: the same bytes give the same answers however they are split; nothing raises; a byte that
fits nowhere is counted in `junk` and dropped. The classes are disjoint by mask: real time `&0x93 ==
0x12`, first byte of automatic status `&0x93 == 0x10` followed by three bytes `&0x90 == 0`, barrier
`&0x90 == 0`, blocks by their head 35 37 3b 3d 5f up to NUL, XON 11 and XOFF 13 anywhere.
"""

from dataclasses import dataclass

PARTIAL_MS = 50  # an automatic status or block that stops for so long was torn
BLOCK_BYTES_MAX = 96
_HEADS = frozenset((0x35, 0x37, 0x3B, 0x3D, 0x5F))
_FLOW = frozenset((0x11, 0x13))


@dataclass(frozen=True, slots=True)
class RealTime:
    """The answer to DLE EOT."""

    value: int


@dataclass(frozen=True, slots=True)
class AutoStatus:
    """Four bytes of automatic status (GS a)."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Barrier:
    """The answer to GS r: everything before it was worked through."""

    value: int


@dataclass(frozen=True, slots=True)
class Printed:
    """The answer to GS ( H: everything before this identifier is printed."""

    identifier: bytes


@dataclass(frozen=True, slots=True)
class Text:
    """The answer to GS I, or another block that we did not ask for."""

    head: int
    value: bytes

    @property
    def powered_on(self) -> bool:
        """The power-on notice of models that can send one: it has forgotten everything."""
        return self.head == 0x3B


Answer = RealTime | AutoStatus | Barrier | Printed | Text


class ReplyParser:
    """Feed it bytes and times; it returns the answers that became whole."""

    def __init__(self) -> None:
        self._partial = bytearray()
        self._last_ms = 0
        self.junk = 0
        """Bytes that fitted nowhere."""

    def feed(self, data: bytes, now_ms: int) -> list[Answer]:
        """Take bytes that arrived now."""
        if self._partial and now_ms - self._last_ms >= PARTIAL_MS:
            self.reset()
        self._last_ms = now_ms
        return [answer for byte in data for answer in self._byte(byte)]

    def reset(self) -> None:
        """The link was lost, or an answer was torn: what is half here is nothing."""
        self.junk += len(self._partial)
        self._partial.clear()

    def _byte(self, byte: int) -> list[Answer]:
        if not self._partial:
            return self._first(byte)
        if self._partial[0] in _HEADS:
            return self._in_block(byte)
        return self._in_status(byte)

    def _first(self, byte: int) -> list[Answer]:
        if byte in _FLOW:
            return []
        if byte & 0x93 == 0x12:
            return [RealTime(byte)]
        if byte & 0x93 == 0x10 or byte in _HEADS:
            self._partial.append(byte)
        elif byte & 0x90 == 0:
            return [Barrier(byte)]
        else:
            self.junk += 1
        return []

    def _in_status(self, byte: int) -> list[Answer]:
        if byte in _FLOW:
            return []
        if byte & 0x90:
            self.reset()
            return self._first(byte)
        self._partial.append(byte)
        if len(self._partial) < 4:
            return []
        value = bytes(self._partial)
        self._partial.clear()
        return [AutoStatus(value)]

    def _in_block(self, byte: int) -> list[Answer]:
        if byte:
            self._partial.append(byte)
            if len(self._partial) > BLOCK_BYTES_MAX:
                self.reset()
            return []
        head, value = self._partial[0], bytes(self._partial[1:])
        self._partial.clear()
        if head == 0x37 and len(value) == 5 and value[:1] == b"\x22":
            return [Printed(value[1:])]
        return [Text(head, value)]
