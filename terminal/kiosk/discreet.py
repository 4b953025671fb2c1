"""A value that does not print what it holds.

Responsible for: keeping credentials and last four digits out of logs and tracebacks. Not
responsible for: anything else about them. Invariant: `repr` of such a value is its kind alone.
"""

from msgspec import Struct


class Discreet(Struct, frozen=True):
    """The base of values that hold a credential, last four digits or what was typed of them."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"
