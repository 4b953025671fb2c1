"""The part of an entry that the chain is made of, read quickly.

Responsible for: passing an entry that follows its predecessor, at every start and for every entry
there is. Not responsible for: signatures, for the rest of a body, or for saying what is wrong: an
entry that is not passed here is read whole by `vouchers.entries`, whose word counts. Invariant:
what is passed has the hash, the place, the predecessor and the totals that it should have.
"""

from typing import Final, Literal

import msgspec

from terminal.journal import Stored
from vouchers import entries
from vouchers.entries import Kind, Totals


class _Amounts(msgspec.Struct, frozen=True):
    shares: int = 0
    amount_fen: int = 0


class _Link(msgspec.Struct, frozen=True):
    """As much of a body as the chain needs; the rest is passed over, not kept."""

    v: Literal[1]
    seq: int
    prev: str
    kind: Kind
    data: _Amounts
    totals: Totals


_read: Final = msgspec.json.Decoder(_Link).decode


def totals_after(stored: Stored, *, prev: str, seq: int, totals: Totals) -> Totals | None:
    """The totals after an entry that is the next of its chain; None when that is not plain."""
    if entries.entry_hash(stored.body) != stored.hash:
        return None
    try:
        link = _read(stored.body)
    except msgspec.MsgspecError:
        return None
    if link.seq != seq or link.prev != prev:
        return None
    if link.kind in (Kind.REDEEMED, Kind.REVERSED):
        added = {"shares": link.data.shares, "amount_fen": link.data.amount_fen}
        totals = totals.after(link.kind, added)
    return totals if link.totals == totals else None
