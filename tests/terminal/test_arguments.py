"""Bounds of the command line that stand twice because it must be cheap to read."""

import pytest

from terminal.arguments import NOTE_CHARS_MAX, WrongUsageError, parser
from vouchers import limits


def test_a_note_that_is_too_long_is_said_not_cut() -> None:
    """A note has the length that the journal's own table allows, no more."""
    assert NOTE_CHARS_MAX == limits.NOTE_CHARS_MAX
    kept = parser().parse_args(["reverse", "T1_1_00000001", "--note", "字" * NOTE_CHARS_MAX])
    assert len(kept.note) == NOTE_CHARS_MAX
    with pytest.raises(WrongUsageError, match="at most 80"):
        parser().parse_args(["reverse", "T1_1_00000001", "--note", "x" * (NOTE_CHARS_MAX + 1)])
