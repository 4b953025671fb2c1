"""What can happen to the kiosk and what it can ask for.

Responsible for: the frozen values that go into the flow and come out of it. Not responsible for:
what follows from what (`flow`), carrying it out (`worker`, `app`).
Invariants: no value here prints a credential or last four digits (`repr=False`); times `at` are
monotonic milliseconds.
"""

from enum import StrEnum

from msgspec import Struct

from terminal.errors import Trouble
from terminal.kiosk.discreet import Discreet
from terminal.kiosk.states import Act, Order
from terminal.outcomes import Notice, Redeemed, Reversed, Status, TapeRow, View
from vouchers.reasons import Refusal


class Tone(StrEnum):
    """A sound: one short high, two low, three fast, or the one for a scan that was not taken."""

    GOOD = "good"
    BAD = "bad"
    ALARM = "alarm"
    NOT_NOW = "not_now"


NO_TICKET = 0
"""The ticket of a failure that belongs to no question: a reprint, an answered notice."""


class Scanned(Discreet, frozen=True):
    """A whole scan, from a burst of keys, a paste or a serial scanner."""

    text: str
    at: int


class CardRead(Discreet, frozen=True):
    """An ID card was read; `number` is empty when it holds none that can be used."""

    number: str
    at: int


class Spoiled(Struct, frozen=True):
    """A scan arrived in pieces and must be scanned again."""

    at: int


class Typed(Discreet, frozen=True):
    """One character. `fast`: too fast for a hand. `numlock_off`: a keypad key without NumLock."""

    character: str
    at: int
    fast: bool = False
    numlock_off: bool = False


class Pressed(Struct, frozen=True):
    """A key with a meaning."""

    act: Act
    at: int
    fast: bool = False


class Ticked(Struct, frozen=True):
    """Time went by."""

    at: int


class Checked(Struct, frozen=True):
    """Whether a credential can be one at all."""

    ticket: int
    refusal: Refusal | None
    at: int


class LookedUp(Struct, frozen=True):
    """The answer to a look-up."""

    ticket: int
    answer: View | Refusal
    at: int


class CardOpened(Struct, frozen=True):
    """The answer to a card: the vouchers of its person, the best one first, at least one."""

    ticket: int
    answer: tuple[View, ...] | Refusal
    at: int


class Settled(Struct, frozen=True):
    """The answer to an order."""

    ticket: int
    answer: Redeemed | Reversed | Refusal
    at: int


class Failed(Struct, frozen=True):
    """The counter raised. `unknown` is False only when it is certain that nothing was done."""

    ticket: int
    trouble: Trouble
    at: int
    unknown: bool


class Reprinted(Struct, frozen=True):
    """Whether there was a slip to print again."""

    queued: bool
    at: int


class HistoryRead(Struct, frozen=True):
    """The last redemptions and reversals, newest first."""

    rows: tuple[TapeRow, ...]
    at: int


class StatusRead(Struct, frozen=True):
    """How the terminal is doing."""

    status: Status
    at: int


ClerkEvent = Scanned | CardRead | Spoiled | Typed | Pressed
CounterEvent = (
    Checked | LookedUp | CardOpened | Settled | Failed | Reprinted | HistoryRead | StatusRead
)
Event = ClerkEvent | CounterEvent | Ticked


# What the flow asks for.


class AskCheck(Discreet, frozen=True):
    """Ask whether this can be a credential at all: free of charge."""

    ticket: int
    credential: str


class AskLookUp(Discreet, frozen=True):
    """Ask what this is."""

    ticket: int
    credential: str
    last4: str


class AskCard(Discreet, frozen=True):
    """Ask what an ID card opens."""

    ticket: int
    number: str


class AskCommit(Struct, frozen=True):
    """Redeem or reverse; asked again with the same order when the answer is lost (AX-03)."""

    ticket: int
    order: Order


class AskReprint(Struct, frozen=True):
    """Print a marked copy of a slip (AX-19)."""

    serial: str


class AskSettleSlip(Struct, frozen=True):
    """A slip of unknown fate: print a marked copy, or abandon it."""

    serial: str
    reprint: bool


class AskDismiss(Struct, frozen=True):
    """The clerk has read a notice."""

    notice: Notice


class AskHistory(Struct, frozen=True):
    """Read the history again."""


class AskStatus(Struct, frozen=True):
    """Read the status again."""


class Beep(Struct, frozen=True):
    """Make a sound."""

    tone: Tone


class SwitchLanguage(Struct, frozen=True):
    """Show the other language."""


class Quit(Struct, frozen=True):
    """Close the kiosk."""


CounterEffect = (
    AskCheck
    | AskLookUp
    | AskCard
    | AskCommit
    | AskReprint
    | AskSettleSlip
    | AskDismiss
    | AskHistory
    | AskStatus
)
Effect = CounterEffect | Beep | SwitchLanguage | Quit
