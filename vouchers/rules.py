"""Whether a voucher may be redeemed here and now: named checks, in the order of the reasons.

Responsible for: the decision at the counter and at central (design, sections 5 to 7), and the
decision about a reversal (decision 11). Not responsible for: opening credentials, charging misses
or storing anything. Invariants: the same case gives the same answer on both sides; no check
allows more shares than the standing leaves; the order of `CHECKS` is the order of `Reason`.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct, structs

from vouchers import money, standing
from vouchers.limits import SHARES_MAX
from vouchers.presented import next_code_here
from vouchers.reasons import Reason, Refusal
from vouchers.sealed import Record
from vouchers.standing import Standing, VoucherState
from vouchers.times import HOUR_MS, MINUTE_MS


class ProductRule(Struct, frozen=True):
    """What a product allows: outlets (AX-14), weekdays 1..7 (AX-11; empty means all)."""

    product: int
    outlets: frozenset[int]
    weekdays: frozenset[int]
    online_only: bool


class OfflineLimits(Struct, frozen=True):
    """What the owner allows without a claim (design, section 7, Policy). Fen, hours, shares."""

    max_redemptions_home: int = 5_000
    max_redemptions_away: int = 50
    max_value_fen: int = 2_000_000
    max_hours_home: int = 72
    max_hours_away: int = 24
    max_replica_age_hours: int = 72
    unhomed_shares: int = 1
    foreign_shares_row: int = 1
    foreign_shares_qr: int = 1


class Posture(Struct, frozen=True):
    """How far this terminal has gone without central: counts since the last contact.

    Times are milliseconds UTC. `home_rights` is false at a till that may not use its outlet's
    units alone (`offline.tills = primary_only`).
    """

    limits: OfflineLimits
    redemptions_home: int
    redemptions_away: int
    value_fen: int
    last_contact: int
    replica_at: int
    home_rights: bool = True
    override_until: int = 0


class Moment(Struct, frozen=True):
    """When and where: `now` and `floor` in milliseconds UTC, `weekday` 1..7 in the merchant's zone.

    While `suspect`, only `floor` is believed (design, section 6, Clock).
    """

    now: int
    floor: int
    weekday: int
    suspect: bool
    outlet: int


class Case(Struct, frozen=True):
    """One question at the counter. `count` is None while the shares have not been asked for.

    `record.generation` is the generation presented; an ID card presents the current one
    (`vouchers.presented`). `claimed` is true with central's answer to a claim in hand, which
    `claim_refusal` names where it is a no; `posture` is None where offline limits do not apply (at
    central). `left` follows: the shares left for the presented generation, by this view.
    """

    record: Record
    standing: Standing
    product: ProductRule
    moment: Moment
    evidence: str
    count: int | None
    claimed: bool = False
    claim_refusal: Reason | None = None
    posture: Posture | None = None
    credential: str = "code"
    left: int = 0

    def __post_init__(self) -> None:
        record = self.record
        left = standing.left(record.shares, self.standing, record.generation)
        structs.force_setattr(self, "left", left)


class Accepted(Struct, frozen=True):
    """A yes: what the entry will say. `amount_fen` is informative (design, section 6).

    The presented code is void after any partial redemption, also where central makes the new one
    (`successor` false with shares left).
    """

    shares: int
    left: int
    successor: bool
    generation_after: int
    amount_fen: int


Check = Callable[[Case], Refusal | None]


def is_home(case: Case) -> bool:
    """Whether this outlet owns the voucher's units."""
    return case.standing.home == case.moment.outlet


def _believed(moment: Moment) -> int:
    """The latest time that is proven: a suspect clock proves no more than its floor."""
    return moment.floor if moment.suspect else moment.now


def _in_state(state: VoucherState, reason: Reason) -> Check:
    def check(case: Case) -> Refusal | None:
        return Refusal(reason) if case.standing.state is state else None

    return check


def _replaced(case: Case) -> Refusal | None:
    """EV-049: a partial redemption made the presented code void."""
    if case.record.generation < case.standing.generation:
        return Refusal(Reason.REPLACED)
    return None


def _used_up(case: Case) -> Refusal | None:
    """EV-046. A newer generation than known is never called used up: see `_needs_network`."""
    if case.record.generation == case.standing.generation and case.left == 0:
        return Refusal(Reason.USED_UP)
    return None


def _not_yet_valid(case: Case) -> Refusal | None:
    """Decision 8: valid from, inclusive."""
    if not case.moment.suspect and case.moment.now < case.standing.valid_from:
        return Refusal(Reason.NOT_YET_VALID, {"from": case.standing.valid_from})
    return None


def _expired(case: Case) -> Refusal | None:
    """Decision 8: valid until, exclusive; with a suspect clock only the floor proves expiry."""
    if _believed(case.moment) >= case.standing.valid_until:
        return Refusal(Reason.EXPIRED, {"until": case.standing.valid_until})
    return None


