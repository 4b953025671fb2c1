"""How much memory a replica takes on its way in: from a ready-made file, and from the feed.

Responsible for: a process that does nothing else, and its largest resident memory. Not responsible
for: how long it takes (`bench_filling`). Invariant: what is received lies in files, and the process
begins with none of it in memory.
"""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from sync.receiver import BEGINNING
from terminal import bench_filling, bench_shop
from terminal.bench_rows import Amount, Goal, Skipped

_GOAL_MB: Final = 120
"""The kiosk's, which receives in the background."""

_MB: Final = 1_000_000
_STATUS, _FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_END_S: Final = 30

_Receive = Callable[[Path], None]


def from_file(rows: int) -> Amount | Skipped:
    """Taking a snapshot of so many vouchers."""
    return _measure(f"memory while a file of {rows:,} vouchers is received", _file, _take, rows)


def from_feed(rows: int) -> Amount | Skipped:
    """Following pages about so many vouchers, from none."""
    return _measure(f"memory while the feed brings {rows:,} vouchers", _pages, _follow, rows)


def _measure(
    what: str, prepare: Callable[[Path, int], None], receive: _Receive, rows: int
) -> Amount | Skipped:
    if not _FORGET.exists():
        return Skipped(what, "this system does not tell what a process held at most")
    with TemporaryDirectory(prefix="hexiao-bench-") as directory:
        prepare(Path(directory), rows)
        before, most = _apart(receive, Path(directory))
    return Amount(
        what=what,
        unit="mb",
        measured=most / _MB,
        bare_is="the same process before",
        bare=before / _MB,
        goal=Goal(_GOAL_MB, unit="MB"),
    )


def _file(root: Path, rows: int) -> None:
    bench_shop.snapshot(root / "ready.db", rows)


def _take(root: Path) -> None:
    ready = root / "ready.db"
    bench_filling.take(ready, bench_filling.manifest(ready), root)


def _pages(root: Path, rows: int) -> None:
    for number, page in enumerate(bench_shop.delta(rows, BEGINNING)):
        (root / f"{number:06d}.json").write_bytes(msgspec.json.encode(page))


def _follow(root: Path) -> None:
    with bench_filling.empty(root) as (path, key):
        pages = (page.read_bytes() for page in sorted(root.glob("*.json")))
        bench_filling.follow(pages, path, key)


def _apart(receive: _Receive, root: Path) -> tuple[int, int]:
    """Bytes that a process holds before it receives, and at most meanwhile. Raises OSError."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(
        target=_received, args=(receive, root, theirs)
    )
    process.start()
    theirs.close()
    try:
        before, most = ours.recv()
    except EOFError as error:
        raise OSError("the process that receives ended early") from error
    finally:
        ours.close()
        process.join(_END_S)
    return before, most


def _received(receive: _Receive, root: Path, told: Connection) -> None:
    _FORGET.write_text("5", encoding="ascii")  # a peak that the imports left is not of this
    before = _held("VmRSS")
    receive(root)
    told.send((before, _held("VmHWM")))
    told.close()


def _held(name: str) -> int:
    status = _STATUS.read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024
