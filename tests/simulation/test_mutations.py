"""Goal: the auditor notices when the product breaks a promise.

Method: each mutation is patched into the running product, and worlds are lived through until one
is wrong. It is looked for first where it was found, then from world 0 on; a mutation that survives
`WORLDS` worlds fails. Each test says in which world it is noticed.
"""

import pytest

from tests.simulation import runner
from tests.simulation.mutations import MUTATIONS
from tests.simulation.template import Template

WORLDS = 200

FOUND_IN = {
    "shares_are_not_counted": 0,
    "foreign_allowance_is_per_redemption": 16,
    "caps_count_nothing": 32,
    "generation_counts_units": 4,
    "overlay_is_forgotten_once_reflected": 32,
    "overlay_counts_twice": 2,
    "request_is_not_remembered": 6,
    "reversal_is_repeated": 18,
    "fence_is_ignored": 23,
    "witness_is_not_compared": 52,
    "cursor_is_stored_before_the_rows": 17,
    "only_counts_are_compared": 4,
    "verdicts_are_not_pulled": 6,
    "claims_are_not_consumed": 3,
    "claims_do_not_hold": 11,
    "excess_falls_on_the_first": 11,
    "others_are_not_named": 11,
    "reversals_do_not_give_back": 2,
    "refunded_shares_are_free": 10,
    "former_last4_still_open": 18,
    "changes_are_not_published": 0,
    "lost_entries_are_not_sent_again": 65,
    "cursors_outlive_a_restore": 510,
    "branches_are_judged_as_if_they_came_first": 4,
}
"""The first world, from 0 on, that is wrong under each: `python -m tests.simulation --mutations`
finds them anew. A change of the product or of the worlds may move them.
"""

NOTICED = ("Wrong", "AssertionError", "ConstraintError", "IntegrityError")
"""The auditor's word, and the second locks of the product itself; anything else is our mistake."""


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_auditor_notices(name: str, template: Template) -> None:
    """The mutation is found."""
    seeds = [FOUND_IN[name], *range(WORLDS)]
    failure = runner.first_failure(seeds, template, MUTATIONS[name])
    assert failure is not None, f"{name} lived through {WORLDS} worlds unnoticed"
    assert failure.kind in NOTICED, f"{name} does not fit the product:\n{failure.trace}"
    print(f"{name} is noticed in world {failure.seed}: {failure.what}")
