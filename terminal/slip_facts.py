"""What a slip will say, as the print job keeps it.

Responsible for: the facts and their JSON. Not responsible for: wording or layout (`slips`).
Invariant: no code and no last four digits; the successor code is a column of its own, overwritten
when the slip is confirmed (design, section 6, "Print job").
"""

from typing import Literal

import msgspec


class SlipFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One redemption or reversal. Times are milliseconds UTC; `head` is the entry's hash."""

    kind: Literal["redeemed", "reversed"]
    serial: str
    posid: str
    outlet_name: str
    merchant_name: str
    clerk: str
    product_name: str
    shares: int
    left: int
    at: int
    valid_until: int
    mode: str
    head: str
    time_zone: str
    slip_text: str | None = None
    successor: bool = False
    reverses: str | None = None


def to_json(facts: SlipFacts) -> str:
    """The text a print job keeps."""
    return msgspec.json.encode(facts).decode()


def from_json(text: str) -> SlipFacts:
    """Read it back; our own text, so anything else is a bug."""
    return msgspec.json.decode(text, type=SlipFacts)
