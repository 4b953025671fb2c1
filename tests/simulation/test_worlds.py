"""Goal: whatever goes wrong, the promises of the design hold.

Method: worlds from seeds, each audited at its end. `make soak` runs a hundred thousand of them;
here are the first few hundred, in portions. A failure names its seed.
"""

import pytest

from tests.simulation import runner
from tests.simulation.runner import Outcome
from tests.simulation.template import Template

WORLDS = 200
PORTION = 20

MUST_HAPPEN = (
    "redeemed lone",
    "redeemed online",
    "reversed",
    "granted",
    "crash",
    "central died",
    "cloned",
    "restored",
    "paired anew",
    "vouchers over-redeemed",
    "refused replaced",
    "refused refunding",
    "refused needs_network",
    "refused in_progress",
    "refused offline_limit",
)


@pytest.fixture(scope="module")
def total() -> Outcome:
    return Outcome()


@pytest.mark.parametrize("first", range(0, WORLDS, PORTION))
def test_promises_hold_in_every_world(first: int, template: Template, total: Outcome) -> None:
    """Nothing is lost, nothing counts twice, and every excess is within its bound and named."""
    outcome = runner.live(range(first, first + PORTION), template)
    total.add(outcome)
    for failure in outcome.failures:
        print("\n".join(failure.history), failure.trace, sep="\n")
    assert not outcome.failures, "\n".join(map(str, outcome.failures))


def test_all_misfortunes_came(template: Template, total: Outcome) -> None:
    """A world in which nothing happens proves nothing."""
    if total.worlds == 0:  # this test alone was asked for
        total.add(runner.live(range(WORLDS), template))
    missing = [what for what in MUST_HAPPEN if not total.counts[what]]
    assert not missing


def test_a_seed_repeats_its_history(template: Template) -> None:
    """The same seed gives the same history to the letter: every step, every hash."""
    seeds = range(3)
    first, again = runner.live(seeds, template), runner.live(seeds, template)
    assert first.digests == again.digests
    assert len(set(first.digests.values())) == len(seeds)
