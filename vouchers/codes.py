"""Voucher codes: deriving them, checking them, and reading what a person or scanner presented.

Responsible for: the platform code (design, section 6; decisions 10, 13, 14), its check digit, the
chain of successor codes, and normalising input. Not responsible for: whether a code exists.
Invariants: a platform code has 6..11 digits, no leading zero, a Damm check digit; leading zeros of
input are never trimmed; the code of a generation depends on the voucher's secret alone.
"""

import hmac
import re
import unicodedata
from typing import Final

from vouchers.limits import (
    CODE_DIGITS_MAX,
    CODE_DIGITS_MIN,
    CREDENTIAL_CHARS_MAX,
    HORIZON_RESERVE,
    HORIZON_SHARES_MAX,
    LAST4_DIGITS,
)
from vouchers.reasons import Reason, Refusal

_DOMAIN: Final = b"hexiao-code-v1"
_MOBILE: Final = re.compile(r"1[3-9]\d{9}", re.ASCII)
_SEPARATORS: Final = re.compile(r"[\s\-]+")
_DIGITS: Final = re.compile(r"\d+", re.ASCII)

# The totally anti-symmetric quasigroup of order 10 of H. M. Damm's thesis (2004), as published.
_DAMM: Final = tuple(
    tuple(map(int, row))
    for row in (
        "0317598642",
        "7092154863",
        "4206871359",
        "1750983426",
        "6123045978",
        "3674209581",
        "5869720134",
        "8945362017",
        "9438617205",
        "2581436790",
    )
)


def damm_digit(digits: str) -> str:
    """The check digit that follows `digits`: it catches every single error and transposition."""
    interim = 0
    for digit in digits:
        interim = _DAMM[interim][int(digit)]
    return str(interim)


def derive(secret: bytes, generation: int, digits: int = CODE_DIGITS_MAX) -> str:
    """The code of a generation of a voucher (EV-049, decision 10).

    `secret` is the voucher's 32 random bytes, `generation` counts from 0, `digits` is 6..11.
    """
    assert CODE_DIGITS_MIN <= digits <= CODE_DIGITS_MAX and generation >= 0
    mac = hmac.digest(secret, _DOMAIN + generation.to_bytes(4, "big"), "sha256")
    low = 10 ** (digits - 2)
    body = str(low + int.from_bytes(mac[:16], "big") % (9 * low))
    return body + damm_digit(body)


def horizon(shares: int) -> int:
    """The last generation whose code central reserves at issue (design, section 6)."""
    assert shares >= 1
    return min(shares - 1, HORIZON_SHARES_MAX) + HORIZON_RESERVE


def reserved(secret: bytes, shares: int, digits: int = CODE_DIGITS_MAX) -> tuple[str, ...]:
    """The codes of all generations 0..horizon, for central's collision check at issue."""
    return tuple(derive(secret, g, digits) for g in range(horizon(shares) + 1))


def looks_like_mobile(text: str) -> bool:
    """Whether a number is a mainland mobile number: no 11-digit code begins that way (EV-045)."""
    return _MOBILE.fullmatch(text) is not None


def normalise(text: str) -> str:
    """Full-width forms become plain and separators go; leading zeros stay (EV-045)."""
    if text.isascii() and text.isdigit():
        return text
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", text))


def read_code(text: str) -> str | Refusal:
    """Read a typed or scanned platform code (EV-045, decisions 13 and 14), free of charge.

    Answers the digits, or `malformed` with detail `looks_like` (`mobile`, `text`, `length`), or
    `mistyped` when the check digit is wrong.
    """
    if len(text) > CREDENTIAL_CHARS_MAX:
        return Refusal(Reason.MALFORMED, {"looks_like": "length"})
    digits = normalise(text)
    if not _DIGITS.fullmatch(digits):
        return Refusal(Reason.MALFORMED, {"looks_like": "text"})
    if looks_like_mobile(digits):
        return Refusal(Reason.MALFORMED, {"looks_like": "mobile"})
    if not CODE_DIGITS_MIN <= len(digits) <= CODE_DIGITS_MAX:
        return Refusal(Reason.MALFORMED, {"looks_like": "length", "digits": len(digits)})
    if damm_digit(digits) != "0":
        return Refusal(Reason.MISTYPED)
    return digits


def read_last4(text: str) -> str | Refusal:
    """Read the last four digits of the mobile (EV-041); they are compared as text."""
    digits = normalise(text) if len(text) <= CREDENTIAL_CHARS_MAX else ""
    if len(digits) != LAST4_DIGITS or not _DIGITS.fullmatch(digits):
        return Refusal(Reason.MALFORMED, {"looks_like": "last4"})
    return digits
