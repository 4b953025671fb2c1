"""What is left of a voucher by a terminal's own view.

Responsible for: folding central's state row and the terminal's own later entries into one standing
(design, section 6, "Effective state"). Not responsible for: deciding; that is `rules`.
Invariants: `used` counts every share this terminal knows of, each once; a generation proves at
least one share used by each earlier generation.
"""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct


class VoucherState(StrEnum):
    """Central's word on a voucher. Expiry is not among them: it is computed from the validity."""

    LIVE = "live"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    VOIDED = "voided"


class Standing(Struct, frozen=True):
    """How a voucher stands: validity in milliseconds UTC, half-open; `home` None for all outlets.

    `own` are the net shares that this terminal redeemed and central has not reflected yet.
    """

    state: VoucherState
    generation: int
    used: int
    valid_from: int
    valid_until: int
    home: int | None
    own: int = 0


class OwnUse(Struct, frozen=True):
    """The effect of one own entry: `shares` is negative for a reversal.

    `generation` is the one that was presented (for a reversal: current afterwards), `after` the
    one that is current after the entry.
    """

    generation: int
    shares: int
    after: int


def effective(standing: Standing, own: Iterable[OwnUse]) -> Standing:
    """Central's standing plus this terminal's own entries that it does not reflect, in order."""
    generation, used, mine = standing.generation, standing.used, 0
    for use in own:
        # Presenting a newer code than we knew of proves a share for each generation between.
        used += max(0, use.generation - generation) + use.shares
        mine += use.shares
        generation = max(generation, use.after)
    return Standing(
        state=standing.state,
        generation=generation,
        used=used,
        valid_from=standing.valid_from,
        valid_until=standing.valid_until,
        home=standing.home,
        own=mine,
    )


def left(shares: int, standing: Standing, generation: int) -> int:
    """The shares a presented generation may still stand for by this view, within 0..`shares`."""
    unseen = max(0, generation - standing.generation)
    # Undoing a redemption that central did not count leaves `used` below nothing.
    return max(0, shares - max(0, standing.used) - unseen)
