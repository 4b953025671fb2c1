"""Pauses grow, stay bounded and are spread."""

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


def test_a_pause_ends():
    """Time passes."""
    assert after_failure(Pace(), now_ms=0, chance=0.0).wait_ms(600) == 0
    assert Pace().wait_ms(0) == 0
