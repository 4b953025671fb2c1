"""Canonical JSON: one text for one value, so that it can be hashed and signed.

Responsible for: RFC 8785 restricted to objects, arrays, strings, true, false, null and integers
whose size is below 2^53; non-ASCII stays unescaped. Not responsible for: what a document means.
Invariants: `decode(encode(v)) == v`; a text that is not exactly what `encode` writes is refused.
"""

import json
from typing import Final, NoReturn

from vouchers.limits import CANONICAL_DEPTH_MAX, SAFE_INTEGER_MAX

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def encode(value: object) -> str:
    """Write the canonical text. Raises ValueError for a value outside the restricted form."""
    return _ENCODER.encode(_ordered(value, 0))


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


def _ordered(value: object, depth: int) -> object:
    if depth > CANONICAL_DEPTH_MAX:
        raise ValueError("nested too deeply")
    match value:
        case str():
            if not value.isascii():
                value.encode("utf-8")  # a lone surrogate has no canonical form
            return value
        case None | bool():
            return value
        case int():
            if abs(value) > SAFE_INTEGER_MAX:
                raise ValueError("integer out of range")
            return value
        case list() | tuple():
            return [_ordered(item, depth + 1) for item in value]
        case dict():
            return _ordered_object(value, depth)
        case _:
            raise ValueError(f"no canonical form for {type(value).__name__}")


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be")


def _ordered_object(value: dict[object, object], depth: int) -> dict[str, object]:
    names: list[str] = []
    ascii_only = True
    for name in value:
        if not isinstance(name, str):
            raise ValueError("an object's names must be text")
        ascii_only = ascii_only and name.isascii()
        names.append(name)
    # RFC 8785 sorts by UTF-16 code units, which differs from code points above U+FFFF.
    names.sort(key=None if ascii_only else _utf16)
    return {name: _ordered(value[name], depth + 1) for name in names}
