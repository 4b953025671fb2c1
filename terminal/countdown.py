"""How far this terminal may still go without central, told before a limit bites.

Responsible for: what is left of each of the owner's numbers, once it is near. Not responsible for:
refusing; the rules do, by the same numbers. Invariant: what is shown never says more than the rules
will allow at the voucher's home.
"""

from typing import Final

from msgspec import Struct

from terminal.parts import Parts
from vouchers.times import HOUR_MS

NEAR_REDEMPTIONS: Final = 20
NEAR_HOURS: Final = 12
NEAR_SHARE: Final = 10
"""A tenth of the value that may be redeemed alone."""


class Countdown(Struct, frozen=True):
    """What is left, where it is near: redemptions, whole hours begun, value in fen. Else None."""

    redemptions: int | None = None
    hours: int | None = None
    value_fen: int | None = None


def of(parts: Parts) -> Countdown:
    """What is left. Raises OutOfService where the replica cannot be read."""
    posture = parts.posture()
    limits, now = posture.limits, parts.clock.estimate().now
    contact = posture.last_contact + limits.max_hours_home * HOUR_MS
    age = posture.replica_at + limits.max_replica_age_hours * HOUR_MS
    time_ms = max(min(contact, age), posture.override_until) - now
    if time_ms < 0:
        return Countdown(redemptions=0)
    count = max(0, limits.max_redemptions_home - posture.redemptions_home)
    value = max(0, limits.max_value_fen - posture.value_fen)
    near_value = value * NEAR_SHARE <= limits.max_value_fen
    return Countdown(
        redemptions=count if count <= NEAR_REDEMPTIONS else None,
        hours=-(-time_ms // HOUR_MS) if time_ms <= NEAR_HOURS * HOUR_MS else None,
        value_fen=value if near_value else None,
    )
