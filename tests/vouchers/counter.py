"""Cases at a counter, for the tests of the rules: everything is allowed unless a test says not.

Not responsible for testing. Invariant: `a_case()` is a home redemption of one of five shares that
nothing speaks against, by a terminal that is without a claim.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from vouchers import rules
from vouchers.sealed import Record
from vouchers.standing import Standing, VoucherState

HERE, THERE, ELSEWHERE = 1, 2, 3
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NOW = 1_000 * DAY

_RECORD = Record(
    voucher="0190f5a0-7c00-7abc-8def-0123456789ab",
    secret=bytes(range(32)),
    generation=0,
    horizon=12,
    shares=5,
    product=7,
    home=HERE,
    paid_fen=25_000,
)
_STANDING = Standing(VoucherState.LIVE, 0, 0, NOW - 10 * DAY, NOW + 10 * DAY, HERE)
_PRODUCT = rules.ProductRule(7, frozenset({HERE, THERE}), frozenset(), online_only=False)
_MOMENT = rules.Moment(NOW, NOW, weekday=3, suspect=False, outlet=HERE)
_LIMITS = rules.OfflineLimits()
_POSTURE = rules.Posture(_LIMITS, 0, 0, 0, last_contact=NOW, replica_at=NOW)

Changes = dict[str, dict[str, Any]]


def a_case(**parts: Any) -> rules.Case:
    """A case with some fields changed: `a_case(known={"used": 2}, count=3)`.

    `record`, `known` (the standing), `product`, `moment`, `limits` and `posture` are dictionaries
    of changed fields; `posture=None` is central; all other names are fields of the case.
    """
    posture = parts.pop("posture", {})
    limits = replace(_LIMITS, **parts.pop("limits", {}))
    changed = {
        "record": replace(_RECORD, **parts.pop("record", {})),
        "standing": replace(_STANDING, **parts.pop("known", {})),
        "product": replace(_PRODUCT, **parts.pop("product", {})),
        "moment": replace(_MOMENT, **parts.pop("moment", {})),
        "posture": None if posture is None else replace(_POSTURE, limits=limits, **posture),
    }
    return rules.Case(**{"evidence": "row", "count": 1, **changed, **parts})


def merged(*all_parts: dict[str, Any]) -> dict[str, Any]:
    """Several changes as one; where two change the same field, the earlier one wins."""
    together: dict[str, Any] = {}
    for parts in reversed(all_parts):
        for name, change in parts.items():
            both = isinstance(change, dict) and isinstance(together.get(name), dict)
            together[name] = {**together[name], **change} if both else change
    return together


def answer(case: rules.Case) -> str:
    """The reason of a refusal, or `yes`."""
    found = rules.decide(case)
    return "yes" if isinstance(found, rules.Accepted) else str(found.reason)


def detail(case: rules.Case) -> dict[str, object]:
    """What a refusal says beside its reason."""
    found = rules.decide(case)
    assert not isinstance(found, rules.Accepted)
    return dict(found.detail)
