"""After the database was restored from a backup: what it forgot, others remember.

Responsible for: renewing what terminals hold cursors and versions of. Not responsible for:
restoring files. Invariants: no cursor from before is ever answered by the new history; what a
terminal heard of its verdicts and of the policy since the backup is replaced by what holds here;
terminals' journals bring back by themselves what they had been acknowledged for.
"""

from sqlalchemy import select, update

from central import past, policies, schema
from central.database import retried
from central.numbering import verdict_counter
from central.service import Central, Work


@retried
def renew(central: Central) -> int:
    """Begin a new history of every bucket and every terminal's verdicts; answers the buckets.

    Terminals are told 410 and take a new snapshot; they hear all their verdicts anew.
    """
    with central.write() as work:
        past.forgotten(work)
        _renew_verdicts(work)
        policies.repeat(work, past.first_change(work))
        return _renew_feed(central, work)


def _renew_feed(central: Central, work: Work) -> int:
    head, counter = schema.feed_heads, schema.counters
    mine = head.c.merchant == work.merchant
    buckets = work.connection.execute(select(head.c.bucket).where(mine)).scalars().all()
    for bucket in sorted(buckets):
        work.connection.execute(
            update(head).where(mine, head.c.bucket == bucket).values(epoch=central.random(8).hex())
        )
    work.connection.execute(
        update(counter)
        .where(counter.c.merchant == work.merchant, counter.c.name == schema.MOVES)
        .values(value=past.after(work, counter.c.value))
    )
    return len(buckets)


def _renew_verdicts(work: Work) -> None:
    """Number all verdicts beyond what any terminal has heard.

    All of them, for nobody here knows which of them a terminal has heard otherwise since.
    """
    counter, booked = schema.counters, schema.bookings
    work.connection.execute(
        update(counter)
        .where(
            counter.c.merchant == work.merchant,
            counter.c.name.startswith(verdict_counter(""), autoescape=True),
        )
        .values(value=past.after(work, counter.c.value))
    )
    work.connection.execute(
        update(booked)
        .where(booked.c.merchant == work.merchant)
        .values(verdict_seq=past.after(work, booked.c.verdict_seq))
    )
