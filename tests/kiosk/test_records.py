"""Off the hot path: history, undo, reprint, notices, help."""

import pytest
from msgspec.structs import replace

from terminal.errors import Trouble
from terminal.kiosk.events import (
    AskCommit,
    AskDismiss,
    AskHistory,
    AskReprint,
    AskSettleSlip,
    AskStatus,
    Failed,
    HistoryRead,
    Reprinted,
    StatusRead,
)
from terminal.kiosk.states import (
    UNDO_REASONS,
    Act,
    Committing,
    ConfirmUndo,
    Help,
    History,
    Last4,
    NoticeOpen,
    Ready,
    Reasons,
    ReverseOrder,
    Undone,
)
from terminal.kiosk.till import ARM_MS
from tests.kiosk.scenery import REDEEMED, REVERSED, SLIP_NOTICE, STATUS, TAPE, VERDICT_NOTICE
from tests.kiosk.test_flow import Clerk


def at_work(*notices: object) -> Clerk:
    """A clerk with a history and, if given, notices."""
    clerk = Clerk()
    clerk.flow.feed(HistoryRead(TAPE, 1))
    clerk.flow.feed(StatusRead(replace(STATUS, notices=tuple(notices)), 1))  # type: ignore[arg-type]
    return clerk


def test_undo_wants_a_reason_and_a_confirmation() -> None:
    """Decision 11, AX-04: the row, why, and the confirm key by hand."""
    clerk = at_work().press(Act.HISTORY)
    assert clerk.effects == (AskHistory(),) and clerk.stage == History(0)
    clerk.type("2").press(Act.UNDO)
    assert clerk.stage == Reasons(TAPE[1])
    assert clerk.type("7").flash == "choose_reason"
    assert clerk.type("0").flash == "choose_reason"
    assert clerk.type("x").flash == "choose_reason"
    clerk.type("3")
    assert isinstance(clerk.stage, ConfirmUndo) and clerk.stage.reason_code == "wrong_voucher"
    assert clerk.press(Act.CONFIRM).flash == "too_early"
    assert clerk.press(Act.ACCEPT).flash == "confirm_with_plus"
    clerk.now += ARM_MS
    (asked,) = clerk.press(Act.CONFIRM).effects
    assert asked == AskCommit(1, ReverseOrder(TAPE[1].serial, "wrong_voucher"))
    assert isinstance(clerk.stage, Committing)
    assert isinstance(clerk.answer(REVERSED).stage, Undone)


@pytest.mark.parametrize(("digit", "reason"), list(zip("123456", UNDO_REASONS, strict=True)))
def test_each_digit_is_its_reason(digit: str, reason: str) -> None:
    """The closed list has six."""
    stage = at_work().press(Act.UNDO).type(digit).stage
    assert isinstance(stage, ConfirmUndo) and stage.reason_code == reason


def test_undo_means_what_was_just_done_or_the_newest() -> None:
    """F4 needs no history screen; what cannot be undone is said."""
    assert at_work().press(Act.UNDO).stage == Reasons(TAPE[0])
    done = at_work().confirmed().answer(REDEEMED)
    assert done.press(Act.UNDO).stage == Reasons(TAPE[0])
    unlisted = at_work().confirmed().answer(replace(REDEEMED, serial="T0007_1_00000099"))
    assert unlisted.press(Act.UNDO).flash == "nothing_to_undo"
    assert Clerk().press(Act.UNDO).flash == "nothing_to_undo"
    assert Clerk().press(Act.HISTORY).press(Act.UNDO).flash == "nothing_to_undo"
    late = at_work().press(Act.HISTORY).type("3").press(Act.UNDO)
    assert late.flash == "cannot_undo"


def test_the_keypad_moves_through_the_history() -> None:
    """8 up, 2 down, 9 and 3 by a page, 7 and 1 to the ends; it stops at both."""
    clerk = at_work().press(Act.HISTORY)
    wanted = [("8", 0), ("2", 1), ("3", 6), ("2", 6), ("9", 0), ("1", 6), ("7", 0), ("5", 0)]
    for key, cursor in [*wanted, ("x", 0)]:
        assert clerk.type(key).stage == History(cursor)
    assert isinstance(clerk.scan().stage, Last4)


def test_a_reprint_is_of_what_is_meant() -> None:
    """AX-19: the chosen row, what was just done, or the last redemption."""
    assert at_work().press(Act.REPRINT).effects == (AskReprint(TAPE[0].serial),)
    chosen = at_work().press(Act.HISTORY).type("2").press(Act.REPRINT)
    assert chosen.effects == (AskReprint(TAPE[1].serial),)
    assert Clerk().press(Act.REPRINT).flash == "nothing_to_reprint"
    for queued, key in ((True, "reprinted"), (False, "nothing_to_reprint")):
        chosen.flow.feed(Reprinted(queued, chosen.now))
        assert chosen.flash == key and chosen.stage == History(1)


def test_a_slip_of_unknown_fate_is_asked_about() -> None:
    """1 prints a marked copy, 2 leaves it; Enter is no answer, a scan neither."""
    for digit, reprint in (("1", True), ("2", False)):
        clerk = at_work(SLIP_NOTICE).press(Act.NOTICES)
        assert clerk.stage == NoticeOpen(SLIP_NOTICE)
        assert clerk.press(Act.ACCEPT).flash == "answer_or_leave"
        assert clerk.type("3").flash == "answer_or_leave"
        assert clerk.scan().flash == "scan_not_now"
        clerk.type(digit)
        assert clerk.effects == (AskSettleSlip("T0007_1_00000037", reprint), AskStatus())
        assert clerk.stage == Ready()


def test_notices_come_one_after_the_other() -> None:
    """Dealing with one opens the next; without any the key says so."""
    clerk = at_work(VERDICT_NOTICE, SLIP_NOTICE).press(Act.NOTICES)
    assert clerk.type("1").flash == "answer_or_leave"
    clerk.press(Act.ACCEPT)
    assert clerk.effects == (AskDismiss(VERDICT_NOTICE), AskStatus())
    assert clerk.stage == NoticeOpen(SLIP_NOTICE)
    assert clerk.press(Act.CLEAR).stage == Ready()
    assert at_work().press(Act.NOTICES).flash == "no_notices"
    assert Clerk().press(Act.NOTICES).flash == "no_notices"
    nameless = replace(SLIP_NOTICE, serial=None)
    assert at_work(nameless).press(Act.NOTICES).type("1").flash == "answer_or_leave"


def test_a_notice_stays_open_when_the_status_forgets_it() -> None:
    """The status may change under an open notice."""
    clerk = at_work(VERDICT_NOTICE).press(Act.NOTICES)
    clerk.flow.feed(StatusRead(STATUS, 2))
    assert clerk.press(Act.ACCEPT).stage == Ready()


def test_what_failed_off_the_hot_path_is_said() -> None:
    """A reprint that raised belongs to no ticket."""
    clerk = at_work().press(Act.REPRINT)
    clerk.flow.feed(Failed(0, Trouble("disk"), clerk.now, unknown=False))
    assert clerk.flash == "not_done" and clerk.stage == Ready()


def test_help_turns_its_pages() -> None:
    """2 and 8 turn; a scan or Enter leaves."""
    clerk = Clerk().press(Act.HELP)
    assert clerk.type("2").stage == Help(1) and clerk.type("8").stage == Help(0)
    assert clerk.type("8").stage == Help(0) and clerk.type("x").stage == Help(0)
    assert clerk.press(Act.ACCEPT).stage == Ready()
    assert isinstance(Clerk().press(Act.HELP).scan().stage, Last4)
