"""Forks: two histories under one name.

Responsible for: finding where an upload and what is stored part, keeping the other branch and
listing it. Not responsible for: what people do about it. Invariants: nothing of a branch is applied
or dropped; a stream that has forked takes no new entries, and its terminal is fenced until it is
paired again.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import select, update

from central import alarms, schema
from central.arriving import Upload
from central.service import Central, Work
from vouchers import entries, ids, times
from vouchers.entries import Kind
from vouchers.fields import EntryError

_MOVES: Final = (Kind.REDEEMED, Kind.REVERSED)
_PORTION: Final = 1_000


def first_difference(work: Work, stream: Any, upload: Upload, hashes: Sequence[str]) -> int | None:
    """The first sequence at which the upload and what is stored disagree, or None."""
    table = schema.entries
    stored = (
        {0: stream.first_prev, stream.seq: stream.head} if stream.seq else {0: stream.first_prev}
    )
    if upload.first <= stream.seq:
        rows = work.connection.execute(
            select(table.c.seq, table.c.hash).where(
                table.c.merchant == work.merchant,
                table.c.posid == upload.posid,
                table.c.epoch == upload.epoch,
                table.c.seq.between(upload.first - 1, upload.first + len(hashes) - 1),
            )
        )
        stored |= {row.seq: row.hash for row in rows}
    sent = dict(enumerate([upload.prev, *hashes], start=upload.first - 1))
    return next((seq for seq in sorted(sent) if stored.get(seq, sent[seq]) != sent[seq]), None)


def continues_branch(work: Work, upload: Upload) -> bool:
    """Whether the upload goes on where a branch that is kept ends, past what is stored."""
    table = schema.branches
    before = select(table.c.seq).where(
        table.c.merchant == work.merchant,
        table.c.posid == upload.posid,
        table.c.epoch == upload.epoch,
        table.c.seq == upload.first - 1,
        table.c.hash == upload.prev,
    )
    return work.connection.execute(before).first() is not None


def keep_branch(
    central: Central, work: Work, upload: Upload, hashes: Sequence[str], differs: int
) -> None:
    """Keep the entries from `differs` on as a branch, fence the terminal and raise an alarm."""
    table, terminal, stream = schema.branches, schema.terminals, schema.streams
    lines = list(enumerate(zip(hashes, upload.bodies, strict=True), start=upload.first))
    kept = {
        (row.seq, row.hash)
        for row in work.connection.execute(
            select(table.c.seq, table.c.hash).where(
                table.c.merchant == work.merchant,
                table.c.posid == upload.posid,
                table.c.epoch == upload.epoch,
                table.c.seq >= upload.first,
            )
        )
    }
    fresh = [
        {
            "merchant": work.merchant,
            "posid": upload.posid,
            "epoch": upload.epoch,
            "seq": seq,
            "hash": digest,
            "body": body.encode(),
            "received_at": work.now,
        }
        for seq, (digest, body) in lines
        if seq >= differs and (seq, digest) not in kept
    ]
    if fresh:
        work.connection.execute(table.insert(), fresh)
    mine = (stream.c.merchant == work.merchant, stream.c.posid == upload.posid)
    work.connection.execute(
        update(stream)
        .where(*mine, stream.c.epoch == upload.epoch, stream.c.forked_at.is_(None))
        .values(forked_at=differs)
    )
    work.connection.execute(
        update(terminal)
        .where(
            terminal.c.merchant == work.merchant,
            terminal.c.posid == upload.posid,
            terminal.c.epoch == upload.epoch,
            terminal.c.state == "active",
        )
        .values(state="fenced")
    )
    if fresh:
        words = f"epoch {upload.epoch} differs from seq {differs}"
        alarms.raise_alarm(central, work, "fork", upload.posid, words)


def kept_apart(work: Work) -> Iterator[dict[str, object]]:
    """The redemptions and reversals of every branch, by terminal and number; none is booked.

    Two histories number alike: `hash` tells them apart (its first 16 digits stand on the slip), and
    `serial` is also that of the entry that was booked, if there is one.
    """
    table, stream = schema.branches, schema.streams
    rows = work.connection.execute(
        select(table, stream.c.outlet)
        .join(
            stream,
            (stream.c.merchant == table.c.merchant)
            & (stream.c.posid == table.c.posid)
            & (stream.c.epoch == table.c.epoch),
        )
        .where(table.c.merchant == work.merchant)
        .order_by(table.c.posid, table.c.epoch, table.c.seq, table.c.hash)
        .execution_options(yield_per=_PORTION)
    )
    for row in rows:
        said = _said(bytes(row.body))
        if said is None or said.kind in _MOVES:
            yield _row(row, said)


def _said(body: bytes) -> entries.Entry | None:
    """What an entry says; None where it cannot be read, which somebody must hear of too."""
    with contextlib.suppress(EntryError, UnicodeDecodeError):
        return entries.read_entry(body.decode())
    return None


def _row(row: Any, said: entries.Entry | None) -> dict[str, object]:
    data = {} if said is None else said.data
    return {
        "serial": ids.serial(row.posid, row.epoch, row.seq),
        "posid": row.posid,
        "outlet": row.outlet,
        "hash": row.hash,
        "kind": None if said is None else str(said.kind),
        "clerk": None if said is None else said.clerk,
        "at": None if said is None else times.format_utc(said.at),
        "received_at": times.format_utc(row.received_at),
        **{name: data.get(name) for name in ("voucher", "shares", "amount_fen", "reverses")},
    }
