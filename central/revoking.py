"""Closing a terminal: it is no longer trusted, and may be told to destroy what it holds.

Responsible for: the state, the line in each of its streams after which entries are set aside, and
booking one of those after all when a person says so. Not responsible for: telling the terminal
(`hello`, and every other call). Invariants: nothing that arrives is lost; an entry counts as made
before the revocation only where central held it by then, or its terminal had named it by then:
the time inside an entry is the word of whoever has the key.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from central import alarms, booking, schema, signatures
from central.booked import QUARANTINED
from central.database import retried
from central.errors import Refused
from central.service import Central, Work
from vouchers.booking import Verdict


@dataclass(frozen=True, slots=True)
class Revoked:
    """A closed terminal. `repeated`: nothing was changed."""

    posid: str
    state: str
    wipe: bool
    repeated: bool


@dataclass(frozen=True, slots=True)
class Released:
    """A quarantined entry that was booked after all, and the verdict it has now."""

    serial: str
    verdict: str


@retried
def revoke(central: Central, posid: str, *, wipe: bool = False) -> Revoked | Refused:
    """Trust a terminal no more; with `wipe` also have it destroy its keys and databases."""
    table = schema.terminals
    with central.write() as work:
        mine = (table.c.merchant == work.merchant) & (table.c.posid == posid)
        row = work.connection.execute(select(table).where(mine).with_for_update()).one_or_none()
        if row is None:
            return Refused("unknown_terminal", f"no terminal is called {posid[:40]!r}")
        if row.state == "revoked" and (row.wipe_at is not None or not wipe):
            return Revoked(posid, "revoked", row.wipe_at is not None, repeated=True)
        work.connection.execute(
            update(table)
            .where(mine)
            .values(
                state="revoked",
                revoked_at=work.now if row.revoked_at is None else row.revoked_at,
                wipe_at=work.now if wipe else row.wipe_at,
            )
        )
        _draw_line(work, posid, json.loads(row.about or "{}").get("head") or {})
        alarms.raise_alarm(central, work, "revoked", posid, "wipe ordered" if wipe else "closed")
    return Revoked(posid, "revoked", wipe or row.wipe_at is not None, repeated=False)


def _draw_line(work: Work, posid: str, named: dict[str, object]) -> None:
    table = schema.streams
    rows = work.connection.execute(
        select(table.c.epoch, table.c.seq)
        .where(
            table.c.merchant == work.merchant,
            table.c.posid == posid,
            table.c.revoked_seq.is_(None),
        )
        .with_for_update()
    ).all()
    for row in rows:
        seq = int(str(named.get("seq", 0))) if named.get("epoch") == row.epoch else 0
        work.connection.execute(
            update(table)
            .where(
                table.c.merchant == work.merchant,
                table.c.posid == posid,
                table.c.epoch == row.epoch,
            )
            .values(revoked_seq=max(row.seq, seq))
        )


@retried
def release(central: Central, serial: str) -> Released | Refused:
    """Book an entry after all that can be read and that its terminal's key stands for.

    It was set aside because its terminal had been revoked, or its own signature is wrong and a good
    one stands after it.
    """
    table = schema.bookings
    with central.write() as work:
        mine = (table.c.merchant == work.merchant) & (table.c.serial == serial)
        row = work.connection.execute(select(table).where(mine)).one_or_none()
        if row is None:
            return Refused("unknown_serial", f"no entry {serial[:100]!r} has arrived")
        if row.kind == QUARANTINED or not _may_count(work, row):
            words = "only an entry that could be read and was quarantined can be booked after all"
            words += ", or one with a wrong signature of its own and a good one after it"
            return Refused("nothing_to_release", words)
        work.connection.execute(update(table).where(mine).values(barred=None))
        booking.rebook(work, {row.voucher})
        verdict = work.connection.execute(select(table.c.verdict).where(mine)).scalar_one()
    return Released(serial, str(verdict))


def _may_count(work: Work, row: Any) -> bool:
    if row.barred == Verdict.BAD_SIGNATURE:
        return signatures.covers(work, row.posid, row.epoch, row.seq)
    return bool(row.barred == Verdict.QUARANTINED)
