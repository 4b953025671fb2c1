"""Terminals that were told to destroy what they hold: which of them said that they did.

Responsible for: hearing a terminal's last word and keeping it. Not responsible for: the order
(`revoking`) or telling it (`hello`). Invariants: it is the word of the terminal's key, believed
only where this service closed that terminal; heard again it changes nothing and raises no second
alarm.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update

from central import alarms, schema
from central.database import retried
from central.errors import Refused
from central.hello import Terminal
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
        row = _row(work, wiped.posid, lock=True)
        stream = None if row is None else _stream(work, wiped)
        if row is None or stream is None:
            return Refused("unknown_key", "no terminal of this name and epoch is enrolled here")
        if not is_signed(said, bytes(stream.public_key)):
            return Refused("bad_signature", "the terminal's key did not sign this")
        closed = row.wipe_at if wiped.epoch == row.epoch else stream.revoked_seq
        if closed is None:
            return Refused("not_ordered", "nobody here ordered this terminal to be wiped")
        return _keep(central, work, row, wiped, _Held(stream.seq, _kept_apart(work, wiped)))


def is_ordered(central: Central, who: Terminal) -> bool:
    """Whether a terminal was told to destroy what it holds, under its current epoch."""
    if who.state != "revoked":
        return False
    with central.read() as work:
        return _row(work, who.posid, lock=False).wipe_at is not None


def heard_at(row: Any) -> int | None:
    """When the terminal of a row said that it was wiped under its current epoch, ms UTC."""
    kept = json.loads(row.about or "{}").get(KEY) or {}
    return int(kept["heard_at"]) if kept.get("epoch") == row.epoch else None


@dataclass(frozen=True, slots=True)
class _Held:
    """The last entry that is here of a wiped epoch: of its stream, and of what was kept apart."""

    stream: int
    apart: int

    def words(self, up_to: int) -> str:
        """What that means for people, when the terminal's journal ended at `up_to`."""
        missing = self.missing(up_to)
        if missing:
            return f"{missing} of its entries never arrived"
        apart = "; what fits into no stream is kept apart: `report branches`" if self.apart else ""
        return f"all its entries had arrived{apart}"

    def missing(self, up_to: int) -> int:
        """How many entries are nowhere here."""
        return max(0, up_to - max(self.stream, self.apart))


def _kept_apart(work: Work, wiped: Wiped) -> int:
    table = schema.branches
    last = select(func.max(table.c.seq)).where(
        table.c.merchant == work.merchant,
        table.c.posid == wiped.posid,
        table.c.epoch == wiped.epoch,
        table.c.seq <= wiped.up_to,
    )
    return int(work.connection.execute(last).scalar() or 0)


def _keep(central: Central, work: Work, row: Any, wiped: Wiped, held: _Held) -> int:
    about = json.loads(row.about or "{}")
    kept = about.get(KEY) or {}
    if kept.get("epoch", 0) >= wiped.epoch:
        return int(kept["heard_at"])
    words = f"epoch {wiped.epoch} was wiped at {wiped.at}; {held.words(wiped.up_to)}"
    alarms.raise_alarm(central, work, "wiped", wiped.posid, words)
    about[KEY] = {
        "epoch": wiped.epoch,
        "at": wiped.at,
        "heard_at": work.now,
        "missing": held.missing(wiped.up_to),
    }
    table = schema.terminals
    work.connection.execute(
        update(table)
        .where(table.c.merchant == work.merchant, table.c.posid == wiped.posid)
        .values(about=json.dumps(about))
    )
    return work.now


def _row(work: Work, posid: str, *, lock: bool) -> Any:
    table = schema.terminals
    query = select(table).where(table.c.merchant == work.merchant, table.c.posid == posid)
    return work.connection.execute(query.with_for_update() if lock else query).one_or_none()


def _stream(work: Work, wiped: Wiped) -> Any:
    table = schema.streams
    return work.connection.execute(
        select(table).where(
            table.c.merchant == work.merchant,
            table.c.posid == wiped.posid,
            table.c.epoch == wiped.epoch,
        )
    ).one_or_none()
