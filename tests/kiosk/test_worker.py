"""The counter's thread: every question gets one answer, whatever the counter does."""

from collections.abc import Iterator
from queue import SimpleQueue

import pytest
from msgspec.structs import replace

from terminal.errors import OutOfService
from terminal.kiosk.events import (
    AskCard,
    AskCheck,
    AskCommit,
    AskDismiss,
    AskHistory,
    AskLookUp,
    AskReprint,
    AskSettleSlip,
    AskStatus,
    CardOpened,
    Checked,
    CounterEvent,
    Failed,
    HistoryRead,
    LookedUp,
    Reprinted,
    Settled,
    StatusRead,
)
from terminal.kiosk.states import RedeemOrder, ReverseOrder
from terminal.kiosk.worker import CounterWorker
from terminal.outcomes import Redeemed, Reversed, View
from tests.kiosk.memory_counter import GOOD, LAST4, MemoryCounter, with_samples
from tests.kiosk.scenery import SLIP_NOTICE, STATUS, TAPE, VERDICT_NOTICE, VIEW
from vouchers.reasons import Refusal

ORDER = RedeemOrder("r1", "h1", 2)


class Bench:
    """A worker with its counter and the answers that came."""

    def __init__(self) -> None:
        self.counter: MemoryCounter = with_samples()
        self.answers: SimpleQueue[CounterEvent] = SimpleQueue()
        self.worker = CounterWorker(self.counter, self.answers.put)
        self.worker.start()

    def ask(self, question: object) -> CounterEvent:
        self.worker.submit(question)  # type: ignore[arg-type]
        return self.answers.get(timeout=5)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A worker that is stopped at the end."""
    made = Bench()
    yield made
    made.counter.gate.set()
    made.worker.stop()


def test_each_question_has_its_answer(bench: Bench) -> None:
    """Check, look-up, redeem, reverse, reprint, history, status."""
    checked = bench.ask(AskCheck(1, "13800138000"))
    assert isinstance(checked, Checked) and checked.refusal is not None
    found = bench.ask(AskLookUp(2, GOOD, LAST4))
    assert isinstance(found, LookedUp) and isinstance(found.answer, View)
    redeemed = bench.ask(AskCommit(3, ORDER))
    assert isinstance(redeemed, Settled) and isinstance(redeemed.answer, Redeemed)
    undone = bench.ask(AskCommit(4, ReverseOrder(TAPE[0].serial, "test")))
    assert isinstance(undone, Settled) and isinstance(undone.answer, Reversed)
    assert isinstance(bench.ask(AskReprint(TAPE[0].serial)), Reprinted)
    history = bench.ask(AskHistory())
    assert isinstance(history, HistoryRead) and len(history.rows) == len(TAPE) + 1
    status = bench.ask(AskStatus())
    assert isinstance(status, StatusRead) and status.status == STATUS


def test_what_comes_next_is_begun_once_the_view_is_out(bench: Bench) -> None:
    """The clerk sees the voucher first; of a refusal or a card nothing is begun."""
    found = bench.ask(AskLookUp(1, GOOD, LAST4))
    bench.ask(AskLookUp(2, GOOD, "9999"))
    bench.counter.vouchers["X+1"] = VIEW
    bench.ask(AskCard(3, "X"))
    bench.ask(AskHistory())
    assert isinstance(found, LookedUp) and isinstance(found.answer, View)
    assert bench.counter.prepared == [found.answer.handle]


def test_a_card_opens_what_its_person_holds(bench: Bench) -> None:
    """All of them or a refusal; an outage is an answer too."""
    bench.counter.vouchers["X+1"] = bench.counter.vouchers["X+2"] = VIEW
    opened = bench.ask(AskCard(1, "X"))
    assert isinstance(opened, CardOpened) and opened.answer == (VIEW, VIEW)
    missed = bench.ask(AskCard(2, "Y"))
    assert isinstance(missed, CardOpened) and isinstance(missed.answer, Refusal)
    bench.counter.broken = True
    failed = bench.ask(AskCard(3, "X"))
    assert isinstance(failed, Failed) and (failed.ticket, failed.unknown) == (3, False)


def test_notices_are_dealt_with_in_silence(bench: Bench) -> None:
    """What came of it is in the next status."""
    bench.counter.state = replace(STATUS, notices=(SLIP_NOTICE, VERDICT_NOTICE))
    bench.worker.submit(AskSettleSlip("T0007_1_00000037", reprint=True))
    bench.worker.submit(AskDismiss(VERDICT_NOTICE))
    status = bench.ask(AskStatus())
    assert isinstance(status, StatusRead) and status.status.notices == ()


def test_failures_say_whether_anything_can_have_been_done(bench: Bench) -> None:
    """Only an order can have an unknown outcome; a bug in one counts as unknown."""
    bench.counter.broken = True
    outage = bench.ask(AskLookUp(1, GOOD, LAST4))
    assert isinstance(outage, Failed) and not outage.unknown and "doctor" in outage.trouble.message
    bench.counter.unknown_answers = 1
    lost = bench.ask(AskCommit(2, ORDER))
    assert isinstance(lost, Failed) and lost.unknown and lost.ticket == 2
    bench.counter.bug = True
    bug = bench.ask(AskCommit(3, ORDER))
    assert isinstance(bug, Failed) and bug.unknown and bug.trouble.message == "AssertionError"
    bench.counter.reprint = bench.counter.look_up  # type: ignore[method-assign, assignment]
    nobody = bench.ask(AskReprint(TAPE[0].serial))
    assert isinstance(nobody, Failed) and nobody.ticket == 0 and not nobody.unknown


def test_a_status_that_fails_is_not_answered(bench: Bench) -> None:
    """It is asked again in a second; the panel must not change for it."""

    def fail() -> None:
        raise OutOfService("gone")

    bench.counter.status = fail  # type: ignore[assignment, method-assign]
    bench.worker.submit(AskStatus())
    assert isinstance(bench.ask(AskHistory()), HistoryRead)


def test_status_questions_that_pile_up_become_one(bench: Bench) -> None:
    """A counter that is slow is not asked the same thing a hundred times."""
    bench.counter.gate.clear()
    bench.worker.submit(AskLookUp(1, GOOD, LAST4))
    for _ in range(100):
        bench.worker.submit(AskStatus())
    bench.counter.gate.set()
    assert isinstance(bench.answers.get(timeout=5), LookedUp)
    assert isinstance(bench.answers.get(timeout=5), StatusRead)
    assert isinstance(bench.ask(AskHistory()), HistoryRead)
