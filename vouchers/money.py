"""Fen and shares.

Responsible for: the one way in which we round, and the amount that some shares of a voucher carry.
Not responsible for: payouts and refunds; central's ledger computes those from the same rounding.
Invariant: the amounts of all shares of a voucher sum to exactly what was paid.
"""


def round_half_up(numerator: int, denominator: int) -> int:
    """Divide and round half away from zero. Both are integers, the denominator positive."""
    assert denominator > 0
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator >= 0 else -magnitude


def amount_fen(paid_fen: int, shares: int, used_before: int, count: int) -> int:
    """The fen that shares `used_before`+1 .. `used_before`+`count` carry (design, section 6).

    `used_before` is the net number used earlier by the caller's view; over-redemption clamps, as
    there are no fen beyond the last share.
    """
    assert shares > 0 and used_before >= 0 and count >= 0 and paid_fen >= 0
    upper = min(shares, used_before + count)
    lower = min(shares, used_before)
    each, rest = divmod(paid_fen, shares)
    if not rest:
        return each * (upper - lower)
    return round_half_up(paid_fen * upper, shares) - round_half_up(paid_fen * lower, shares)
