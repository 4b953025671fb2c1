"""Goal: whatever goes wrong, the promises of the design hold.

Method: worlds from seeds, each audited at its end. `make soak` runs a hundred thousand of them;
here are the first few hundred, in portions. A failure names its seed.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

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
    "central put back",
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
    """The same seed gives the same history to the letter, in another thread, too."""
    seeds = range(6)
    first = runner.live(seeds, template)
    with ThreadPoolExecutor(1) as elsewhere:
        again = elsewhere.submit(runner.live, seeds, template).result()
    assert first.digests == again.digests
    assert len(set(first.digests.values())) == len(seeds)


def test_a_seed_repeats_its_history_in_another_process() -> None:
    """What a report says of a seed is what whoever runs it again will see."""
    digests = {_told_by_a_process(hash_seed) for hash_seed in ("1", "2")}
    assert len(digests) == 1


def _told_by_a_process(hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "3"],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "all promises held" in done.stdout
    return done.stdout
