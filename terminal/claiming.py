"""Asking for a claim, and asking again under its id when no entry used it.

Responsible for: the id of each question, so that shares which central may hold for this counter
after a lost answer are found by the clerk's next try, and are not "in progress elsewhere" for two
minutes. Not responsible for: the network (`Online`), or whether the claim is good enough to commit
on (`redeem`). Invariants: no id is in two questions at once; one whose entry was committed, or may
have been, is never asked again.
"""

from collections.abc import Callable

from terminal.errors import OutOfService
from terminal.opening import Opened, new_id
from terminal.outcomes import Redeemed
from terminal.parts import Claimed, Parts, Wish
from terminal.redeem import Order
from vouchers.reasons import Refusal


def claimed(
    parts: Parts, opened: Opened, order: Order, redeem: Callable[[], Redeemed | Refusal]
) -> Redeemed | Refusal:
    """Ask central within its budget, outside any lock, then `redeem`, which may raise."""
    record = opened.record
    wish = Wish(record.voucher, record.generation, order.shares)
    order.claim = _ask(parts, opened, wish)
    try:
        done = redeem()
    except OutOfService:
        _keep(parts, wish, order.claim)
        raise
    if isinstance(done, Refusal) or done.repeated:
        _keep(parts, wish, order.claim)
    return done


def _ask(parts: Parts, opened: Opened, wish: Wish) -> Claimed | None:
    """Ask for the right to redeem; None: not asked, and nothing that was asked is open."""
    if parts.online is None:
        return None
    before = parts.unused_claims.pop(wish, None)
    if before is not None and before.until_mono_ms <= parts.clock.read().mono_ms:
        before = None
    claim = new_id(parts) if before is None else before.claim
    answer = parts.online.claim(claim, opened.key.row_key, opened.record, wish.shares)
    if answer is None and before is not None:
        # Central may hold the shares all the same: the entry's id tells it that they are used.
        return Claimed(claim, granted=False, until_mono_ms=before.until_mono_ms)
    return answer


def _keep(parts: Parts, wish: Wish, claim: Claimed | None) -> None:
    now = parts.clock.read().mono_ms
    kept = parts.unused_claims
    for old in [other for other, asked in kept.items() if asked.until_mono_ms <= now]:
        kept.pop(old, None)
    if claim is not None and claim.until_mono_ms > now:
        kept[wish] = claim
