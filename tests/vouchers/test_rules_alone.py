"""What a terminal may do without a claim: allowances, caps, the offer, and reversals.

The order and the plain checks are in test_rules.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from tests.vouchers.counter import DAY, HERE, HOUR, MINUTE, NOW, THERE, a_case, answer, detail
from vouchers import rules
from vouchers.reasons import Reason, Refusal
from vouchers.rules import ReversalCase, decide_reversal
from vouchers.standing import VoucherState

AWAY = {"known": {"home": THERE}}
NOWHERE = {"known": {"home": None}}


def test_the_limits_are_those_of_the_contract() -> None:
    """Design section 7, Policy: the defaults as numbers."""
    assert rules.OfflineLimits() == rules.OfflineLimits(
        max_redemptions_home=5_000,
        max_redemptions_away=50,
        max_value_fen=2_000_000,
        max_hours_home=72,
        max_hours_away=24,
        max_replica_age_hours=72,
        unhomed_shares=1,
        foreign_shares_row=1,
        foreign_shares_qr=1,
    )


def test_home_owns_all_units() -> None:
    """Design section 7, Home: a home terminal may use all units, whatever it used before."""
    assert answer(a_case(count=5)) == "yes"
    assert answer(a_case(known={"own": 3, "used": 3}, count=2)) == "yes"


def test_a_till_without_home_rights_has_none() -> None:
    """Design section 7, Home: with `primary_only` the other tills ask central."""
    case = a_case(posture={"home_rights": False})
    assert answer(case) == "needs_network"
    assert detail(case) == {"why": "allowance", "left": 0}
    assert answer(replace(case, claimed=True, count=5)) == "yes"


@pytest.mark.parametrize(
    ("place", "evidence", "limit"),
    [
        (AWAY, "row", "foreign_shares_row"),
        (AWAY, "central", "foreign_shares_row"),
        (AWAY, "qr", "foreign_shares_qr"),
        (NOWHERE, "row", "unhomed_shares"),
    ],
)
@pytest.mark.parametrize("own", range(-1, 4))
def test_away_from_home_only_the_allowance(
    place: dict[str, Any], evidence: str, limit: str, own: int
) -> None:
    """Design section 7: f shares per voucher and terminal between two contacts, by evidence."""
    others = dict.fromkeys(("foreign_shares_row", "foreign_shares_qr", "unhomed_shares"), 0)
    limits = {**others, limit: 2}
    known = {**place["known"], "own": own}
    for count in range(1, 4):
        case = a_case(known=known, limits=limits, evidence=evidence, count=count)
        left = min(2, max(0, 2 - own))
        assert answer(case) == ("yes" if count <= left else "needs_network")
        if count > left:
            assert detail(case) == {"why": "allowance", "left": left}


@pytest.mark.parametrize("closed", ["unhomed_shares", "foreign_shares_qr"])
def test_a_voucher_without_home_known_by_qr_needs_both_allowances(closed: str) -> None:
    """Design section 7: an owner who allows nothing by QR alone means every outlet."""
    both = {"unhomed_shares": 1, "foreign_shares_qr": 1}
    assert answer(a_case(**NOWHERE, limits=both, evidence="qr", count=1)) == "yes"
    shut = {**both, closed: 0}
    assert answer(a_case(**NOWHERE, limits=shut, evidence="qr", count=1)) == "needs_network"


def test_an_undone_share_is_not_an_extra_allowance() -> None:
    """Design section 7: a reversal of what central already knows raises no allowance."""
    assert answer(a_case(known={"home": None, "own": -3}, count=2)) == "needs_network"


def test_an_allowance_of_none_needs_the_network() -> None:
    """Design section 7: the owner may set 0, and then nothing goes without central."""
    assert answer(a_case(limits={"foreign_shares_row": 0}, **AWAY)) == "needs_network"
    asked = rules.refusal(a_case(limits={"unhomed_shares": 0}, count=None, **NOWHERE))
    assert asked is not None
    assert asked.reason == "needs_network"


def test_a_claim_lifts_the_allowance() -> None:
    """Design section 7, Claims: with central's word only what is left counts."""
    assert answer(a_case(claimed=True, count=5, **AWAY)) == "yes"
    assert answer(a_case(claimed=True, count=6, **AWAY)) == "not_enough_left"
    assert answer(a_case(posture=None, count=5, **AWAY)) == "yes"


