"""The kiosk as a state machine: events in, what is shown and what is asked for out.

Responsible for: who may interrupt whom. It owns "a question is open": while it is, a scan is
refused on the screen and by sound and never answers anything, and keys too fast for a hand are not
taken. Not responsible for: the single steps (`till`, `records`), words, drawing, calling the
counter. Pure: time and identities come in from outside.
Invariants: an answer of the counter that belongs to an earlier question changes nothing; only
`Act.CONFIRM` from a hand leads to an order.
"""

from typing import Final

from msgspec.structs import replace

from terminal.kiosk import cards, records, till
from terminal.kiosk.events import (
    NO_TICKET,
    AskHistory,
    CardOpened,
    CardRead,
    Checked,
    ClerkEvent,
    Effect,
    Event,
    Failed,
    HistoryRead,
    LookedUp,
    Pressed,
    Quit,
    Reprinted,
    Scanned,
    Settled,
    Spoiled,
    StatusRead,
    SwitchLanguage,
    Ticked,
    Typed,
)
from terminal.kiosk.states import (
    Act,
    Asking,
    Choosing,
    Committing,
    ConfirmUndo,
    Done,
    Fault,
    Flash,
    Help,
    History,
    Last4,
    Leaving,
    Looking,
    NoticeOpen,
    Order,
    Ready,
    Reasons,
    Refused,
    Shown,
    Stage,
    Undone,
)
from terminal.kiosk.till import Identities, Step, not_now
from terminal.outcomes import Status, TapeRow

FLASH_MS: Final = 5_000
"""A line in passing stays this long, or until the clerk does something else."""

IDLE_MS: Final = 120_000
"""A question that nobody answers is closed: the next person is not to answer it."""

SUCCESSOR_MS: Final = 60_000
"""A successor code stays on the screen this long, then only the slip and the message have it."""

STUCK_TRIES: Final = 3
"""After this many lost answers the kiosk may be left although an order is open."""


def question_open(stage: Stage) -> bool:
    """Whether a person is asked something, so that a scan must not interrupt."""
    if isinstance(stage, Last4):
        return bool(stage.typed)
    asking = Looking | Choosing | Asking | Committing | Reasons | ConfirmUndo | NoticeOpen | Leaving
    return isinstance(stage, asking) or _is_latched(stage)


def _is_latched(stage: Stage) -> bool:
    return isinstance(stage, Refused) and stage.latched


def _is_over(stage: Stage) -> bool:
    """Whether typing begins the next voucher."""
    return isinstance(stage, Done | Undone | Fault | Refused) and not _is_latched(stage)


