"""What a snapshot costs to build, against copying the finished file (design, section 9).

Responsible for: a ledger of that many vouchers, the time and the memory of one build in a process
of its own. Not responsible for: what a terminal does with the file. Invariant: the file is built
as for any terminal that asks, and its rows are counted.
"""

import multiprocessing
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

from sqlalchemy import Table

from central import bench_ground, bulk, schema, snapshot
from central.bench_feed import peak_mb
from central.bench_ground import Effort
from central.service import Central, Work, open_central
from vouchers import ids, times

_PORTION = 10_000


@dataclass(frozen=True, slots=True)
class SnapshotFigure:
    """One build: seconds, peak memory of its process, and the same file copied and synced."""

    what: str
    engine: str
    vouchers: int
    rows: int
    size_mb: float
    build_s: float
    rows_per_s: float
    peak_mb: float | None
    before_mb: float | None
    bare: str
    bare_s: float
    ratio: float

    def json(self) -> dict[str, object]:
        """The figure as an object."""
        return asdict(self)

    def text(self) -> str:
        """The figure as a sentence."""
        memory = "" if self.peak_mb is None else f", peak memory {self.peak_mb:,.0f} MB"
        return (
            f"{self.what} on {self.engine}: {self.vouchers:,} vouchers in {self.build_s:.1f} s "
            f"({self.size_mb:,.0f} MB{memory}), {self.bare} {self.bare_s:.2f} s, "
            f"ratio {self.ratio:.1f}"
        )


def figures(engine: str, vouchers: int) -> Iterator[SnapshotFigure]:
    """Each comparison, as soon as it is known."""
    with bench_ground.database(engine) as url:
        central = bench_ground.prepare(url, Effort(batches=0))
        for start in range(0, vouchers, _PORTION):
            fill(central, start, min(_PORTION, vouchers - start))
        bench_ground.settle_down(central)
        central.database.close()
        yield _figure(engine, url, vouchers)


def fill(central: Central, start: int, count: int) -> None:
    """More vouchers with two sealed rows each, all noise: nothing here ever opens one."""
    with central.write() as work:
        now = work.now
        names = [ids.uuid7(now + start + n, central.random(10)) for n in range(count)]
        base: dict[str, object] = {
            "merchant": work.merchant,
            "product": 1,
            "bucket": 1,
            "horizon": 10,
            "shares": 3,
        }
        base |= {"used": 0, "used_before": 0, "generation": 0, "generation_before": 0}
        base |= {"refunded_shares": 0, "state": "live", "home": 1, "last4": "1234", "version": 1}
        base |= {"has_reversals": 0}
        base |= {"valid_from": now, "valid_until": now + times.DAY_MS, "issued_at": now}
        _insert(
            work,
            schema.vouchers,
            [
                base | {"voucher": name, "order_id": name, "secret": bytes(32), "paid_fen": 3000}
                for name in names
            ],
        )
        row: dict[str, object] = {"merchant": work.merchant, "bucket": 1, "vault": 1}
        _insert(
            work,
            schema.sealed,
            [
                row
                | {"k": os.urandom(16), "record": os.urandom(120)}
                | {"voucher": name, "generation": generation}
                for name in names
                for generation in (0, 1)
            ],
        )


def _insert(work: Work, table: Table, rows: Sequence[dict[str, object]]) -> None:
    bulk.insert(work.connection, table, tuple(rows[0]), [tuple(row.values()) for row in rows])


def _figure(engine: str, url: str, vouchers: int) -> SnapshotFigure:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_build, args=(url, theirs))
    process.start()
    theirs.close()
    path, build_s, before, peak = ours.recv()
    process.join(30)
    ours.close()
    with closing(sqlite3.connect(path)) as file:
        rows = sum(
            file.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("sealed", "state")
        )
    assert rows == 3 * vouchers, rows
    bare_s = _copied(path)
    size = path.stat().st_size
    shutil.rmtree(path.parent)
    return SnapshotFigure(
        what="snapshot built",
        engine=engine,
        vouchers=vouchers,
        rows=rows,
        size_mb=round(size / 1e6, 1),
        build_s=round(build_s, 3),
        rows_per_s=round(rows / build_s),
        peak_mb=peak,
        before_mb=before,
        bare="the finished file copied and synced",
        bare_s=round(bare_s, 3),
        ratio=round(build_s / bare_s, 2),
    )


def _build(url: str, told: Connection) -> None:
    central = open_central(url)
    # A peak that the imports left is none of the build's.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = peak_mb(os.getpid())
    began = perf_counter()
    built = snapshot.current(central)
    seconds = perf_counter() - began
    path = snapshot.file_of(central, built.sha256)
    told.send((path, seconds, before, peak_mb(os.getpid())))


def _copied(path: Path) -> float:
    began = perf_counter()
    copy = path.with_name("copy.db")
    with path.open("rb") as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
    seconds = perf_counter() - began
    copy.unlink()
    return seconds
