"""What can happen to the kiosk and what it can ask for.

Responsible for: the frozen values that go into the flow and come out of it. Not responsible for:
what follows from what (`flow`), carrying it out (`worker`, `app`).
Invariants: no value here prints a credential or last four digits (`repr=False`); times `at` are
monotonic milliseconds.
"""

from dataclasses import dataclass, field
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class Scanned:
    """A whole scan, from a burst of keys, a paste or a serial scanner."""

    text: str = field(repr=False)
    at: int


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A scan arrived in pieces and must be scanned again."""

    at: int


@dataclass(frozen=True, slots=True)
class Typed:
    """One character. `fast`: too fast for a hand. `numlock_off`: a keypad key without NumLock."""

    character: str = field(repr=False)
    at: int
    fast: bool = False
    numlock_off: bool = False


@dataclass(frozen=True, slots=True)
class Pressed:
    """A key with a meaning."""

    act: Act
    at: int
    fast: bool = False


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time went by."""

    at: int


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a credential can be one at all."""

    ticket: int
    refusal: Refusal | None
    at: int


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The answer to a look-up."""

    ticket: int
    answer: View | Refusal
    at: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The answer to an order."""

    ticket: int
    answer: Redeemed | Reversed | Refusal
    at: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The counter raised. `unknown` is False only when it is certain that nothing was done."""

    ticket: int
    message: str
    at: int
    unknown: bool


@dataclass(frozen=True, slots=True)
class Reprinted:
    """Whether there was a slip to print again."""

    queued: bool
    at: int


@dataclass(frozen=True, slots=True)
class HistoryRead:
    """The last redemptions and reversals, newest first."""

    rows: tuple[TapeRow, ...]
    at: int


@dataclass(frozen=True, slots=True)
class StatusRead:
    """How the terminal is doing."""

    status: Status
    at: int


ClerkEvent = Scanned | Spoiled | Typed | Pressed
CounterEvent = Checked | LookedUp | Settled | Failed | Reprinted | HistoryRead | StatusRead
Event = ClerkEvent | CounterEvent | Ticked


# What the flow asks for.


@dataclass(frozen=True, slots=True)
class AskCheck:
    """Ask whether this can be a credential at all: free of charge."""

    ticket: int
    credential: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AskLookUp:
    """Ask what this is."""

    ticket: int
    credential: str = field(repr=False)
    last4: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AskCommit:
    """Redeem or reverse; asked again with the same order when the answer is lost (AX-03)."""

    ticket: int
    order: Order


@dataclass(frozen=True, slots=True)
class AskReprint:
    """Print a marked copy of a slip (AX-19)."""

    serial: str


@dataclass(frozen=True, slots=True)
class AskSettleSlip:
    """A slip of unknown fate: print a marked copy, or abandon it."""

    serial: str
    reprint: bool


@dataclass(frozen=True, slots=True)
class AskDismiss:
    """The clerk has read a notice."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class AskHistory:
    """Read the history again."""


@dataclass(frozen=True, slots=True)
class AskStatus:
    """Read the status again."""


@dataclass(frozen=True, slots=True)
class Beep:
    """Make a sound."""

    tone: Tone


@dataclass(frozen=True, slots=True)
class SwitchLanguage:
    """Show the other language."""


@dataclass(frozen=True, slots=True)
class Quit:
    """Close the kiosk."""


CounterEffect = (
    AskCheck
    | AskLookUp
    | AskCommit
    | AskReprint
    | AskSettleSlip
    | AskDismiss
    | AskHistory
    | AskStatus
)
Effect = CounterEffect | Beep | SwitchLanguage | Quit
