"""Canonical JSON: one text for one value, so that it can be hashed and signed.

Responsible for: RFC 8785 restricted to objects, arrays, strings, true, false, null and integers
whose size is below 2^53; non-ASCII stays unescaped. Not responsible for: what a document means.
Invariants: `decode(encode(v)) == v`; a text that is not exactly what `encode` writes is refused.
"""

import json
from collections.abc import Collection
from typing import Final, NoReturn

import msgspec

from vouchers.limits import CANONICAL_DEPTH_MAX, SAFE_INTEGER_MAX

_SORTED: Final = msgspec.json.Encoder(order="sorted")
"""Writes strings and integers as RFC 8785 asks; sorts names by code points."""

_AS_THEY_COME: Final = msgspec.json.Encoder()


def encode(value: object) -> str:
    """Write the canonical text. Raises ValueError for a value outside the restricted form."""
    # RFC 8785 sorts by UTF-16 code units, which differs from code points above U+FFFF.
    if _names_are_ascii((value,), -1):
        return _SORTED.encode(value).decode()
    return _AS_THEY_COME.encode(_ordered(value)).decode()


def decode(text: str) -> object:
    """Read a canonical text. Raises ValueError for anything that `encode` would not write."""
    try:
        value: object = json.loads(text, parse_float=_refuse, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if encode(value) != text:
        raise ValueError("not canonical")
    return value


def decode_object(text: str) -> dict[str, object]:
    """Read a canonical text whose value is an object. Raises ValueError otherwise."""
    value = decode(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"not an integer: {text[:20]}")


def _names_are_ascii(items: Collection[object], depth: int) -> bool:
    """Check that everything inside a container has a canonical form. Raises ValueError.

    A lone surrogate in a text is found when it is written: no encoding has a place for it.
    """
    if depth >= CANONICAL_DEPTH_MAX and items:
        raise ValueError("nested too deeply")
    plain = True
    for item in items:
        kind = type(item)
        if kind is str or item is None or kind is bool:
            continue
        if kind is int:
            if not -SAFE_INTEGER_MAX <= item <= SAFE_INTEGER_MAX:  # type: ignore[operator]
                raise ValueError("integer out of range")
        else:
            plain = _inside(item, depth + 1) and plain
    return plain


def _inside(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        return _texts(value) & _names_are_ascii(value.values(), depth)
    if isinstance(value, list | tuple):
        return _names_are_ascii(value, depth)
    raise ValueError(f"no canonical form for {type(value).__name__}")


def _texts(names: Collection[object]) -> bool:
    """Whether all names are ASCII. Raises ValueError for one that is no text."""
    plain = True
    for name in names:
        if type(name) is not str:
            raise ValueError("an object's names must be text")
        plain = plain and name.isascii()
    return plain


def _ordered(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_ordered(item) for item in value]
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value, key=_utf16)}
    return value


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be")
