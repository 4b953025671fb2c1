"""The decision at the counter: the order of the reasons, and every check at its boundaries.

What a terminal may do without central is in test_rules_alone.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from tests.vouchers.counter import DAY, ELSEWHERE, HERE, HOUR, NOW, THERE, a_case, answer, detail
from tests.vouchers.counter import merged as together
from vouchers import rules
from vouchers.reasons import Reason
from vouchers.standing import VoucherState

LONG_AGO = NOW - 900 * DAY

SPOILED: dict[str, dict[str, Any]] = {
    "voided": {"known": {"state": VoucherState.VOIDED}},
    "refunded": {"known": {"state": VoucherState.REFUNDED}},
    "refunding": {"known": {"state": VoucherState.REFUNDING}},
    "replaced": {"known": {"generation": 1}},
    "used_up": {"known": {"used": 5}},
    "not_yet_valid": {
        "known": {"valid_from": NOW + 1, "valid_until": NOW + 2},
        "moment": {"suspect": False},
    },
    "expired": {"known": {"valid_until": NOW}},
    "wrong_outlet": {"product": {"outlets": frozenset({ELSEWHERE})}},
    "wrong_weekday": {"product": {"weekdays": frozenset({4})}, "moment": {"suspect": False}},
    "bad_count": {"count": 0},
    "not_enough_left": {"count": 6},
    "online_only": {"product": {"online_only": True}},
    "needs_network": {"record": {"horizon": 0}},
    "in_progress": {"claim_refusal": Reason.IN_PROGRESS},
    "offline_limit": {"posture": {"redemptions_home": 5_000, "redemptions_away": 50}},
    "replica_too_old": {"posture": {"replica_at": LONG_AGO}},
    "clock_suspect": {"moment": {"suspect": True}, "known": {"home": THERE}},
}


def test_checks_stand_in_the_order_of_the_reasons() -> None:
    """The checks run in the closed order of design section 5, each reason once."""
    reasons = list(Reason)
    start, end = reasons.index(Reason.VOIDED), reasons.index(Reason.CLOCK_SUSPECT)
    assert [reason for reason, _ in rules.CHECKS] == reasons[start : end + 1]
    assert list(SPOILED) == [str(reason) for reason, _ in rules.CHECKS]


@pytest.mark.parametrize("reason", SPOILED)
def test_each_reason_has_its_own_cause(reason: str) -> None:
    """One thing wrong is answered with exactly its reason, by exactly its own check."""
    case = a_case(**SPOILED[reason])
    assert answer(case) == reason
    for named, check in rules.CHECKS:
        found = check(case)
        assert found is None or found.reason is named


@pytest.mark.parametrize(("first", "second"), list(combinations(SPOILED, 2)))
def test_the_earlier_reason_is_told(first: str, second: str) -> None:
    """With two things wrong the one that comes first in design section 5 is told."""
    assert answer(a_case(**together(SPOILED[first], SPOILED[second]))) == first


def test_nothing_wrong_is_a_yes() -> None:
    """A good voucher at its home outlet is redeemed: EV-046, EV-047."""
    assert answer(a_case()) == "yes"
    assert rules.refusal(a_case(count=None)) is None


def test_a_decision_needs_a_count() -> None:
    """Deciding before the shares were asked for is a bug, not a refusal (EV-046)."""
    with pytest.raises(AssertionError, match="shares"):
        rules.decide(a_case(count=None))


@pytest.mark.parametrize(
    ("generation", "known", "said"),
    [(0, 0, "yes"), (0, 1, "replaced"), (1, 1, "yes"), (1, 2, "replaced"), (2, 1, "yes")],
)
def test_only_an_older_code_is_replaced(generation: int, known: int, said: str) -> None:
    """EV-049: a code is void once a later generation is known, never the other way round."""
    case = a_case(record={"generation": generation}, known={"generation": known, "used": known})
    assert answer(case) == said


def test_an_old_code_is_replaced_also_when_all_is_used() -> None:
    """EV-049's example: after B used up the order, A again is refused as replaced."""
    assert answer(a_case(known={"generation": 1, "used": 5})) == "replaced"
    assert answer(a_case(record={"generation": 1}, known={"generation": 1, "used": 5})) == "used_up"


