"""What the service tells a monitoring system: counters of this process, gauges of the ledger.

Responsible for: which figures there are, and reading them when asked. Not responsible for: the
wire (`api.watching` counts requests). Invariants: no figure and no label names a person, a code or
a voucher; labels come from closed lists, so their number stays small; while the database does not
answer, `hexiao_database_up` says so and the rest of the ledger's figures are left out.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from central import jobs, schema, signatures
from central.errors import OutOfService
from central.reports import SILENT_HOURS
from central.service import Central, Work
from vouchers.booking import Verdict
from vouchers.times import HOUR_MS

_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Up to the longest hold of a poll."""


class Metrics:
    """The figures of one process. `waiting` answers how many terminals hold a request."""

    def __init__(self, central: Central, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self.requests: Final = Counter(
            "hexiao_requests",
            "Requests answered, by route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self.seconds: Final = Histogram(
            "hexiao_request_seconds",
            "Time from a request to its answer; a held poll counts with its wait.",
            ("route",),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self.ended: Final = Counter(
            "hexiao_connections_ended",
            "Connections that were ended: too slow with a request, or there were too many.",
            ("why",),
            registry=self._registry,
        )
        held = Gauge(
            "hexiao_terminals_waiting",
            "Terminals that hold a request for news at this process.",
            registry=self._registry,
        )
        held.set_function(waiting)
        self._registry.register(_Ledger(central))
        self._scraping = threading.Lock()

    def text(self) -> bytes:
        """All figures in Prometheus' text format; scrapes take turns, so they load one reader."""
        with self._scraping:
            return generate_latest(self._registry)


class _Ledger(Collector):
    """Reads the figures of the database in one moment."""

    def __init__(self, central: Central) -> None:
        self._central = central

    def describe(self) -> Iterable[Metric]:
        """Nothing: a registry asks at its start, when the database need not answer yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The figures."""
        try:
            with self._central.read() as work:
                found = list(_figures(work))
            up = 1
        except OutOfService:
            found, up = [], 0
        yield GaugeMetricFamily("hexiao_database_up", "Whether the database answers.", value=up)
        yield from found


def _figures(work: Work) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "hexiao_journal_entries",
        "Journal entries held, of all terminals and epochs.",
        value=_sum(work, schema.streams.c.seq),
    )
    yield GaugeMetricFamily(
        "hexiao_entries_unverified",
        "Journal entries that the background check of bodies and signatures has not seen yet.",
        value=signatures.waiting(work),
    )
    yield _labelled(
        "hexiao_open_verdicts",
        "Bookings whose verdict is not accepted and that nobody has settled.",
        "verdict",
        {str(verdict): 0 for verdict in Verdict if verdict is not Verdict.ACCEPTED}
        | _open_verdicts(work),
    )
    yield GaugeMetricFamily(
        "hexiao_alarms", "Alarms kept.", value=_count(work, schema.alarms, _of(work, schema.alarms))
    )
    yield GaugeMetricFamily(
        "hexiao_sealing_waiting",
        "Codes and cards that still have to be sealed.",
        value=_count(work, schema.sealing, _of(work, schema.sealing))
        + _count(work, schema.cards, _of(work, schema.cards)),
    )
    yield from _terminals(work)
    yield _jobs(work)


def _terminals(work: Work) -> Iterator[Metric]:
    table = schema.terminals
    rows = work.connection.execute(
        select(table.c.state, func.count()).where(_of(work, table)).group_by(table.c.state)
    )
    counted = {str(state): int(count) for state, count in rows}
    states = {"active": 0, "fenced": 0, "revoked": 0} | counted
    yield _labelled("hexiao_terminals", "Terminals by state.", "state", states)
    since = work.now - SILENT_HOURS * HOUR_MS
    quiet = (table.c.state == "active") & (table.c.seen_at < since)
    yield GaugeMetricFamily(
        "hexiao_terminals_silent",
        f"Active terminals that were not heard for {SILENT_HOURS} hours.",
        value=_count(work, table, _of(work, table) & quiet),
    )


def _jobs(work: Work) -> Metric:
    family = GaugeMetricFamily(
        "hexiao_job_last_work_timestamp_seconds",
        "When a job last had something to do.",
        labels=["job"],
    )
    for ran in jobs.listed(work):
        if ran.ran_at is not None:
            family.add_metric([ran.name], ran.ran_at / 1000)
    return family


def _open_verdicts(work: Work) -> dict[str, int]:
    table = schema.bookings
    rows = work.connection.execute(
        select(table.c.verdict, func.count())
        .where(
            table.c.merchant == work.merchant,
            table.c.verdict != Verdict.ACCEPTED.value,
            table.c.settled.is_(None),
        )
        .group_by(table.c.verdict)
    )
    return {str(verdict): int(count) for verdict, count in rows}


def _labelled(name: str, says: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, says, labels=[label])
    for value, count in sorted(values.items()):
        family.add_metric([value], count)
    return family


def _of(work: Work, table: Any) -> Any:
    return table.c.merchant == work.merchant


def _count(work: Work, table: Any, where: Any) -> int:
    found = work.connection.execute(select(func.count()).select_from(table).where(where))
    return int(found.scalar_one())


def _sum(work: Work, column: Any) -> int:
    table = column.table
    found = work.connection.execute(select(func.sum(column)).where(_of(work, table)))
    return int(found.scalar_one() or 0)
