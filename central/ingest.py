"""Ingest: a batch of journal entries becomes part of the ledger, once.

Responsible for: the chain, the last signature, storing entries verbatim, finding forks, and having
the touched vouchers booked, all in one transaction (design, section 7). Not responsible for: HTTP,
or the verdicts themselves. Invariants: (posid, epoch, seq) is stored once; nothing is stored past
a gap; an entry is a fact, so what cannot be read is quarantined and acknowledged, never refused;
a branch that differs from what is stored is kept apart and applied nowhere.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select, update

from central import alarms, arriving, booking, bulk, claims, forks, policies, schema
from central.arriving import Line, Upload
from central.claims import Claimant
from central.database import retried
from central.service import Central, Work
from vouchers.times import HOUR_MS


@dataclass(frozen=True, slots=True)
class Held:
    """Central holds the stream up to `up_to`, whose hash is `head`; `added` entries were new.

    `buckets` are those whose feed this batch moved.
    """

    up_to: int
    head: str
    at: int
    added: int
    buckets: frozenset[int]


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries are missing before the first one sent: `expected` is what central wants next."""

    expected: int


@dataclass(frozen=True, slots=True)
class Forked:
    """Two histories under one name, apart from sequence `at` on; nothing was applied."""

    at: int


@dataclass(frozen=True, slots=True)
class UnknownStream:
    """No terminal was enrolled with this POSID and epoch."""


@retried
def ingest(central: Central, upload: Upload) -> Held | Gap | Forked | UnknownStream:
    """Take a batch. The same batch again, or one that overlaps, changes nothing twice."""
    with central.write() as work:
        stream = _stream(work, upload)
        if stream is None:
            return UnknownStream()
        if upload.first > stream.seq + 1:
            return Gap(stream.seq + 1)
        hashes = upload.hashes()
        differs = forks.first_difference(work, stream, upload, hashes)
        new = max(0, stream.seq + 1 - upload.first)
        if differs is None and stream.forked_at is not None and new < len(hashes):
            differs = stream.seq + 1
        if differs is not None:
            forks.keep_branch(central, work, upload, hashes, differs)
            return Forked(differs)
        lines = arriving.read_new(stream, upload, hashes, new)
        if lines:
            _apply(central, work, stream, lines)
        last = lines[-1] if lines else None
        return Held(
            up_to=last.seq if last else stream.seq,
            head=last.hash if last else stream.head,
            at=work.now,
            added=len(lines),
            buckets=frozenset(change.bucket for change in work.changes),
        )


def _stream(work: Work, upload: Upload) -> Any:
    table = schema.streams
    return work.connection.execute(
        select(table)
        .where(
            table.c.merchant == work.merchant,
            table.c.posid == upload.posid,
            table.c.epoch == upload.epoch,
        )
        .with_for_update()
    ).one_or_none()


def _apply(central: Central, work: Work, stream: Any, lines: Sequence[Line]) -> None:
    # Never before what the stream already holds, so that entries of one terminal keep their order.
    received = max(work.now, stream.entered_at)
    _store_entries(work, stream, lines, received)
    long_ms = policies.current(work).offline.max_hours.home * HOUR_MS
    found = [arriving.booking_row(work.merchant, stream, line, received, long_ms) for line in lines]
    rows = [row for row in found if row is not None]
    _settle_claims(work, stream, lines, rows)
    booking.book(work, rows)
    barred = [line for line in lines if line.barred is not None]
    if barred:
        words = (
            f"epoch {stream.epoch} seq {barred[0].seq}: {barred[0].barred}, {len(barred)} in all"
        )
        alarms.raise_alarm(central, work, str(barred[0].barred), stream.posid, words)
    _advance(work, stream, lines, received)


def _store_entries(work: Work, stream: Any, lines: Sequence[Line], received: int) -> None:
    bulk.insert(
        work.connection,
        schema.entries,
        [
            {
                "merchant": work.merchant,
                "posid": stream.posid,
                "epoch": stream.epoch,
                "seq": line.seq,
                "hash": line.hash,
                "body": line.body.encode(),
                "sig": line.sig,
                "kind": str(line.entry.kind) if line.entry else arriving.QUARANTINED,
                "received_at": received,
            }
            for line in lines
        ],
    )


def _advance(work: Work, stream: Any, lines: Sequence[Line], received: int) -> None:
    table = schema.streams
    read = [line.entry for line in lines if line.entry is not None]
    totals = json.dumps(asdict(read[-1].totals)) if read else stream.totals
    work.connection.execute(
        update(table)
        .where(
            table.c.merchant == work.merchant,
            table.c.posid == stream.posid,
            table.c.epoch == stream.epoch,
        )
        .values(seq=lines[-1].seq, head=lines[-1].hash, totals=totals, entered_at=received)
    )


def _settle_claims(
    work: Work, stream: Any, lines: Sequence[Line], rows: Sequence[dict[str, object]]
) -> None:
    """Consume the claims that the entries name; one that was never granted counts for nothing."""
    latest = max((line.entry.at for line in lines if line.entry), default=0)
    who = Claimant(stream.posid, stream.epoch, stream.outlet, stream.seq)
    named = [row for row in rows if row["claim"] is not None]
    granted = claims.consume(work, who, {str(row["claim"]) for row in named})
    for row in named:
        if granted.pop(str(row["claim"]), None) != row["voucher"]:
            row["claim"] = None
    claims.release_passed(work, who, latest)


def head_seq(work: Work, posid: str, epoch: int) -> int:
    """The last sequence that central holds of a stream, 0 if none."""
    table = schema.streams
    found = work.connection.execute(
        select(table.c.seq).where(
            table.c.merchant == work.merchant, table.c.posid == posid, table.c.epoch == epoch
        )
    ).scalar()
    return int(found or 0)