@pytest.mark.parametrize(("used", "said"), [(4, "yes"), (5, "used_up"), (6, "used_up")])
def test_used_up_at_the_last_share(used: int, said: str) -> None:
    """EV-046: nothing left is used up, also when more was used than bought."""
    assert answer(a_case(known={"used": used})) == said


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (-10 * DAY - 1, "not_yet_valid"),
        (-10 * DAY, "yes"),
        (10 * DAY - 1, "yes"),
        (10 * DAY, "expired"),
    ],
)
def test_validity_is_half_open(at: int, said: str) -> None:
    """Decision 8: valid from its first millisecond, not at its last."""
    posture = {"last_contact": NOW + at, "replica_at": NOW + at}
    assert answer(a_case(moment={"now": NOW + at}, posture=posture)) == said


def test_validity_says_when() -> None:
    """Decision 8: the refusal carries the moment that the screen names."""
    assert detail(a_case(known={"valid_from": NOW + 5})) == {"from": NOW + 5}
    assert detail(a_case(known={"valid_until": NOW})) == {"until": NOW}


def test_a_suspect_clock_refuses_only_what_the_floor_proves() -> None:
    """Design section 6, Clock: not before, not the weekday, and expiry by the floor alone."""
    suspect = {"suspect": True}
    early = a_case(known={"valid_from": NOW + 1}, moment=suspect)
    wrong_day = a_case(product={"weekdays": frozenset({5})}, moment=suspect)
    late = {"now": NOW + 99 * DAY, **suspect}
    assert answer(early) == answer(wrong_day) == "yes"
    assert answer(a_case(moment={"floor": NOW + 10 * DAY - 1, **late}, posture=None)) == "yes"
    assert answer(a_case(moment={"floor": NOW + 10 * DAY, **late}, posture=None)) == "expired"


def test_a_good_clock_does_not_ask_the_floor() -> None:
    """Decision 8: with a clock that is ok the estimated time decides expiry."""
    assert answer(a_case(moment={"floor": NOW + 99 * DAY})) == "yes"


def test_wrong_outlet_names_the_right_ones() -> None:
    """EV-020, AX-14, decision 12: good but not here, and where it is good."""
    case = a_case(product={"outlets": frozenset({ELSEWHERE, THERE})})
    assert answer(case) == "wrong_outlet"
    assert detail(case) == {"outlets": [THERE, ELSEWHERE]}
    assert answer(a_case(product={"outlets": frozenset({HERE})})) == "yes"


@pytest.mark.parametrize("weekday", range(1, 8))
def test_weekdays_are_a_list(weekday: int) -> None:
    """AX-11: with weekdays 1..5, Saturday and Sunday are refused; an empty list means all."""
    listed = {"weekdays": frozenset(range(1, 6))}
    said = answer(a_case(product=listed, moment={"weekday": weekday}))
    assert said == ("yes" if weekday <= 5 else "wrong_weekday")
    assert answer(a_case(moment={"weekday": weekday})) == "yes"


def test_wrong_weekday_names_the_days() -> None:
    """AX-11: the refusal lists the days in order."""
    case = a_case(product={"weekdays": frozenset({7, 1, 4})})
    assert detail(case) == {"weekdays": [1, 4, 7]}


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (-1, "bad_count"),
        (0, "bad_count"),
        (1, "yes"),
        (5, "yes"),
        (6, "not_enough_left"),
        (9_999, "not_enough_left"),
        (10_000, "bad_count"),
    ],
)
def test_counts(count: int, said: str) -> None:
    """EV-046: 0, negative and absurd counts are bad, 6 of 5 is more than is left."""
    case = a_case(count=count)
    assert answer(case) == said
    if said != "yes":
        assert detail(case) == {"left": 5}


def test_no_voucher_is_too_large_to_finish() -> None:
    """EV-046: exactly the largest number of shares goes through in one redemption."""
    limits = {"max_value_fen": 10**9}
    assert answer(a_case(record={"shares": 9_999}, limits=limits, count=9_999)) == "yes"


def test_more_than_an_unseen_generation_leaves_needs_the_network() -> None:
    """Design section 6: allowance = shares - used - (g - known); more is never `used_up`."""
    newer = {"record": {"generation": 2}, "known": {"used": 1}}
    assert answer(a_case(count=2, **newer)) == "yes"
    assert answer(a_case(count=3, **newer)) == "needs_network"
    assert detail(a_case(count=3, **newer)) == {"why": "unseen", "left": 2}
    assert answer(a_case(record={"generation": 5})) == "needs_network"
    assert rules.refusal(a_case(record={"generation": 7}, count=None)).reason == "needs_network"


