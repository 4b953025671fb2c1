"""Alarms: what a person at head office must look at.

Responsible for: keeping them. Not responsible for: telling anyone; `central alarms` and the web
page show them. Invariant: an alarm never stops the transaction that raises it.
"""

from sqlalchemy import select

from central import issuing, schema
from central.service import Central, Work
from vouchers import times


def raise_alarm(central: Central, work: Work, kind: str, posid: str | None, detail: str) -> None:
    """Keep an alarm, with the transaction that found it."""
    work.connection.execute(
        schema.alarms.insert().values(
            merchant=work.merchant,
            alarm=issuing.new_id(central, work.now),
            at=work.now,
            kind=kind,
            posid=posid,
            detail=detail,
        )
    )


def raise_hourly(central: Central, work: Work, kind: str, posid: str, detail: str) -> bool:
    """Keep an alarm unless the same of this terminal is from the last hour; whether it was kept."""
    table = schema.alarms
    lately = work.connection.execute(
        select(table.c.alarm).where(
            table.c.merchant == work.merchant,
            table.c.kind == kind,
            table.c.posid == posid,
            table.c.at > work.now - times.HOUR_MS,
        )
    ).first()
    if lately is None:
        raise_alarm(central, work, kind, posid, detail)
    return lately is None
