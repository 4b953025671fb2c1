"""The signatures that ingest does not look at, checked in the background over what is stored.

Responsible for: walking every stream after ingest; the bodies against their hashes and their chain,
each signature that was sent against the key of its stream. Not responsible for: what becomes of an
entry whose signature is wrong (`doubted`). Invariants: what was checked is not checked again; no
transaction is open while signatures are computed; two processes take different streams, and one
that ends in the middle leaves its streams to the others (`leasing`); a stream is checked in
the order of its entries.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import func, select

from central import alarms, arriving, bulk, doubted, leasing, schema
from central.booked import QUARANTINED
from central.database import retried
from central.service import Central, Work
from vouchers import entries

ENTRIES_MAX: Final = 500
"""Entries of a portion. If each has a signature of its own, that is a tenth of a second."""

STREAMS_MAX: Final = 64
"""Streams of a portion: what most terminals add between two runs is little."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a process took to check: the entries `first`..`last` of a stream.

    `root` is the hash before entry 1; `key` the one that this epoch was enrolled with: another key
    is another epoch.
    """

    posid: str
    epoch: int
    first: int
    last: int
    root: str
    key: bytes


@dataclass(slots=True)
class Found:
    """What a stretch showed, as sequences: wrong signatures, entries that changed in the store.

    `covered` is the last with a good signature, which stands for all before it; 0 if there is none.
    """

    wrong: list[int] = field(default_factory=list)
    altered: list[int] = field(default_factory=list)
    covered: int = 0


def run(central: Central) -> int:
    """Check all that has not been checked; answers how many entries."""
    done = 0
    while checked := portion(central):
        done += checked
    return done


def portion(central: Central) -> int:
    """Check some entries; answers how many, 0 when nothing waits or others have all of it."""
    stretches = _take(central)
    if not stretches:
        return 0
    with central.read() as work:
        stored = [(one, _stored(work, one)) for one in stretches]
    _keep(central, [(one, check(one, rows)) for one, rows in stored])
    return sum(one.last - one.first + 1 for one in stretches)


def check(stretch: Stretch, rows: Sequence[Any]) -> Found:
    """Check stored entries (`seq, hash, body, sig, kind`), with the one before them if any."""
    key = Ed25519PublicKey.from_public_bytes(stretch.key)
    found, prev = Found(), stretch.root
    missing = set(range(stretch.first, stretch.last + 1))
    for row in rows:
        if row.seq in missing:
            missing.remove(row.seq)
            _check(found, row, prev, key)
        prev = row.hash
    found.altered.extend(missing)
    return found


def _check(found: Found, row: Any, prev: str, key: Ed25519PublicKey) -> None:
    if not _is_as_it_came(row.kind, row.hash, bytes(row.body), prev):
        found.altered.append(row.seq)
    if row.sig is None:
        return
    if entries.signature_holds(row.hash, bytes(row.sig), key):
        found.covered = row.seq
    else:
        found.wrong.append(row.seq)


def _is_as_it_came(kind: str, digest: str, body: bytes, prev: str) -> bool:
    if kind == QUARANTINED:
        # A body that could not be sent is held by its hash alone; another need not be readable.
        return not body or entries.raw_hash(body) == digest
    return entries.raw_hash(body) == digest and arriving.continues(body, prev)


def covers(work: Work, posid: str, epoch: int, seq: int) -> bool:
    """Whether a good signature stands after an entry, at the end of an unbroken chain from it."""
    stream, table = schema.streams, schema.entries
    public = work.connection.execute(
        select(stream.c.public_key).where(
            stream.c.merchant == work.merchant, stream.c.posid == posid, stream.c.epoch == epoch
        )
    ).scalar_one()
    key = Ed25519PublicKey.from_public_bytes(bytes(public))
    rows = work.connection.execute(
        select(table.c.hash, table.c.body, table.c.sig)
        .where(
            table.c.merchant == work.merchant,
            table.c.posid == posid,
            table.c.epoch == epoch,
            table.c.seq >= seq,
        )
        .order_by(table.c.seq)
        .execution_options(yield_per=ENTRIES_MAX)
    )
    prev: str | None = None
    for row in rows:
        if prev is not None:
            if not arriving.continues(bytes(row.body), prev):
                return False
            if row.sig is not None and entries.signature_holds(row.hash, bytes(row.sig), key):
                return True
        prev = row.hash
    return False


def waiting(work: Work) -> int:
    """How many entries have not been checked yet."""
    held, done = (
        work.connection.execute(
            select(func.coalesce(func.sum(table.c.seq), 0)).where(table.c.merchant == work.merchant)
        ).scalar_one()
        for table in (schema.streams, schema.verified)
    )
    return int(held) - int(done)


def _take(central: Central) -> list[Stretch]:
    """Take streams that nobody else has, up to `ENTRIES_MAX` entries of them."""
    with central.read() as work:
        behind = _behind(work)
        if not behind:
            return []
    return _lease(central, behind)


def _behind(work: Work) -> list[Any]:
    stream, mark = schema.streams, schema.verified
    rows = work.connection.execute(
        select(
            stream.c.posid, stream.c.epoch, stream.c.seq, stream.c.first_prev, stream.c.public_key
        )
        .outerjoin(
            mark,
            (mark.c.merchant == stream.c.merchant)
            & (mark.c.posid == stream.c.posid)
            & (mark.c.epoch == stream.c.epoch),
        )
        .where(
            stream.c.merchant == work.merchant,
            stream.c.seq > func.coalesce(mark.c.seq, 0),
            leasing.is_free(work, mark),
        )
        .order_by(stream.c.posid, stream.c.epoch)
        .limit(STREAMS_MAX)
    )
    return list(rows)


@retried
def _lease(central: Central, behind: Sequence[Any]) -> list[Stretch]:
    table = schema.verified
    with central.write() as work:
        keys = [(work.merchant, row.posid, row.epoch) for row in behind]
        bulk.insert_new(work.connection, table, _NEW, [(*key, 0, 0) for key in keys])
        free = _free(work, {row.posid for row in behind})
        taken = list(_shared_out(behind, free))
        leasing.take(work, table, [(one.posid, one.epoch) for one in taken])
        return taken


_NEW: Final = ("merchant", "posid", "epoch", "seq", "covered")


def _free(work: Work, posids: set[str]) -> dict[tuple[str, int], int]:
    """How far the streams of these terminals were checked; those that a process has are left out.

    By terminal, as a list of pairs is no condition on the index of every engine.
    """
    table = schema.verified
    rows = work.connection.execute(
        select(table.c.posid, table.c.epoch, table.c.seq)
        .where(
            table.c.merchant == work.merchant,
            table.c.posid.in_(posids),
            leasing.is_free(work, table),
        )
        .with_for_update(skip_locked=True)
    )
    return {(row.posid, row.epoch): int(row.seq) for row in rows}


def _shared_out(behind: Sequence[Any], free: dict[tuple[str, int], int]) -> Iterator[Stretch]:
    room = ENTRIES_MAX
    for row in behind:
        done = free.get((row.posid, row.epoch))
        if done is None or done >= row.seq or not room:
            continue
        last = min(int(row.seq), done + room)
        room -= last - done
        key = bytes(row.public_key)
        yield Stretch(row.posid, row.epoch, done + 1, last, row.first_prev, key)


def _stored(work: Work, stretch: Stretch) -> list[Any]:
    """The entries of a stretch, and the one before."""
    table = schema.entries
    rows = work.connection.execute(
        select(table.c.seq, table.c.hash, table.c.body, table.c.sig, table.c.kind)
        .where(
            table.c.merchant == work.merchant,
            table.c.posid == stretch.posid,
            table.c.epoch == stretch.epoch,
            table.c.seq.between(stretch.first - 1, stretch.last),
        )
        .order_by(table.c.seq)
    )
    return list(rows)


@retried
def _keep(central: Central, found: Sequence[tuple[Stretch, Found]]) -> None:
    """Remember what was checked, unless another process had to take it over meanwhile."""
    table = schema.verified
    with central.write() as work:
        marks = work.connection.execute(
            select(table)
            .where(
                table.c.merchant == work.merchant,
                table.c.posid.in_({one.posid for one, _ in found}),
            )
            .order_by(table.c.posid, table.c.epoch)
            .with_for_update()
        )
        before = {(row.posid, row.epoch): row for row in marks}
        mine = [
            (one, said) for one, said in found if before[one.posid, one.epoch].seq == one.first - 1
        ]
        rows = []
        for one, said in mine:
            covered = said.covered or before[one.posid, one.epoch].covered
            rows.append((work.merchant, one.posid, one.epoch, one.last, covered, None))
        bulk.update(work.connection, table, 3, _KEPT, rows)
        for one, said in mine:
            _alarm(central, work, one, said.altered)
        doubted.judge_again(
            central,
            work,
            wrong={(one.posid, one.epoch): said.wrong for one, said in mine if said.wrong},
            covered={
                (one.posid, one.epoch): (before[one.posid, one.epoch].covered, said.covered)
                for one, said in mine
                if said.covered
            },
        )


_KEPT: Final = ("merchant", "posid", "epoch", "seq", "covered", "taken_until")


def _alarm(central: Central, work: Work, stretch: Stretch, altered: Sequence[int]) -> None:
    if altered:
        words = f"epoch {stretch.epoch} seq {min(altered)}: not as it came, {len(altered)} in all"
        alarms.raise_alarm(central, work, "altered", stretch.posid, words)
