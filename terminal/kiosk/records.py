"""What was done and what must be dealt with: history, undo, reprint, notices, help.

Responsible for: what follows from an event off the hot path (EV-050, AX-04, AX-19, decision 11).
Not responsible for: redeeming (`till`), which scans may interrupt (`flow`). Pure.
Invariants: a reversal needs a reason from the closed list and `Act.CONFIRM`, like a redemption; a
question about a slip is answered by a digit of a hand, never by a scan.
"""

from typing import Final

from msgspec.structs import replace

from terminal.kiosk.events import (
    AskCommit,
    AskDismiss,
    AskReprint,
    AskSettleSlip,
    AskStatus,
    Typed,
)
from terminal.kiosk.states import (
    UNDO_REASONS,
    Committing,
    ConfirmUndo,
    Done,
    Flash,
    Help,
    History,
    NoticeOpen,
    Ready,
    Reasons,
    ReverseOrder,
    Stage,
)
from terminal.kiosk.till import ARM_MS, Identities, Step, digit_of, not_now
from terminal.outcomes import Notice, Status, TapeRow

HISTORY_ROWS: Final = 50
"""As many as a clerk looks through; the reports of head office have the rest."""

_MOVES: Final = {"8": -1, "2": 1, "9": -8, "3": 8, "7": -HISTORY_ROWS, "1": HISTORY_ROWS}

SLIP_REPRINT: Final = "1"
SLIP_ABANDON: Final = "2"


def move(stage: History, event: Typed, rows: tuple[TapeRow, ...]) -> Step:
    """Move through the history with the keypad: 8 up, 2 down, 9 and 3 by a page."""
    return Step(History(moved(stage.cursor, event, len(rows))))


def moved(cursor: int, event: Typed, rows: int) -> int:
    """Where a cursor goes: 8 up, 2 down, 9 and 3 by a page, 7 and 1 to the ends."""
    by = _MOVES.get(digit_of(event.character) or "", 0)
    return min(max(0, rows - 1), max(0, cursor + by))


def turn(stage: Help, event: Typed) -> Step:
    """Turn the pages of the help; the front end shows the last page when there are no more."""
    by = {"8": -1, "9": -1, "2": 1, "3": 1}.get(digit_of(event.character) or "", 0)
    return Step(Help(max(0, stage.page + by)))


def chosen(stage: Stage, rows: tuple[TapeRow, ...]) -> TapeRow | None:
    """The row that undo and reprint mean: the chosen one, the one just done, or the newest."""
    if isinstance(stage, History):
        return rows[stage.cursor] if stage.cursor < len(rows) else None
    if isinstance(stage, Done):
        return next((row for row in rows if row.serial == stage.result.serial), None)
    return next((row for row in rows if row.kind == "redeemed"), None)


def start_undo(stage: Stage, rows: tuple[TapeRow, ...]) -> Step:
    """Ask why, if this row may be undone at all."""
    row = chosen(stage, rows)
    if row is None:
        return not_now(stage, "nothing_to_undo")
    if not row.reversible:
        return not_now(stage, "cannot_undo")
    return Step(Reasons(row))


def choose_reason(stage: Reasons, event: Typed) -> Step:
    """A digit 1 to 6 names the reason (decision 11)."""
    digit = digit_of(event.character)
    if digit is None or not 1 <= int(digit) <= len(UNDO_REASONS):
        return not_now(stage, "choose_reason")
    return Step(ConfirmUndo(stage.row, UNDO_REASONS[int(digit) - 1], event.at))


def confirm_undo(stage: ConfirmUndo, at: int, ids: Identities) -> Step:
    """The one way to reverse."""
    if at - stage.asked_at < ARM_MS:
        return not_now(stage, "too_early")
    order = ReverseOrder(stage.row.serial, stage.reason_code)
    ticket = ids.ticket()
    return Step(Committing(order, ticket, stage.row.product_name, at), (AskCommit(ticket, order),))


def reprint(stage: Stage, rows: tuple[TapeRow, ...]) -> Step:
    """Print a marked copy of the slip that is meant (AX-19)."""
    row = chosen(stage, rows)
    if row is None:
        return not_now(stage, "nothing_to_reprint")
    return Step(stage, (AskReprint(row.serial),))


def open_notices(stage: Stage, status: Status | None) -> Step:
    """Show the first notice, if there is one."""
    notices = status.notices if status is not None else ()
    if not notices:
        return Step(stage, (), Flash("no_notices"))
    return Step(NoticeOpen(notices[0]))


def answer_slip(stage: NoticeOpen, event: Typed, status: Status | None) -> Step:
    """Digit 1 prints a marked copy of a slip of unknown fate, digit 2 abandons it."""
    digit = digit_of(event.character)
    serial = stage.notice.serial
    asked = stage.notice.kind == "slip_unknown" and serial is not None
    if not asked or digit not in (SLIP_REPRINT, SLIP_ABANDON):
        return not_now(stage, "answer_or_leave")
    settle = AskSettleSlip(serial or "", digit == SLIP_REPRINT)
    step = _next_notice(stage.notice, status)
    return replace(step, effects=(settle, AskStatus()))


def dismiss(stage: NoticeOpen, status: Status | None) -> Step:
    """The clerk has read it. A slip of unknown fate wants an answer instead."""
    if stage.notice.kind == "slip_unknown":
        return not_now(stage, "answer_or_leave")
    step = _next_notice(stage.notice, status)
    return replace(step, effects=(AskDismiss(stage.notice), AskStatus()))


def _next_notice(dealt_with: Notice, status: Status | None) -> Step:
    notices = status.notices if status is not None else ()
    rest = [notice for notice in notices if notice != dealt_with]
    return Step(NoticeOpen(rest[0]) if rest else Ready())
