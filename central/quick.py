"""Reading redemptions fast: most of what arrives is exactly what our terminals write.

Responsible for: reading such a body in a tenth of the time. Not responsible for: judging what is
not quite like it; that is left to `vouchers.entries`, which knows every kind and says what is
wrong. Invariant: what is read here, `entries.read_entry` and `read_redemption` read alike, as the
next entry of the chain; None says nothing about a body.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from vouchers import entries, ids, times
from vouchers.entries import Kind, Redemption, Reversal, Totals
from vouchers.limits import SAFE_INTEGER_MAX, SHARES_MAX

_Whole = Annotated[int, Meta(ge=0, le=SAFE_INTEGER_MAX)]


class _Totals(Struct, forbid_unknown_fields=True, gc=False):
    amount_fen: _Whole
    redemptions: _Whole
    reversals: _Whole
    reversed_fen: _Whole
    reversed_shares: _Whole
    shares: _Whole


class Redeemed(Struct, forbid_unknown_fields=True, gc=False):
    """The data of a redemption, named as in `entries.Redemption`."""

    amount_fen: _Whole
    claim: str | None
    credential: str
    evidence: str
    generation: _Whole
    left: _Whole
    mode: str
    product: _Whole
    replica_version: str | None
    request: str | None
    serial: str
    shares: Annotated[int, Meta(ge=1, le=SHARES_MAX)]
    successor: bool
    voucher: str


class _Body(Struct, forbid_unknown_fields=True, gc=False):
    """The fields in the order in which they are written: ascending."""

    at: str
    auth: str
    boot: str
    clerk: str
    clock: str
    data: Redeemed
    epoch: _Whole
    kind: Literal["redeemed"]
    merchant: _Whole
    mono_ms: _Whole
    posid: str
    prev: str
    seq: _Whole
    shift: str | None
    totals: _Totals
    v: Literal[1]


class Said(Struct, gc=False):
    """What an entry says, as far as it is booked. `at` is milliseconds UTC."""

    kind: str
    at: int
    clock: str
    clerk: str
    totals: Totals
    moved: Redemption | Reversal | Redeemed | None


_DECODER: Final = msgspec.json.Decoder(_Body)
_ENCODER: Final = msgspec.json.Encoder()


def read(raw: bytes, chain: tuple[str, int], seq: int, prev: str, totals: Totals) -> Said | None:
    """A redemption as entry `seq` of the chain (POSID, epoch), or None: it needs a closer look."""
    try:
        body = _DECODER.decode(raw)
        at = times.parse_utc(body.at)
    except (msgspec.MsgspecError, ValueError):
        return None
    after = totals.redeemed(body.data.shares, body.data.amount_fen)
    follows = (body.posid, body.epoch, body.seq, body.prev) == (*chain, seq, prev)
    if not follows or not _same(body.totals, after):
        return None
    # Texts and whole numbers have one form each, so what is written again alike is canonical.
    if not _is_in_order(body, ids.serial(*chain, seq)) or _ENCODER.encode(body) != raw:
        return None
    return Said(Kind.REDEEMED, at, body.clock, body.clerk, after, body.data)


def _same(found: _Totals, due: Totals) -> bool:
    return (
        found.redemptions == due.redemptions
        and found.shares == due.shares
        and found.amount_fen == due.amount_fen
        and found.reversals == due.reversals
        and found.reversed_shares == due.reversed_shares
        and found.reversed_fen == due.reversed_fen
    )


def _is_in_order(body: _Body, serial: str) -> bool:
    data = body.data
    return (
        data.serial == serial
        and body.clock in entries.CLOCKS
        and body.auth in entries.AUTHS
        and data.credential in entries.CREDENTIALS
        and data.evidence in entries.EVIDENCES
        and data.mode in entries.MODES
        and ids.is_uuid(data.voucher)
    )
