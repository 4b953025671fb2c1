"""The bounds that belong to a contract, as the contract states them."""

from __future__ import annotations

from vouchers import ids, limits


def test_the_limits_are_those_of_the_contract() -> None:
    """EV-041, EV-045, AX-01, decision 8, design section 6: each bound as it was agreed."""
    assert (limits.CODE_DIGITS_MIN, limits.CODE_DIGITS_MAX, limits.LAST4_DIGITS) == (6, 11, 4)
    assert (limits.HORIZON_SHARES_MAX, limits.HORIZON_RESERVE) == (16, 8)
    assert (limits.SERIAL_CHARS_MAX, limits.NOTE_CHARS_MAX) == (100, 80)
    assert limits.SAFE_INTEGER_MAX == 9_007_199_254_740_991
    assert limits.LATE_TOLERANCE_MS == 600_000


def test_the_longest_serial_fits() -> None:
    """AX-01: no serial that we can compose is longer than upstream accepts."""
    assert len(ids.serial("A" * 32, 999_999_999, 10**15 - 1)) <= limits.SERIAL_CHARS_MAX
