"""Sealing: the rows by which a code and its last four digits open their voucher at a counter.

Responsible for: which generations must be sealed, stretching them, and the queue of what is still
to do. Not responsible for: the cryptography (`vouchers.sealed`). Invariants: nothing is stretched
inside a transaction; a row is never changed, only added or removed, but for the one where a
voucher's codes go on under another secret; the queue holds exactly what is wanted and missing, so
`sealed_through` can be told at any moment; two processes take different rows of it.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Table, bindparam, delete, func, select, update

from central import bulk, horizon, keys, leasing, ledger, schema
from central.database import retried
from central.ledger import Voucher
from central.service import Central, Work
from vouchers import ids, sealed
from vouchers.sealed import NONCE_BYTES, Record, Vault

CURRENT: Final = 0
NEXT: Final = 1

QUEUE_BATCH: Final = 64
"""Rows sealed between two transactions: two seconds of the default vault, so others get in."""


@dataclass(frozen=True, slots=True)
class Row:
    """A sealed row ready to be stored."""

    voucher: Voucher
    generation: int
    k: bytes
    record: bytes
    vault: int


@dataclass(frozen=True, slots=True)
class SealingReport:
    """How far sealing is: rows there, rows waiting, and the moment up to which all is sealed."""

    sealed: int
    waiting_current: int
    waiting_next: int
    sealed_through: int


def wanted(voucher: Voucher) -> tuple[int, ...]:
    """The generations that must be presentable: the current one, and the next if it can come.

    Also the turn, whose row tells counters of the codes beyond (`central.horizon`).
    """
    if voucher.retired or voucher.state not in ("live", "refunding"):
        return ()
    successor = voucher.generation + 1
    if voucher.left <= 1 or successor > voucher.horizon:
        return (voucher.generation,)
    turn = voucher.turn()
    known = (voucher.generation, successor)
    return known if turn is None else tuple(sorted({*known, turn}))


def seal(central: Central, voucher: Voucher, generation: int, vault: Vault) -> Row:
    """Stretch and seal one generation. Takes the vault's time; call it outside transactions."""
    key = sealed.stretch(voucher.code_of(generation), voucher.last4, vault)
    return Row(
        voucher=voucher,
        generation=generation,
        k=key.row_key,
        record=sealed.seal(record_of(voucher, generation), key, central.random(NONCE_BYTES)),
        vault=vault.epoch,
    )


def record_of(voucher: Voucher, generation: int) -> Record:
    """What a sealed row says of a voucher."""
    secret, reach = voucher.successors(generation)
    return Record(
        voucher=voucher.voucher,
        secret=secret,
        generation=generation,
        horizon=reach,
        shares=voucher.shares,
        product=voucher.product,
        home=voucher.home,
        paid_fen=voucher.paid_fen,
    )


def store(work: Work, rows: Sequence[Row]) -> None:
    """Add sealed rows and publish them, where their vouchers are now; those are locked or new."""
    _store(work, rows, ledger.buckets_of(work, {row.voucher.voucher for row in rows}))


def _store(work: Work, rows: Sequence[Row], buckets: Mapping[str, int]) -> None:
    new = [
        (
            work.merchant,
            row.k,
            row.record,
            row.voucher.voucher,
            row.generation,
            buckets[row.voucher.voucher],
            row.vault,
        )
        for row in rows
    ]
    bulk.insert(work.connection, schema.sealed, _SEALED, new)
    for row in rows:
        work.put(buckets[row.voucher.voucher], ledger.SEALED, ids.b64u(row.k))


_SEALED: Final = ("merchant", "k", "record", "voucher", "generation", "bucket", "vault")


def move_all(work: Work, vouchers: Collection[str], bucket: int) -> None:
    """Move the rows of locked vouchers to another bucket, those of cards too."""
    table = schema.sealed
    for part in ledger.parts(sorted(vouchers)):
        where = (table.c.merchant == work.merchant) & table.c.voucher.in_(part)
        rows = work.connection.execute(select(table.c.k, table.c.bucket).where(where)).all()
        work.connection.execute(update(table).where(where).values(bucket=bucket))
        for row in rows:
            work.remove(row.bucket, ledger.SEALED, ids.b64u(row.k))
            work.put(bucket, ledger.SEALED, ids.b64u(row.k))


