"""What the feed may forget: vouchers that are long over, and rows that nobody needs any more.

Responsible for: taking vouchers out of the replicas `KEPT_DAYS` after they ended, deleting rows of
the feed that a newer one replaces, and tombstones that every terminal has had time to read. Not
responsible for: the pages (`feed`), or the ledger's own rows, which stay. Invariants: deleting a
replaced row changes no page's outcome; a deleted tombstone raises the bucket's `floor` in the same
transaction, so a terminal that has not read it is told 410 and takes a new snapshot; every
transaction is a portion, and running in two processes at once does nothing twice.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from sqlalchemy import delete, func, select, update

from central import ledger, schema, sealing
from central.database import retried
from central.service import Central, Work
from vouchers import times

KEPT_DAYS: Final = 90
"""Days that an ended voucher stays known by name at the counters, and a tombstone in the feed."""

_PORTION: Final = 1_000
MARK: Final = "feed"
"""Counters `feed:BUCKET:DAY` remember where a bucket's head was, because rows carry no time."""


def run(central: Central) -> int:
    """Forget all that may be forgotten; answers the vouchers and feed rows that went."""
    gone = 0
    while portion := retire(central):
        gone += portion
    for bucket in _buckets(central):
        gone += _drop_replaced(central, bucket)
        _mark(central, bucket)
        while portion := _drop_tombstones(central, bucket):
            gone += portion
    return gone


@retried
def retire(central: Central, limit: int = _PORTION) -> int:
    """Take up to `limit` vouchers out of the replicas; answers how many went."""
    with central.write() as work:
        found = ledger.find_all(work, _over(work, limit), lock=True)
        over = [voucher for voucher in found.values() if not voucher.retired]
        ledger.retire_all(work, over)
        sealing.forget(work, [voucher.voucher for voucher in over])
    return len(over)


def _over(work: Work, limit: int) -> list[str]:
    """Vouchers that expired, or whose refund was paid, `KEPT_DAYS` ago or longer.

    Those that an ID card opens stay: a row missing among a person's would hide the others.
    """
    table, refund, row = schema.vouchers, schema.refunds, schema.sealed
    until = work.now - KEPT_DAYS * times.DAY_MS
    paid = (
        select(refund.c.voucher)
        .where(
            refund.c.merchant == work.merchant,
            refund.c.state == "paid",
            refund.c.settled_at < until,
        )
        .scalar_subquery()
    )
    by_card = (
        select(row.c.voucher)
        .where(row.c.merchant == work.merchant, row.c.generation == schema.CARD_ROW)
        .scalar_subquery()
    )
    rows = work.connection.execute(
        select(table.c.voucher)
        .where(
            table.c.merchant == work.merchant,
            table.c.bucket >= 0,
            table.c.state != "refunding",
            table.c.voucher.not_in(by_card),
            (table.c.valid_until < until)
            | ((table.c.state == "refunded") & table.c.voucher.in_(paid)),
        )
        .limit(limit)
    )
    return list(rows.scalars())


def _buckets(central: Central) -> list[int]:
    table = schema.feed_heads
    with central.read() as work:
        rows = work.connection.execute(
            select(table.c.bucket).where(table.c.merchant == work.merchant).order_by(table.c.bucket)
        )
        return list(rows.scalars())


def _drop_replaced(central: Central, bucket: int) -> int:
    """Delete the rows of a bucket that a newer row of the same item replaces."""
    dropped = 0
    replaced = _replaced(central, bucket)
    while seqs := list(islice(replaced, _PORTION)):
        dropped += _delete(central, bucket, seqs)
    return dropped


def _replaced(central: Central, bucket: int) -> Iterator[int]:
    table = schema.feed
    newest = func.max(table.c.seq).over(partition_by=(table.c.kind, table.c.ref))
    rows = (
        select(table.c.seq, newest.label("newest"))
        .where(table.c.merchant == central.merchant, table.c.bucket == bucket)
        .subquery()
    )
    query = select(rows.c.seq).where(rows.c.seq < rows.c.newest).order_by(rows.c.seq)
    with central.read() as work:
        found = work.connection.execute(query.execution_options(yield_per=_PORTION))
        yield from found.scalars()


@retried
def _delete(central: Central, bucket: int, seqs: Sequence[int]) -> int:
    table = schema.feed
    with central.write() as work:
        gone = work.connection.execute(
            delete(table).where(
                table.c.merchant == work.merchant,
                table.c.bucket == bucket,
                table.c.seq.in_(seqs),
            )
        )
        return gone.rowcount


@retried
def _mark(central: Central, bucket: int) -> None:
    """Remember today's head of a bucket, and forget marks older than the one that counts."""
    table, head = schema.counters, schema.feed_heads
    with central.write() as work:
        marks = _marks(work, bucket)
        today = work.now // times.DAY_MS
        if today not in marks:
            seq = work.connection.execute(
                select(head.c.seq).where(head.c.merchant == work.merchant, head.c.bucket == bucket)
            ).scalar_one()
            work.connection.execute(
                table.insert().values(
                    merchant=work.merchant, name=_mark_name(bucket, today), value=seq
                )
            )
        old = sorted(day for day in marks if day <= today - KEPT_DAYS)[:-1]
        work.connection.execute(
            delete(table).where(
                table.c.merchant == work.merchant,
                table.c.name.in_([_mark_name(bucket, day) for day in old]),
            )
        )


def _marks(work: Work, bucket: int) -> dict[int, int]:
    table = schema.counters
    rows = work.connection.execute(
        select(table).where(
            table.c.merchant == work.merchant, table.c.name.like(f"{MARK}:{bucket}:%")
        )
    )
    return {int(row.name.rsplit(":", 1)[1]): int(row.value) for row in rows}


def _mark_name(bucket: int, day: int) -> str:
    return f"{MARK}:{bucket}:{day}"


@retried
def _drop_tombstones(central: Central, bucket: int) -> int:
    """Delete a portion of the tombstones older than `KEPT_DAYS`, and raise the floor to them."""
    table, head = schema.feed, schema.feed_heads
    with central.write() as work:
        day = work.now // times.DAY_MS - KEPT_DAYS
        until = max((seq for at, seq in _marks(work, bucket).items() if at <= day), default=0)
        old = (table.c.merchant == work.merchant) & (table.c.bucket == bucket)
        old &= (table.c.removed == 1) & (table.c.seq <= until)
        seqs = list(
            work.connection.execute(
                select(table.c.seq).where(old).order_by(table.c.seq).limit(_PORTION)
            ).scalars()
        )
        if not seqs:
            return 0
        work.connection.execute(
            update(head)
            .where(head.c.merchant == work.merchant, head.c.bucket == bucket)
            .values(floor=seqs[-1])
        )
        gone = work.connection.execute(delete(table).where(old, table.c.seq <= seqs[-1]))
        return gone.rowcount
