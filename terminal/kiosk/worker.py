"""The one thread that asks the counter, so that the screen never waits.

Responsible for: carrying out what the flow asks of the counter, in order, and telling the answer.
Not responsible for: what to ask or what an answer means (`flow`).
Invariants: one call at a time; every ticketed question gets exactly one answer, also when the
counter has a bug; the thread is a daemon and touches no widget.
"""

import logging
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from terminal.errors import OutcomeUnknown, TerminalError, trouble_of
from terminal.kiosk.clock import now_ms
from terminal.kiosk.events import (
    NO_TICKET,
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
    CounterEffect,
    CounterEvent,
    Failed,
    HistoryRead,
    LookedUp,
    Reprinted,
    Settled,
    StatusRead,
)
from terminal.kiosk.records import HISTORY_ROWS
from terminal.kiosk.states import RedeemOrder
from terminal.outcomes import Counter, Redeemed, Reversed, View
from vouchers.reasons import Refusal

log = logging.getLogger(__name__)


class CounterWorker:
    """Takes questions from any thread, answers through `post`, which may be called anywhere."""

    def __init__(self, counter: Counter, post: Callable[[CounterEvent], None]) -> None:
        self._counter = counter
        self._post = post
        self._questions: SimpleQueue[CounterEffect | None] = SimpleQueue()
        self._status_waits = False
        self._clerk = ""
        self._thread = Thread(target=self._run, name="kiosk-counter", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Answer what was asked and end; a call that hangs is left behind after the time."""
        self._questions.put(None)
        self._thread.join(timeout_s)

    def submit(self, question: CounterEffect) -> None:
        """Ask. Questions about the status that pile up become one."""
        if isinstance(question, AskStatus):
            if self._status_waits:
                return
            self._status_waits = True
        self._questions.put(question)

    def _run(self) -> None:
        while (question := self._questions.get()) is not None:
            if isinstance(question, AskStatus):
                self._status_waits = False
            try:
                answer = self._ask(question)
            except OutcomeUnknown as error:
                answer = _failure(question, error, unknown=True)
            except TerminalError as error:
                answer = _failure(question, error, unknown=False)
            except Exception as error:  # noqa: BLE001 - a bug must not leave the clerk waiting
                # Its text may hold anything, so only its kind is logged.
                log.error("the counter failed at %s: %s", _name(question), type(error).__name__)
                answer = _failure(question, error, unknown=True)
            if answer is not None:
                self._post(answer)
            if isinstance(answer, LookedUp) and isinstance(answer.answer, View):
                self._counter.prepare(answer.answer.handle)
            del question  # the number of a card is not kept until somebody asks the next one

    def _ask(self, question: CounterEffect) -> CounterEvent | None:
        match question:
            case AskCheck(ticket, credential):
                return Checked(ticket, self._counter.check_credential(credential), now_ms())
            case AskLookUp(ticket, credential, last4):
                return LookedUp(ticket, self._counter.look_up(credential, last4), now_ms())
            case AskCard(ticket, number):
                found = self._counter.look_up_card(number)
                answer = found if isinstance(found, Refusal) else tuple(found)
                return CardOpened(ticket, answer, now_ms())
            case AskCommit():
                return Settled(question.ticket, self._commit(question), now_ms())
            case AskHistory():
                return HistoryRead(tuple(self._counter.history(HISTORY_ROWS)), now_ms())
            case AskStatus():
                return self._status()
            case _:
                return self._deal(question)

    def _commit(self, question: AskCommit) -> Redeemed | Reversed | Refusal:
        order, clerk = question.order, self._who()
        if isinstance(order, RedeemOrder):
            return self._counter.redeem(
                order.handle, order.shares, clerk=clerk, request=order.request
            )
        return self._counter.reverse(order.serial, reason_code=order.reason_code, clerk=clerk)

    def _deal(self, question: AskReprint | AskSettleSlip | AskDismiss) -> CounterEvent | None:
        match question:
            case AskReprint(serial):
                return Reprinted(self._counter.reprint(serial, clerk=self._who()), now_ms())
            case AskSettleSlip(serial, reprint):
                self._counter.settle_slip(serial, reprint=reprint, clerk=self._who())
            case AskDismiss(notice):
                self._counter.dismiss(notice)
        return None

    def _who(self) -> str:
        if not self._clerk:
            self._status()
        return self._clerk

    def _status(self) -> StatusRead:
        status = self._counter.status()
        self._clerk = status.clerk
        return StatusRead(status, now_ms())


def _failure(question: CounterEffect, error: Exception, *, unknown: bool) -> Failed | None:
    if isinstance(question, AskStatus | AskHistory):
        # Asked again in a second anyway; the panel must not change for it.
        return None
    ticket = NO_TICKET
    if isinstance(question, AskCheck | AskLookUp | AskCard | AskCommit):
        ticket = question.ticket
    # Only an order can have an unknown outcome: looking something up records nothing here.
    lost = unknown and isinstance(question, AskCommit)
    return Failed(ticket, trouble_of(error), now_ms(), lost)


def _name(question: CounterEffect) -> str:
    return type(question).__name__