def forget(work: Work, vouchers: Collection[str]) -> None:
    """Take away the rows of these vouchers' codes (other last four digits, or long over).

    A card's rows stay: those of one person follow one another without a gap.
    """
    table, queue = schema.sealed, schema.sealing
    for part in ledger.parts(sorted(vouchers)):
        where = (table.c.merchant == work.merchant) & table.c.voucher.in_(part)
        where &= table.c.generation != schema.CARD_ROW
        for row in work.connection.execute(select(table.c.k, table.c.bucket).where(where)).all():
            work.remove(row.bucket, ledger.SEALED, ids.b64u(row.k))
        work.connection.execute(delete(table).where(where))
        work.connection.execute(
            delete(queue).where(queue.c.merchant == work.merchant, queue.c.voucher.in_(part))
        )


class Wish(NamedTuple):
    """Rows of the queue: to add unless sealed, to make urgent, and to add though sealed."""

    new: list[bulk.Row]
    current: list[bulk.Row]
    turns: list[bulk.Row]


def enqueue(work: Work, vouchers: Sequence[Voucher]) -> None:
    """Queue what these vouchers want sealed and do not have."""
    queue(work, wish(work, vouchers, {}))


def wish(work: Work, vouchers: Iterable[Voucher], before: Mapping[str, Voucher]) -> Wish:
    """What these vouchers want sealed.

    `before`: how those of them stood, at any moment since this transaction began, whose shares or
    generation alone changed. What they wanted then is sealed or in the queue already.
    """
    found = Wish([], [], [])
    for now in vouchers:
        was, want = before.get(now.voucher), wanted(now)
        # Under several secrets it may have come to want more since, unqueued (`horizon.extend`).
        had = () if was is None or was.has_turned else wanted(was)
        found.new.extend(_queued(work, now, one) for one in want if one not in had)
        # What waited as the next code may have become the current one meanwhile.
        if want and now.generation != (now.generation_before if was is None else was.generation):
            found.current.append((work.merchant, now.voucher, now.generation, CURRENT))
        # The row of the last generation is sealed again once there are codes beyond it.
        if horizon.due(now):
            found.turns.append(_queued(work, now, now.horizon))
    return found


def queue(work: Work, wishes: Wish) -> None:
    """Queue what is wanted and not there."""
    bulk.insert_new(work.connection, schema.sealing, _QUEUE, wishes.new, unless=schema.sealed)
    bulk.update(work.connection, schema.sealing, 3, _QUEUE[:4], wishes.current)
    bulk.insert_new(work.connection, schema.sealing, _QUEUE, wishes.turns)


def _present(work: Work, table: Table, voucher_ids: Sequence[str]) -> set[tuple[str, int]]:
    names, where = ("voucher", "generation"), ("voucher", voucher_ids)
    rows = bulk.select_in(work.connection, table, names, work.merchant, where)
    return {(voucher, generation) for voucher, generation in rows}


_QUEUE: Final = ("merchant", "voucher", "generation", "urgent", "valid_from", "issued_at")


def _queued(work: Work, voucher: Voucher, generation: int) -> bulk.Row:
    urgent = CURRENT if generation == voucher.generation else NEXT
    return (
        work.merchant,
        voucher.voucher,
        generation,
        urgent,
        voucher.valid_from,
        voucher.issued_at,
    )


def run(central: Central, *, limit: int = QUEUE_BATCH) -> int:
    """Seal up to `limit` rows of the queue: current codes first, by the start of validity.

    Answers how many queue rows were dealt with; 0 means that nothing is waiting, or that other
    processes have all of it.
    """
    queue = _take(central, limit)
    if not queue:
        return 0
    with central.read() as work:
        vault = keys.load(work).vault
        vouchers = ledger.find_all(work, {voucher for voucher, _ in queue})
    due = [voucher for voucher, found in vouchers.items() if horizon.due(found)]
    if due:
        horizon.extend(central, due)
        with central.read() as work:
            vouchers |= ledger.find_all(work, due)
    rows = _stretched(central, [(vouchers[v], g) for v, g in queue if v in vouchers], vault)
    _keep(central, rows)
    return len(queue)


def _take(central: Central, limit: int) -> list[tuple[str, int]]:
    with central.read() as work:
        if not _next(work, 1, lock=False):
            return []
    return _lease(central, limit)


