"""Why something was refused: a closed list, in the order in which the reasons are decided.

Responsible for: the machine names of refusals (design, section 5) and the value that carries one.
Not responsible for: words for people; those live with whoever speaks to them.
Invariant: the order of the members is the order of decision; `rules` and the documents rely on it.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field


class Reason(StrEnum):
    """The machine name of a refusal. Every member is documented with what to do next."""

    MALFORMED = "malformed"
    MISTYPED = "mistyped"
    LOCKED = "locked"
    UNKNOWN_OR_WRONG = "unknown_or_wrong"
    VOIDED = "voided"
    REFUNDED = "refunded"
    REFUNDING = "refunding"
    REPLACED = "replaced"
    USED_UP = "used_up"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    WRONG_OUTLET = "wrong_outlet"
    WRONG_WEEKDAY = "wrong_weekday"
    BAD_COUNT = "bad_count"
    NOT_ENOUGH_LEFT = "not_enough_left"
    ONLINE_ONLY = "online_only"
    NEEDS_NETWORK = "needs_network"
    IN_PROGRESS = "in_progress"
    OFFLINE_LIMIT = "offline_limit"
    REPLICA_TOO_OLD = "replica_too_old"
    CLOCK_SUSPECT = "clock_suspect"

    NOTHING_TO_REVERSE = "nothing_to_reverse"
    REVERSAL_LATE = "reversal_late"
    NOT_THIS_TERMINAL = "not_this_terminal"
    REVERSAL_MISMATCH = "reversal_mismatch"

    BUSY = "busy"
    OUTCOME_UNKNOWN = "outcome_unknown"
    OUT_OF_SERVICE = "out_of_service"


class Refusal(Struct, frozen=True):
    """A no, as a value.

    `detail` holds what the words need: integers, strings and times (int milliseconds, UTC) under
    names such as `until`, `left`, `outlets`, `minutes`, `looks_like`. It never holds a code, last
    four digits or a phone number.
    """

    reason: Reason
    detail: Mapping[str, object] = field(default_factory=dict)


def known_reason(text: str | None) -> Reason | None:
    """The reason of that machine name, None for one that this program does not know."""
    try:
        return Reason(text) if text is not None else None
    except ValueError:
        return None
