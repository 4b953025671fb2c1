"""Texts that people hand in: names, mobile numbers, days and weekdays.

Responsible for: reading them or saying what is wrong with them. Not responsible for: showing them.
Invariant: a text that passed here holds no control or direction-changing character, so it can
never act as a command on a screen or a slip.
"""

import re
import unicodedata
from datetime import date
from typing import Final

from central.errors import Refused
from vouchers.id_card import read_id_card

NAME_CHARS_MAX: Final = 80
"""Fits four lines of a 58 mm slip."""

SLIP_TEXT_CHARS_MAX: Final = 600
"""AX-16: a paragraph under the slip, not a leaflet."""

_MOBILE: Final = re.compile(r"(?:\+?86)?(1[3-9]\d{9})", re.ASCII)
_BANNED: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_JOINERS: Final = frozenset("\u200c\u200d\ufe0f")


def read_name(text: str, what: str) -> str | Refused:
    """Read the name of something; markup is only text, control characters are refused."""
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        return Refused("bad_name", f"{what}: the name is empty")
    if len(name) > NAME_CHARS_MAX:
        return Refused("bad_name", f"{what}: the name is longer than {NAME_CHARS_MAX} characters")
    return _printable(name, what)


def read_slip_text(text: str) -> str | Refused:
    """Read a slip text (AX-16); line ends are kept as single newlines."""
    lines = [_printable(line, "slip text") for line in text.splitlines()]
    for line in lines:
        if isinstance(line, Refused):
            return line
    joined = "\n".join(str(line) for line in lines)
    if len(joined) > SLIP_TEXT_CHARS_MAX:
        return Refused("bad_name", f"slip text: longer than {SLIP_TEXT_CHARS_MAX} characters")
    return joined


def _printable(text: str, what: str) -> str | Refused:
    for place, sign in enumerate(text, start=1):
        if unicodedata.category(sign) in _BANNED and sign not in _JOINERS:
            return Refused(
                "bad_name",
                f"{what}: character {place} (U+{ord(sign):04X}) is a control character",
            )
    return text


def read_mobile(text: str) -> str | Refused:
    """Read a mainland mobile number (EV-035): 11 digits, `+86`, spaces and hyphens allowed."""
    compact = re.sub(r"[\s\-]", "", unicodedata.normalize("NFKC", text[:64]))
    found = _MOBILE.fullmatch(compact)
    if found is None:
        return Refused(
            "bad_mobile",
            "the phone must be a mobile number of 11 digits beginning with 13 to 19 (EV-035)",
        )
    return found[1]


def read_card(text: str) -> str | Refused:
    """Read a citizen number or its MD5, which is what is answered. The text is never repeated."""
    found = read_id_card(text)
    if found is None:
        return Refused(
            "bad_id_card",
            "the ID card must be a citizen number of 18 characters whose last one is right, or the"
            " MD5 of the upper-case number in 32 hex digits; a spreadsheet rounds long numbers"
            " unless the column is text",
        )
    return found


def read_day(text: str) -> date | Refused:
    """Read a calendar day, `2024-07-31`."""
    try:
        if len(text) != len("2024-07-31"):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        return Refused("bad_date", f"a date must look like 2024-07-31, not {text[:20]!r}")


def read_weekdays(text: str) -> tuple[int, ...] | Refused:
    """Read weekdays (AX-11): `1-5`, `6,7`, `1,3-5`; 1 is Monday. Ascending, without repeats."""
    days: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*([1-7])\s*(?:-\s*([1-7])\s*)?", part, re.ASCII)
        if found is None or (found[2] and found[2] < found[1]):
            return Refused("bad_weekdays", f"weekdays must look like 1-5 or 6,7, not {text[:20]!r}")
        days.update(range(int(found[1]), int(found[2] or found[1]) + 1))
    return tuple(sorted(days))
