"""The stated bound on over-redemption, checked for every small case (design, section 7, Home).

Tills that cannot see each other each give out all that the rules let them. Together they exceed a
voucher of R shares by at most (K-1) x R + T x min(R, f): K tills at home, T foreign tills with the
allowance f. With one till at home and no allowance the excess is zero.
"""

from __future__ import annotations

from itertools import product

import pytest
from msgspec.structs import replace

from tests.vouchers.counter import ELSEWHERE, HERE, THERE, a_case
from vouchers import rules
from vouchers.standing import OwnUse, effective

OUTLETS = frozenset({HERE, THERE, ELSEWHERE})


def given(outlet: int, shares: int, allowed: int, step: int, *, rights: bool = True) -> int:
    """What one till gives out alone, `step` shares at a time and then one by one."""
    case = a_case(
        record={"shares": shares, "horizon": 99},
        product={"outlets": OUTLETS},
        moment={"outlet": outlet},
        limits={"foreign_shares_row": allowed},
        posture={"home_rights": rights},
    )
    uses: list[OwnUse] = []
    for count in (step, *[1] * shares):
        known = effective(case.standing, uses)
        presented = replace(case.record, generation=known.generation)
        decided = rules.decide(replace(case, record=presented, standing=known, count=count))
        if isinstance(decided, rules.Accepted):
            after = decided.generation_after
            uses.append(OwnUse(presented.generation, decided.shares, after))
    return sum(use.shares for use in uses)


@pytest.mark.parametrize("shares", range(1, 6))
def test_no_small_case_exceeds_the_bound(shares: int) -> None:
    """Up to three tills at home and three elsewhere, every allowance up to three."""
    for home_tills, away_tills, allowed, step in product(range(4), range(4), range(4), range(1, 4)):
        home = given(HERE, shares, allowed, step)
        away = given(THERE, shares, allowed, step)
        total = home_tills * home + away_tills * away
        over = max(0, total - shares)
        bound = max(0, home_tills - 1) * shares + away_tills * min(shares, allowed)
        assert over <= bound, (home_tills, away_tills, allowed, step, over, bound)
        if home_tills == 1 and allowed == 0:
            assert over == 0


def test_the_bound_is_reached() -> None:
    """The rules are not stricter than they say: with everything against us it is exactly that."""
    over = 2 * given(HERE, 4, 2, 1) + 3 * given(THERE, 4, 2, 1) - 4
    assert over == (2 - 1) * 4 + 3 * min(4, 2)


def test_a_till_that_is_not_the_primary_one_adds_nothing() -> None:
    """`offline.tills = primary_only`: the other tills of the home outlet give nothing alone."""
    assert [given(HERE, 4, allowed, 1, rights=False) for allowed in range(4)] == [0] * 4
