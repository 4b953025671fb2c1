"""The hot path at the counter, one step at a time: code, last four, shares, confirm, outcome.

Responsible for: what follows from an event while a voucher is being redeemed (EV-041, EV-046,
EV-047). Not responsible for: which scans may interrupt (`flow`), history and undo (`records`),
deciding anything about a voucher (the counter). Pure.
Invariants: nothing is committed without `Act.CONFIRM`, pressed by hand at least `ARM_MS` after the
question was put; an order whose answer is lost is asked again as it was, never under a new request.
"""

import unicodedata
from collections.abc import Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from terminal.kiosk.events import (
    AskCheck,
    AskCommit,
    AskHistory,
    AskLookUp,
    AskStatus,
    Beep,
    Effect,
    Failed,
    LookedUp,
    Settled,
    Tone,
    Typed,
)
from terminal.kiosk.states import (
    Asking,
    Choosing,
    Committing,
    Done,
    Fault,
    Flash,
    Last4,
    Looking,
    Ready,
    RedeemOrder,
    Refused,
    Stage,
    Undone,
)
from terminal.outcomes import Redeemed, Reversed
from vouchers.limits import CODE_DIGITS_MAX, LAST4_DIGITS
from vouchers.reasons import Reason, Refusal

ARM_MS: Final = 300
"""A confirmation that comes sooner was not an answer to this question (kiosk notes, C2)."""

RETRY_MS_FIRST: Final = 500
RETRY_MS_MAX: Final = 5_000

LATE_MS: Final = 3_000
"""After this long the screen says that it takes long."""

COUNT_DIGITS_MAX: Final = 4
"""`vouchers.limits.SHARES_MAX` has four digits."""

LATCHING: Final = frozenset({Reason.VOIDED, Reason.REFUNDED, Reason.REPLACED, Reason.USED_UP})
"""Somebody shows what is spent: the panel stays until the clerk has cleared it."""

STILL_OPEN: Final = frozenset({Reason.BUSY, Reason.OUTCOME_UNKNOWN, Reason.OUT_OF_SERVICE})
"""Refusals that say nothing about an order whose first answer was lost."""


class Step(Struct, frozen=True):
    """Where an event leads, what it asks for and what is said in passing."""

    stage: Stage
    effects: tuple[Effect, ...] = ()
    flash: Flash | None = None


class Identities(Struct, frozen=True):
    """Fresh names: a ticket per question to the counter, a request id per redemption (AX-03)."""

    ticket: Callable[[], int]
    request: Callable[[], str]


def digit_of(character: str) -> str | None:
    """The ASCII digit of a typed character, also of a full-width one (EV-045), else None."""
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) == 1 and plain in "0123456789" else None


def not_now(stage: Stage, key: str) -> Step:
    """Say why an input is not taken, and leave everything as it is."""
    return Step(stage, (Beep(Tone.NOT_NOW),), Flash(key))


def present(credential: str, ids: Identities) -> Step:
    """A code is there: ask for the last four, and meanwhile whether it can be a code."""
    ticket = ids.ticket()
    return Step(Last4(ticket, credential), (AskCheck(ticket, credential),))


def type_code(stage: Ready, event: Typed, ids: Identities) -> Step:
    """A character of a code typed by hand; the longest code needs no Enter."""
    digit = digit_of(event.character)
    if digit is None:
        return not_now(stage, "digits_only")
    typed = stage.typed + digit
    if len(typed) == CODE_DIGITS_MAX:
        return present(typed, ids)
    return Step(Ready(typed), (), _numlock(event))


def type_last4(stage: Last4, event: Typed, ids: Identities) -> Step:
    """A digit of the last four; the fourth looks the voucher up."""
    digit = digit_of(event.character)
    if digit is None:
        return not_now(stage, "digits_only")
    typed = stage.typed + digit
    if len(typed) < LAST4_DIGITS:
        return Step(replace(stage, typed=typed), (), _numlock(event))
    ticket = ids.ticket()
    return Step(
        Looking(ticket, stage.credential, event.at),
        (AskLookUp(ticket, stage.credential, typed),),
    )


def type_shares(stage: Asking, event: Typed) -> Step:
    """A digit of the count (EV-046): never more than may be redeemed now."""
    digit = digit_of(event.character)
    if digit is None:
        return not_now(stage, "digits_only")
    if stage.view.max_now == 1:
        return not_now(stage, "one_only") if digit != "1" else Step(stage)
    typed = (stage.typed + digit).lstrip("0")
    if not typed:
        return not_now(stage, "at_least_one")
    if len(typed) > COUNT_DIGITS_MAX or int(typed) > stage.view.max_now:
        most = Flash("at_most", {"most": stage.view.max_now})
        return Step(stage, (Beep(Tone.NOT_NOW),), most)
    return Step(replace(stage, typed=typed), (), _numlock(event))


