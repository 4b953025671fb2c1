"""One finding of the doctor, and how a check that fails becomes one.

Responsible for: what a finding is, and turning every outage inside a check into a red finding. Not
responsible for: words (`phrases`) or checks. Invariant: whatever is wrong with the files, a person
gets findings, never a traceback.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import apsw

from terminal.errors import TerminalError

FAULTS: Final = (
    TerminalError,
    apsw.Error,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    # What the rest of the terminal takes for granted is what a damaged file does not hold.
    AssertionError,
)
"""What a check may meet in files that anything may have happened to."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found: the phrase that says it (`phrases.PHRASES`), and what goes into it."""

    check: str
    phrase: str
    fields: Mapping[str, object] = field(default_factory=dict)


def found(check: str, phrase: str, **fields: object) -> Found:
    """A finding, for short."""
    return Found(check, phrase, fields)


def guarded(check: str, work: Callable[[], Iterable[Found]]) -> Iterator[Found]:
    """The findings of a check, and a red one where it could not go on."""
    try:
        yield from work()
    except FAULTS as error:
        yield found(check, "unchecked", why=why(error))


def why(error: BaseException) -> str:
    """What an exception says, without sending a person in a circle."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    # "Run `hexiao doctor`" is what other commands say.
    text = text.replace("Run `hexiao doctor`", "").strip(" .")
    return text or type(error).__name__
