"""What it gains that redemptions which wait together share a transaction (design, section 9).

Responsible for: the same redemptions of many terminals, one at a time each, with `grouping` and
without, turn about. Not responsible for: HTTP.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from central import bench_ground, ingest
from central.arriving import Upload
from central.bench_figures import Figure
from central.bench_ground import Effort
from central.grouping import Group
from central.ingest import Held, Taken
from central.service import Central

GOAL: Final = 5.0
"""Times the rate without, with 64 terminals, on PostgreSQL (design, section 9)."""

_TERMINALS: Final = 64
_EACH: Final = 8
_ROUNDS: Final = 4
"""Half of them with, half without."""


def figures(engine: str) -> Iterator[Figure]:
    """The comparison."""
    with bench_ground.database(engine) as url:
        central = bench_ground.prepare(url, Effort(_TERMINALS * _EACH, 1))
        journals = [_journal(central, number) for number in range(_TERMINALS)]
        bench_ground.settle_down(central)
        alone, grouped = partial(ingest.ingest, central), Group(central).ingest
        seconds = dict.fromkeys((alone, grouped), 0.0)
        for part in range(_ROUNDS):
            way = grouped if part % 2 else alone
            seconds[way] += bench_ground.at_once([partial(_send, way, j, part) for j in journals])
        central.database.close()
    count = _TERMINALS * _EACH // 2
    ratio = seconds[alone] / seconds[grouped]
    goal = GOAL if engine == "postgresql" else None
    yield Figure(
        what=f"single redemptions of {_TERMINALS} terminals, grouped",
        engine=engine,
        rows=count,
        batch=1,
        rows_per_s=round(count / seconds[grouped]),
        bare="a transaction each",
        bare_rows_per_s=round(count / seconds[alone]),
        ratio=round(ratio, 4),
        goal=goal,
        met=None if goal is None else ratio >= goal,
    )


def _journal(central: Central, number: int) -> list[Upload]:
    effort = Effort(_EACH, 1)
    return list(bench_ground.journal(central, effort, f"TILL{number}", skip=number * _EACH))


def _send(way: Callable[[Upload], Taken], journal: Sequence[Upload], part: int) -> None:
    each = len(journal) // _ROUNDS
    for upload in journal[part * each : (part + 1) * each]:
        taken = way(upload)
        assert isinstance(taken, Held) and taken.added == 1, taken
