"""What becomes of an entry whose signature turns out to be wrong, or is vouched for after all.

Responsible for: barring the first and judging the second again. Not responsible for: checking
signatures (`signatures`). Invariants: an entry whose own signature was sent and is wrong counts for
nothing until a person says otherwise, whoever signed after it; one without a signature of its own
counts once a good signature stands after it; each is said on both sides as any change of verdict.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import select

from central import alarms, arriving, booking, bulk, ledger, numbering, schema
from central.booked import QUARANTINED, Booked
from central.service import Central, Work
from vouchers import ids
from vouchers.booking import Verdict

Stream = tuple[str, int]
"""A POSID and epoch."""


def judge_again(
    central: Central,
    work: Work,
    *,
    wrong: Mapping[Stream, Sequence[int]],
    covered: Mapping[Stream, tuple[int, int]],
) -> None:
    """Bar the entries with a `wrong` signature; let those count that a good one now stands for.

    `covered` are the last good signature that was known of a stream, 0 if none, and the new one.
    """
    found = [row for stream, seqs in wrong.items() for row in _newly_wrong(work, stream, seqs)]
    _raise_alarms(central, work, found)
    proven = list(_newly_covered(work, covered))
    changed = [(row, _other_bar(row)) for row in proven if _stands(row)]
    changed += [(row, str(Verdict.BAD_SIGNATURE)) for row in found if row.voucher is not None]
    # Vouchers are locked before their bookings, as wherever entries are booked.
    vouchers = {row.voucher for row, _ in changed}
    ledger.find_all(work, vouchers, lock=True)
    bars = [(work.merchant, row.posid, row.epoch, row.seq, bar) for row, bar in changed]
    bulk.update(work.connection, schema.bookings, 4, _BARS, bars)
    if vouchers:
        booking.rebook(work, vouchers)
    booking.book(work, [_of_nothing(row) for row in found if row.voucher is None])
    _accept(work, [row for row in proven if not _stands(row)])


_BARS: Final = ("merchant", "posid", "epoch", "seq", "barred")


def _newly_wrong(work: Work, stream: Stream, seqs: Sequence[int]) -> list[Any]:
    """Those of the entries that ingest did not bar for it, with their bookings if they have any."""
    rows = work.connection.execute(
        _entries_and_bookings(outer=True).where(
            schema.entries.c.merchant == work.merchant,
            schema.entries.c.posid == stream[0],
            schema.entries.c.epoch == stream[1],
            schema.entries.c.seq.in_(seqs),
        )
    )
    return [row for row in rows if row.barred != Verdict.BAD_SIGNATURE]


def _newly_covered(work: Work, covered: Mapping[Stream, tuple[int, int]]) -> Iterator[Any]:
    """The entries barred for want of a good signature that now have one."""
    entry, booked = schema.entries, schema.bookings
    if not covered:
        return
    rows = work.connection.execute(
        _entries_and_bookings(outer=False).where(
            booked.c.merchant == work.merchant,
            booked.c.verdict == str(Verdict.BAD_SIGNATURE),
            booked.c.settled.is_(None),
            booked.c.posid.in_({posid for posid, _ in covered}),
            entry.c.sig.is_(None),
        )
    )
    barred: dict[Stream, list[Any]] = {}
    for row in rows:
        known, new = covered.get((row.posid, row.epoch), (0, 0))
        if known < row.seq < new:
            barred.setdefault((row.posid, row.epoch), []).append(row)
    for stream, found in barred.items():
        standing = _standing(work, stream, found[0].seq, covered[stream][1])
        yield from (row for row in found if row.seq in standing)


def _standing(work: Work, stream: Stream, first: int, last: int) -> set[int]:
    """Which of the entries `first`..`last` of a stream a good signature among them stands for."""
    table, streams = schema.entries, schema.streams
    rows = work.connection.execute(
        select(table.c.seq, table.c.hash, table.c.body, table.c.sig, streams.c.public_key)
        .join(streams, _same(table, streams, ("merchant", "posid", "epoch")))
        .where(
            table.c.merchant == work.merchant,
            table.c.posid == stream[0],
            table.c.epoch == stream[1],
            table.c.seq.between(first, last),
        )
        .order_by(table.c.seq)
    ).all()
    links = [True] + [
        arriving.continues(bytes(row.body), before.hash) for before, row in pairwise(rows)
    ]
    signed = [(row.hash, None if row.sig is None else bytes(row.sig)) for row in rows]
    stands = arriving.covered(signed, links, bytes(rows[0].public_key))
    return {row.seq for row, good in zip(rows, stands, strict=True) if good}


def _entries_and_bookings(*, outer: bool) -> Any:
    entry, booked, stream = schema.entries, schema.bookings, schema.streams
    return (
        select(
            entry.c.merchant,
            entry.c.posid,
            entry.c.epoch,
            entry.c.seq,
            entry.c.received_at,
            entry.c.kind.label("entry_kind"),
            stream.c.outlet,
            stream.c.revoked_seq,
            booked.c.voucher,
            booked.c.kind,
            booked.c.barred,
        )
        .join(stream, _same(entry, stream, ("merchant", "posid", "epoch")))
        .join(booked, _same(entry, booked, ("merchant", "posid", "epoch", "seq")), isouter=outer)
        .order_by(entry.c.posid, entry.c.epoch, entry.c.seq)
    )


def _same(one: Any, other: Any, names: Sequence[str]) -> Any:
    condition = one.c[names[0]] == other.c[names[0]]
    for name in names[1:]:
        condition &= one.c[name] == other.c[name]
    return condition


def _stands(row: Any) -> bool:
    """Whether a booking is judged by the rules: it moves shares, or could not be read."""
    return bool(row.kind == row.entry_kind)


def _other_bar(row: Any) -> str | None:
    """What else bars an entry whose signature is in order, as `arriving` would have said."""
    revoked = row.revoked_seq is not None and row.seq > row.revoked_seq
    return str(Verdict.QUARANTINED) if revoked or row.kind == QUARANTINED else None


def _of_nothing(row: Any) -> Booked:
    """The booking of an entry that moves no shares: only so that people see its verdict."""
    serial = ids.serial(row.posid, row.epoch, row.seq)
    return Booked(
        merchant=row.merchant,
        posid=row.posid,
        epoch=row.epoch,
        seq=row.seq,
        serial=serial,
        voucher=serial,
        outlet=row.outlet,
        received_at=row.received_at,
        barred=str(Verdict.BAD_SIGNATURE),
    )


def _accept(work: Work, rows: Sequence[Any]) -> None:
    """Close the bookings of entries that move nothing: there is nothing to judge in them."""
    for posid in sorted({row.posid for row in rows}):
        mine = [row for row in rows if row.posid == posid]
        first = numbering.next_verdicts(work, {posid: len(mine)})[posid]
        changed = [
            (work.merchant, posid, row.epoch, row.seq, None, str(Verdict.ACCEPTED), number)
            for number, row in enumerate(mine, start=first)
        ]
        names = (*_BARS, "verdict", "verdict_seq")
        bulk.update(work.connection, schema.bookings, 4, names, changed)


def _raise_alarms(central: Central, work: Work, found: Sequence[Any]) -> None:
    for posid, epoch in dict.fromkeys((row.posid, row.epoch) for row in found):
        seqs = [row.seq for row in found if (row.posid, row.epoch) == (posid, epoch)]
        words = f"epoch {epoch} seq {seqs[0]}: its own signature is wrong, {len(seqs)} in all"
        alarms.raise_alarm(central, work, str(Verdict.BAD_SIGNATURE), posid, words)
