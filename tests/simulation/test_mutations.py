"""Goal: the auditor notices when the product breaks a promise.

Method: each mutation is patched into the running product, and worlds are lived through until one
is wrong. a mutation that survives `WORLDS` worlds fails.
"""

import pytest

from tests.simulation import runner
from tests.simulation.mutations import MUTATIONS
from tests.simulation.template import Template

WORLDS = 150

FIRST = dict.fromkeys(MUTATIONS, 0) | {
    "caps_count_nothing": 30,
    "fence_is_ignored": 50,
    "cursor_is_stored_before_the_rows": 60,
}
"""Rare ones are looked for where they were found; a change of the product may move them."""

NOTICED = ("Wrong", "AssertionError", "ConstraintError", "IntegrityError")
"""The auditor's word, and the second locks of the product itself; anything else is our mistake."""


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_auditor_notices(name: str, template: Template) -> None:
    """The mutation is found."""
    for seed in range(FIRST[name], FIRST[name] + WORLDS):
        with pytest.MonkeyPatch.context() as patch:
            MUTATIONS[name](patch)
            outcome = runner.live([seed], template)
        for failure in outcome.failures:
            assert failure.kind in NOTICED, f"{name} does not fit the product:\n{failure.trace}"
            return
    pytest.fail(f"{name} lived through {WORLDS} worlds unnoticed")