class RedeemFlow:
    """Feed it events one at a time; `shown` is what to draw after each."""

    def __init__(self, ids: Identities, *, resume: Order | None = None) -> None:
        """`resume` is an order whose outcome an earlier run of the screen never learnt."""
        self._ids = ids
        self._stage: Stage = Ready()
        self._flash: Flash | None = None
        self._touched = 0
        self._status: Status | None = None
        self._tape: tuple[TapeRow, ...] = ()
        if resume is not None:
            self._stage = Committing(resume, ids.ticket(), "", 0, tries=1, retry_at=0)

    @property
    def shown(self) -> Shown:
        """What is on the screen now."""
        return Shown(self._stage, self._flash, self._status, self._tape)

    @property
    def open_order(self) -> Order | None:
        """The order that was given and has no answer yet: a new flow must `resume` it."""
        stage = self._stage.back if isinstance(self._stage, Leaving) else self._stage
        return stage.order if isinstance(stage, Committing) else None

    def feed(self, event: Event) -> tuple[Effect, ...]:
        """Take one event; answers what to do about it."""
        match event:
            case Scanned() | CardRead() | Spoiled() | Typed() | Pressed():
                self._touched = event.at
                step = self._from_clerk(event)
            case Ticked():
                return self._tick(event.at)
            case StatusRead():
                before, self._status = self._status, event.status
                return (AskHistory(),) if _tape_is_stale(before, event.status) else ()
            case HistoryRead():
                self._tape = event.rows
                return ()
            case _:
                found = self._from_counter(event)
                if found is None:
                    return ()
                self._touched = event.at
                step = found
        return self._go(step)

    def _go(self, step: Step) -> tuple[Effect, ...]:
        self._stage, self._flash = step.stage, step.flash
        return step.effects

    def _from_clerk(self, event: ClerkEvent) -> Step:
        if isinstance(event, Scanned | CardRead):
            return self._scan(event)
        if isinstance(event, Spoiled):
            blank = Ready() if isinstance(self._stage, Ready) else self._stage
            return not_now(blank, "scan_again")
        if event.fast and not (isinstance(self._stage, Ready) and isinstance(event, Typed)):
            # A scan too short to be one, or a stuck key: whatever it is, it is not an answer.
            return not_now(self._stage, "too_fast")
        return self._type(event) if isinstance(event, Typed) else self._press(event)

    def _scan(self, event: Scanned | CardRead) -> Step:
        by_card = isinstance(event, CardRead)
        if question_open(self._stage):
            wait = "card_not_now" if by_card else "scan_not_now"
            return not_now(self._stage, "clear_first" if _is_latched(self._stage) else wait)
        if isinstance(event, CardRead):
            return cards.present(self._stage, event, self._ids)
        return till.present(event.text, self._ids)

    def _type(self, event: Typed) -> Step:
        match Ready() if _is_over(self._stage) else self._stage:
            case Ready() as stage:
                return till.type_code(stage, event, self._ids)
            case Last4() as stage:
                return till.type_last4(stage, event, self._ids)
            case Choosing() as stage:
                return cards.move(stage, event)
            case Asking() as stage:
                return till.type_shares(stage, event)
            case History() as stage:
                return records.move(stage, event, self._tape)
            case Help() as stage:
                return records.turn(stage, event)
            case Reasons() as stage:
                return records.choose_reason(stage, event)
            case NoticeOpen() as stage:
                return records.answer_slip(stage, event, self._status)
            case stage:
                return not_now(stage, "clear_first" if _is_latched(stage) else "not_now")

    def _press(self, event: Pressed) -> Step:
        match event.act:
            case Act.CONFIRM:
                return self._confirm(event.at)
            case Act.ACCEPT:
                return self._accept(event.at)
            case Act.CLEAR:
                back = self._stage.back if isinstance(self._stage, Leaving) else None
                return Step(back) if back is not None else till.clear(self._stage)
            case Act.ERASE:
                return till.erase(self._stage)
            case Act.LANGUAGE:
                return Step(self._stage, (SwitchLanguage(),))
            case Act.LEAVE:
                return self._leave(event.at)
            case _:
                if question_open(self._stage):
                    return not_now(self._stage, "finish_first")
                return self._open(event.act)

    def _confirm(self, at: int) -> Step:
        match self._stage:
            case Asking() as stage:
                return till.confirm(stage, at, self._ids)
            case ConfirmUndo() as stage:
                return records.confirm_undo(stage, at, self._ids)
            case Leaving(asked_at=asked_at) as stage:
                if at - asked_at < till.ARM_MS:
                    return not_now(stage, "too_early")
                return Step(stage, (Quit(),))
            case stage:
                return not_now(stage, "nothing_to_confirm")

    def _accept(self, at: int) -> Step:
        match self._stage:
            case Choosing() as stage:
                return cards.choose(stage, at)
            case NoticeOpen() as stage:
                return records.dismiss(stage, self._status)
            case Help():
                return Step(Ready())
            case ConfirmUndo() | Leaving() as stage:
                return not_now(stage, "confirm_with_plus")
            case stage:
                return till.accept(stage, self._ids)

    def _open(self, act: Act) -> Step:
        match act:
            case Act.HELP:
                return Step(Help())
            case Act.HISTORY:
                return Step(History(), (AskHistory(),))
            case Act.UNDO:
                return records.start_undo(self._stage, self._tape)
            case Act.REPRINT:
                return records.reprint(self._stage, self._tape)
            case _:
                return records.open_notices(self._stage, self._status)

    def _leave(self, at: int) -> Step:
        match self._stage:
            case Leaving():
                return Step(self._stage)
            case Committing(tries=tries, late=late) as stage if tries < STUCK_TRIES and not late:
                return not_now(stage, "already_confirmed")
            case stage:
                return Step(Leaving(stage, at))

    def _from_counter(
        self, event: Checked | LookedUp | CardOpened | Settled | Failed | Reprinted
    ) -> Step | None:
        if isinstance(event, Reprinted):
            key = "reprinted" if event.queued else "nothing_to_reprint"
            return Step(self._stage, (), Flash(key))
        if event.ticket == NO_TICKET:
            return not_now(self._stage, "not_done")
        stage = self._stage.back if isinstance(self._stage, Leaving) else self._stage
        if not isinstance(stage, Last4 | Looking | Committing) or stage.ticket != event.ticket:
            return None
        match stage, event:
            case Last4(), Checked(refusal=refusal) if refusal is not None:
                return till.refuse(Refused(refusal))
            case Looking(), LookedUp():
                return till.looked_up(stage, event)
            case Looking(), CardOpened():
                return cards.opened(event)
            case Committing(), Settled():
                return till.settled(stage, event)
            case _, Failed():
                return till.failed(stage, event)
            case _:
                return None

    def _tick(self, at: int) -> tuple[Effect, ...]:
        idle = at - self._touched
        if self._flash is not None and idle >= FLASH_MS:
            self._flash = None
        match self._stage:
            case Committing() as stage:
                step = till.wait_on(stage, at)
                return self._go(step) if step is not None else ()
            case Leaving() as stage if idle >= IDLE_MS:
                return self._go(Step(stage.back))
            case Done(result=result) as stage if at - stage.since >= SUCCESSOR_MS:
                self._stage = replace(stage, result=replace(result, successor_code=None))
            case Ready(typed="") | Done() | Undone() | Refused() | Fault() | Leaving() | Looking():
                pass
            case _ if idle >= IDLE_MS:
                return self._go(Step(Ready(), (), Flash("idle")))
            case _:
                pass
        return ()


def _tape_is_stale(before: Status | None, now: Status) -> bool:
    """Something was acknowledged or judged: what the tape says of it is no longer true."""
    if before is None:
        return False
    return now.unacknowledged < before.unacknowledged or now.notices != before.notices
