"""An ID card was read: which of the person's vouchers is meant (EV-032).

Responsible for: what follows from a card, and choosing among several vouchers. Not responsible for:
counting and confirming, which are the same for a card and a code (`till`). Pure.
Invariants: the number goes into one question and is kept in no stage; a voucher is chosen by a
hand, never by a card or a scan; choosing redeems nothing.
"""

from msgspec.structs import replace

from terminal.kiosk import till
from terminal.kiosk.events import AskCard, CardOpened, CardRead, Typed
from terminal.kiosk.records import moved
from terminal.kiosk.states import Asking, Choosing, Looking, Refused, Stage
from terminal.kiosk.till import Identities, Step, not_now
from terminal.outcomes import View
from vouchers.reasons import Refusal


def present(stage: Stage, event: CardRead, ids: Identities) -> Step:
    """A card is there: ask what it opens. One without a usable number is said to be so."""
    if not event.number:
        return not_now(stage, "card_unreadable")
    ticket = ids.ticket()
    return Step(Looking(ticket, "", event.at), (AskCard(ticket, event.number),))


def opened(event: CardOpened) -> Step:
    """One voucher that can be redeemed goes straight to the count; of several the clerk chooses."""
    if isinstance(event.answer, Refusal):
        return till.refuse(Refused(event.answer))
    good = [view for view in event.answer if view.refusal is None]
    if len(good) == 1:
        return Step(Asking(good[0], "", event.at))
    if len(event.answer) == 1:
        return _take(event.answer[0], event.at)
    return Step(Choosing(event.answer))


def move(stage: Choosing, event: Typed) -> Step:
    """Move through the vouchers with the keypad, as in the history."""
    return Step(replace(stage, cursor=moved(stage.cursor, event, len(stage.views))))


def choose(stage: Choosing, at: int) -> Step:
    """Take the voucher under the cursor."""
    return _take(stage.views[stage.cursor], at)


def _take(view: View, at: int) -> Step:
    if view.refusal is not None:
        return till.refuse(Refused(view.refusal, view))
    return Step(Asking(view, "", at))
