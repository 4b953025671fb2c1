"""Issuer patterns: what some issuers and readers put around a code (hardware notes 5.3).

Responsible for: taking a code out of a text by a pattern such as `qr{code}` or
`https://v.example/v/{code}*`. Not responsible for: judging the code, or who configures what. A
pattern is a plain text with `{code}` where the digits are and at most one `*` for anything, rather
than a regular expression, so that no setting can hold the counter up. Case does not matter.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

FORM: Final = r"^(?!.*\*.*\*)[^{}]*\{code\}[^{}]*$"
"""What a pattern looks like, for who reads settings."""

_CODE: Final = r"([0-9][0-9 -]{3,38})"


def code_in(text: str, patterns: Iterable[str]) -> str | None:
    """What stands where the first fitting pattern has its code, or None."""
    fits = (_compiled(pattern).fullmatch(text) for pattern in patterns)
    return next((found[1] for found in fits if found is not None), None)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    assert re.fullmatch(FORM, pattern), "settings are checked when they are read"
    before, after = (re.escape(part).replace(r"\*", ".*") for part in pattern.split("{code}"))
    return re.compile(before + _CODE + after, re.IGNORECASE | re.DOTALL)
