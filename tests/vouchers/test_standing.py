"""What is left of a voucher by a terminal's own view: the fold and the unseen generations."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from vouchers.standing import OwnUse, Standing, VoucherState, effective, left

ROW = Standing(VoucherState.LIVE, 0, 0, 100, 200, 7)


def fold(row: Standing, *own: OwnUse) -> tuple[int, int, int]:
    found = effective(row, own)
    return found.generation, found.used, found.own


def test_states_are_those_of_the_contract() -> None:
    """Design section 6: `state` in live, refunding, refunded, voided; expiry is computed."""
    assert [str(state) for state in VoucherState] == ["live", "refunding", "refunded", "voided"]


def test_a_row_alone_stands_as_it_is() -> None:
    """Design section 6: entries that the row reflects are not handed over, so nothing is added."""
    row = replace(ROW, used=3, generation=2, own=9)
    assert effective(row, []) == replace(row, own=0)


def test_everything_else_stays_centrals_word() -> None:
    """Design section 6: state, validity and home come from the state row."""
    row = replace(ROW, state=VoucherState.REFUNDING, home=None)
    assert effective(row, [OwnUse(0, 2, 1)]) == replace(row, generation=1, used=2, own=2)


def test_own_shares_add_up_along_the_successors() -> None:
    """Design section 6, EV-049: row plus own shares with a higher sequence."""
    assert fold(ROW, OwnUse(0, 2, 1), OwnUse(1, 1, 2), OwnUse(2, 2, 2)) == (2, 5, 5)


def test_a_newer_code_proves_the_shares_between() -> None:
    """Design section 6: each generation that was not seen stands for one share at least."""
    assert fold(ROW, OwnUse(2, 1, 3)) == (3, 3, 1)
    assert fold(replace(ROW, generation=1, used=4), OwnUse(2, 1, 3)) == (3, 6, 1)


def test_an_older_code_proves_nothing_more() -> None:
    """Design section 7: a row that has overtaken an own entry keeps its own generation."""
    assert fold(replace(ROW, generation=4, used=4), OwnUse(0, 2, 1)) == (4, 6, 2)


def test_a_reversal_gives_back_to_the_current_code() -> None:
    """Decision 11: if a successor was issued it stays current and stands for more."""
    assert fold(ROW, OwnUse(0, 2, 1), OwnUse(1, -2, 1)) == (1, 0, 0)
    assert fold(ROW, OwnUse(0, 5, 0), OwnUse(0, -5, 0)) == (0, 0, 0)


def test_a_reversal_of_a_reflected_redemption() -> None:
    """Design section 6: the row holds the redemption, the journal only its undoing."""
    assert fold(replace(ROW, generation=1, used=2), OwnUse(1, -2, 1)) == (1, 0, -2)


@pytest.mark.parametrize(
    ("used", "known", "presented", "shares_left"),
    [
        (0, 0, 0, 5),
        (2, 1, 1, 3),
        (0, 0, 2, 3),
        (2, 1, 3, 1),
        (2, 1, 5, 0),
        (2, 1, 0, 3),
        (5, 1, 1, 0),
        (7, 1, 1, 0),
        (0, 0, 9, 0),
    ],
)
def test_left(used: int, known: int, presented: int, shares_left: int) -> None:
    """Design section 6: shares - used - (g - known), and never below nothing."""
    assert left(5, replace(ROW, used=used, generation=known), presented) == shares_left


def test_left_is_never_more_than_was_bought() -> None:
    """Design section 4: undoing what central did not count makes no new shares.

    A quarantined redemption is not in central's `used`; its reversal here would leave 7 of 5.
    """
    standing = effective(ROW, [OwnUse(0, -2, 0)])
    assert left(5, standing, 0) == 5
    assert left(5, standing, 1) == 4
