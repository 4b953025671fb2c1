"""The hot path: code, last four, what it is and what is left, shares, confirm, outcome."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from terminal.errors import Trouble
from terminal.kiosk import flow as flows
from terminal.kiosk import till
from terminal.kiosk.events import (
    AskCheck,
    AskCommit,
    AskHistory,
    AskLookUp,
    AskStatus,
    Beep,
    Checked,
    Effect,
    Failed,
    HistoryRead,
    LookedUp,
    Pressed,
    Quit,
    Scanned,
    Settled,
    Spoiled,
    StatusRead,
    SwitchLanguage,
    Ticked,
    Tone,
    Typed,
)
from terminal.kiosk.flow import RedeemFlow, question_open
from terminal.kiosk.states import (
    Act,
    Asking,
    Committing,
    Done,
    Fault,
    Help,
    Last4,
    Leaving,
    Looking,
    Order,
    Ready,
    RedeemOrder,
    Refused,
    ReverseOrder,
    Stage,
    Undone,
)
from terminal.kiosk.till import ARM_MS, Identities
from terminal.outcomes import Notice, Redeemed, Reversed, View
from tests.kiosk.scenery import REDEEMED, REVERSED, SINGLE, STATUS, TAPE, VIEW
from vouchers.reasons import Reason, Refusal

CODE = "92100000022"


class Clerk:
    """Drives a flow as a person, a scanner and a counter would."""

    def __init__(self, resume: Order | None = None) -> None:
        tickets, requests = count(1), count(1)
        ids = Identities(lambda: next(tickets), lambda: f"r{next(requests)}")
        self.flow = RedeemFlow(ids, resume=resume)
        self.now = 1_000
        self.effects: tuple[Effect, ...] = ()

    @property
    def stage(self) -> Stage:
        return self.flow.shown.stage

    @property
    def flash(self) -> str | None:
        shown = self.flow.shown.flash
        return shown.key if shown is not None else None

    def scan(self, text: str = CODE) -> "Clerk":
        self.effects = self.flow.feed(Scanned(text, self.now))
        return self

    def type(self, text: str, **marks: bool) -> "Clerk":
        for each in text:
            self.effects = self.flow.feed(Typed(each, self.now, **marks))
        return self

    def press(self, act: Act, *, fast: bool = False) -> "Clerk":
        self.effects = self.flow.feed(Pressed(act, self.now, fast))
        return self

    def wait(self, ms: int) -> "Clerk":
        self.now += ms
        self.effects = self.flow.feed(Ticked(self.now))
        return self

    def answer(self, value: object) -> "Clerk":
        """The counter answers the question that is open."""
        stage = self.stage.back if isinstance(self.stage, Leaving) else self.stage
        assert isinstance(stage, Last4 | Looking | Committing)
        self.effects = self.flow.feed(_event(stage.ticket, value, self.now))
        return self

    def fail(self, *, unknown: bool) -> "Clerk":
        stage = self.stage
        assert isinstance(stage, Last4 | Looking | Committing)
        self.effects = self.flow.feed(Failed(stage.ticket, Trouble("disk"), self.now, unknown))
        return self

    def asking(self, view: View = VIEW) -> "Clerk":
        return self.scan().type("1234").answer(view)

    def confirmed(self, view: View = VIEW) -> "Clerk":
        self.asking(view).now += ARM_MS
        return self.press(Act.CONFIRM)


def _event(ticket: int, value: object, now: int) -> Checked | LookedUp | Settled:
    if isinstance(value, View):
        return LookedUp(ticket, value, now)
    if isinstance(value, Redeemed | Reversed):
        return Settled(ticket, value, now)
    assert isinstance(value, Refusal)
    return LookedUp(ticket, value, now)


def settle(clerk: Clerk, refusal: Refusal) -> Clerk:
    """The counter refuses an order."""
    stage = clerk.stage
    assert isinstance(stage, Committing)
    clerk.effects = clerk.flow.feed(Settled(stage.ticket, refusal, clerk.now))
    return clerk


def test_the_whole_journey_of_one_voucher() -> None:
    """EV-041, EV-046, EV-047: scan, last four, shares, confirm, outcome."""
    clerk = Clerk().scan()
    assert isinstance(clerk.stage, Last4) and clerk.effects == (AskCheck(1, CODE),)
    clerk.type("123")
    assert clerk.effects == () and question_open(clerk.stage)
    clerk.type("4")
    assert clerk.effects == (AskLookUp(2, CODE, "1234"),)
    clerk.answer(VIEW)
    assert isinstance(clerk.stage, Asking) and clerk.stage.shares == 1
    clerk.type("2").now += ARM_MS
    clerk.press(Act.CONFIRM)
    assert clerk.effects == (AskCommit(3, RedeemOrder("r1", "h1", 2)),)
    clerk.answer(REDEEMED)
    assert isinstance(clerk.stage, Done)
    assert clerk.effects == (Beep(Tone.GOOD), AskHistory(), AskStatus())


def test_a_typed_code_of_eleven_digits_needs_no_enter() -> None:
    """Shorter codes end with Enter; full-width digits are digits (EV-045)."""
    assert isinstance(Clerk().type("9210000002").stage, Ready)
    assert isinstance(Clerk().type(CODE).stage, Last4)
    stage = Clerk().type("１２３456").press(Act.ACCEPT).stage
    assert isinstance(stage, Last4) and stage.credential == "123456"
    assert isinstance(Clerk().press(Act.ACCEPT).stage, Ready)


def test_only_digits_are_typed() -> None:
    """A letter is answered on screen and by sound, and changes nothing."""
    for clerk in (Clerk(), Clerk().scan(), Clerk().asking()):
        before = clerk.stage
        clerk.type("x")
        assert clerk.stage == before and clerk.flash == "digits_only"
        assert clerk.effects == (Beep(Tone.NOT_NOW),)


def test_a_keypad_without_numlock_still_types() -> None:
    """The screen says so, because history uses the same keys to move."""
    for clerk in (Clerk(), Clerk().scan(), Clerk().asking()):
        clerk.type("2", numlock_off=True)
        assert clerk.flash == "numlock_off"


@pytest.mark.parametrize("fast", [True, False])
def test_a_scan_while_a_question_is_open_changes_nothing(fast: bool) -> None:
    """It is refused on screen and by sound and never confirms anything."""
    leaving = Clerk().press(Act.LEAVE)
    open_ones = [
        Clerk().scan().type("1"),
        Clerk().scan().type("1234"),
        Clerk().asking(),
        Clerk().confirmed(),
        leaving,
    ]
    for clerk in open_ones:
        before = clerk.stage
        clerk.now += 10_000
        clerk.scan("10000000003")
        assert clerk.stage == before and clerk.flash == "scan_not_now"
        assert clerk.effects == (Beep(Tone.NOT_NOW),)
        if fast:
            for piece in (Typed("1", clerk.now, True), Pressed(Act.CONFIRM, clerk.now, True)):
                clerk.effects = clerk.flow.feed(piece)
                assert clerk.stage == before and clerk.flash == "too_fast"


def test_a_second_scan_before_the_last_four_replaces_the_first() -> None:
    """Nothing was asked about it yet, and every scan is looked at."""
    clerk = Clerk().scan().scan("10000000003")
    assert isinstance(clerk.stage, Last4) and clerk.stage.credential == "10000000003"
    assert clerk.effects == (AskCheck(2, "10000000003"),)
    clerk.flow.feed(Checked(1, Refusal(Reason.MISTYPED), clerk.now))
    assert isinstance(clerk.stage, Last4)


def test_what_cannot_be_a_code_is_said_before_the_last_four() -> None:
    """EV-045: free of charge, while the clerk asks the customer."""
    clerk = Clerk().scan("13800138000")
    clerk.flow.feed(Checked(1, None, clerk.now))
    assert isinstance(clerk.stage, Last4)
    clerk.flow.feed(Checked(1, Refusal(Reason.MALFORMED, {"looks_like": "mobile"}), clerk.now))
    assert isinstance(clerk.stage, Refused) and not clerk.stage.latched


def test_a_confirmation_is_armed_after_the_question_was_readable() -> None:
    """299 ms is too soon, 300 ms is an answer (kiosk notes, C2)."""
    clerk = Clerk().asking()
    clerk.now += ARM_MS - 1
    clerk.press(Act.CONFIRM)
    assert isinstance(clerk.stage, Asking) and clerk.flash == "too_early"
    clerk.now += 1
    assert isinstance(clerk.press(Act.CONFIRM).stage, Committing)


def test_a_key_struck_before_the_question_does_not_answer_it() -> None:
    """A stalled screen: the key is older than the question."""
    clerk = Clerk().asking()
    clerk.flow.feed(Pressed(Act.CONFIRM, clerk.now - 5_000))
    assert isinstance(clerk.stage, Asking)


def test_enter_never_confirms() -> None:
    """A scanner ends its scans with Enter."""
    clerk = Clerk().asking()
    clerk.now += 5_000
    clerk.press(Act.ACCEPT)
    assert isinstance(clerk.stage, Asking) and clerk.flash == "confirm_with_plus"


def test_the_count_stays_within_what_may_be_redeemed() -> None:
    """EV-046: 0, blank and too many are answered at once; default 1."""
    clerk = Clerk().asking()
    assert clerk.type("0").flash == "at_least_one"
    assert clerk.type("6").flash == "at_most"
    assert clerk.type("5").flash is None
    assert isinstance(clerk.stage, Asking) and clerk.stage.shares == 5
    assert clerk.type("5").flash == "at_most"
    assert clerk.press(Act.ERASE).stage == replace(clerk.stage, typed="")
    wide = Clerk().asking(replace(VIEW, shares=99_999, left=99_999, max_now=99_999))
    assert wide.type("9999").flash is None and wide.type("9").flash == "at_most"


def test_a_voucher_of_one_share_takes_no_count() -> None:
    """Its only count is 1; the confirmation is still asked for."""
    clerk = Clerk().asking(SINGLE)
    assert clerk.type("1").flash is None and clerk.type("2").flash == "one_only"
    clerk.now += ARM_MS
    clerk.press(Act.CONFIRM)
    assert clerk.effects == (AskCommit(3, RedeemOrder("r1", "h1", 1)),)


def test_wrong_last_four_may_be_typed_again() -> None:
    """EV-041: the code need not be scanned a second time."""
    clerk = Clerk().scan().type("1234").answer(Refusal(Reason.UNKNOWN_OR_WRONG))
    assert isinstance(clerk.stage, Refused) and not question_open(clerk.stage)
    clerk.press(Act.ACCEPT)
    assert isinstance(clerk.stage, Last4) and clerk.stage.credential == CODE
    other = Clerk().scan().type("1234").answer(Refusal(Reason.LOCKED))
    assert isinstance(other.press(Act.ACCEPT).stage, Ready)


@pytest.mark.parametrize("reason", sorted(till.LATCHING))
def test_what_is_spent_holds_the_screen(reason: Reason) -> None:
    """The next scan, digit or Enter does not wipe the warning away unread."""
    clerk = Clerk().asking(replace(VIEW, max_now=0, refusal=Refusal(reason)))
    assert isinstance(clerk.stage, Refused) and clerk.stage.latched
    assert clerk.effects == (Beep(Tone.ALARM), AskStatus())
    for held in (clerk.scan(), clerk.type("1"), clerk.press(Act.ACCEPT)):
        assert isinstance(held.stage, Refused) and held.flash == "clear_first"
    assert isinstance(clerk.press(Act.CLEAR).stage, Ready)


def test_an_ordinary_refusal_gives_way_to_the_next_scan() -> None:
    """A good voucher at the wrong outlet is no alarm (AX-14)."""
    clerk = Clerk().asking(replace(VIEW, max_now=0, refusal=Refusal(Reason.WRONG_OUTLET)))
    assert clerk.effects == (Beep(Tone.BAD), AskStatus())
    assert isinstance(clerk.scan().stage, Last4)
    again = Clerk().asking(replace(VIEW, max_now=0, refusal=Refusal(Reason.EXPIRED)))
    assert again.type("7").stage == Ready("7")


def test_an_unknown_outcome_is_asked_again_with_the_same_order() -> None:
    """AX-03, EV-047: never a new request; the pauses grow to 5 s; the answer ends it."""
    clerk = Clerk().confirmed()
    orders, pauses = [], []
    for _ in range(8):
        clerk.fail(unknown=True)
        stage = clerk.stage
        assert isinstance(stage, Committing) and stage.retry_at is not None
        pauses.append(stage.retry_at - clerk.now)
        assert clerk.wait(pauses[-1] - 1).effects == ()
        (asked,) = clerk.wait(1).effects
        assert isinstance(asked, AskCommit)
        orders.append(asked.order)
    assert set(orders) == {RedeemOrder("r1", "h1", 1)}
    assert pauses == [500, 1000, 2000, 4000, 5000, 5000, 5000, 5000]
    assert isinstance(clerk.answer(REDEEMED).stage, Done)


def test_a_lost_answer_is_asked_for_at_once_when_the_clerk_presses_enter() -> None:
    """Enter asks now; while the answer is under way it does nothing."""
    clerk = Clerk().confirmed()
    assert clerk.press(Act.ACCEPT).effects == ()
    clerk.fail(unknown=True)
    (asked,) = clerk.press(Act.ACCEPT).effects
    assert isinstance(asked, AskCommit)


@pytest.mark.parametrize("reason", sorted(till.STILL_OPEN))
def test_a_refusal_that_knows_nothing_does_not_end_an_unknown_outcome(reason: Reason) -> None:
    """Busy or out of service, asked the second time, says nothing about the first."""
    clerk = settle(Clerk().confirmed(), Refusal(Reason.OUTCOME_UNKNOWN))
    assert clerk.effects == (Beep(Tone.ALARM),)
    clerk.wait(500)
    assert isinstance(settle(clerk, Refusal(reason)).stage, Committing)
    clerk.wait(5_000).fail(unknown=False)
    assert isinstance(clerk.stage, Committing)
    clerk.wait(5_000)
    assert isinstance(settle(clerk, Refusal(Reason.USED_UP)).stage, Refused)


def test_an_outage_before_anything_was_done_says_so() -> None:
    """Nothing was recorded: the clerk may simply scan again."""
    for clerk in (Clerk().confirmed(), Clerk().scan().type("1234"), Clerk().scan()):
        clerk.fail(unknown=False)
        assert clerk.stage == Fault(Trouble("disk")) and clerk.effects == (
            Beep(Tone.ALARM),
            AskStatus(),
        )
        assert isinstance(clerk.scan().stage, Last4)
    refused = settle(Clerk().confirmed(), Refusal(Reason.OUT_OF_SERVICE))
    assert isinstance(refused.stage, Refused)
    assert isinstance(Clerk().scan().fail(unknown=False).press(Act.ACCEPT).stage, Ready)


def test_a_late_answer_is_announced_once() -> None:
    """After 3 s the screen says that it takes long."""
    clerk = Clerk().confirmed().wait(2_999)
    assert isinstance(clerk.stage, Committing) and not clerk.stage.late
    assert isinstance(clerk.wait(1).stage, Committing)
    assert isinstance(clerk.wait(1).stage, Committing) and clerk.stage.late  # type: ignore[union-attr]


def test_an_order_cannot_be_cancelled() -> None:
    """After the confirmation there is only the outcome."""
    clerk = Clerk().confirmed()
    for act in (Act.CLEAR, Act.LEAVE):
        assert isinstance(clerk.press(act).stage, Committing)
        assert clerk.flash == "already_confirmed"
    assert clerk.press(Act.CONFIRM).flash == "nothing_to_confirm"
    assert clerk.press(Act.HISTORY).flash == "finish_first"
    assert clerk.type("1").flash == "not_now"


def test_a_stuck_order_may_be_left_and_is_resumed() -> None:
    """A supervisor can close the kiosk; the next run asks for the same order again."""
    clerk = Clerk().confirmed().wait(till.LATE_MS)
    clerk.press(Act.LEAVE)
    assert isinstance(clerk.stage, Leaving)
    order = clerk.flow.open_order
    assert order == RedeemOrder("r1", "h1", 1)
    resumed = Clerk(order)
    (asked,) = resumed.wait(0).effects
    assert isinstance(asked, AskCommit) and asked.order == order
    assert isinstance(clerk.answer(REDEEMED).stage, Done)
    assert clerk.flow.open_order is None
    three = Clerk().confirmed()
    for _ in range(flows.STUCK_TRIES):
        three.fail(unknown=True)
    assert isinstance(three.press(Act.LEAVE).stage, Leaving)


def test_an_answer_to_an_older_question_changes_nothing() -> None:
    """The clerk cancelled; the look-up answers anyway."""
    clerk = Clerk().scan().type("1234").press(Act.CLEAR)
    assert clerk.flash == "cancelled"
    clerk.flow.feed(LookedUp(2, VIEW, clerk.now))
    assert clerk.stage == Ready()
    clerk.scan()
    clerk.flow.feed(LookedUp(2, VIEW, clerk.now))
    clerk.flow.feed(LookedUp(3, VIEW, clerk.now))
    assert isinstance(clerk.stage, Last4)


def test_clearing_says_that_nothing_was_redeemed() -> None:
    """`-` leaves a question; a result is simply gone."""
    assert Clerk().asking().press(Act.CLEAR).flash == "cancelled"
    assert Clerk().confirmed().answer(REDEEMED).press(Act.CLEAR).flash is None
    assert Clerk().confirmed().answer(REDEEMED).press(Act.ACCEPT).stage == Ready()


def test_erasing_takes_back_one_digit() -> None:
    """In a code, the last four and the count; elsewhere it does nothing."""
    assert Clerk().type("123").press(Act.ERASE).stage == Ready("12")
    clerk = Clerk().scan().type("123").press(Act.ERASE)
    assert isinstance(clerk.stage, Last4) and clerk.stage.typed == "12"
    assert Clerk().press(Act.ERASE).stage == Ready()


def test_a_torn_scan_is_asked_for_again() -> None:
    """What a broken burst left in the field goes with it."""
    clerk = Clerk().type("921")
    clerk.effects = clerk.flow.feed(Spoiled(clerk.now))
    assert clerk.stage == Ready() and clerk.flash == "scan_again"
    asking = Clerk().asking()
    asking.flow.feed(Spoiled(asking.now))
    assert isinstance(asking.stage, Asking)


def test_fast_digits_may_make_a_code_but_nothing_else() -> None:
    """A scanner without a suffix still works; its Enter alone means nothing."""
    assert isinstance(Clerk().type(CODE, fast=True).stage, Last4)
    assert Clerk().press(Act.ACCEPT, fast=True).flash == "too_fast"


def test_a_question_that_nobody_answers_is_closed() -> None:
    """The next person at the counter is not to answer it."""
    for clerk in (Clerk().scan(), Clerk().asking(), Clerk().type("12")):
        assert not isinstance(clerk.wait(flows.IDLE_MS - 1).stage, Ready) or clerk.stage != Ready()
        clerk.wait(1)
        assert clerk.stage == Ready() and clerk.flash == "idle"
    leaving = Clerk().press(Act.HELP).press(Act.LEAVE).wait(flows.IDLE_MS)
    assert isinstance(leaving.stage, Help)
    refused = Clerk().scan().type("1234").answer(Refusal(Reason.USED_UP))
    assert isinstance(refused.wait(flows.IDLE_MS * 2).stage, Refused)


def test_a_successor_code_does_not_stay_on_the_screen() -> None:
    """A front end may show it and must not keep it."""
    clerk = Clerk().confirmed().answer(REDEEMED).wait(flows.SUCCESSOR_MS - 1)
    assert isinstance(clerk.stage, Done) and clerk.stage.result.successor_code
    clerk.wait(1)
    assert isinstance(clerk.stage, Done) and clerk.stage.result.successor_code is None
    assert clerk.stage.result.shares == 2


def test_a_line_in_passing_goes_after_a_while() -> None:
    """It goes with the next key, or after five seconds."""
    clerk = Clerk().type("x").wait(flows.FLASH_MS - 1)
    assert clerk.flash == "digits_only"
    assert clerk.wait(1).flash is None
    assert Clerk().type("x").type("1").flash is None


def test_leaving_is_asked_and_confirmed() -> None:
    """Not with Enter, not too soon, and `-` goes back to what was there."""
    clerk = Clerk().type("12").press(Act.LEAVE)
    assert clerk.press(Act.LEAVE).stage == Leaving(Ready("12"), 1_000)
    assert clerk.press(Act.CONFIRM).flash == "too_early"
    assert clerk.press(Act.ACCEPT).flash == "confirm_with_plus"
    assert clerk.press(Act.CLEAR).stage == Ready("12")
    clerk.press(Act.LEAVE).now += ARM_MS
    assert clerk.press(Act.CONFIRM).effects == (Quit(),)


def test_the_language_can_be_switched_at_any_time() -> None:
    """Also while a question is open: it changes words only."""
    clerk = Clerk().asking()
    before = clerk.stage
    assert clerk.press(Act.LANGUAGE).effects == (SwitchLanguage(),)
    assert clerk.stage == before


def test_status_and_history_are_kept_for_the_picture() -> None:
    """They change what is shown and nothing else."""
    clerk = Clerk().asking()
    clerk.flow.feed(StatusRead(STATUS, 1))
    clerk.flow.feed(HistoryRead(TAPE, 1))
    shown = clerk.flow.shown
    assert (shown.status, shown.tape) == (STATUS, TAPE) and isinstance(shown.stage, Asking)


def test_nothing_secret_is_printed_by_a_state() -> None:
    """A log line of a state or event holds no code and no last four digits."""
    clerk = Clerk().scan().type("87")
    texts = [repr(clerk.stage), repr(Scanned(CODE, 1)), repr(Typed("8", 1)), repr(Ready("87"))]
    texts += [repr(AskLookUp(1, CODE, "8765")), repr(Looking(1, CODE, 1)), repr(AskCheck(1, CODE))]
    texts += [repr(Refused(Refusal(Reason.LOCKED), retry=CODE))]
    assert not any(CODE in text or "87" in text for text in texts)


def test_a_reversal_is_resumed_too() -> None:
    """AX-05: repeating it is harmless."""
    clerk = Clerk(ReverseOrder("T0007_1_00000042", "mistake")).wait(0).answer(REVERSED)
    assert isinstance(clerk.stage, Undone) and clerk.press(Act.ACCEPT).stage == Ready()


ACTS = st.sampled_from([act for act in Act])
STEPS = st.one_of(
    st.tuples(st.just("scan"), st.just(CODE)),
    st.tuples(st.just("type"), st.sampled_from("0123456789x")),
    st.tuples(st.just("fast"), st.sampled_from("0123456789")),
    st.tuples(st.just("press"), ACTS),
    st.tuples(st.just("fast_press"), ACTS),
    st.tuples(st.just("answer"), st.sampled_from([VIEW, SINGLE, REDEEMED, Reason.USED_UP])),
    st.tuples(st.just("fail"), st.booleans()),
    st.tuples(st.just("wait"), st.integers(0, 200_000)),
)


@given(steps=st.lists(STEPS, max_size=60))
def test_only_a_confirmation_by_hand_leads_to_an_order(
    steps: list[tuple[str, object]],
) -> None:
    """Whatever happens in whatever order, money moves on Act.CONFIRM alone, once per request."""
    clerk = Clerk()
    requests: list[str] = []
    for kind, value in steps:
        before = clerk.stage
        _one(clerk, kind, value)
        for effect in clerk.effects:
            if isinstance(effect, AskCommit) and isinstance(effect.order, RedeemOrder):
                if effect.order.request in requests:
                    continue
                assert (kind, value) == ("press", Act.CONFIRM) and isinstance(before, Asking)
                assert clerk.now - before.asked_at >= ARM_MS
                assert 1 <= effect.order.shares <= before.view.max_now
                requests.append(effect.order.request)


def _one(clerk: Clerk, kind: str, value: object) -> None:
    waiting = isinstance(clerk.stage, Last4 | Looking | Committing)
    clerk.effects = ()
    match kind, value:
        case "scan", str(text):
            clerk.scan(text)
        case "type", str(text):
            clerk.type(text)
        case "fast", str(text):
            clerk.type(text, fast=True)
        case "press", Act() as act:
            clerk.press(act)
        case "fast_press", Act() as act:
            clerk.press(act, fast=True)
        case "wait", int(ms):
            clerk.wait(ms)
        case "fail", bool(unknown) if waiting:
            clerk.fail(unknown=unknown)
        case "answer", Reason() as reason if waiting:
            clerk.answer(Refusal(reason))
        case "answer", _ if waiting and not isinstance(value, Reason):
            clerk.answer(value)
        case _:
            pass


def test_the_tape_is_read_again_when_its_word_has_changed() -> None:
    """Acknowledged or judged since: the tape must not say "unsent" beside "all sent"."""
    notice = Notice("verdict", "T1_1_00000001", {"verdict": "over_redeemed"})
    flow = Clerk().flow
    waiting = replace(STATUS, unacknowledged=3, notices=())
    steps = [
        (waiting, ()),
        (waiting, ()),
        (replace(waiting, unacknowledged=4), ()),
        (replace(waiting, unacknowledged=0), (AskHistory(),)),
        (replace(waiting, unacknowledged=0, notices=(notice,)), (AskHistory(),)),
        (replace(waiting, unacknowledged=0, notices=(notice,)), ()),
    ]
    for status, due in steps:
        assert flow.feed(StatusRead(status, 1)) == due
