"""Bounds of the command line that stand twice because it must be cheap to read."""

from argparse import ArgumentParser

import pytest

from terminal import arguments
from terminal.arguments import NOTE_CHARS_MAX, WrongUsageError, parser
from vouchers import limits


def test_a_part_of_the_command_line_reads_its_commands_as_the_whole_does() -> None:
    """Each command stands in the part that is made for it, and nothing else about it differs."""
    whole = _commands(parser())
    assert set(whole) == {name for names in arguments._GROUPS.values() for name in names}
    for name in whole:
        part = _commands(parser(name))
        assert part[name].format_help() == whole[name].format_help()
        assert len(part) < len(whole)
    for other in (None, "", "--help", "no-such-command"):
        assert set(_commands(parser(other))) == set(whole)


def _commands(made: ArgumentParser) -> dict[str, ArgumentParser]:
    (choices,) = [action.choices for action in made._actions if action.dest == "command"]
    assert isinstance(choices, dict)
    return choices


def test_a_note_that_is_too_long_is_said_not_cut() -> None:
    """A note has the length that the journal's own table allows, no more."""
    assert NOTE_CHARS_MAX == limits.NOTE_CHARS_MAX
    kept = parser().parse_args(["reverse", "T1_1_00000001", "--note", "字" * NOTE_CHARS_MAX])
    assert len(kept.note) == NOTE_CHARS_MAX
    with pytest.raises(WrongUsageError, match="at most 80"):
        parser().parse_args(["reverse", "T1_1_00000001", "--note", "x" * (NOTE_CHARS_MAX + 1)])