@pytest.mark.parametrize("suspect", [False, True])
@pytest.mark.parametrize(("home", "alone"), [(HERE, "yes"), (THERE, "no"), (None, "no")])
def test_a_suspect_clock_takes_foreign_allowances(
    home: int | None, alone: str, suspect: bool
) -> None:
    """Design section 6, Clock: foreign allowances are 0 while suspect; home goes on."""
    case = a_case(known={"home": home}, moment={"suspect": suspect})
    assert answer(case) == ("clock_suspect" if suspect and alone == "no" else "yes")


@pytest.mark.parametrize(("home", "limit"), [(HERE, 5_000), (THERE, 50), (None, 50)])
def test_the_cap_on_count(home: int | None, limit: int) -> None:
    """Design section 7: so many redemptions since the last contact, counted by place."""
    counter = "redemptions_home" if home == HERE else "redemptions_away"
    other = "redemptions_away" if home == HERE else "redemptions_home"
    known = {"home": home}
    assert answer(a_case(known=known, posture={counter: limit - 1, other: 9_999})) == "yes"
    for done in (limit, limit + 7):
        case = a_case(known=known, posture={counter: done})
        assert answer(case) == "offline_limit"
        assert detail(case) == {"why": "count", "limit": limit}


def test_the_cap_on_value() -> None:
    """Design section 7: the value with this redemption may reach the cap, not pass it."""
    exactly = {"value_fen": 2_000_000 - 10_000}
    assert answer(a_case(posture=exactly, count=2)) == "yes"
    assert answer(a_case(posture=exactly, count=3)) == "offline_limit"
    assert detail(a_case(posture=exactly, count=3)) == {"why": "value", "limit": 2_000_000}


@pytest.mark.parametrize(("home", "hours"), [(HERE, 72), (THERE, 24), (None, 24)])
def test_the_cap_on_time(home: int | None, hours: int) -> None:
    """Design section 7: so many hours since the last contact, more at home; override adds."""
    contact = {"last_contact": NOW - hours * HOUR}
    too_long = {"last_contact": NOW - hours * HOUR - 1}
    assert answer(a_case(known={"home": home}, posture=contact)) == "yes"
    case = a_case(known={"home": home}, posture=too_long)
    assert answer(case) == "offline_limit"
    assert detail(case) == {"why": "time", "limit": hours}
    override = {**too_long, "override_until": NOW}
    assert answer(a_case(known={"home": home}, posture=override)) == "yes"
    spent = {**too_long, "override_until": NOW - 1}
    assert answer(a_case(known={"home": home}, posture=spent)) == "offline_limit"


def test_the_age_of_the_replica() -> None:
    """Design section 7: a replica older than 72 hours is not relied on; override adds."""
    assert answer(a_case(posture={"replica_at": NOW - 72 * HOUR})) == "yes"
    old = {"replica_at": NOW - 72 * HOUR - 1}
    assert answer(a_case(posture=old)) == "replica_too_old"
    assert detail(a_case(posture=old)) == {"limit": 72}
    assert answer(a_case(posture={**old, "override_until": NOW})) == "yes"
    assert answer(a_case(posture={**old, "override_until": NOW - 1})) == "replica_too_old"


def test_a_suspect_clock_proves_no_hours() -> None:
    """Design section 6, Clock: hours that only a suspect clock counted refuse nothing at home."""
    jumped = {"now": NOW + 400 * DAY, "suspect": True, "floor": NOW}
    assert answer(a_case(moment=jumped)) == "yes"
    proven = {**jumped, "floor": NOW + 72 * HOUR + 1}
    assert answer(a_case(moment=proven)) == "offline_limit"
    fresh = {"last_contact": NOW + 72 * HOUR}
    assert answer(a_case(moment=proven, posture=fresh)) == "replica_too_old"


SMALL = list(
    product(
        [(1, 0), (3, 0), (3, 2), (3, 3), (4, 0)],  # shares and used
        [(0, 0), (1, 0), (0, 1), (2, 1), (1, 1)],  # presented and known generation
        [0, 1, 9],  # horizon
        [HERE, THERE, None],
        ["row", "qr"],
        [(2, 0), (2, 1), (9, 0)],  # allowance and own
        [0, 150, 2_000_000],  # value cap: 100 fen a share
    )
)


def small_case(choice: tuple[Any, ...], **parts: Any) -> rules.Case:
    (shares, used), (presented, known), horizon, home, evidence, (allowed, own), cap = choice
    return a_case(
        record={
            "shares": shares,
            "paid_fen": 100 * shares,
            "generation": presented,
            "horizon": horizon,
        },
        known={"used": used, "generation": known, "home": home, "own": own},
        limits={
            "unhomed_shares": allowed,
            "foreign_shares_row": allowed,
            "foreign_shares_qr": allowed,
            "max_value_fen": cap,
        },
        evidence=evidence,
        **parts,
    )


