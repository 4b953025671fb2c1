"""Every bound of the rules in one place, each with its reason.

Responsible for: the numbers that limit codes, counts and texts on both sides. Not responsible for:
what an owner may set; that is policy. Invariant: nothing here changes without a new version of the
contract it belongs to.
"""

from typing import Final

CODE_DIGITS_MIN: Final = 6
"""EV-045: a platform code has 6 to 11 places."""

CODE_DIGITS_MAX: Final = 11
"""EV-045. 11 places are also the length of a mobile number: see `codes.looks_like_mobile`."""

LAST4_DIGITS: Final = 4
"""EV-041: the last four digits of the mobile that received the code."""

CREDENTIAL_CHARS_MAX: Final = 4096
"""A scan is at most this long (the framer resynchronises there); longer text is malformed."""

SHARES_MAX: Final = 9_999
"""Shares on one voucher: more than any product sells, four digits on a slip."""

HORIZON_RESERVE: Final = 8
"""Generations kept in reserve beyond the shares, so that reversals never run out (decision 10)."""

HORIZON_SHARES_MAX: Final = 16
"""Shares that count towards the horizon: central reserves at most this many codes and the rest."""

NOTE_CHARS_MAX: Final = 80
"""A note of a clerk; it never enters the journal (design, section 6)."""

SERIAL_CHARS_MAX: Final = 100
"""AX-01: a redemption serial has 1 to 100 characters of a-z A-Z 0-9 _."""

SAFE_INTEGER_MAX: Final = 2**53 - 1
"""Largest integer a canonical document may hold: every JSON reader keeps it exact."""

CANONICAL_DEPTH_MAX: Final = 16
"""Nesting of a canonical document; entries need four levels."""

QR_CHARS_MAX: Final = 600
"""A signed QR has about 200 characters; anything three times as long is not one of ours."""

LATE_TOLERANCE_MS: Final = 10 * 60 * 1000
"""Decision 8: a recorded time may miss the validity by ten minutes before it is `late`."""
