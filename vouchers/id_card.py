"""Citizen numbers: what head office is given and what a card reader reads.

Responsible for: the check character, and the hash that upstream platforms deliver in the number's
place (AX-17). Not responsible for: reading cards (`drivers.idcard`), stretching (`sealed`).
Invariant: nothing here keeps, prints or puts into an error what it was given.
"""

import hashlib
import re
from typing import Final

_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS: Final = "10X98765432"
_BORN: Final = re.compile(r"[1-9]\d{5}(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", re.ASCII)
_HASH: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


def number_valid(number: str) -> bool:
    """Whether an 18-character citizen number has the right check character (mod 11)."""
    if len(number) != 18 or not (number[:17].isascii() and number[:17].isdigit()):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    return _CHECKS[total % 11] == number[17].upper()


def looks_like_number(text: str) -> bool:
    """Whether a text is a citizen number rather than another long number: a date of birth and the
    check character are right. Some payment codes are as long and begin alike.
    """
    return _BORN.match(text) is not None and number_valid(text)


def upstream_hash(number: str) -> str:
    """The lower-case hex MD5 of the upper-case number: how upstream platforms name a person."""
    return hashlib.md5(number.upper().encode(), usedforsecurity=False).hexdigest()


def read_id_card(text: str) -> str | None:
    """The upstream hash of a citizen number, or of a hash itself; None for anything else."""
    plain = text.strip().lower()
    if _HASH.fullmatch(plain):
        return plain
    return upstream_hash(plain) if number_valid(plain) else None
