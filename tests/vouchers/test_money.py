"""Fen and shares: one way of rounding, and parts that sum to what was paid."""

from __future__ import annotations

import pytest

from vouchers import money


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [
        (0, 3, 0),
        (1, 3, 0),
        (1, 2, 1),
        (2, 3, 1),
        (3, 2, 2),
        (5, 2, 3),
        (-1, 2, -1),
        (-1, 3, 0),
        (-3, 2, -2),
        (-5, 2, -3),
        (10**30 + 1, 2, 5 * 10**29 + 1),
    ],
)
def test_halves_go_up(numerator: int, denominator: int, rounded: int) -> None:
    """Decision 6: round half up, in integers of any size; a negative amount mirrors it."""
    assert money.round_half_up(numerator, denominator) == rounded


@pytest.mark.parametrize("denominator", [0, -1])
def test_a_denominator_is_positive(denominator: int) -> None:
    """Dividing money by nothing is a bug."""
    with pytest.raises(AssertionError):
        money.round_half_up(1, denominator)


@pytest.mark.parametrize(
    ("used", "count", "fen"),
    [(0, 1, 333), (1, 1, 334), (2, 1, 333), (0, 2, 667), (1, 2, 667), (0, 3, 1_000), (1, 0, 0)],
)
def test_shares_carry_cumulative_amounts(used: int, count: int, fen: int) -> None:
    """Design section 6: round(paid × j / shares) - round(paid × i / shares) for 10.00 of three."""
    assert money.amount_fen(1_000, 3, used, count) == fen


def test_there_are_no_fen_beyond_the_last_share() -> None:
    """Design section 7: an excess is not paid by the platform, so it carries nothing."""
    assert money.amount_fen(1_000, 3, 2, 5) == 333
    assert money.amount_fen(1_000, 3, 3, 1) == 0
    assert money.amount_fen(1_000, 3, 9, 1) == 0
    assert money.amount_fen(0, 3, 0, 3) == 0


@pytest.mark.parametrize(
    ("paid", "shares", "used", "count"), [(1, 0, 0, 1), (1, 1, -1, 1), (1, 1, 0, -1), (-1, 1, 0, 1)]
)
def test_amounts_of_nonsense_are_bugs(paid: int, shares: int, used: int, count: int) -> None:
    """Design section 6: money is never asked about shares that cannot be."""
    with pytest.raises(AssertionError):
        money.amount_fen(paid, shares, used, count)
