"""Terminals that were told to destroy what they hold: which of them said that they did.

Responsible for: hearing a terminal's last word and keeping it. Not responsible for: the order
(`revoking`) or telling it (`hello`). Invariants: it is the word of the terminal's key, believed
only where this service closed that terminal; heard again it changes nothing and raises no second
alarm.
"""

import json
from typing import Any

from sqlalchemy import select, update

from central import alarms, schema
from central.database import retried
from central.errors import Refused
from central.service import Central, Work
from sync.errors import Garbled
from sync.farewell import Wiped, WipedRequest, is_signed, read

KEY = "wiped"
"""Where a terminal's row keeps its last word, with the epoch that it was about."""


@retried
def hear(central: Central, said: WipedRequest) -> int | Refused:
    """Keep a last word; when it was heard first, ms UTC."""
    try:
        wiped = read(said.text)
    except Garbled as error:
        return Refused("garbled", str(error))
    with central.write() as work:
        row = _row(work, wiped.posid)
        stream = None if row is None else _stream(work, wiped)
        if row is None or stream is None:
            return Refused("unknown_key", "no terminal of this name and epoch is enrolled here")
        if not is_signed(said, bytes(stream.public_key)):
            return Refused("bad_signature", "the terminal's key did not sign this")
        closed = row.wipe_at if wiped.epoch == row.epoch else stream.revoked_seq
        if closed is None:
            return Refused("not_ordered", "nobody here ordered this terminal to be wiped")
        return _keep(central, work, row, wiped, missing=max(0, wiped.up_to - stream.seq))


def heard_at(row: Any) -> int | None:
    """When the terminal of a row said that it was wiped under its current epoch, ms UTC."""
    kept = json.loads(row.about or "{}").get(KEY) or {}
    return int(kept["heard_at"]) if kept.get("epoch") == row.epoch else None


def _keep(central: Central, work: Work, row: Any, wiped: Wiped, *, missing: int) -> int:
    about = json.loads(row.about or "{}")
    kept = about.get(KEY) or {}
    if kept.get("epoch", 0) >= wiped.epoch:
        return int(kept["heard_at"])
    lost = f"{missing} of its entries never arrived" if missing else "all its entries had arrived"
    words = f"epoch {wiped.epoch} was wiped at {wiped.at}; {lost}"
    alarms.raise_alarm(central, work, "wiped", wiped.posid, words)
    about[KEY] = {"epoch": wiped.epoch, "at": wiped.at, "heard_at": work.now, "missing": missing}
    table = schema.terminals
    work.connection.execute(
        update(table)
        .where(table.c.merchant == work.merchant, table.c.posid == wiped.posid)
        .values(about=json.dumps(about))
    )
    return work.now


def _row(work: Work, posid: str) -> Any:
    table = schema.terminals
    return work.connection.execute(
        select(table)
        .where(table.c.merchant == work.merchant, table.c.posid == posid)
        .with_for_update()
    ).one_or_none()


def _stream(work: Work, wiped: Wiped) -> Any:
    table = schema.streams
    return work.connection.execute(
        select(table).where(
            table.c.merchant == work.merchant,
            table.c.posid == wiped.posid,
            table.c.epoch == wiped.epoch,
        )
    ).one_or_none()
