"""After the database was restored from a backup: what it forgot, others remember.

Responsible for: renewing what terminals hold cursors of. Not responsible for: restoring files.
Invariants: no cursor from before is ever answered by the new history; terminals' journals bring
back by themselves what they had been acknowledged for.
"""

from typing import Final

from sqlalchemy import select, update

from central import compaction, schema
from central.database import retried
from central.service import Central

_LEAP: Final = 1_000_000_000
"""Further than changes of verdict and of bucket can have been counted since any backup."""


@retried
def renew(central: Central) -> int:
    """Begin a new history of every bucket and every terminal's verdicts; answers the buckets.

    Terminals are told 410 and take a new snapshot; they hear every later verdict.
    """
    head, counter = schema.feed_heads, schema.counters
    with central.write() as work:
        buckets = (
            work.connection.execute(select(head.c.bucket).where(head.c.merchant == work.merchant))
            .scalars()
            .all()
        )
        for bucket in sorted(buckets):
            work.connection.execute(
                update(head)
                .where(head.c.merchant == work.merchant, head.c.bucket == bucket)
                .values(epoch=central.random(8).hex())
            )
        work.connection.execute(
            update(counter)
            .where(
                counter.c.merchant == work.merchant,
                counter.c.name.not_like(f"{compaction.MARK}:%"),
            )
            .values(value=counter.c.value + _LEAP)
        )
    return len(buckets)
