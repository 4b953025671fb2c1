"""Verdicts on their way back to the counter, and how a person closes one.

Responsible for: the verdicts of a batch, those that changed since, settling (design, section 7).
Not responsible for: judging. Invariants: a change of verdict is heard by its terminal exactly once
per cursor; all but `accepted` stay open until a person settles them; settling changes no shares.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, select, update

from central import ledger, numbering, schema
from central.arriving import Upload
from central.booked import Booked
from central.database import retried
from central.errors import Refused
from central.service import Central, Work
from sync.limits import VERDICTS_MAX
from sync.messages import Verdict, VerdictsPage
from vouchers import booking as rules
from vouchers import ids

WAYS: Final = ("loss", "recovered", "customer_contacted")
"""How a person closes a verdict: the loss is borne, recovered, or the customer was contacted."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A verdict that a person closed. `repeated`: it had been closed so before."""

    serial: str
    verdict: str
    settled: str
    repeated: bool


def of_batch(work: Work, sent: Upload, last: int) -> tuple[Verdict, ...]:
    """The present verdicts on the entries of a batch up to `last` that moved shares or could not be
    read.
    """
    table = schema.bookings
    rows = work.connection.execute(
        select(table)
        .where(
            table.c.merchant == work.merchant,
            table.c.posid == sent.posid,
            table.c.epoch == sent.epoch,
            table.c.seq.between(sent.first, last),
        )
        .order_by(table.c.seq)
    )
    return tuple(_verdict(row) for row in rows)


def of_branch(work: Work, sent: Upload, first: int) -> tuple[Verdict, ...]:
    """The present verdicts on what was booked of a batch that is of a branch from `first` on."""
    table = schema.bookings
    serials = [
        ids.branch_serial(sent.posid, sent.epoch, seq, digest)
        for seq, digest in enumerate(sent.hashes(), start=sent.first)
        if seq >= first
    ]
    found = [
        work.connection.execute(
            select(table).where(table.c.merchant == work.merchant, table.c.serial.in_(part))
        ).all()
        for part in ledger.parts(serials)
    ]
    rows = [row for part in found for row in part]
    return tuple(_verdict(row) for row in sorted(rows, key=lambda row: row.seq))


def of_booked(rows: Sequence[Booked]) -> tuple[Verdict, ...]:
    """The verdicts on bookings that were just made."""
    return tuple(_verdict(row) for row in rows)


# Made once: every terminal asks in each of its rounds.
_CHANGED: Final = (
    select(schema.bookings)
    .where(
        schema.bookings.c.merchant == bindparam("merchant"),
        schema.bookings.c.posid == bindparam("posid"),
        schema.bookings.c.verdict_seq > bindparam("after"),
    )
    .order_by(schema.bookings.c.verdict_seq)
    .limit(VERDICTS_MAX + 1)
)


def changed_since(work: Work, posid: str, after: int) -> VerdictsPage:
    """The verdicts of a terminal that are new or changed after a number, oldest change first."""
    asked = {"merchant": work.merchant, "posid": posid, "after": after}
    rows = work.connection.execute(_CHANGED, asked).all()
    page = rows[:VERDICTS_MAX]
    return VerdictsPage(
        verdicts=tuple(_verdict(row) for row in page),
        cursor=str(page[-1].verdict_seq if page else after),
        more=len(rows) > len(page),
    )


_TEXTS: Final = msgspec.json.Decoder(tuple[str, ...])


def _verdict(row: Any) -> Verdict:
    return Verdict(
        seq=row.seq,
        serial=row.serial,
        verdict=row.verdict,
        flags=_TEXTS.decode(row.flags),
        excess=row.excess,
        others=_TEXTS.decode(row.others),
        settled=row.settled,
    )


@retried
def settle(central: Central, serial: str, way: str) -> Settled | Refused:
    """Close the verdict on an entry; the counter stops showing it.

    With the last open entry of a voucher, those that it only collided with are closed too.
    """
    with central.write() as work:
        row = _by_serial(work, serial)
        if row is None:
            return Refused("unknown_serial", f"no entry {serial[:100]!r} has arrived")
        if row.verdict == rules.Verdict.ACCEPTED and not _is_related(row):
            return Refused("nothing_to_settle", "the entry is accepted; there is nothing to settle")
        if row.settled == way:
            return Settled(serial, row.verdict, way, repeated=True)
        _close(work, [row, *_only_related(work, row)], way)
    return Settled(serial, row.verdict, way, repeated=False)


def _by_serial(work: Work, serial: str) -> Any:
    table = schema.bookings
    return work.connection.execute(
        select(table).where(table.c.merchant == work.merchant, table.c.serial == serial)
    ).one_or_none()


def _is_related(row: Any) -> bool:
    return rules.FLAG_RELATED in json.loads(row.flags)


def _only_related(work: Work, closing: Any) -> list[Any]:
    """The accepted entries that stay marked only because of the one that is being closed."""
    table = schema.bookings
    rows = work.connection.execute(
        select(table).where(
            table.c.merchant == work.merchant,
            table.c.voucher == closing.voucher,
            table.c.serial != closing.serial,
            table.c.settled.is_(None),
        )
    ).all()
    if any(row.verdict != rules.Verdict.ACCEPTED for row in rows):
        return []
    return [row for row in rows if _is_related(row)]


def _close(work: Work, rows: Sequence[Any], way: str) -> None:
    table = schema.bookings
    for posid in sorted({row.posid for row in rows}):
        mine = [row.serial for row in rows if row.posid == posid]
        # The counter before the rows, and by POSID, as booking takes them: the other way round two
        # transactions could wait for each other.
        first = numbering.next_verdicts(work, {posid: len(mine)})[posid]
        for number, serial in enumerate(mine, start=first):
            work.connection.execute(
                update(table)
                .where(table.c.merchant == work.merchant, table.c.serial == serial)
                .values(settled=way, settled_at=work.now, verdict_seq=number)
            )
