"""Alarms: what a person at head office must look at.

Responsible for: keeping them. Not responsible for: telling anyone; `central alarms` and the web
page show them. Invariant: an alarm never stops the transaction that raises it.
"""

from central import issuing, schema
from central.service import Central, Work


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
