"""Fields of a body that somebody else wrote: each read as what it must be, or refused by name.

Responsible for: the types of JSON fields. Not responsible for: which fields there are (`entries`).
Invariant: what is answered has the type and the range that the name of the reader says.
"""

from collections.abc import Mapping


class EntryError(ValueError):
    """A body that is not an entry of ours; the message says which field and why."""


def whole(values: Mapping[str, object], name: str) -> int:
    """A non-negative integer field. Raises EntryError."""
    value = values.get(name)
    if type(value) is not int or value < 0:
        raise EntryError(f"{name} must be a non-negative integer")
    return value


def word(values: Mapping[str, object], name: str) -> str:
    """A text field. Raises EntryError."""
    value = values.get(name)
    if not isinstance(value, str):
        raise EntryError(f"{name} must be text")
    return value


def maybe_word(values: Mapping[str, object], name: str) -> str | None:
    """A text field that may be null or missing. Raises EntryError."""
    return None if values.get(name) is None else word(values, name)


def positive(values: Mapping[str, object], name: str) -> int:
    """A positive integer field. Raises EntryError."""
    value = whole(values, name)
    if value == 0:
        raise EntryError(f"{name} must be positive")
    return value


def yes_no(values: Mapping[str, object], name: str) -> bool:
    """A field that is true or false. Raises EntryError."""
    value = values.get(name)
    if not isinstance(value, bool):
        raise EntryError(f"{name} must be true or false")
    return value


def one_of(values: Mapping[str, object], name: str, allowed: tuple[str, ...]) -> str:
    """A text field out of a closed list. Raises EntryError."""
    value = word(values, name)
    if value not in allowed:
        raise EntryError(f"{name} must be one of {', '.join(allowed)}")
    return value
