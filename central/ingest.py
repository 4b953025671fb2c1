"""Ingest: batches of journal entries become part of the ledger, once.

Responsible for: the chain, the last signature, storing entries verbatim, finding forks, and having
the touched vouchers booked, all in one transaction (design, section 7). Not responsible for: HTTP,
or the verdicts themselves. Invariants: (posid, epoch, seq) is stored once; nothing is stored past
a gap; an entry is a fact, so what cannot be read is quarantined and acknowledged, never refused;
a branch that differs from what is stored is kept apart and applied nowhere; what becomes of an
upload does not depend on those that share its transaction.
"""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import bindparam, select, tuple_

from central import alarms, arriving, booking, bulk, claims, filling, forks, policies, schema
from central.arriving import Line, Upload
from central.booked import QUARANTINED, Booked
from central.booking import Results
from central.database import Collision, KeyTaken, retried
from central.service import Central, Work
from vouchers.entries import Totals
from vouchers.times import HOUR_MS


@dataclass(frozen=True, slots=True)
class Held:
    """Central holds the stream up to `up_to`, whose hash is `head`; `added` entries were new.

    `buckets` are those whose feed this batch moved, `booked` its new bookings by sequence. From
    `apart` on, if not None, it is a branch on which a person has decided.
    """

    up_to: int
    head: str
    at: int
    added: int
    buckets: frozenset[int]
    booked: tuple[Booked, ...]
    apart: int | None = None


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


Taken = Held | Gap | Forked | UnknownStream


@dataclass(frozen=True, slots=True)
class Batch:
    """New entries of a stream that is locked, and its totals after them.

    `received` is when they came, milliseconds UTC.
    """

    stream: Any
    lines: Sequence[Line]
    totals: Totals
    received: int


def ingest(central: Central, upload: Upload) -> Taken:
    """Take a batch. The same batch again, or one that overlaps, changes nothing twice."""
    (taken,) = ingest_all(central, [upload])
    return taken


def ingest_all(central: Central, uploads: Sequence[Upload]) -> list[Taken]:
    """Take batches of different streams in one transaction; answers what became of each."""
    with contextlib.suppress(Collision, KeyTaken):
        return take(central, uploads, hopeful=True)
    return _take_without_hope(central, uploads)


@retried
def _take_without_hope(central: Central, uploads: Sequence[Upload]) -> list[Taken]:
    return take(central, uploads, hopeful=False)


def take(central: Central, uploads: Sequence[Upload], *, hopeful: bool) -> list[Taken]:
    """One try of `ingest_all`, `hopeful` as in `booking`. Raises Collision and KeyTaken."""
    assert len({(upload.posid, upload.epoch) for upload in uploads}) == len(uploads)
    hashed = [upload.hashes() for upload in uploads]
    with central.write() as work:
        streams = _locked_streams(work, uploads)
        found = [
            _examined(central, work, streams.get((upload.posid, upload.epoch)), upload, hashes)
            for upload, hashes in zip(uploads, hashed, strict=True)
        ]
        new = [one for one in found if isinstance(one, Batch) and one.lines]
        results = _apply(central, work, new, hopeful=hopeful)
        return [_held(work, one, results) if isinstance(one, Batch) else one for one in found]


# Made once, as every upload asks.
_STREAMS: Final = (
    select(schema.streams)
    .where(
        schema.streams.c.merchant == bindparam("merchant"),
        tuple_(schema.streams.c.posid, schema.streams.c.epoch).in_(bindparam("of", expanding=True)),
    )
    .order_by(schema.streams.c.posid, schema.streams.c.epoch)
    .with_for_update()
)


def _locked_streams(work: Work, uploads: Sequence[Upload]) -> dict[tuple[str, int], Any]:
    """The streams by POSID and epoch, locked in this order: all of a terminal waits for its row."""
    asked = {"merchant": work.merchant, "of": [(one.posid, one.epoch) for one in uploads]}
    rows = work.connection.execute(_STREAMS, asked)
    return {(row.posid, row.epoch): row for row in rows}


def _examined(
    central: Central, work: Work, stream: Any, upload: Upload, hashes: Sequence[str]
) -> Batch | Taken:
    if stream is None:
        return UnknownStream()
    if upload.first > stream.seq + 1:
        if stream.forked_at is None or not forks.continues_branch(work, upload):
            return Gap(stream.seq + 1)
        decided = forks.keep_branch(central, work, upload, stream, hashes, upload.first)
        return _apart(work, upload, hashes, upload.first) if decided else Forked(stream.forked_at)
    differs = forks.first_difference(work, stream, upload, hashes)
    new = max(0, stream.seq + 1 - upload.first)
    if differs is None and stream.forked_at is not None and new < len(hashes):
        differs = stream.seq + 1
    if differs is not None:
        decided = forks.keep_branch(central, work, upload, stream, hashes, differs)
        return _apart(work, upload, hashes, differs) if decided else Forked(differs)
    if new:
        filling.fill_in(work, stream, upload, hashes)
    # Never before what the stream already holds, so that entries of one terminal keep their order.
    received = max(work.now, stream.entered_at)
    lines, totals = arriving.read_new(stream, upload, hashes, new)
    if lines and lines[0].said is None and _ends_unread(work, stream):
        lines, totals = arriving.read_new(stream, upload, hashes, new, unread=True)
    return Batch(stream, lines, totals, received)


