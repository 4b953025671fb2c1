"""What was presented: typed digits, a signed QR, or a web link that carries a code.

Responsible for: telling these apart and naming what was scanned by mistake (hardware notes 5.3).
Not responsible for: opening links (never done) or finding vouchers. Invariant: reading a credential
costs nothing and touches nothing.
"""

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from vouchers import codes, patterns, qr
from vouchers.id_card import looks_like_number
from vouchers.limits import CREDENTIAL_CHARS_MAX
from vouchers.reasons import Reason, Refusal

_GOODS: Final = re.compile(r"\d{12,14}", re.ASCII)
_PAYMENT: Final = re.compile(r"(1[0-5]|2[5-9]|30)\d{14,22}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

URL_PARAMETERS: Final = ("code", "yph")
"""Parameters that carry a code where nothing else is configured."""


class PlatformCode(Struct, frozen=True):
    """Digits whose check digit is right; leading zeros kept."""

    digits: str


class SignedQr(Struct, frozen=True):
    """A text that claims to be a signed QR; `qr.decode` says whether it is."""

    text: str


def read_credential(
    text: str,
    url_parameters: Collection[str] = URL_PARAMETERS,
    issuer_patterns: Collection[str] = (),
) -> PlatformCode | SignedQr | Refusal:
    """Read what a scanner or clerk entered. A refusal's `looks_like` names the mistake.

    `issuer_patterns` (`vouchers.patterns`) are tried on anything but a signed QR.

    `looks_like` is one of `empty, length, text, mobile, link, id_card, payment, goods`.
    """
    if len(text) > CREDENTIAL_CHARS_MAX:
        return Refusal(Reason.MALFORMED, {"looks_like": "length"})
    trimmed = text.strip()
    if not trimmed:
        return Refusal(Reason.MALFORMED, {"looks_like": "empty"})
    if qr.looks_signed(trimmed):
        # A space is a digit of base45, so the end of a QR is not trimmed like that of a code.
        return SignedQr(text.strip("\r\n\t").lstrip())
    within = patterns.code_in(trimmed, issuer_patterns)
    if within is not None:
        return _code(within)
    if trimmed.lower().startswith(("http://", "https://")):
        return _read_link(trimmed, url_parameters)
    digits = codes.read_code(trimmed)
    if isinstance(digits, str):
        return PlatformCode(digits)
    return _named(codes.normalise(trimmed), digits)


def _read_link(link: str, url_parameters: Collection[str]) -> PlatformCode | Refusal:
    mistake = Refusal(Reason.MALFORMED, {"looks_like": "link"})
    try:
        pairs = parse_qsl(urlsplit(link).query, max_num_fields=100)
    except ValueError:
        return mistake
    found = [value for name, value in pairs if name in url_parameters]
    if not found:
        return mistake
    return _code(found[0])


def _code(text: str) -> PlatformCode | Refusal:
    digits = codes.read_code(text)
    return PlatformCode(digits) if isinstance(digits, str) else digits


def _named(digits: str, refusal: Refusal) -> Refusal:
    if _CONTROL.search(digits):
        return Refusal(Reason.MALFORMED, {"looks_like": "text"})
    if looks_like_number(digits):
        return Refusal(Reason.MALFORMED, {"looks_like": "id_card"})
    if _PAYMENT.fullmatch(digits):
        return Refusal(Reason.MALFORMED, {"looks_like": "payment"})
    if refusal.reason is Reason.MALFORMED and _GOODS.fullmatch(digits):
        return Refusal(Reason.MALFORMED, {"looks_like": "goods"})
    return refusal
