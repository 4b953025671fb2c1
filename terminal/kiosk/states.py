"""What the kiosk can be showing.

Responsible for: the frozen stages of the screen. Not responsible for: what can happen to them
(`events`), what follows from what (`flow`), words (`terminal.words`) or drawing (`pages`).
Invariants: no value here prints a credential or last four digits (`repr=False`); times `at` are
monotonic milliseconds, times inside counter values are milliseconds UTC.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

from terminal.errors import Trouble
from terminal.kiosk.discreet import Discreet
from terminal.outcomes import Notice, Redeemed, Reversed, Status, TapeRow, View
from vouchers.reasons import Refusal


class Act(StrEnum):
    """What a key other than a digit means. `actions` says which keys."""

    CONFIRM = "confirm"
    ACCEPT = "accept"
    CLEAR = "clear"
    ERASE = "erase"
    HELP = "help"
    REPRINT = "reprint"
    UNDO = "undo"
    HISTORY = "history"
    NOTICES = "notices"
    LANGUAGE = "language"
    LEAVE = "leave"


UNDO_REASONS = (
    "mistake",
    "customer_changed_mind",
    "wrong_voucher",
    "goods_not_available",
    "test",
    "other",
)
"""Decision 11: the closed list, in the order of the digits 1 to 6."""


class Ready(Discreet, frozen=True):
    """Waiting for a code; `typed` is what the clerk typed of one so far."""

    typed: str = ""


class Last4(Discreet, frozen=True):
    """A code is there; the last four digits of the mobile are asked for (EV-041)."""

    ticket: int
    credential: str
    typed: str = ""


class Looking(Discreet, frozen=True):
    """The counter looks the voucher up. `credential` lets the clerk retype the last four; it is
    empty where a card was presented.
    """

    ticket: int
    credential: str
    since: int


class Choosing(Struct, frozen=True):
    """A card opened several vouchers (EV-032): which one? `cursor` is the chosen row."""

    views: tuple[View, ...]
    cursor: int = 0


class Asking(Struct, frozen=True):
    """What it is and what is left is shown; shares and the confirmation are asked (EV-046)."""

    view: View
    typed: str
    asked_at: int

    @property
    def shares(self) -> int:
        """The count that a confirmation would redeem: 1 unless the clerk typed another."""
        return int(self.typed) if self.typed else 1


class RedeemOrder(Struct, frozen=True):
    """A confirmed redemption. The request id was made before the first call (AX-03)."""

    request: str
    handle: str
    shares: int


class ReverseOrder(Struct, frozen=True):
    """A confirmed reversal; repeating it is harmless (AX-05)."""

    serial: str
    reason_code: str


Order = RedeemOrder | ReverseOrder


class Committing(Struct, frozen=True):
    """The counter was told to commit. `tries` counts the answers that never came.

    `retry_at` is when the same order is asked again; `late` says that it takes long.
    """

    order: Order
    ticket: int
    product_name: str
    since: int
    tries: int = 0
    retry_at: int | None = None
    late: bool = False


class Done(Struct, frozen=True):
    """Redeemed (EV-047). The successor code is hidden again after a while."""

    result: Redeemed
    since: int


class Undone(Struct, frozen=True):
    """A redemption was reversed."""

    result: Reversed
    product_name: str


class Refused(Discreet, frozen=True):
    """A no. While `latched`, the next scan is held until the clerk has cleared it.

    `retry` is the credential whose last four may be typed again.
    """

    refusal: Refusal
    view: View | None = None
    latched: bool = False
    retry: str | None = None


class Fault(Struct, frozen=True):
    """The counter could not answer and nothing was done; `trouble` says why."""

    trouble: Trouble


class History(Struct, frozen=True):
    """The list of redemptions and reversals (EV-050); `cursor` is the chosen row."""

    cursor: int = 0


class Reasons(Struct, frozen=True):
    """Why is this row to be undone? Digits 1 to 6."""

    row: TapeRow


class ConfirmUndo(Struct, frozen=True):
    """The last question before a reversal."""

    row: TapeRow
    reason_code: str
    asked_at: int


class NoticeOpen(Struct, frozen=True):
    """One notice that a person must deal with."""

    notice: Notice


class Help(Struct, frozen=True):
    """The keys and the sample codes; `page` counts from 0."""

    page: int = 0


Scene = (
    Ready
    | Last4
    | Looking
    | Choosing
    | Asking
    | Committing
    | Done
    | Undone
    | Refused
    | Fault
    | History
    | Reasons
    | ConfirmUndo
    | NoticeOpen
    | Help
)


class Leaving(Struct, frozen=True):
    """Shall the kiosk close? `back` is what was on the screen."""

    back: Scene
    asked_at: int


Stage = Scene | Leaving


class Flash(Struct, frozen=True):
    """A line that says something in passing; `key` names the phrase."""

    key: str
    fields: Mapping[str, object] = field(default_factory=dict)


class Shown(Struct, frozen=True):
    """Everything that a front end needs to draw: nothing else decides what is on the screen."""

    stage: Stage
    flash: Flash | None
    status: Status | None
    tape: tuple[TapeRow, ...]