def looked_up(stage: Looking, event: LookedUp) -> Step:
    """What it is and what is left, or why not (EV-046)."""
    answer = event.answer
    if isinstance(answer, Refusal):
        again = stage.credential if answer.reason is Reason.UNKNOWN_OR_WRONG else None
        return refuse(Refused(answer, retry=again))
    if answer.refusal is not None:
        return refuse(Refused(answer.refusal, answer))
    return Step(Asking(answer, "", event.at))


def refuse(refused: Refused) -> Step:
    """Show a no, and hold the screen when what was shown is spent."""
    latched = refused.refusal.reason in LATCHING
    tone = Tone.ALARM if latched else Tone.BAD
    return Step(replace(refused, latched=latched), (Beep(tone), AskStatus()))


def confirm(stage: Asking, at: int, ids: Identities) -> Step:
    """The one way to redeem. The request id exists before the call (AX-03)."""
    if at - stage.asked_at < ARM_MS:
        return not_now(stage, "too_early")
    order = RedeemOrder(ids.request(), stage.view.handle, stage.shares)
    ticket = ids.ticket()
    return Step(Committing(order, ticket, stage.view.product_name, at), (AskCommit(ticket, order),))


def settled(stage: Committing, event: Settled) -> Step:
    """The counter has answered an order."""
    answer = event.answer
    refresh = (AskHistory(), AskStatus())
    if isinstance(answer, Redeemed):
        return Step(Done(answer, event.at), (Beep(Tone.GOOD), *refresh))
    if isinstance(answer, Reversed):
        return Step(Undone(answer, stage.product_name), (Beep(Tone.GOOD), *refresh))
    lost = answer.reason is Reason.OUTCOME_UNKNOWN
    if lost or (stage.tries and answer.reason in STILL_OPEN):
        return ask_later(stage, event.at)
    return refuse(Refused(answer))


def failed(stage: Stage, event: Failed) -> Step:
    """The counter raised: certainly nothing done, or an answer that must be asked for again."""
    if isinstance(stage, Committing) and (event.unknown or stage.tries):
        return ask_later(stage, event.at)
    return Step(Fault(event.trouble), (Beep(Tone.ALARM), AskStatus()))


def ask_later(stage: Committing, at: int) -> Step:
    """The answer is lost: the same order is asked again, a little later each time."""
    wait = min(RETRY_MS_FIRST * 2 ** min(stage.tries, 8), RETRY_MS_MAX)
    alarm = () if stage.tries else (Beep(Tone.ALARM),)
    return Step(replace(stage, tries=stage.tries + 1, retry_at=at + wait), alarm)


def ask_again(stage: Committing) -> Step:
    """Ask for the outcome of the same order now."""
    return Step(replace(stage, retry_at=None), (AskCommit(stage.ticket, stage.order),))


def wait_on(stage: Committing, at: int) -> Step | None:
    """What time does to an order that has no answer yet."""
    if stage.retry_at is not None and at >= stage.retry_at:
        return ask_again(stage)
    if not stage.late and at - stage.since >= LATE_MS:
        return Step(replace(stage, late=True))
    return None


def erase(stage: Stage) -> Step:
    """Take back the last digit."""
    if isinstance(stage, Ready | Last4 | Asking) and stage.typed:
        return Step(replace(stage, typed=stage.typed[:-1]))
    return Step(stage)


def accept(stage: Stage, ids: Identities) -> Step:
    """Enter: a typed code is complete, a result was read, the last four are typed again."""
    if isinstance(stage, Ready):
        return present(stage.typed, ids) if stage.typed else Step(stage)
    if isinstance(stage, Asking):
        return not_now(stage, "confirm_with_plus")
    if isinstance(stage, Committing):
        return ask_again(stage) if stage.retry_at is not None else Step(stage)
    if isinstance(stage, Refused):
        return _after_refusal(stage, ids)
    return Step(Ready()) if isinstance(stage, Done | Undone | Fault) else Step(stage)


def clear(stage: Stage) -> Step:
    """Leave what is on the screen; only an order that was given cannot be left."""
    if isinstance(stage, Committing):
        return not_now(stage, "already_confirmed")
    open_now = isinstance(stage, Last4 | Looking | Choosing | Asking)
    return Step(Ready(), (), Flash("cancelled") if open_now else None)


def _after_refusal(stage: Refused, ids: Identities) -> Step:
    if stage.latched:
        return not_now(stage, "clear_first")
    if stage.retry is not None:
        return present(stage.retry, ids)
    return Step(Ready())


def _numlock(event: Typed) -> Flash | None:
    return Flash("numlock_off") if event.numlock_off else None