@retried
def _lease(central: Central, limit: int) -> list[tuple[str, int]]:
    with central.write() as work:
        queue = _next(work, limit, lock=True)
        leasing.take(work, schema.sealing, queue)
        return queue


@retried
def _keep(central: Central, rows: Sequence[Row]) -> None:
    with central.write() as work:
        _store_if_still_wanted(work, rows)
        # What is still there must be done anew: what it says changed while it was stretched.
        left = [(row.voucher.voucher, row.generation) for row in rows]
        leasing.give_back(work, schema.sealing, left)


def _stretched(
    central: Central, wanted_rows: Sequence[tuple[Voucher, int]], vault: Vault
) -> list[Row]:
    """The rows, sealed by half of the processors: Argon2id lets other threads run meanwhile."""
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2)) as pool:
        return list(pool.map(lambda row: seal(central, row[0], row[1], vault), wanted_rows))


def _next(work: Work, limit: int, *, lock: bool) -> list[tuple[str, int]]:
    """What comes first of what nobody has: by one urgency after the other, each as indexed.

    Of both at once PostgreSQL would sort the whole queue, while it knows nothing of it.
    """
    table, found = schema.sealing, list[tuple[str, int]]()
    for urgency in (CURRENT, NEXT):
        query = (
            select(table.c.voucher, table.c.generation)
            .where(
                table.c.merchant == work.merchant,
                table.c.urgent == urgency,
                leasing.is_free(work, table),
            )
            .order_by(table.c.valid_from, table.c.voucher, table.c.generation)
            .limit(limit - len(found))
        )
        if lock:
            query = query.with_for_update(skip_locked=True)
        found += [(row.voucher, row.generation) for row in work.connection.execute(query)]
        if len(found) >= limit:
            break
    return found


def _store_if_still_wanted(work: Work, rows: Sequence[Row]) -> None:
    # Between stretching and now another process may have sealed the row, or the mobile changed.
    voucher_ids = sorted({row.voucher.voucher for row in rows})
    now = ledger.find_all(work, voucher_ids, lock=True)
    still = _present(work, schema.sealing, voucher_ids)
    have = _present(work, schema.sealed, voucher_ids)
    due = [
        row
        for row in rows
        if (row.voucher.voucher, row.generation) in still
        and _says_the_same(row, now[row.voucher.voucher])
    ]
    again = [row for row in due if row.generation == row.voucher.turn()]
    _delete(work, schema.sealed, again)
    missing = [
        row for row in due if (row.voucher.voucher, row.generation) not in have or row in again
    ]
    _store(work, missing, {voucher: found.bucket for voucher, found in now.items()})
    _delete(work, schema.sealing, due)


def _says_the_same(row: Row, now: Voucher) -> bool:
    return (row.voucher.last4, row.voucher.successors(row.generation)) == (
        now.last4,
        now.successors(row.generation),
    )


def _delete(work: Work, table: Table, rows: Sequence[Row]) -> None:
    names = ("merchant", "voucher", "generation")
    keys = [(work.merchant, row.voucher.voucher, row.generation) for row in rows]
    bulk.delete(work.connection, table, names, keys)


_OLDEST: Final = select(func.min(schema.sealing.c.issued_at)).where(
    schema.sealing.c.merchant == bindparam("of_merchant"), schema.SEALING_CURRENT
)
"""Made once: every page of the feed says it."""


def sealed_through(work: Work) -> int:
    """The moment up to which every voucher issued has its current code sealed (ms UTC)."""
    oldest = work.connection.execute(_OLDEST, {"of_merchant": work.merchant}).scalar()
    return work.now if oldest is None else min(work.now, int(oldest) - 1)


def report(work: Work) -> SealingReport:
    """How far sealing is."""
    table = schema.sealing
    waiting = {
        row.urgent: int(row.waiting)
        for row in work.connection.execute(
            select(table.c.urgent, func.count().label("waiting"))
            .where(table.c.merchant == work.merchant)
            .group_by(table.c.urgent)
        )
    }
    rows = work.connection.execute(
        select(func.count()).where(schema.sealed.c.merchant == work.merchant)
    ).scalar_one()
    return SealingReport(
        sealed=int(rows),
        waiting_current=waiting.get(CURRENT, 0),
        waiting_next=waiting.get(NEXT, 0),
        sealed_through=sealed_through(work),
    )
