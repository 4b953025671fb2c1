"""How much of one job is under way, and what is known to be on paper. Pure.

Responsible for: never having more unconfirmed bytes under way than the window, matching
confirmations to blocks in order, and the deadline of the next one. Not responsible for: sending, or
what a missed deadline means.

Invariants: a block is handed out once and never again; blocks are confirmed strictly in order, and
a confirmation that skips one proves that the skipped one is lost; a job is finished only when each
block was confirmed (or, with `confirm = none`, each was given its time, which is `unsure`).
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from drivers.escpos import encode
from drivers.escpos.layout import Block
from drivers.escpos.profile import PrinterProfile

SLACK_MS = 2_000
UNSURE_SLACK_MS = 300
_IDENTIFIER_BASE = 94  # characters from space+1 to tilde


class Match(StrEnum):
    """What a confirmation said."""

    NEXT = "next"
    GAP = "gap"
    STRAY = "stray"


@dataclass(slots=True)
class _UnderWay:
    identifier: bytes
    size: int
    lines: int
    taken: bool = False


def identifiers(seed: int) -> Iterator[bytes]:
    """Confirmation identifiers of four printable bytes, without end, from a starting point."""
    number = seed
    while True:
        number += 1
        rest, out = number, bytearray()
        for _ in range(4):
            rest, digit = divmod(rest, _IDENTIFIER_BASE)
            out.append(0x21 + digit)
        yield bytes(out)


class Window:
    """The blocks of one job. `confirm` is `gs_h`, `gs_r` or `none`."""

    def __init__(
        self, blocks: tuple[Block, ...], profile: PrinterProfile, confirm: str, ids: Iterator[bytes]
    ) -> None:
        self._waiting = deque(blocks)
        self._profile = profile
        self.confirm = confirm
        self._ids = ids
        self._under_way: deque[_UnderWay] = deque()
        self._grace_used = False
        self.due_ms: int | None = None
        self.unsure = confirm == "none"
        self.started = False

    @property
    def done(self) -> bool:
        """Every block was handed out and confirmed."""
        return not self._waiting and not self._under_way

    @property
    def unconfirmed_bytes(self) -> int:
        """Bytes under way."""
        return sum(block.size for block in self._under_way)

    def next_block(self) -> bytes | None:
        """The bytes of the next block with its confirmation request, if the window has room."""
        if not self._waiting:
            return None
        request = self._request(identifier := next(self._ids))
        size = len(self._waiting[0].data) + len(request)
        if self._under_way and self.unconfirmed_bytes + size > self._profile.window:
            return None
        block = self._waiting.popleft()
        self._under_way.append(_UnderWay(identifier, size, block.lines))
        return block.data + request

    def block_taken(self, now_ms: int) -> None:
        """The oldest block that had not wholly left has now."""
        block = next(block for block in self._under_way if not block.taken)
        block.taken = True
        if block is self._under_way[0]:
            self.allow(now_ms)

    def confirmed(self, identifier: bytes | None, now_ms: int) -> Match:
        """A confirmation came: an identifier, or None for a barrier, which counts in order."""
        left = [block.identifier for block in self._under_way if block.taken]
        if not left or (identifier is not None and identifier not in left):
            return Match.STRAY
        if identifier is not None and identifier != left[0]:
            return Match.GAP
        self._under_way.popleft()
        self._grace_used = False
        self.due_ms = None
        if self._under_way and self._under_way[0].taken:
            self.allow(now_ms)
        return Match.NEXT

    def hold(self) -> None:
        """The printer is stopped: no deadline runs."""
        self.due_ms = None

    def allow(self, now_ms: int) -> None:
        """Start the deadline of the oldest block."""
        if self._under_way and self._under_way[0].taken:
            self.due_ms = now_ms + self._needed_ms()

    def grace(self, now_ms: int) -> bool:
        """The deadline passed: one more of the same, once for each block."""
        first, self._grace_used = not self._grace_used, True
        if first:
            self.allow(now_ms)
        return first

    def _request(self, identifier: bytes) -> bytes:
        if self.confirm == "gs_h":
            return encode.ask_confirmation(identifier)
        return encode.BARRIER if self.confirm == "gs_r" else b""

    def _needed_ms(self) -> int:
        wire_ms = self.unconfirmed_bytes * 10_000 // self._profile.baud
        lines_ms = self._under_way[0].lines * self._profile.line_ms
        return wire_ms + lines_ms + (UNSURE_SLACK_MS if self.unsure else SLACK_MS)
