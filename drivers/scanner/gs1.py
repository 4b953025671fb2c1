"""GS1 element strings: what a coupon or goods label says in its application identifiers.

Responsible for: splitting an element string into (identifier, value) pairs. Pure. Not responsible
for: deciding that something is GS1; the symbology says so (`aim.GS1_SYMBOLOGIES`).

Invariants: nothing is guessed. A field of variable length ends at GS (0x1D) or at the end; a wedge
that drops GS makes such a string unreadable, and that is said instead of a wrong split.
Source: GS1 General Specifications, the identifiers a shop meets.
"""

from dataclasses import dataclass

SEPARATOR = "\x1d"
# identifier: (fixed length, or None; longest). The value of a fixed one is digits only.
_FIXED = {
    "00": 18, "01": 14, "02": 14, "11": 6, "12": 6, "13": 6, "15": 6, "16": 6, "17": 6, "20": 2,
    "410": 13, "414": 13, "417": 13,
}  # fmt: skip
_VARIABLE = {
    "10": 20, "21": 20, "22": 20, "37": 8, "240": 30, "241": 30, "255": 25, "400": 30,
    "8110": 70, "8112": 70, "8020": 25,
    **{str(number): 90 for number in range(91, 100)},
}  # fmt: skip


class NotGs1(ValueError):
    """The string cannot be split with certainty."""


@dataclass(frozen=True, slots=True)
class Element:
    """One application identifier and its value."""

    identifier: str
    value: str


def parse(text: str) -> tuple[Element, ...]:
    """The elements of a string without its leading FNC1. Raises NotGs1."""
    rest, elements = text.removeprefix(SEPARATOR), []
    while rest:
        identifier = _identifier(rest)
        rest = rest[len(identifier) :]
        value, rest = _value(identifier, rest)
        elements.append(Element(identifier, value))
    return tuple(elements)


def value_of(elements: tuple[Element, ...], identifier: str) -> str | None:
    """The value of the first element with that identifier."""
    return next((one.value for one in elements if one.identifier == identifier), None)


def _identifier(rest: str) -> str:
    for length in (2, 3, 4):
        if rest[:length] in _FIXED or rest[:length] in _VARIABLE:
            return rest[:length]
    raise NotGs1(f"no application identifier at {rest[:4]!r}")


def _value(identifier: str, rest: str) -> tuple[str, str]:
    length = _FIXED.get(identifier)
    if length is not None:
        value, rest = rest[:length], rest[length:].removeprefix(SEPARATOR)
        if len(value) != length or not (value.isascii() and value.isdigit()):
            raise NotGs1(f"({identifier}) has {length} digits")
        return value, rest
    value, _, rest = rest.partition(SEPARATOR)
    if not 1 <= len(value) <= _VARIABLE[identifier]:
        raise NotGs1(f"({identifier}) has 1 to {_VARIABLE[identifier]} characters")
    return value, rest
