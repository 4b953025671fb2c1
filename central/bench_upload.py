"""What a fully judged upload costs, against storing the same rows bare (design, section 9).

Responsible for: the comparison, and checking the books afterwards. Not responsible for: HTTP.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

from sqlalchemy import MetaData, Table, func, select

from central import bench_ground, ingest, schema
from central.arriving import Upload
from central.bench_figures import Figure
from central.bench_ground import Effort
from central.ingest import Held
from central.service import Central
from vouchers.booking import Verdict

GOAL: Final = 0.25
"""Of the rate of a raw COPY, on PostgreSQL (design, section 9)."""


_WARM: Final = 4
"""Batches before the clock starts: tables have rows by then, and PostgreSQL knows of them."""

_SINGLES: Final = 200


def figures(engine: str, effort: Effort) -> Iterator[Figure]:
    """Each comparison, as soon as it is known."""
    with bench_ground.database(engine) as url:
        central = bench_ground.prepare(url, Effort(_WARM + effort.batches + 1, effort.each))
        whole = Effort(_WARM + effort.batches, effort.each)
        uploads = list(bench_ground.journal(central, whole))
        singles = Effort(min(_SINGLES, effort.each), 1)
        single = list(bench_ground.journal(central, singles, "SINGLE", skip=whole.rows))
        for one in uploads[:_WARM]:
            _taken(central, one)
        bench_ground.settle_down(central)
        bare, store = _bare(central)
        ours = limit = 0.0
        for one in uploads[_WARM:]:
            ours += _timed(lambda one=one: _taken(central, one))  # type: ignore[misc]
            rows = _stored(central, one)
            limit += _timed(lambda rows=rows: store(rows))  # type: ignore[misc]
        alone = sum(_timed(lambda one=one: _taken(central, one)) for one in single)  # type: ignore[misc]
        _check(central, whole.rows + singles.rows)
        central.database.close()
    goal = GOAL if engine == "postgresql" else None
    yield _figure(engine, effort, ours, Limit(bare, effort.rows / limit, goal))
    yield _figure(engine, effort, ours, Limit("one entry per upload", singles.rows / alone, None))


@dataclass(frozen=True, slots=True)
class Limit:
    """What an upload is held against: its name, its rows per second, and the ratio to reach."""

    name: str
    rows_per_s: float
    goal: float | None


def _figure(engine: str, effort: Effort, seconds: float, limit: Limit) -> Figure:
    ours = effort.rows / seconds
    ratio = ours / limit.rows_per_s
    return Figure(
        what="journal upload, judged and fed",
        engine=engine,
        rows=effort.rows,
        batch=effort.each,
        rows_per_s=round(ours),
        bare=limit.name,
        bare_rows_per_s=round(limit.rows_per_s),
        ratio=round(ratio, 4),
        goal=limit.goal,
        met=None if limit.goal is None else ratio >= limit.goal,
    )


def _timed(work: Callable[[], None]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def _taken(central: Central, one: Upload) -> None:
    held = ingest.ingest(central, one)
    assert isinstance(held, Held) and held.added == len(one.bodies), held


def _stored(central: Central, one: Upload) -> list[dict[str, Any]]:
    """The entries as the upload stored them."""
    table = schema.entries
    with central.read() as work:
        rows = work.connection.execute(
            select(table).where(table.c.posid == one.posid, table.c.seq >= one.first)
        )
        return [dict(row._mapping) for row in rows]


def _bare(central: Central) -> tuple[str, Callable[[list[dict[str, Any]]], None]]:
    """The bare way of the engine to store entries, into a table of the same shape and keys."""
    table = schema.entries.to_metadata(MetaData(), name="bare")
    with central.write() as work:
        table.create(work.connection)
    if central.database.is_sqlite:
        return "executemany INSERT", lambda rows: _executemany(central, table, rows)
    return "COPY", lambda rows: _copy(central, table, rows)


def _executemany(central: Central, table: Table, rows: list[dict[str, Any]]) -> None:
    names = [column.name for column in table.columns]
    marks = ", ".join("?" * len(names))
    with central.database.write() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        values = [tuple(row[name] for name in names) for row in rows]
        raw.executemany(f"INSERT INTO bare ({', '.join(names)}) VALUES ({marks})", values)


def _copy(central: Central, table: Table, rows: list[dict[str, Any]]) -> None:
    names = [column.name for column in table.columns]
    with central.database.write() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        with (
            raw.cursor() as cursor,
            cursor.copy(f"COPY bare ({', '.join(names)}) FROM STDIN") as to,
        ):
            for row in rows:
                to.write_row([row[name] for name in names])


def _check(central: Central, count: int) -> None:
    """All was booked, and what the hot vouchers were used too often has been found."""
    table = schema.bookings
    with central.read() as work:
        rows = work.connection.execute(
            select(table.c.verdict, func.count()).group_by(table.c.verdict)
        )
        found = {str(verdict): int(count) for verdict, count in rows}
        used = work.connection.execute(select(func.sum(schema.vouchers.c.used))).scalar_one()
    assert sum(found.values()) == used == count, (found, used)
    assert set(found) <= {Verdict.ACCEPTED, Verdict.OVER_REDEEMED}, found
