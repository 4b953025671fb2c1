"""What the counter answers to whoever drives it: kiosk, control socket or command line.

Responsible for: the frozen values that cross from the use cases to a front end, and the `Counter`
port that a front end calls. Not responsible for: deciding, storing or wording anything.
Invariant: nothing here holds a code or last four digits, except `Redeemed.successor_code`, which a
front end may show on the outcome and must not keep, nor an ID number, except `CardSeen`.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from vouchers.reasons import Refusal


class Place(Struct, frozen=True):
    """An outlet: its small integer and its name."""

    outlet: int
    name: str


class CardSeen(Struct, frozen=True):
    """An ID card was read: its number, empty when it holds none that can be used. Kept nowhere."""

    number: str

    def __repr__(self) -> str:
        return "CardSeen(...)"


class View(Struct, frozen=True):
    """A voucher that opened. `refusal` is set when it may not be redeemed here and now.

    `handle` names the opened voucher inside the counter until it is redeemed or replaced by the
    next look-up. `left` is what this terminal knows to be left; `max_now` is how many of them may
    be redeemed at this moment (0 when refused). Times are milliseconds UTC; `valid_until` is
    exclusive. `outlets` is where it is good (AX-14); empty means nowhere known.
    """

    handle: str
    voucher: str
    product: int
    product_name: str
    shares: int
    left: int
    max_now: int
    generation: int
    valid_from: int
    valid_until: int
    outlets: tuple[Place, ...]
    evidence: str
    refusal: Refusal | None


class Redeemed(Struct, frozen=True):
    """A committed redemption (EV-047). `left` is what this terminal knows to be left after it;
    `code_follows` says that central makes the next code when it hears of it.
    """

    serial: str
    posid: str
    voucher: str
    product: int
    product_name: str
    shares: int
    left: int
    successor_code: str | None
    mode: str
    at: int
    head: str
    repeated: bool
    code_follows: bool = False


class Reversed(Struct, frozen=True):
    """A committed reversal of a redemption of this terminal (decision 11)."""

    serial: str
    reverses: str
    voucher: str
    shares: int
    left: int
    at: int
    repeated: bool


class Delivery(StrEnum):
    """Where a journal entry stands on its way to central."""

    WAITING = "waiting"
    ACKNOWLEDGED = "acknowledged"
    ATTENTION = "attention"


class TapeRow(Struct, frozen=True):
    """One line of the history: a redemption or a reversal (EV-050), newest first.

    `kind` is `redeemed` or `reversed`. `reversible` says that the clerk may undo it now.
    `slip` is the state of its print job: `none, queued, printing, printed, unconfirmed, unknown,
    failed, abandoned`. `verdict` is central's word once it is known, else None.
    """

    serial: str
    kind: str
    at: int
    product_name: str
    shares: int
    left: int
    clerk: str
    reversed_by: str | None
    reversible: bool
    slip: str
    delivery: Delivery
    verdict: str | None


class Notice(Struct, frozen=True):
    """Something a person must deal with: a verdict, an unknown slip, a start-up finding.

    `kind` is `verdict, slip_unknown, slip_failed, recovered, restored, clock, replica, disk,
    print_backlog, message, fenced, revoked, lost`; `serial` is what it is about, if it is about
    one entry; `detail` feeds the words.
    """

    kind: str
    serial: str | None
    detail: dict[str, object]


class Status(Struct, frozen=True):
    """The one-line state of the terminal, cheap to ask for at any time.

    `network` is `online, slow, offline, refused, not_set_up, none` (none: no central configured).
    `printer` is `ready, near_end, paper_out, cover_open, fault, silent, lost, starting,
    not_set_up, none`, `scanner` and `reader` (of ID cards) are `ready, lost, not_set_up, none`;
    `not_set_up` is what could not be started, because its settings are wrong or its library is
    missing.
    `replica_age_s` is None while there is no replica. `clock` is `ok` or `suspect`.
    `offline_left` are redemptions still allowed before the offline limit bites, when it is near,
    else None; `offline_hours` and `offline_value_fen` likewise. `locked_until` is set while the
    terminal is locked after misses (decision 13).
    """

    posid: str
    outlet: Place
    clerk: str
    network: str
    replica_age_s: int | None
    unacknowledged: int
    printer: str
    scanner: str
    clock: str
    offline_left: int | None
    locked_until: int | None
    notices: tuple[Notice, ...]
    reader: str = "none"
    offline_hours: int | None = None
    offline_value_fen: int | None = None


class Counter(Protocol):
    """What a front end may ask. Every call may block on disk or, briefly, the network.

    Calls come from any thread; they queue. A call raises `OutcomeUnknown` or `OutOfService`
    (terminal.errors) when no answer can be given; anything else is a value.
    """

    def look_up(self, credential: str, last4: str) -> View | Refusal:
        """Open what was presented (a raw scan or typed text) with the last four (EV-041)."""
        ...

    def look_up_card(self, number: str) -> Sequence[View] | Refusal:
        """Open the vouchers of the person whose ID card was read (EV-032), the best one first.
        Charges a miss; raises TerminalError when out of service.
        """
        ...

    def prepare(self, handle: str) -> None:
        """The view of a voucher is on the screen: what its redemption will need can be begun."""
        ...

    def check_credential(self, credential: str) -> Refusal | None:
        """Say at once whether a credential cannot be one (malformed, mistyped), free of charge."""
        ...

    def redeem(
        self, handle: str, shares: int, *, clerk: str, request: str, slip: bool = True
    ) -> Redeemed | Refusal:
        """Redeem shares of an opened voucher; the same request again gives the first result."""
        ...

    def reverse(
        self, serial: str, *, reason_code: str, clerk: str, note: str = ""
    ) -> Reversed | Refusal:
        """Undo a redemption of this terminal (decision 11)."""
        ...

    def reprint(self, serial: str, *, clerk: str) -> bool:
        """Queue another copy of a slip, marked as a reprint (AX-19). False: nothing to reprint."""
        ...

    def settle_slip(self, serial: str, *, reprint: bool, clerk: str) -> None:
        """Answer the question about a slip of unknown fate: print a marked copy, or abandon it."""
        ...

    def dismiss(self, notice: Notice) -> None:
        """The clerk has read a notice that needs no other action."""
        ...

    def history(self, limit: int) -> Sequence[TapeRow]:
        """The last redemptions and reversals, newest first."""
        ...

    def status(self) -> Status:
        """How the terminal is doing."""
        ...
