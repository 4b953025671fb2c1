"""The form of an export: its header, its lines, and the signed bodies in them.

Responsible for: reading each strictly, and the hashes that the contract (design, section 6) defines
over them. Not responsible for: how entries follow each other. Invariants: what is read here has
every field in its form, so nothing later can fail on a type; a text with two readings is refused.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

LINE_BYTES_MAX: Final = 1 << 20
_INTEGER_MAX: Final = 2**53 - 1
_POSID: Final = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)

GROWS: Final = {
    "redeemed": ("redemptions", "shares", "amount_fen"),
    "reversed": ("reversals", "reversed_shares", "reversed_fen"),
}
"""Which totals a kind of entry makes grow: by one, by its shares, by its amount."""

TOTALS: Final = tuple(name for names in GROWS.values() for name in names)
KINDS: Final = frozenset(
    {
        *("redeemed", "reversed", "refused", "locked", "signed_in", "signed_out"),
        *("shift_opened", "shift_closed", "printed_unknown", "reprinted", "override"),
        *("clock_changed", "started", "recovered", "key_changed"),
        *("training_started", "training_ended"),
    }
)

Values = Mapping[str, object]
Fits = Callable[[object], bool]


class UnusableError(Exception):
    """Arguments or a file that cannot be checked at all; `str()` says why."""


def read_header(raw: bytes) -> Values:
    """The first line of an export. Raises UnusableError when the file is none."""
    try:
        header = decode_object(raw.decode())
    except (ValueError, RecursionError):
        raise UnusableError("this is not an export: its first line is not a header") from None
    version = header.get("hexiao_export")
    if type(version) is not int or version != 1:
        raise UnusableError("this is not an export of version 1, the only one known here")
    return header


def misfits(values: Values, form: Mapping[str, Fits]) -> list[str]:
    """The names of fields that are missing or not of their form."""
    return [name for name, fits in form.items() if not fits(values.get(name))]


def read_line(raw: bytes) -> Values | str:
    """One entry's line, or what is wrong with it."""
    if len(raw) > LINE_BYTES_MAX:
        return "the line is too long to be an entry"
    try:
        line = decode_object(raw.decode())
    except (ValueError, RecursionError):
        return "the line is not a JSON object: it was damaged or cut off"
    if set(line) != set(LINE):
        return "the line must hold seq, body, hash and sig, and nothing else"
    bad = misfits(line, LINE)
    return f"not of its form: {', '.join(bad)}" if bad else line


def decode_object(text: str) -> dict[str, object]:
    """Strict JSON: no fractions, no name twice. Raises ValueError, RecursionError."""
    value = json.loads(
        text, parse_float=_refuse, parse_constant=_refuse, object_pairs_hook=_each_once
    )
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    return value


def canonical(value: object) -> str:
    """RFC 8785 for the values that the contract allows. Raises ValueError for others."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() if abs(value) <= _INTEGER_MAX:
            return str(value)
        case str():
            value.encode()
            return '"' + "".join(map(_escaped, value)) + '"'
        case list():
            return "[" + ",".join(map(canonical, value)) + "]"
        case dict():
            # Names are in the order of their UTF-16 code units.
            names = sorted(value, key=lambda name: str(name).encode("utf-16-be"))
            return "{" + ",".join(f"{canonical(n)}:{canonical(value[n])}" for n in names) + "}"
        case _:
            raise ValueError("an integer is too large")


def hash_of(body: str) -> str | None:
    """The hash of a body; None for half a character, which has no bytes to sign."""
    try:
        return hashlib.sha256(b"hexiao-entry-v1" + body.encode()).hexdigest()
    except UnicodeEncodeError:
        return None


def first_prev(header: Values, previous_head: str | None) -> str | None:
    """The hash of the enrolment record that the first entry of an epoch points at."""
    record = {name: header.get(name) for name in ("merchant", "posid", "epoch", "public_key")}
    try:
        text = canonical({**record, "v": 1, "previous_head": previous_head})
    except (ValueError, RecursionError):
        return None
    return hashlib.sha256(b"hexiao-enrol-v1" + text.encode()).hexdigest()


def growth(kind: str, data: Values) -> dict[str, int] | None:
    """By how much each total grows with an entry; None when its data does not say."""
    steps = dict.fromkeys(TOTALS, 0)
    if kind in GROWS:
        shares, amount = data.get("shares"), data.get("amount_fen")
        if not is_positive(shares) or not is_whole(amount):
            return None
        steps |= zip(GROWS[kind], (1, int(str(shares)), int(str(amount))), strict=True)
    return steps


def b64u(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64u(text: str) -> bytes:
    """The bytes of base64url without padding. Raises ValueError unless it is the one text."""
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if b64u(raw) != text:
        raise ValueError("not base64url without padding")
    return raw


def is_whole(value: object) -> bool:
    """A number from 0 that every reader of JSON reads alike."""
    return type(value) is int and 0 <= value <= _INTEGER_MAX


def is_positive(value: object) -> bool:
    """A whole number from 1."""
    return is_whole(value) and value != 0


def is_hash(value: object) -> bool:
    """A SHA-256 in lower-case hex."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def _refuse(text: str) -> object:
    raise ValueError(f"{text[:20]} is not a whole number")


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return values


_SHORT: Final = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


def _escaped(character: str) -> str:
    point = ord(character)
    return _SHORT.get(point) or (f"\\u{point:04x}" if point < 32 else character)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_posid(value: object) -> bool:
    return isinstance(value, str) and _POSID.fullmatch(value) is not None


def _is_moment(value: object) -> bool:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return False
    try:
        datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%f%z")
    except ValueError:
        return False
    return True


def _is_bytes(length: int) -> Fits:
    def fits(value: object) -> bool:
        try:
            return isinstance(value, str) and len(unb64u(value)) == length
        except ValueError:
            return False

    return fits


def _is_totals(value: object) -> bool:
    return (
        isinstance(value, dict) and set(value) == set(TOTALS) and all(map(is_whole, value.values()))
    )


HEADER: Final[Mapping[str, Fits]] = {
    "merchant": is_whole,
    "posid": _is_posid,
    "epoch": is_positive,
    "public_key": _is_bytes(32),
    "first_prev": is_hash,
}
LINE: Final[Mapping[str, Fits]] = {
    "seq": is_positive,
    "body": _is_text,
    "hash": is_hash,
    "sig": lambda value: value is None or _is_bytes(64)(value),
}
BODY: Final[Mapping[str, Fits]] = {
    "v": lambda value: type(value) is int and value == 1,
    "merchant": is_whole,
    "posid": _is_posid,
    "epoch": is_positive,
    "seq": is_positive,
    "prev": is_hash,
    "at": _is_moment,
    "boot": _is_text,
    "mono_ms": is_whole,
    "clock": lambda value: value in ("ok", "suspect"),
    "clerk": _is_text,
    "auth": lambda value: value in ("none", "pin", "os"),
    "shift": lambda value: value is None or isinstance(value, str),
    "kind": _is_text,
    "data": lambda value: isinstance(value, dict),
    "totals": _is_totals,
}
