"""What central holds of a terminal's journal, for that terminal when its disk was lost or put back.

Responsible for: the epochs of a POSID, signed for, and their entries in pages that end with a
signature. Not responsible for: who may ask (`auth`), or what the terminal makes of it. Invariants:
bodies go back as they came; nothing is given out that no signature covers, and no signature that is
known to be wrong.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import case, select

from central import schema
from central.keys import Keyring
from central.service import Work
from sync import acks
from sync.journal_messages import HeldEntry, HeldEpoch, HeldJournal, HeldPage, Said
from sync.limits import BATCH_ENTRIES_MAX, HELD_PAGE_BYTES_MAX
from vouchers import ids
from vouchers.booking import Verdict

_PAGE: Final = BATCH_ENTRIES_MAX
"""A batch has no more entries than this, so among as many stands the end of one."""


def held(work: Work, ring: Keyring, posid: str) -> HeldJournal:
    """The epochs of a terminal, oldest first."""
    table, terminal = schema.streams, schema.terminals
    about = work.connection.execute(
        select(terminal.c.about).where(
            terminal.c.merchant == work.merchant, terminal.c.posid == posid
        )
    ).scalar()
    said = json.loads(about or "{}").get("head") or {}
    rows = work.connection.execute(
        select(table)
        .where(table.c.merchant == work.merchant, table.c.posid == posid)
        .order_by(table.c.epoch)
    )
    return HeldJournal(epochs=tuple(_epoch(work, ring, row, said) for row in rows))


def _epoch(work: Work, ring: Keyring, row: Any, said: dict[str, Any]) -> HeldEpoch:
    signed = None
    if row.seq:
        text = acks.compose_ack(row.posid, row.epoch, row.seq, head=row.head, at_ms=work.now)
        signed = acks.sign(acks.ACK_DOMAIN, text, kid=ring.sign_kid, key=ring.sign)
    mine = said.get("epoch") == row.epoch and "hash" in said
    return HeldEpoch(
        epoch=row.epoch,
        public_key=ids.b64u(row.public_key),
        previous_head=row.previous_head,
        first_prev=row.first_prev,
        seq=row.seq,
        head=row.head,
        ack=None if signed is None else signed.text,
        kid=0 if signed is None else signed.kid,
        sig=None if signed is None else signed.sig,
        said=Said(seq=said["seq"], hash=said["hash"]) if mine else None,
        forked_at=row.forked_at,
    )


def page(work: Work, posid: str, epoch: int, after: int) -> HeldPage:
    """Entries of an epoch after a sequence, up to the last one on the page that is signed."""
    table, booked = schema.entries, schema.bookings
    is_wrong = booked.c.barred == str(Verdict.BAD_SIGNATURE)
    rows = work.connection.execute(
        select(table.c.body, case((is_wrong, None), else_=table.c.sig).label("sig"))
        .outerjoin(
            booked,
            (booked.c.merchant == table.c.merchant)
            & (booked.c.posid == table.c.posid)
            & (booked.c.epoch == table.c.epoch)
            & (booked.c.seq == table.c.seq),
        )
        .where(
            table.c.merchant == work.merchant,
            table.c.posid == posid,
            table.c.epoch == epoch,
            table.c.seq > after,
        )
        .order_by(table.c.seq)
        .limit(_PAGE + 1)
    ).all()
    kept = rows[: _signed_end(rows[:_PAGE])]
    return HeldPage(
        entries=tuple(
            HeldEntry(
                body=row.body.decode(), sig=None if row.sig is None else ids.b64u(bytes(row.sig))
            )
            for row in kept
        ),
        more=len(rows) > len(kept) > 0,
    )


def _signed_end(rows: Sequence[Any]) -> int:
    """How many of the rows go on the page: within its size, the last of them signed."""
    room, end = HELD_PAGE_BYTES_MAX, 0
    for index, row in enumerate(rows, start=1):
        room -= len(row.body)
        if room < 0 and end:
            break
        if row.sig is not None:
            end = index
    return end
