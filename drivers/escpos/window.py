"""How much of one job is under way, and what is known to be on paper. Pure.

Responsible for: never having more unconfirmed bytes under way than the window, matching
confirmations to blocks in order, and the deadline of the next one. Not responsible for: sending, or
what a missed deadline means.

Invariants: a block is handed out once and never again; blocks are confirmed strictly in order, and
a confirmation that skips one proves that the skipped one is lost; a job is finished only when each
block was confirmed (or, with `confirm = none`, each was given its time, which is `unsure`).

With a macro a block is confirmed only when the printer also ran its macro behind it, which it has
only if its power has not failed since the handshake: so everything before was received, kept and
worked through. Before the first block the macro alone is run (`proving`), because power that
failed between two jobs is no fault of the next one. The name is asked for before the macro, and
their answers may come in either order: a name says that the block is on paper, and the macro behind
it that the request for the name was not overtaken by a loss.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from drivers.escpos import encode
from drivers.escpos.layout import Block
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.reply import Barrier, Printed

SLACK_MS = 2_000
UNSURE_SLACK_MS = 300
_IDENTIFIER_BASE = 94  # characters from space+1 to tilde


class Match(StrEnum):
    """What a confirmation said."""

    NEXT = "next"
    HALF = "half"
    GAP = "gap"
    STRAY = "stray"


@dataclass(slots=True)
class _UnderWay:
    identifier: bytes
    size: int
    lines: int
    named: bool
    proved: bool
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
    """The blocks of one job. `confirm` is `gs_h`, `gs_r` or `none`; `macro`: it has one."""

    def __init__(
        self,
        blocks: tuple[Block, ...],
        profile: PrinterProfile,
        ids: Iterator[bytes],
        *,
        confirm: str,
        macro: bool = False,
    ) -> None:
        self._waiting = deque(blocks)
        self._profile = profile
        self.confirm = confirm
        self.macro = macro
        self.proving = macro
        """Nothing of the job has been handed out yet, only the question whether it may begin."""
        self._ids = ids
        self._by_name, self._by_barrier = confirm == "gs_h", macro or confirm == "gs_r"
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
        """The bytes of the next block with its confirmation request, if the window has room.

        The first of a job with a macro is the request alone, and nothing else leaves before it is
        answered.
        """
        if not self._waiting or (self.proving and self._under_way):
            return None
        data, lines = (b"", 0) if self.proving else (self._waiting[0].data, self._waiting[0].lines)
        request = self._request(identifier := next(self._ids))
        size = len(data) + len(request)
        if self._under_way and self.unconfirmed_bytes + size > self._profile.window:
            return None
        if not self.proving:
            self._waiting.popleft()
        block = _UnderWay(identifier, size, lines, not self._by_name, not self._by_barrier)
        self._under_way.append(block)
        return data + request

    def block_taken(self, now_ms: int) -> None:
        """The oldest block that had not wholly left has now."""
        block = next(block for block in self._under_way if not block.taken)
        block.taken = True
        if block is self._under_way[0]:
            self.allow(now_ms)

    def heard(self, answer: Printed | Barrier, now_ms: int) -> Match:
        """A confirmation, or half of one, came."""
        left = [block for block in self._under_way if block.taken]
        if isinstance(answer, Printed):
            return self._named(answer.identifier, left, now_ms)
        block = next((block for block in left if not block.proved), None)
        if block is None:
            return Match.STRAY
        block.proved = True  # barriers count in order
        return self._move_on(now_ms)

    def _named(self, identifier: bytes, left: list[_UnderWay], now_ms: int) -> Match:
        at = next((at for at, block in enumerate(left) if block.identifier == identifier), None)
        if at is None or left[at].named:
            return Match.STRAY
        if at:
            return Match.GAP
        left[0].named = True
        return self._move_on(now_ms)

    def passed(self, now_ms: int) -> None:
        """The oldest block had its time, where that is all there is to go by."""
        assert self.unsure
        self._move_on(now_ms)

    def _move_on(self, now_ms: int) -> Match:
        first = self._under_way[0]
        if not (first.taken and first.named and first.proved):
            return Match.HALF
        self._under_way.popleft()
        self._grace_used = self.proving = False
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
        name = encode.ask_confirmation(identifier) if self._by_name else b""
        plain = encode.BARRIER if self._by_barrier else b""
        return name + (encode.RUN_MACRO if self.macro else plain)

    def _needed_ms(self) -> int:
        wire_ms = self.unconfirmed_bytes * 10_000 // self._profile.baud
        lines_ms = self._under_way[0].lines * self._profile.line_ms
        return wire_ms + lines_ms + (UNSURE_SLACK_MS if self.unsure else SLACK_MS)