def test_beyond_the_horizon_only_all_that_is_left_goes() -> None:
    """Design section 6, decision 10: a code beyond H is central's to make."""
    last = {"record": {"generation": 12}, "known": {"generation": 12, "used": 2}}
    assert answer(a_case(count=2, **last)) == "needs_network"
    assert detail(a_case(count=2, **last)) == {"why": "horizon", "left": 3}
    assert answer(a_case(count=3, **last)) == "yes"
    within = {"record": {"generation": 11}, "known": {"generation": 11, "used": 2}}
    assert answer(a_case(count=2, **within)) == "yes"
    assert answer(a_case(count=2, posture=None, **last)) == "needs_network"


def test_a_qr_needs_no_horizon() -> None:
    """Decision 10: for a voucher known only by its QR central makes the new code anyway."""
    last = {"record": {"generation": 12}, "known": {"generation": 12, "used": 2}}
    assert answer(a_case(count=2, evidence="qr", **last)) == "yes"


@pytest.mark.parametrize("why", [Reason.USED_UP, Reason.NEEDS_NETWORK, None])
def test_only_a_claim_held_elsewhere_is_in_progress(why: Reason | None) -> None:
    """AX-12, AX-13: another refusal of a claim does not say that somebody else is at it."""
    assert answer(a_case(claim_refusal=why)) == "yes"


@pytest.mark.parametrize("parts", [{"claimed": True}, {"posture": None}])
@pytest.mark.parametrize(
    "reason", ["online_only", "offline_limit", "replica_too_old", "clock_suspect"]
)
def test_with_centrals_word_nothing_offline_counts(reason: str, parts: dict[str, Any]) -> None:
    """Design section 7: the offline rules bind only a terminal that is alone."""
    assert answer(a_case(**{**SPOILED[reason], **parts})) == "yes"


def test_what_a_partial_redemption_says() -> None:
    """EV-049, decision 10: the rest moves to the successor, the amounts follow the shares."""
    found = rules.decide(a_case(record={"paid_fen": 1_000, "shares": 3}, count=2))
    assert found == rules.Accepted(
        shares=2, left=1, successor=True, generation_after=1, amount_fen=667
    )


def test_what_the_last_redemption_says() -> None:
    """EV-049: redeeming exactly all makes no new code."""
    known = {"used": 2, "generation": 1}
    record = {"paid_fen": 1_000, "shares": 3, "generation": 1}
    found = rules.decide(a_case(record=record, known=known))
    assert found == rules.Accepted(
        shares=1, left=0, successor=False, generation_after=1, amount_fen=333
    )


def test_a_partial_redemption_by_qr_voids_the_code_here() -> None:
    """Design section 6: no successor from here, yet the presented code is void."""
    found = rules.decide(a_case(evidence="qr", count=2))
    assert found == rules.Accepted(
        shares=2, left=3, successor=False, generation_after=1, amount_fen=10_000
    )
    last = rules.decide(a_case(evidence="qr", count=5))
    assert last == rules.Accepted(
        shares=5, left=0, successor=False, generation_after=0, amount_fen=25_000
    )


def test_a_record_from_central_has_its_secret() -> None:
    """Design section 7, look-ups: a sealed row from central makes a successor like any other."""
    found = rules.decide(a_case(evidence="central", count=2))
    assert isinstance(found, rules.Accepted)
    assert (found.successor, found.generation_after) == (True, 1)


def test_the_amount_begins_after_what_was_used_unseen() -> None:
    """Design section 6: i is the net used before by this view, unseen generations included."""
    record = {"paid_fen": 1_000, "shares": 3, "generation": 1}
    found = rules.decide(a_case(record=record))
    assert isinstance(found, rules.Accepted)
    assert found.amount_fen == 667 - 333


def test_hours_do_not_pass_while_looking() -> None:
    """A case is a value: the same case gives the same answer twice."""
    case = a_case(moment={"now": NOW + HOUR})
    assert rules.decide(case) == rules.decide(case)
