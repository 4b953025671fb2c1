"""The numbers of changes of verdict: each terminal's own, rising without gaps.

Responsible for: the counters. Not responsible for: what the numbers are given to (`booking`,
`verdicts`). Invariant: a counter stays locked until commit, so numbers are seen in their order.
"""

from collections.abc import Mapping

from central import bulk, schema
from central.service import Work


def next_verdicts(work: Work, counts: Mapping[str, int]) -> dict[str, int]:
    """Take numbers for changes of verdict, as many as each POSID needs; answers each one's first.

    The counters stay locked until commit.
    """
    names = {verdict_counter(posid): posid for posid in counts}
    taken = bulk.select_in(
        work.connection,
        schema.counters,
        ("name", "value"),
        work.merchant,
        ("name", names.keys()),
        lock=True,
    )
    last = {names[name]: int(value) for name, value in taken}
    rows = [(work.merchant, verdict_counter(p), last[p] + n) for p, n in counts.items()]
    bulk.update(work.connection, schema.counters, 2, ("merchant", "name", "value"), rows)
    return {posid: value + 1 for posid, value in last.items()}


def verdict_counter(posid: str) -> str:
    """The name of the counter that numbers a terminal's changes of verdict."""
    return f"verdicts:{posid}"
