"""How long it takes to fill a replica: from a ready-made file, and from the feed.

Responsible for: both ways as a terminal goes them when the bytes are there, each beside its bare
limit. Not responsible for: the network, which is neither's. Invariants: what is timed ends with a
replica that serves; the bare limit moves the same bytes, or the same rows, through the same engine.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from sync import receiver
from sync.feed import FeedPage, SealedPut, decode_page
from sync.messages import Manifest
from sync.receiver import BEGINNING
from sync.replica_schema import TABLES, sealed_row
from sync.snapshot_file import Download
from terminal import bench_shop, database
from terminal.bench_rows import Goal, Row, timed, turn_about
from terminal.replica_writer import ReplicaWriter
from vouchers import times
from vouchers.ids import unb64u
from vouchers.replica_form import REPLICA_SCHEMA

_CHUNK: Final = 64 * 1024
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Effort:
    """How often, and how many vouchers the file or the feed brings."""

    rounds: int
    rows: int


def bootstrap(effort: Effort) -> Row:
    """A file that arrived: verified, checked, encrypted in place, and put where it serves."""
    with TemporaryDirectory(prefix="hexiao-bench-") as directory:
        root = Path(directory)
        ready = root / "ready.db"
        bench_shop.snapshot(ready, effort.rows)
        said = manifest(ready)
        turns = (
            lambda: _timed_in(root, lambda at: take(ready, said, at)),
            lambda: _timed_in(root, lambda at: _copy(ready, at / "copy.db")),
        )
        turn_about(turns, rounds=1, each=1)  # the file is in the system's memory afterwards
        taken, copied = turn_about(turns, rounds=effort.rounds, each=1)
    return Row(
        what=f"replica from a ready-made file of {effort.rows:,} vouchers",
        bare_is="copying the file and syncing it",
        measured=taken,
        bare=copied,
        ratio=taken.p50 / copied.p50,
        goal=Goal(4),
        more={"file_mb": said.size / 1e6},
    )


def delta(effort: Effort) -> Row:
    """Pages of the feed: read, checked and applied, each durable with its cursor."""
    pages = [msgspec.json.encode(page) for page in bench_shop.delta(effort.rows, BEGINNING)]
    bare = [_rows(decode_page(page)) for page in pages]
    with TemporaryDirectory(prefix="hexiao-bench-") as directory:
        root = Path(directory)
        turns = (
            lambda: _timed_with_replica(root, lambda path, key: follow(pages, path, key)),
            lambda: _timed_with_replica(root, lambda path, key: _upsert(bare, path, key)),
        )
        followed, upserted = turn_about(turns, rounds=effort.rounds, each=1)
    return Row(
        what=f"replica from the feed, {effort.rows:,} vouchers in {len(pages)} pages: rows/s",
        bare_is="upserting the same rows, a transaction for each page",
        measured=followed,
        bare=upserted,
        ratio=upserted.p50 / followed.p50,
        goal=Goal(0.5, least=True),
        more={"vouchers_per_s": effort.rows / (followed.p50 / 1e6)},
    )


def manifest(path: Path) -> Manifest:
    """What central would say of this file, but for the signature."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Manifest(
        sha256=digest,
        size=path.stat().st_size,
        cursor={str(bucket): cursor for bucket, cursor in bench_shop.cursors().items()},
        sealed_through=times.format_utc(0),
        schema=REPLICA_SCHEMA,
        kid=1,
        sig="A" * 86,
    )


def _timed_in(root: Path, work: Callable[[Path], object]) -> int:
    with TemporaryDirectory(dir=root) as directory:
        return timed(lambda: work(Path(directory)))


def take(ready: Path, said: Manifest, at: Path) -> None:
    """Receive a file in pieces, and put it where it serves, in the folder `at`."""
    arrived, serving, key = at / "incoming.db", at / "replica.db", os.urandom(32)
    with (
        ready.open("rb") as file,
        Download(arrived, sha256=said.sha256, size=said.size) as download,
    ):
        download.begin(_OK, "")
        while chunk := file.read(_CHUNK):
            download.write(chunk)
        download.finish()
    writer = ReplicaWriter(serving, key)
    writer.install(arrived, said, lambda replace: replace())
    assert writer.readable()
    writer.close()


def _copy(ready: Path, copy: Path) -> None:
    with ready.open("rb") as file, copy.open("wb") as there:
        while chunk := file.read(_CHUNK):
            there.write(chunk)
        there.flush()
        os.fsync(there.fileno())


@contextmanager
def empty(root: Path) -> Iterator[tuple[Path, bytes]]:
    """A replica without rows and its key, in a folder of its own."""
    with TemporaryDirectory(dir=root) as directory:
        path, key = Path(directory) / "replica.db", os.urandom(32)
        with closing(database.open_replica(path, key, writable=True)) as connection, connection:
            for table in TABLES:
                connection.execute(table)
        yield path, key


def _timed_with_replica(root: Path, work: Callable[[Path, bytes], object]) -> int:
    with empty(root) as (path, key):
        return timed(lambda: work(path, key))


def follow(pages: Iterable[bytes], path: Path, key: bytes) -> None:
    """Read, check and apply pages as they come, from the beginning of the feed."""
    writer, after = ReplicaWriter(path, key), BEGINNING
    for body in pages:
        page = decode_page(body)
        receiver.check_page(page, after=after)
        writer.apply(bench_shop.BUCKET, page)
        after = page.cursor
    assert writer.cursor(bench_shop.BUCKET) == after
    writer.close()


_Rows = tuple[list[tuple[object, ...]], list[tuple[object, ...]]]


def _rows(page: FeedPage) -> _Rows:
    """What is bound for a page, ready."""
    sealed: list[tuple[object, ...]] = []
    states: list[tuple[object, ...]] = []
    for item in page.items:
        if isinstance(item, SealedPut):
            sealed.append(
                sealed_row(unb64u(item.k), unb64u(item.record), item.voucher, bench_shop.BUCKET)
            )
            states.append((item.voucher, *_STANDING))
    return sealed, states


_STANDING: Final = (1, "live", 0, 0, 0, times.DAY_MS, bench_shop.OUTLET, None, None, 1)


def _upsert(pages: Sequence[_Rows], path: Path, key: bytes) -> None:
    with closing(database.open_replica(path, key, writable=True)) as connection:
        for sealed, states in pages:
            with connection:
                connection.executemany(_SEALED, sealed)
                connection.executemany(_STATE, states)


_SEALED: Final = (
    "INSERT INTO sealed VALUES (?, ?, ?, ?, ?) ON CONFLICT (place) DO UPDATE SET"
    " record = excluded.record, voucher = excluded.voucher"
)
_STATE: Final = (
    "INSERT INTO state VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (voucher) DO UPDATE SET"
    " version = excluded.version, state = excluded.state, used = excluded.used"
)