def _wrong_outlet(case: Case) -> Refusal | None:
    """EV-020, AX-14, decision 12: good, but not here."""
    if case.moment.outlet not in case.product.outlets:
        return Refusal(Reason.WRONG_OUTLET, {"outlets": sorted(case.product.outlets)})
    return None


def _wrong_weekday(case: Case) -> Refusal | None:
    """AX-11. A suspect clock does not know the weekday."""
    days = case.product.weekdays
    if days and not case.moment.suspect and case.moment.weekday not in days:
        return Refusal(Reason.WRONG_WEEKDAY, {"weekdays": sorted(days)})
    return None


def _bad_count(case: Case) -> Refusal | None:
    """EV-046: 0, negative or absurd counts."""
    if case.count is not None and not 1 <= case.count <= SHARES_MAX:
        return Refusal(Reason.BAD_COUNT, {"left": case.left})
    return None


def _not_enough_left(case: Case) -> Refusal | None:
    """EV-046: more than the code stands for."""
    known = case.record.generation == case.standing.generation
    if case.count is not None and known and case.count > case.left:
        return Refusal(Reason.NOT_ENOUGH_LEFT, {"left": case.left})
    return None


def _online_only(case: Case) -> Refusal | None:
    """A product that its owner lets nobody redeem without central's word."""
    if case.product.online_only and not case.claimed and case.posture is not None:
        return Refusal(Reason.ONLINE_ONLY)
    return None


def _needs_network(case: Case) -> Refusal | None:
    """More than this view allows alone: unseen generations, the horizon, a foreign allowance."""
    count, available = case.count or 1, case.left
    if count > available:
        return Refusal(Reason.NEEDS_NETWORK, {"why": "unseen", "left": available})
    beyond = case.record.generation + 1 > case.record.horizon
    if case.count is not None and beyond and count < available and _makes_successor(case):
        return Refusal(Reason.NEEDS_NETWORK, {"why": "horizon", "left": available})
    right = _right(case)
    if right is not None and count > right:
        return Refusal(Reason.NEEDS_NETWORK, {"why": "allowance", "left": right})
    return None


def _in_progress(case: Case) -> Refusal | None:
    """AX-12, AX-13: another counter holds a claim."""
    if case.claim_refusal is Reason.IN_PROGRESS:
        return Refusal(Reason.IN_PROGRESS)
    return None


def _offline_limit(case: Case) -> Refusal | None:
    """The owner's caps on count, value and time without central."""
    posture = case.posture
    if posture is None or case.claimed:
        return None
    limits, home = posture.limits, is_home(case)
    done = posture.redemptions_home if home else posture.redemptions_away
    most = limits.max_redemptions_home if home else limits.max_redemptions_away
    if done >= most:
        return Refusal(Reason.OFFLINE_LIMIT, {"why": "count", "limit": most})
    if posture.value_fen + _amount(case) > limits.max_value_fen:
        return Refusal(Reason.OFFLINE_LIMIT, {"why": "value", "limit": limits.max_value_fen})
    hours = limits.max_hours_home if home else limits.max_hours_away
    until = max(posture.last_contact + hours * HOUR_MS, posture.override_until)
    if _believed(case.moment) > until:
        return Refusal(Reason.OFFLINE_LIMIT, {"why": "time", "limit": hours})
    return None


def _replica_too_old(case: Case) -> Refusal | None:
    """What central said last is too long ago to be relied on."""
    posture = case.posture
    if posture is None or case.claimed:
        return None
    hours = posture.limits.max_replica_age_hours
    until = max(posture.replica_at + hours * HOUR_MS, posture.override_until)
    if _believed(case.moment) > until:
        return Refusal(Reason.REPLICA_TOO_OLD, {"limit": hours})
    return None


def _clock_suspect(case: Case) -> Refusal | None:
    """With a clock that cannot be believed, foreign allowances are 0 (design, section 6)."""
    alone = case.posture is not None and not case.claimed
    if alone and case.moment.suspect and not is_home(case):
        return Refusal(Reason.CLOCK_SUSPECT)
    return None


CHECKS: Final[tuple[tuple[Reason, Check], ...]] = (
    (Reason.VOIDED, _in_state(VoucherState.VOIDED, Reason.VOIDED)),
    (Reason.REFUNDED, _in_state(VoucherState.REFUNDED, Reason.REFUNDED)),
    (Reason.REFUNDING, _in_state(VoucherState.REFUNDING, Reason.REFUNDING)),
    (Reason.REPLACED, _replaced),
    (Reason.USED_UP, _used_up),
    (Reason.NOT_YET_VALID, _not_yet_valid),
    (Reason.EXPIRED, _expired),
    (Reason.WRONG_OUTLET, _wrong_outlet),
    (Reason.WRONG_WEEKDAY, _wrong_weekday),
    (Reason.BAD_COUNT, _bad_count),
    (Reason.NOT_ENOUGH_LEFT, _not_enough_left),
    (Reason.ONLINE_ONLY, _online_only),
    (Reason.NEEDS_NETWORK, _needs_network),
    (Reason.IN_PROGRESS, _in_progress),
    (Reason.OFFLINE_LIMIT, _offline_limit),
    (Reason.REPLICA_TOO_OLD, _replica_too_old),
    (Reason.CLOCK_SUSPECT, _clock_suspect),
)
"""The decision. Reasons before `voided` are settled before a record is open."""

