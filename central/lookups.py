"""Look-ups: a terminal's replica does not know a code that was presented.

Responsible for: opening a row by its key, and counting misses (decision 13). Not responsible for:
HTTP. Invariants: a miss is charged before the answer; a body is never logged; after 20 misses in
10 minutes a terminal is told to wait and head office hears of it.
"""

from dataclasses import dataclass

from sqlalchemy import select, update

from central import alarms, ledger, schema
from central.database import retried
from central.hello import Terminal
from central.service import Central, Work
from sync.feed import Reflects
from sync.limits import LOOKUP_MISS_WINDOW_S, LOOKUP_MISSES_MAX
from sync.messages import LookupAnswer
from vouchers import ids


@dataclass(frozen=True, slots=True)
class Missed:
    """No row has that key."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Too many misses; `retry_after_s` seconds until the window ends."""

    retry_after_s: int


@retried
def look_up(central: Central, who: Terminal, row_key: str) -> LookupAnswer | Missed | Exhausted:
    """The sealed row under a key, with where its voucher stands."""
    with central.write() as work:
        table = schema.terminals
        mine = (table.c.merchant == work.merchant) & (table.c.posid == who.posid)
        row = work.connection.execute(select(table).where(mine).with_for_update()).one()
        over_s = row.missed_from // 1000 + LOOKUP_MISS_WINDOW_S - work.now // 1000
        missed = row.missed if over_s > 0 else 0
        if missed >= LOOKUP_MISSES_MAX:
            return Exhausted(over_s)
        found = _find(work, who, ids.unb64u(row_key))
        if found is not None:
            return found
        since = row.missed_from if missed else work.now
        work.connection.execute(
            update(table).where(mine).values(missed=missed + 1, missed_from=since)
        )
        if missed + 1 == LOOKUP_MISSES_MAX:
            words = f"{LOOKUP_MISSES_MAX} misses within {LOOKUP_MISS_WINDOW_S} s"
            alarms.raise_alarm(central, work, "guessing", who.posid, words)
        return Missed()


def _find(work: Work, who: Terminal, k: bytes) -> LookupAnswer | None:
    table, stream = schema.sealed, schema.streams
    row = work.connection.execute(
        select(table).where(table.c.merchant == work.merchant, table.c.k == k)
    ).one_or_none()
    if row is None:
        return None
    voucher = ledger.find(work, row.voucher)
    assert voucher is not None, "a sealed row has its voucher"
    mine = work.connection.execute(
        select(stream.c.seq).where(
            stream.c.merchant == work.merchant,
            stream.c.posid == who.posid,
            stream.c.epoch == who.epoch,
        )
    ).one()
    return LookupAnswer(
        record=ids.b64u(row.record),
        voucher=voucher.voucher,
        state=ledger.state_item(voucher),
        reflects=Reflects(epoch=who.epoch, seq=mine.seq),
    )
