"""Pauses grow, stay bounded and are spread."""

import random
from bisect import bisect

import pytest

from sync.pacing import ASKED_PAUSE_S_MAX, PAUSE_MS_MAX, Pace, after_failure


def test_pauses_double_up_to_a_minute():
    """Without luck the pauses are half of 1, 2, 4 … 60 seconds."""
    pace, pauses = Pace(), []
    for _ in range(9):
        pace = after_failure(pace, now_ms=1_000, chance=0.0)
        pauses.append(pace.wait_ms(1_000))
    assert pauses == [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]
    assert pace.failures == 9


def test_chance_spreads_them():
    """Full luck all but doubles a pause, and never passes the bound."""
    slow = after_failure(Pace(failures=50), now_ms=0, chance=0.999999)
    assert PAUSE_MS_MAX * 0.99 < slow.wait_ms(0) <= PAUSE_MS_MAX


def test_central_may_ask_for_more():
    """Its wish is added, within reason."""
    assert after_failure(Pace(), now_ms=0, chance=0.0, asked_s=7).wait_ms(0) == 7_500
    assert after_failure(Pace(), now_ms=0, chance=0.0, asked_s=-7).wait_ms(0) == 500
    far = after_failure(Pace(), now_ms=0, chance=0.0, asked_s=10**9)
    assert far.wait_ms(0) == ASKED_PAUSE_S_MAX * 1000 + 500


def came_back(seed: int, outage_ms: int, asked_s: int | None) -> list[int]:
    """When each of a thousand that were cut at the same moment comes, ms after the outage ended."""
    rng, came = random.Random(seed), []
    for _ in range(1_000):
        now_ms, pace = 0, Pace()
        while now_ms < outage_ms:
            pace = after_failure(pace, now_ms=now_ms, chance=rng.random(), asked_s=asked_s)
            now_ms = pace.not_before_ms
        came.append(now_ms - outage_ms)
    return sorted(came)


def most_in(span_ms: int, came: list[int]) -> int:
    return max(bisect(came, at + span_ms) - index for index, at in enumerate(came))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_fleet_does_not_come_back_at_once(seed: int) -> None:
    """A thousand tills after ten minutes without central: all within a minute, no crowd."""
    came = came_back(seed, 10 * 60_000, None)
    assert came[-1] <= PAUSE_MS_MAX
    assert most_in(1_000, came) < 60 and most_in(100, came) < 20


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_fleet_that_was_asked_to_wait_does_not_come_back_at_once(seed: int) -> None:
    """Five seconds for all are the least, and another five to come in."""
    came = came_back(seed, 1, 5)
    assert came[0] > 5_000 and most_in(1_000, came) < 300


def test_a_pause_ends():
    """Time passes."""
    assert after_failure(Pace(), now_ms=0, chance=0.0).wait_ms(600) == 0
    assert Pace().wait_ms(0) == 0
