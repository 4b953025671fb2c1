"""Verdicts on their way back to the counter, and how a person closes one.

Responsible for: the verdicts of a batch, those that changed since, settling (design, section 7).
Not responsible for: judging. Invariants: a change of verdict is heard by its terminal exactly once
per cursor; all but `accepted` stay open until a person settles them; settling changes no shares.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select, update

from central import booking, schema
from central.errors import Refused
from central.service import Central, Work
from sync.limits import VERDICTS_MAX
from sync.messages import Verdict, VerdictsPage
from vouchers import booking as rules

WAYS: Final = ("loss", "recovered", "customer_contacted")
"""How a person closes a verdict: the loss is borne, recovered, or the customer was contacted."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A verdict that a person closed. `repeated`: it had been closed so before."""

    serial: str
    verdict: str
    settled: str
    repeated: bool


def of_batch(work: Work, posid: str, epoch: int, first: int, last: int) -> tuple[Verdict, ...]:
    """The present verdicts on the entries of a batch that moved shares or could not be read."""
    table = schema.bookings
    rows = work.connection.execute(
        select(table)
        .where(
            table.c.merchant == work.merchant,
            table.c.posid == posid,
            table.c.epoch == epoch,
            table.c.seq.between(first, last),
        )
        .order_by(table.c.seq)
    )
    return tuple(_verdict(row) for row in rows)


def changed_since(work: Work, posid: str, after: int) -> VerdictsPage:
    """The verdicts of a terminal that are new or changed after a number, oldest change first."""
    table = schema.bookings
    rows = work.connection.execute(
        select(table)
        .where(
            table.c.merchant == work.merchant,
            table.c.posid == posid,
            table.c.verdict_seq > after,
        )
        .order_by(table.c.verdict_seq)
        .limit(VERDICTS_MAX + 1)
    ).all()
    page = rows[:VERDICTS_MAX]
    return VerdictsPage(
        verdicts=tuple(_verdict(row) for row in page),
        cursor=str(page[-1].verdict_seq if page else after),
        more=len(rows) > len(page),
    )


def _verdict(row: Any) -> Verdict:
    return Verdict(
        seq=row.seq,
        serial=row.serial,
        verdict=row.verdict,
        flags=tuple(json.loads(row.flags)),
        excess=row.excess,
        others=tuple(json.loads(row.others)),
        settled=row.settled,
    )


def settle(central: Central, serial: str, way: str) -> Settled | Refused:
    """Close the verdict on an entry; the counters stop showing it.

    Entries that are accepted and only related to it close with the last verdict they relate to.
    """
    table = schema.bookings
    with central.write() as work:
        row = work.connection.execute(
            select(table).where(table.c.merchant == work.merchant, table.c.serial == serial)
        ).one_or_none()
        if row is None:
            return Refused("unknown_serial", f"no entry {serial[:100]!r} has arrived")
        if row.verdict == rules.Verdict.ACCEPTED and "related" not in json.loads(row.flags):
            return Refused("nothing_to_settle", "the entry is accepted; there is nothing to settle")
        if row.settled == way:
            return Settled(serial, row.verdict, way, repeated=True)
        closing = [row, *_only_related(work, row)]
        # The counters before the rows, as booking takes them, and in its order: the other way
        # round they could wait for each other.
        numbers = {
            each.serial: booking.next_verdicts(work, each.posid, 1)
            for each in sorted(closing, key=lambda each: (each.posid, each.epoch, each.seq))
        }
        for closed, number in numbers.items():
            work.connection.execute(
                update(table)
                .where(table.c.merchant == work.merchant, table.c.serial == closed)
                .values(settled=way, settled_at=work.now, verdict_seq=number)
            )
    return Settled(serial, row.verdict, way, repeated=False)


def _only_related(work: Work, row: Any) -> list[Any]:
    """The accepted entries of the same voucher that wait for nothing but this verdict."""
    table = schema.bookings
    rows = work.connection.execute(
        select(table).where(
            table.c.merchant == work.merchant,
            table.c.voucher == row.voucher,
            table.c.settled.is_(None),
            table.c.serial != row.serial,
        )
    ).all()
    if any(each.verdict != rules.Verdict.ACCEPTED for each in rows):
        return []
    return [each for each in rows if rules.FLAG_RELATED in json.loads(each.flags)]