@pytest.mark.parametrize("parts", [{}, {"claimed": True}, {"posture": None}])
def test_the_offer_is_the_largest_count_that_is_accepted(parts: dict[str, Any]) -> None:
    """EV-046: what a look-up offers is what `decide` accepts, for every count of small cases."""
    offers = set()
    for choice in SMALL:
        case = small_case(choice, count=None, **parts)
        accepted = [n for n in range(1, 7) if answer(replace(case, count=n)) == "yes"]
        refused, offer = rules.judge(case)
        assert offer == max(accepted, default=0), choice
        assert refused == rules.refusal(case)
        offers.add(offer)
    assert offers == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("horizon", "offer"),
    [(12, 9_999), (0, 0)],  # beyond the horizon all that is left is too much for one redemption
)
def test_the_offer_is_never_an_absurd_count(horizon: int, offer: int) -> None:
    """EV-046: of more shares than one redemption may have, the offer is that many, or none."""
    case = a_case(
        record={"shares": 12_000, "paid_fen": 0, "horizon": horizon}, count=None, posture=None
    )
    assert rules.judge(case) == (None, offer)


def test_nothing_is_offered_of_a_refused_voucher() -> None:
    """Decision 4: while a refund is in progress nothing is redeemable."""
    case = a_case(count=None, known={"state": VoucherState.REFUNDING})
    assert rules.judge(case) == (Refusal(Reason.REFUNDING), 0)


def undo(**changes: Any) -> str:
    given: dict[str, Any] = {
        "found": True,
        "own": True,
        "redeemed_at": NOW,
        "now": NOW + MINUTE,
        "clerk_minutes": 10,
        "shares": 2,
    }
    found = decide_reversal(ReversalCase(**{**given, **changes}))
    if found is None:
        return "yes"
    why = found.detail.get("why")
    return f"{found.reason} {why}" if why else str(found.reason)


def test_a_clerk_reverses_a_fresh_redemption() -> None:
    """Decision 11: a clerk undoes a redemption of the same terminal, the whole of it."""
    assert undo() == undo(shares_asked=2) == undo(now=NOW) == "yes"


def test_a_clerks_minutes_end() -> None:
    """AX-07, decision 11: at the boundary the reversal is refused with the reason."""
    assert undo(now=NOW + 10 * MINUTE - 1) == "yes"
    assert undo(now=NOW + 10 * MINUTE) == "reversal_late minutes"
    assert undo(clerk_minutes=0, now=NOW) == "reversal_late minutes"
    late = decide_reversal(ReversalCase(True, True, NOW, NOW + DAY, 10))
    assert late is not None
    assert late.detail == {"why": "minutes", "minutes": 10}


def test_a_supervisor_reverses_until_the_shift_closes() -> None:
    """Decision 11: a supervisor is not bound by minutes but by the shift."""
    assert undo(supervisor=True, now=NOW + DAY) == "yes"
    assert undo(supervisor=True, now=NOW + DAY, shift_open=False) == "reversal_late shift"
    assert undo(supervisor=True, now=NOW + MINUTE, shift_open=False) == "yes"


@pytest.mark.parametrize("supervisor", [False, True])
def test_nobody_reverses_what_was_settled(supervisor: bool) -> None:
    """AX-07, decision 11: never once it stands in a closed payout statement."""
    assert undo(supervisor=supervisor, settled=True) == "reversal_late settled"


def test_what_never_happened_cannot_be_undone() -> None:
    """AX-06: an unknown serial of this terminal is a distinct, final answer."""
    assert undo(found=False) == "nothing_to_reverse"
    assert undo(found=False, settled=True, shares_asked=1) == "nothing_to_reverse"


def test_another_terminals_redemption_is_not_ours_to_undo() -> None:
    """AX-09, decision 11: a serial of another terminal is sent back to it."""
    assert undo(own=False, found=False) == "not_this_terminal"
    assert undo(own=False, found=False, supervisor=True) == "not_this_terminal"


@pytest.mark.parametrize("asked", [0, 1, 3])
def test_a_reversal_is_of_exactly_the_count(asked: int) -> None:
    """AX-04: redeemed 2, reverse 1 is refused; lateness is said first."""
    assert undo(shares_asked=asked) == "reversal_mismatch"
    assert undo(shares_asked=asked, now=NOW + DAY) == "reversal_late minutes"
    found = decide_reversal(ReversalCase(True, True, NOW, NOW, 10, shares=2, shares_asked=asked))
    assert found is not None
    assert found.detail == {"shares": 2}
