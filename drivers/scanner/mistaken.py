"""What was probably scanned by mistake, so that the counter can name it.

Responsible for: a name for goods barcodes, payment codes, phone numbers and web links. Pure. Not
responsible for: refusing anything. A name is a hint to show after a code did not open: some issuers
use 13 digits that look like a goods barcode, and only the symbology or the check digit tells.
Payment code ranges are general trade knowledge (18 digits, 25 to 30 one wallet, 10 to 15 another).
"""

from collections.abc import Iterable
from enum import StrEnum
from urllib.parse import parse_qsl, urlsplit

from drivers.scanner.aim import GOODS_SYMBOLOGIES
from drivers.scanner.scan import Scan

LINK_CHARS_MAX = 2_048


class Mistake(StrEnum):
    """What it looks like."""

    GOODS = "goods"
    PAYMENT = "payment"
    PHONE = "phone"
    LINK = "link"


def name_mistake(scan: Scan) -> Mistake | None:
    """The likely mistake, or None."""
    text = scan.text.strip()
    if scan.symbology in GOODS_SYMBOLOGIES:
        return Mistake.GOODS
    if text.lower().startswith(("http://", "https://")):
        return Mistake.LINK
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text) == 18 and (10 <= int(text[:2]) <= 15 or 25 <= int(text[:2]) <= 30):
        return Mistake.PAYMENT
    if len(text) == 11 and 13 <= int(text[:2]) <= 19:
        return Mistake.PHONE
    return Mistake.GOODS if len(text) in (8, 12, 13) and goods_check_digit_fits(text) else None


def goods_check_digit_fits(digits: str) -> bool:
    """EAN-8, UPC-A or EAN-13: weights 3 and 1 from the right."""
    total = sum(
        int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits))
    )
    return total % 10 == 0


def link_parameter(text: str, names: Iterable[str]) -> str | None:
    """The value of the first configured parameter of a web link. The link is never opened."""
    if len(text) > LINK_CHARS_MAX or not text.lower().startswith(("http://", "https://")):
        return None
    try:
        parameters = dict(parse_qsl(urlsplit(text).query))
    except ValueError:
        return None
    return next((parameters[name] for name in names if parameters.get(name)), None)
