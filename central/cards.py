"""ID cards: the rows by which a person's card opens each of that person's vouchers (EV-032).

Responsible for: numbering the rows of a person, sealing them, the queue of a bulk import, and
forgetting a person. Not responsible for: the cryptography (`vouchers.sealed`). Invariants: a number
never comes here, only the MD5 that upstream platforms deliver (AX-17), and that is deleted with the
row being sealed; a person's rows are numbered from 0 without a gap, and none is taken away but all
of them together, so that no voucher is hidden behind a missing row; a card's row stays as it is
whatever happens to the voucher, its mobile or its code.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, Final

from sqlalchemy import delete, func, select

from central import bulk, keys, leasing, ledger, schema, sealing
from central.database import retried
from central.ledger import Voucher
from central.service import Central, Work
from vouchers import ids, sealed
from vouchers.sealed import ID_ROWS_MAX, NONCE_BYTES, SealKey, Vault

_LOG: Final = logging.getLogger(__name__)
_PROBE: Final = 32
"""Row keys looked up at once; hardly anybody holds more vouchers."""


def stretch(md5: str, vault: Vault) -> SealKey:
    """The keys of a person. Takes the vault's time; call it outside transactions."""
    return sealed.stretch_upstream(md5, vault)


def store(central: Central, work: Work, voucher: Voucher, person: SealKey, vault: Vault) -> None:
    """Seal a voucher under the next row of a person, and publish it."""
    # Two at once that take the same row: the key lets one of them through, the other is retried.
    index = len(_held_rows(work, person))
    if index >= ID_ROWS_MAX:  # somebody imports with one made-up number
        _LOG.warning("voucher %s opens by no card: its card opens too many", voucher.voucher)
        return
    key = sealed.id_row(person, index)
    record = sealed.seal(
        sealing.record_of(voucher, voucher.generation), key, central.random(NONCE_BYTES)
    )
    row = sealing.Row(voucher, schema.CARD_ROW, key.row_key, record, vault.epoch)
    sealing.store(work, [row])


def _held_rows(work: Work, person: SealKey) -> list[tuple[bytes, int]]:
    """The rows of a person, for whoever adds one or takes all away: one after the other. Else a row
    could stay behind where nobody finds it.
    """
    table, first = schema.sealed, sealed.id_row(person, 0)
    work.connection.execute(
        select(table.c.k)
        .where(table.c.merchant == work.merchant, table.c.k == first.row_key)
        .with_for_update()
    ).all()
    return _rows(work, person)  # a look of its own: what was waited for is seen


def _rows(work: Work, person: SealKey) -> list[tuple[bytes, int]]:
    """Key and bucket of each row of a person, from 0 until one is missing."""
    table = schema.sealed
    found: list[tuple[bytes, int]] = []
    while len(found) % _PROBE == 0 and len(found) < ID_ROWS_MAX:
        probed = [sealed.id_row(person, len(found) + n).row_key for n in range(_PROBE)]
        there = {
            row.k: row.bucket
            for row in work.connection.execute(
                select(table.c.k, table.c.bucket).where(
                    table.c.merchant == work.merchant, table.c.k.in_(probed)
                )
            )
        }
        new = [(k, there[k]) for k in takewhile(there.__contains__, probed)]
        if not new:
            break
        found += new
    return found


def enqueue(work: Work, cards: Sequence[tuple[Voucher, str]]) -> None:
    """Queue vouchers with the MD5 of their person's number, to be sealed by the job."""
    names = ("merchant", "voucher", "md5", "valid_from")
    rows = [(work.merchant, v.voucher, md5, v.valid_from) for v, md5 in cards]
    bulk.insert(work.connection, schema.cards, names, rows)


def run(central: Central, *, limit: int = sealing.QUEUE_BATCH) -> int:
    """Seal up to `limit` queued cards, the soonest valid first.

    Answers how many were dealt with; 0 means that none waits, or that other processes have them.
    """
    with central.read() as work:
        if not _next(work, 1, lock=False):
            return 0
        vault = keys.load(work).vault
    queue = _lease(central, limit)
    people = {row.md5: stretch(row.md5, vault) for row in queue}
    if queue:
        _keep(central, queue, people, vault)
    return len(queue)


@retried
def _lease(central: Central, limit: int) -> list[Any]:
    with central.write() as work:
        queue = _next(work, limit, lock=True)
        leasing.take(work, schema.cards, [(row.voucher,) for row in queue])
        return queue


def _next(work: Work, limit: int, *, lock: bool) -> list[Any]:
    table = schema.cards
    query = (
        select(table.c.voucher, table.c.md5)
        .where(table.c.merchant == work.merchant, leasing.is_free(work, table))
        .order_by(table.c.valid_from, table.c.voucher)
        .limit(limit)
    )
    if lock:
        query = query.with_for_update(skip_locked=True)
    return list(work.connection.execute(query))


@retried
def _keep(
    central: Central, queue: Sequence[Any], people: Mapping[str, SealKey], vault: Vault
) -> None:
    table = schema.cards
    with central.write() as work:
        vouchers = ledger.find_all(work, [row.voucher for row in queue], lock=True)
        for row in queue:
            taken = work.connection.execute(
                delete(table).where(
                    table.c.merchant == work.merchant, table.c.voucher == row.voucher
                )
            )
            voucher = vouchers[row.voucher]
            # Else another process was faster, the person was forgotten, or it is long over.
            if taken.rowcount and not voucher.retired:
                store(central, work, voucher, people[row.md5], vault)


@retried
def forget(central: Central, md5: str) -> int:
    """Take away all rows of a person: the card opens nothing any more, the codes still do.

    Answers how many rows there were, those waiting to be sealed included.
    """
    with central.read() as work:
        vault = keys.load(work).vault
    person = stretch(md5, vault)
    table = schema.sealed
    with central.write() as work:
        waiting = work.connection.execute(
            delete(schema.cards).where(
                schema.cards.c.merchant == work.merchant, schema.cards.c.md5 == md5
            )
        ).rowcount
        rows = _held_rows(work, person)
        for part in ledger.parts([ids.b64u(k) for k, _ in rows]):
            work.connection.execute(
                delete(table).where(
                    table.c.merchant == work.merchant,
                    table.c.k.in_([ids.unb64u(k) for k in part]),
                )
            )
        for k, bucket in rows:
            work.remove(bucket, ledger.SEALED, ids.b64u(k))
    return len(rows) + waiting


def waiting(work: Work) -> int:
    """How many queued cards are not sealed yet."""
    table = schema.cards
    found = work.connection.execute(
        select(func.count()).where(table.c.merchant == work.merchant)
    ).scalar_one()
    return int(found)