def _ends_unread(work: Work, stream: Any) -> bool:
    """Whether the last entry of a stream could not be read, or is here by its hash alone."""
    table = schema.entries
    kind = work.connection.execute(
        select(table.c.kind).where(
            table.c.merchant == work.merchant,
            table.c.posid == stream.posid,
            table.c.epoch == stream.epoch,
            table.c.seq == stream.seq,
        )
    ).scalar()
    return bool(kind == QUARANTINED)


def _apart(work: Work, upload: Upload, hashes: Sequence[str], differs: int) -> Held:
    """A branch on which a person has decided: it need not be kept for us (decision 0027)."""
    last = upload.first + len(hashes) - 1
    return Held(last, hashes[-1], work.now, 0, frozenset(), (), apart=max(differs, upload.first))


def _held(work: Work, batch: Batch, results: Results) -> Held:
    stream, lines = batch.stream, batch.lines
    booked = results.fresh.get((stream.posid, stream.epoch), [])
    vouchers = (results.vouchers.get(row.voucher) for row in booked)
    return Held(
        up_to=lines[-1].seq if lines else stream.seq,
        head=lines[-1].hash if lines else stream.head,
        at=work.now,
        added=len(lines),
        buckets=frozenset(v.bucket for v in vouchers if v is not None and not v.retired),
        booked=tuple(sorted(booked, key=lambda row: row.seq)),
    )


def _apply(central: Central, work: Work, batches: Sequence[Batch], *, hopeful: bool) -> Results:
    if not batches:
        return Results({})
    long_ms = policies.current(work).offline.max_hours.home * HOUR_MS
    rows = [
        row
        for batch in batches
        for row in arriving.booking_rows(
            work.merchant, batch.stream, batch.lines, batch.received, long_ms
        )
    ]
    _settle_claims(work, batches, rows)
    with booking.drafting(work, rows, hopeful=hopeful) as drafted:
        ready = _entries(work, batches)
        draft = drafted()
    with bulk.inserting(work.connection, ready):
        draft.hope()
    results = booking.write(work, draft)
    for batch in batches:
        _raise_alarm(central, work, batch)
    _advance(work, batches)
    return results


def _raise_alarm(central: Central, work: Work, batch: Batch) -> None:
    barred = [line for line in batch.lines if line.barred is not None]
    if barred:
        first, stream = barred[0], batch.stream
        words = f"epoch {stream.epoch} seq {first.seq}: {first.barred}, {len(barred)} in all"
        alarms.raise_alarm(central, work, str(first.barred), stream.posid, words)


def _entries(work: Work, batches: Sequence[Batch]) -> bulk.Ready | None:
    rows = list[bulk.Row]()
    for batch in batches:
        stream, received = batch.stream, batch.received
        key = work.merchant, stream.posid, stream.epoch
        for line in batch.lines:
            kind = line.said.kind if line.said else QUARANTINED
            rows.append((*key, line.seq, line.hash, line.body, line.sig, kind, received))
    return bulk.ready(work.connection, schema.entries, _ENTRY, rows)


_ENTRY: Final = (
    "merchant",
    "posid",
    "epoch",
    "seq",
    "hash",
    "body",
    "sig",
    "kind",
    "received_at",
)


def _advance(work: Work, batches: Sequence[Batch]) -> None:
    rows = []
    for batch in batches:
        stream, last = batch.stream, batch.lines[-1]
        totals = json.dumps(asdict(batch.totals))
        key = work.merchant, stream.posid, stream.epoch
        rows.append((*key, last.seq, last.hash, totals, batch.received))
    bulk.update(work.connection, schema.streams, 3, _ADVANCED, rows)


_ADVANCED: Final = ("merchant", "posid", "epoch", "seq", "head", "totals", "entered_at")


def _settle_claims(work: Work, batches: Sequence[Batch], rows: Sequence[Booked]) -> None:
    claims.count(work, rows)
    latest = {
        (batch.stream.posid, batch.stream.epoch): max(
            (line.said.at for line in batch.lines if line.said), default=0
        )
        for batch in batches
    }
    claims.release_passed(work, latest)


_HEAD_SEQ: Final = select(schema.streams.c.seq).where(
    schema.streams.c.merchant == bindparam("merchant"),
    schema.streams.c.posid == bindparam("posid"),
    schema.streams.c.epoch == bindparam("epoch"),
)


def head_seq(work: Work, posid: str, epoch: int) -> int:
    """The last sequence that central holds of a stream, 0 if none."""
    named = {"merchant": work.merchant, "posid": posid, "epoch": epoch}
    return int(work.connection.execute(_HEAD_SEQ, named).scalar() or 0)
