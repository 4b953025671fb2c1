"""What the printer's answers say about the printer.

Responsible for: the bits of automatic status and of DLE EOT 1 to 4, and the one word that the
counter is shown. Pure. Not responsible for: asking, or what a missing answer means in time.
Source: Epson programming guide, GS a and DLE EOT, checked against two foreign programs.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

HOT_ALARM_MS = 30_000


class PrinterStatus(StrEnum):
    """The state of a printer in one word, the worst first when several are true."""

    READY = "ready"
    NEAR_END = "near_end"
    PAPER_OUT = "paper_out"
    COVER_OPEN = "cover_open"
    FAULT = "fault"
    SILENT = "silent"
    LOST = "lost"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Condition:
    """What is known of a printer that answers. `hot` heals by itself; `cutter` needs a person."""

    offline: bool = False
    cover_open: bool = False
    paper_out: bool = False
    near_end: bool = False
    cutter: bool = False
    broken: bool = False
    hot: bool = False
    drawer_pin_high: bool = False

    @property
    def blocked(self) -> bool:
        """Nothing comes out now."""
        stopped = self.cover_open or self.paper_out or self.cutter or self.broken
        return stopped or self.hot or self.offline

    def word(self) -> PrinterStatus:
        """The one word. `hot` is no alarm: a hot head cools while the clerk reads this."""
        if self.broken or self.cutter:
            return PrinterStatus.FAULT
        if self.cover_open:
            return PrinterStatus.COVER_OPEN
        if self.paper_out:
            return PrinterStatus.PAPER_OUT
        if self.offline and not self.hot:
            return PrinterStatus.FAULT
        return PrinterStatus.NEAR_END if self.near_end else PrinterStatus.READY


class Heat:
    """A head that is hot cools by itself; one that stays hot is an alarm."""

    def __init__(self) -> None:
        self._since_ms: int | None = None

    @property
    def due_ms(self) -> int | None:
        """When it becomes an alarm, or None."""
        return None if self._since_ms is None else self._since_ms + HOT_ALARM_MS

    def word(self, condition: Condition, now_ms: int) -> PrinterStatus:
        """The printer's word now, with the alarm."""
        if not condition.hot:
            self._since_ms = None
        elif self._since_ms is None:
            self._since_ms = now_ms
        alarm = self.due_ms is not None and now_ms >= self.due_ms
        return PrinterStatus.FAULT if alarm else condition.word()


def cleared(before: Condition, now: Condition) -> bool:
    """A person has just closed the cover over a jam; the printer still reports the jam."""
    return before.cover_open and not now.cover_open and now.cutter


def from_auto(value: bytes) -> Condition:
    """The condition in four bytes of automatic status."""
    printer, error, paper = value[0], value[1], value[2]
    return Condition(
        offline=bool(printer & 0x08),
        cover_open=bool(printer & 0x20),
        paper_out=bool(paper & 0x0C),
        near_end=bool(paper & 0x03),
        cutter=bool(error & 0x08),
        broken=bool(error & 0x20),
        hot=bool(error & 0x40),
        drawer_pin_high=bool(printer & 0x04),
    )


def from_real_time(before: Condition, number: int, value: int) -> Condition:
    """The condition after the answer to DLE EOT `number` (1 to 4)."""
    if number == 1:
        return replace(before, offline=bool(value & 0x08), drawer_pin_high=bool(value & 0x04))
    if number == 2:
        out = bool(value & 0x20)
        return replace(before, cover_open=bool(value & 0x04), paper_out=out)
    if number == 3:
        return replace(
            before,
            cutter=bool(value & 0x0C),
            broken=bool(value & 0x20),
            hot=bool(value & 0x40),
        )
    return replace(before, near_end=bool(value & 0x0C), paper_out=bool(value & 0x60))
