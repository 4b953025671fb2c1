"""What a fully judged upload costs, against storing the same rows bare (design, section 9).

Responsible for: the comparison, and checking the books afterwards. Not responsible for: HTTP.
"""

from collections.abc import Callable, Iterator
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


def figures(engine: str, effort: Effort) -> Iterator[Figure]:
    """Each comparison, as soon as it is known."""
    yield upload(engine, effort)


def upload(engine: str, effort: Effort) -> Figure:
    """Judge a journal, batch by batch, and store the same rows bare between the batches."""
    with bench_ground.database(engine) as url:
        central = bench_ground.prepare(url, effort)
        uploads = list(bench_ground.journal(central, effort))
        bare, store = _bare(central)
        ours = limit = 0.0
        for one in uploads:
            ours += _timed(lambda one=one: _taken(central, one))  # type: ignore[misc]
            rows = _stored(central, one)
            limit += _timed(lambda rows=rows: store(rows))  # type: ignore[misc]
        _check(central, effort)
        central.database.close()
    goal = GOAL if engine == "postgresql" else None
    ratio = limit / ours
    return Figure(
        what="journal upload, judged and fed",
        engine=engine,
        rows=effort.rows,
        batch=effort.each,
        rows_per_s=round(effort.rows / ours),
        bare=bare,
        bare_rows_per_s=round(effort.rows / limit),
        ratio=round(ratio, 4),
        goal=goal,
        met=None if goal is None else ratio >= goal,
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
        rows = work.connection.execute(select(table).where(table.c.seq >= one.first))
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


def _check(central: Central, effort: Effort) -> None:
    """All was booked, and what the hot vouchers were used too often has been found."""
    table = schema.bookings
    with central.read() as work:
        rows = work.connection.execute(
            select(table.c.verdict, func.count()).group_by(table.c.verdict)
        )
        found = {str(verdict): int(count) for verdict, count in rows}
        used = work.connection.execute(select(func.sum(schema.vouchers.c.used))).scalar_one()
    assert sum(found.values()) == used == effort.rows, (found, used)
    assert set(found) <= {Verdict.ACCEPTED, Verdict.OVER_REDEEMED}, found