_ALL: Final = tuple(check for _, check in CHECKS)
_OF_COUNT: Final = (_bad_count, _not_enough_left, _needs_network, _offline_limit)
"""The checks that look at the count; the others say the same of any."""


def refusal(case: Case, checks: tuple[Check, ...] = _ALL) -> Refusal | None:
    """The first reason against a case, or None."""
    for check in checks:
        found = check(case)
        if found is not None:
            return found
    return None


def decide(case: Case) -> Accepted | Refusal:
    """Decide a redemption of `case.count` shares (EV-046, EV-047, EV-049)."""
    assert case.count is not None, "ask for the shares before deciding"
    found = refusal(case)
    if found is not None:
        return found
    available = case.left
    remaining = available - case.count
    assert remaining >= 0
    successor = remaining > 0 and _makes_successor(case)
    return Accepted(
        shares=case.count,
        left=remaining,
        successor=successor,
        generation_after=case.record.generation + (1 if remaining > 0 else 0),
        amount_fen=_amount(case),
    )


def judge(case: Case) -> tuple[Refusal | None, int]:
    """What stands in the way before the shares are asked for, and the largest count that `decide`
    accepts: 0 when it accepts none.
    """
    assert case.count is None, "the shares have not been asked for"
    found = refusal(case)
    return found, 0 if found is not None else _most(case)


def _most(case: Case) -> int:
    right, available = _right(case), case.left
    most = available if right is None else min(available, right)
    beyond = case.record.generation + 1 > case.record.horizon and _makes_successor(case)
    # Beyond the horizon only redeeming all that is left needs no new code.
    counts = (available,) if beyond else range(min(most, SHARES_MAX), 0, -1)
    asked = ((n, structs.replace(case, count=n)) for n in counts)
    return next((n for n, one in asked if refusal(one, _OF_COUNT) is None), 0)


def _makes_successor(case: Case) -> bool:
    return next_code_here(case.credential, case.evidence)


def _right(case: Case) -> int | None:
    """Shares this terminal may give alone, or None where only what is left counts."""
    if case.claimed or case.posture is None:
        return None
    limits = case.posture.limits
    if is_home(case):
        return None if case.posture.home_rights else 0
    by_qr = case.evidence == "qr"
    if case.standing.home is not None:
        allowed = limits.foreign_shares_qr if by_qr else limits.foreign_shares_row
    elif by_qr:
        # An owner who allows nothing by QR alone means every outlet.
        allowed = min(limits.unhomed_shares, limits.foreign_shares_qr)
    else:
        allowed = limits.unhomed_shares
    return max(0, allowed - max(0, case.standing.own))


def _amount(case: Case) -> int:
    used = case.record.shares - case.left
    return money.amount_fen(case.record.paid_fen, case.record.shares, used, case.count or 1)


class ReversalCase(Struct, frozen=True):
    """One question about undoing. Times are milliseconds UTC.

    `found` is false when the serial names no redemption of this journal; `own` when it names this
    terminal. `shares_asked` is None when the whole redemption is meant (AX-04 knows no other).
    """

    found: bool
    own: bool
    redeemed_at: int
    now: int
    clerk_minutes: int
    supervisor: bool = False
    shift_open: bool = True
    settled: bool = False
    shares: int = 0
    shares_asked: int | None = None


def decide_reversal(case: ReversalCase) -> Refusal | None:
    """Decide a reversal (decision 11, AX-04, AX-06, AX-07). A repeated one is not asked about."""
    if not case.own:
        return Refusal(Reason.NOT_THIS_TERMINAL)
    if not case.found:
        return Refusal(Reason.NOTHING_TO_REVERSE)
    if case.settled:
        return Refusal(Reason.REVERSAL_LATE, {"why": "settled"})
    within = case.now - case.redeemed_at < case.clerk_minutes * MINUTE_MS
    if not within and case.supervisor and not case.shift_open:
        return Refusal(Reason.REVERSAL_LATE, {"why": "shift"})
    if not within and not case.supervisor:
        return Refusal(Reason.REVERSAL_LATE, {"why": "minutes", "minutes": case.clerk_minutes})
    if case.shares_asked is not None and case.shares_asked != case.shares:
        return Refusal(Reason.REVERSAL_MISMATCH, {"shares": case.shares})
    return None
