"""Forks: two histories under one name.

Responsible for: finding where an upload and what is stored part, and keeping the other branch. Not
responsible for: what people do about it. Invariants: nothing of a branch is applied or dropped; a
stream that has forked takes no new entries, and its terminal is fenced until it is paired again.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update

from central import alarms, schema
from central.arriving import Upload
from central.service import Central, Work


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
