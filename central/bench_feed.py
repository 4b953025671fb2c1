"""How fast changes reach terminals: the lag of a crowd that waits, and the rate of a download.

Responsible for: the two comparisons, over real HTTP with the service in a process of its own. Not
responsible for: the crowd itself (`bench_crowd`). Invariants: every request is signed and every
answer believed as a terminal does it; lag is measured from the moment a commit returned.
"""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Final

from sqlalchemy import select

from central import bench_crowd, bench_ground, feed, ingest, schema
from central.arriving import Upload
from central.bench_crowd import Seen
from central.bench_figures import Figure
from central.bench_ground import Effort
from central.ingest import Held
from central.service import Central, open_central
from sync.limits import FEED_ITEMS_MAX

LAG_GOAL_S: Final = 2.0
REDEMPTIONS_PER_S: Final = 200
_BATCH: Final = 50
_WARM_S: Final = 2
_COMING_IN_PER_S: Final = 50
"""So fast a crowd of strangers is surely answered for the first time, on a busy machine too."""

PRETIX_ROWS_PER_S: Final = 10_000 / 39
"""Its faster figure for a download, measured on such a machine earlier (docs/performance.md)."""

_TIMES_PRETIX: Final = 100


@dataclass(frozen=True, slots=True)
class LagFigure:
    """How long a committed redemption takes to reach the terminals that wait, in seconds.

    `cut` requests found their connection closed, and were asked again on a new one: the service
    ends a connection that says nothing for 5 s, which a terminal of an overloaded machine may do.
    """

    what: str
    engine: str
    terminals: int
    redemptions_per_s: float
    heard: int
    requests_per_s: float
    cut: int
    lag_p50_s: float
    lag_p99_s: float
    server_peak_mb: float | None
    goal: float
    met: bool

    def json(self) -> dict[str, object]:
        """The figure as an object."""
        return asdict(self)

    def text(self) -> str:
        """The figure as a sentence."""
        return (
            f"{self.what} on {self.engine}: {self.terminals:,} terminals at "
            f"{self.redemptions_per_s:,.0f} redemptions/s, p50 {self.lag_p50_s:.2f} s, "
            f"p99 {self.lag_p99_s:.2f} s, goal <= {self.goal:g} s"
            + (f"; {self.cut} requests found their connection closed" if self.cut else "")
        )


def download(engine: str, effort: Effort) -> Figure:
    """Pull a bucket from its beginning, page by page; bare: its vouchers by one SELECT."""
    with bench_ground.database(engine) as url:
        central = bench_ground.prepare(url, effort)
        crowd = bench_crowd.enrol(central, 1)
        with bench_ground.served(url) as (address, _):
            began = perf_counter()
            rows = bench_crowd.pull(crowd, address)
            ours = perf_counter() - began
        began = perf_counter()
        bare_rows = _select(central)
        bare = perf_counter() - began
        central.database.close()
    goal = _TIMES_PRETIX * PRETIX_ROWS_PER_S
    return Figure(
        what="change download over HTTP (the goal is 100 x pretix's stored figure)",
        engine=engine,
        rows=rows,
        batch=FEED_ITEMS_MAX,
        rows_per_s=round(rows / ours),
        bare="SELECT of the same items",
        bare_rows_per_s=round(bare_rows / bare),
        ratio=round((rows / ours) / (bare_rows / bare), 4),
        goal=round(goal),
        met=rows / ours >= goal,
    )


def _select(central: Central) -> int:
    vouchers, sealed = schema.vouchers, schema.sealed
    with central.read() as work:
        first = work.connection.execute(select(vouchers)).all()
        second = work.connection.execute(select(sealed)).all()
    return len(first) + len(second)


def lag(engine: str, terminals: int, seconds: int) -> LagFigure:
    """Redeem steadily while all terminals hold a request open, and see when each hears of it."""
    per_s = REDEMPTIONS_PER_S // _BATCH
    warm_s = _WARM_S + terminals // _COMING_IN_PER_S
    effort = Effort(batches=(seconds + warm_s) * per_s, each=_BATCH)
    with bench_ground.database(engine) as url:
        central = bench_ground.prepare(url, effort)
        uploads = list(bench_ground.journal(central, effort))
        crowd = bench_crowd.enrol(central, terminals)
        with central.read() as work:
            start = feed.heads(work)[1]
        central.database.close()
        with (
            bench_ground.served(url) as (address, pid),
            _redeeming(url, uploads, 1 / per_s) as told,
        ):
            seen = bench_crowd.listen(crowd, address, start, seconds=seconds)
            peak = peak_mb(pid)
            commits = drained(told)
    return _figure(engine, terminals, seconds, seen, commits, peak)


def _figure(
    engine: str,
    terminals: int,
    seconds: int,
    seen: Seen,
    commits: list[tuple[int, float]],
    peak: float | None,
) -> LagFigure:
    delays = sorted(lags(seen, commits))
    assert delays, "nobody heard of anything"
    p99 = delays[len(delays) * 99 // 100]
    within = sum(seen.began < committed < seen.ended for _, committed in commits)
    return LagFigure(
        what="lag of the feed, long-poll",
        engine=engine,
        terminals=terminals,
        redemptions_per_s=round(within * _BATCH / seconds, 1),
        heard=len(delays),
        requests_per_s=round(seen.requests / seconds, 1),
        cut=seen.cut,
        lag_p50_s=round(delays[len(delays) // 2], 3),
        lag_p99_s=round(p99, 3),
        server_peak_mb=peak,
        goal=LAG_GOAL_S,
        met=p99 <= LAG_GOAL_S,
    )


def lags(seen: Seen, commits: list[tuple[int, float]]) -> Iterator[float]:
    """For each terminal and each commit that it heard of in time: how long that took.

    A commit of the last seconds that a terminal has not heard of counts as heard at the end.
    """
    for pages in seen.pages:
        after = iter(pages)
        page = next(after, None)
        for seq, committed in commits:
            while page is not None and page[0] < seq:
                page = next(after, None)
            heard = page[1] if page is not None else seen.ended
            if seen.began < committed < seen.ended:
                yield max(0.0, heard - committed)


@contextmanager
def _redeeming(url: str, uploads: list[Upload], every_s: float) -> Iterator[Connection]:
    """Counters that redeem, in a process of their own."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(
        target=_redeem, args=(url, uploads, every_s, theirs), daemon=True
    )
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.terminate()
        process.join(10)
        ours.close()


def _redeem(url: str, uploads: list[Upload], every_s: float, told: Connection) -> None:
    central = open_central(url)
    due = monotonic()
    for upload in uploads:
        due += every_s
        sleep(max(0.0, due - monotonic()))
        held = ingest.ingest(central, upload)
        committed = monotonic()
        assert isinstance(held, Held), held
        with central.read() as work:
            cursor = feed.heads(work, {1})[1]
        told.send((int(cursor.rsplit(".", 1)[1]), committed))


def drained(told: Connection) -> list[tuple[int, float]]:
    """What was told so far; whoever tells may have come to its end already."""
    commits = []
    with suppress(EOFError):
        while told.poll():
            commits.append(told.recv())
    return commits


def peak_mb(pid: int) -> float | None:
    """The largest resident memory a process has had, in MB; None where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return round(int(found[0]) / 1024, 1) if found else None
