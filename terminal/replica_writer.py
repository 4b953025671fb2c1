"""Filling the replica: feed pages and whole snapshots.

Responsible for: applying items by version with the cursor in one transaction, and putting a
verified snapshot, encrypted, in place of the old file (storage decisions D4, D5). Not responsible
for: fetching or verifying what central sent (`sync`). Invariants: the journal is never written
here; a page is applied whole or not; until a snapshot is encrypted, checked and durable the old
file serves.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from sync import feed
from sync.errors import Outdated
from sync.feed import FeedPage
from sync.messages import Manifest
from sync.replica_schema import MOVES_KEY
from terminal import database, keys, replica_count, replica_scope, snapshots
from terminal.errors import OutOfService
from terminal.replica import damage_mark
from terminal.replica_rows import AT_ONCE, Rows
from terminal.replica_scope import set_meta
from vouchers import times
from vouchers.replica_form import REPLICA_SCHEMA

_STATES: Final = (feed.StatePut, feed.StateGone)
"""Not a union: that would be made, and taken apart, for each of many items."""


class Applied(NamedTuple):
    """What came of a page: whether it brought a policy, and the bucket's own count after it."""

    policy: bool
    own: feed.Checkpoint | None


class ReplicaWriter:
    """The one writing connection. Two rounds may pull at once (one of them a person's): each call
    is whole, and a page that another round has overtaken is passed over.
    """

    def __init__(
        self,
        path: Path,
        key: bytes,
        *,
        make_way: Callable[[], None] = lambda: None,
        outlet: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`make_way` is called every millisecond of work or so; it may wait for somebody.

        `outlet` answers whose buckets are wanted now; None: those of every outlet.
        """
        self._path, self._key = path, key
        self._make_way, self._outlet = make_way, outlet
        self._lock = threading.RLock()
        self._connection: apsw.Connection | None = None
        self._complete: dict[int, str] = {}
        """Per bucket, the moment as of which its last row was here and its codes were sealed."""

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def readable(self) -> bool:
        """Whether there is a replica of this version that opens."""
        if damage_mark(self._path).exists() or not self._path.exists():
            return False
        try:
            row = self._one("SELECT value FROM meta WHERE key = 'schema'")
        except (apsw.Error, OutOfService):
            self.close()
            return False
        return row is not None and row[0] == str(REPLICA_SCHEMA)

    def buckets(self) -> list[int]:
        """The catalogue first, then every bucket that is wanted; the others are let go.

        Raises ValueError when they cannot be.
        """
        with self._storing() as connection:
            outlet = self._outlet()
            for bucket in replica_scope.unwanted(connection, outlet):
                replica_scope.let_go(connection, bucket, self._make_way)
                self._complete.pop(bucket, None)
            return replica_scope.wanted(connection, outlet)

    def cursor(self, bucket: int) -> str:
        """Where a bucket stands; `0` before its first page."""
        with self._storing() as connection:
            return _cursor(connection, bucket)

    def apply(self, bucket: int, page: FeedPage) -> Applied:
        """Apply a page and its cursor in one transaction.

        Raises ValueError when it cannot be stored, Outdated when central read it before a move of
        vouchers that is known here; nothing of it was stored then.
        """
        with self._storing() as connection, connection:
            if _cursor(connection, bucket) != page.from_:
                return Applied(policy=False, own=None)
            _check_moves(connection, page)
            replica_scope.learn(connection, {int(b): those for b, those in page.buckets.items()})
            wanted = frozenset(replica_scope.wanted(connection, self._outlet()))
            own = self._count(connection, bucket, page)
            Rows(connection, bucket, wanted, self._make_way).apply(page)
            for named in wanted.intersection(map(int, page.buckets)):
                replica_scope.await_rows(connection, named)
            connection.execute(
                "INSERT INTO cursor VALUES (?, ?)"
                " ON CONFLICT (bucket) DO UPDATE SET cursor = excluded.cursor",
                (bucket, page.cursor),
            )
            replica_scope.note_half(connection, bucket, half=page.more)
            complete = self._complete
            if page.sealed_through is not None:
                complete = _completed(complete, bucket, page.sealed_through, more=page.more)
                _lower_sealed_through(connection, page.sealed_through)
                if not page.more:
                    _set_sealed_through(connection, complete, self._outlet())
        self._complete = complete
        return Applied(any(isinstance(item, feed.PolicyPut) for item in page.items), own)

    def confirm(self, at_ms: int) -> None:
        """Everything central had was applied at this moment."""
        with self._storing() as connection:
            set_meta(connection, "fresh_at", times.format_utc(at_ms))

    def install(
        self, snapshot: Path, manifest: Manifest, swap: Callable[[Callable[[], None]], None]
    ) -> None:
        """Encrypt and check a verified snapshot, then let `swap` run the replacing.

        `swap` closes every reader around it. Raises ValueError or OSError; the old file then stays.
        """
        try:
            snapshots.make_ready(snapshot, manifest, self._key)
        except apsw.Error as error:
            raise ValueError(f"the snapshot cannot be used: {error}") from error

        def replace() -> None:
            for suffix in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    self._path.with_name(self._path.name + suffix).unlink()
            snapshot.replace(self._path)
            keys.sync_directory(self._path.parent)
            damage_mark(self._path).unlink(missing_ok=True)

        with self._lock:
            self.close()
            swap(replace)

    def _count(
        self, connection: apsw.Connection, bucket: int, page: FeedPage
    ) -> feed.Checkpoint | None:
        """What the bucket counts once the page is applied; None where nothing was counted."""
        tally = replica_count.begun(connection, bucket, page.from_)
        if tally is None:
            return None
        counting = replica_count.Counting(connection, bucket, tally)
        states = [item for item in page.items if isinstance(item, _STATES)]
        for start in range(0, len(states), AT_ONCE):
            self._make_way()
            counting.add(states[start : start + AT_ONCE])
        return replica_count.keep(connection, bucket, page.cursor, counting)

    @contextmanager
    def _storing(self) -> Iterator[apsw.Connection]:
        """What SQLite finds wrong ends a round of `sync`, never the thread that runs it."""
        with self._lock:
            try:
                yield self._open()
            except (apsw.CorruptError, apsw.NotADBError) as error:
                self.close()
                damage_mark(self._path).touch(mode=0o600)
                raise ValueError(f"the voucher list is damaged: {error}") from error
            except apsw.Error as error:
                raise ValueError(f"the voucher list cannot be written: {error}") from error

    def _one(self, statement: str, *values: str | int) -> tuple[object, ...] | None:
        with self._lock:
            return self._open().execute(statement, values).fetchone()

    def _open(self) -> apsw.Connection:
        if self._connection is None:
            self._connection = database.open_replica(self._path, self._key, writable=True)
        return self._connection


def _cursor(connection: apsw.Connection, bucket: int) -> str:
    row = connection.execute("SELECT cursor FROM cursor WHERE bucket = ?", (bucket,)).fetchone()
    return "0" if row is None else str(row[0])


def _completed(
    complete: Mapping[int, str], bucket: int, moment: str, *, more: bool
) -> dict[int, str]:
    """Up to which moment each bucket is whole. Half a bucket raises nothing, but it may say less
    than before: a row that it names the state of may wait to be sealed again.
    """
    if not more:
        return {**complete, bucket: moment}
    return (
        {**complete, bucket: min(complete[bucket], moment)} if bucket in complete else {**complete}
    )


def _lower_sealed_through(connection: apsw.Connection, moment: str) -> None:
    """States are newer than the promise from before, also those of half a bucket, or of a whole one
    while others are still to be read: never promise more than central does now.
    """
    connection.execute(
        "UPDATE meta SET value = ? WHERE key = 'sealed_through' AND value > ?", (moment, moment)
    )


def _check_moves(connection: apsw.Connection, page: FeedPage) -> None:
    """Pages of two buckets tell in one order who has a voucher; the earlier word comes too late."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (MOVES_KEY,)).fetchone()
    known = 0 if row is None else int(str(row[0]))
    if page.moves < known:
        raise Outdated(f"a page from before move {known}, of {page.moves}")
    if page.moves > known:
        set_meta(connection, MOVES_KEY, str(page.moves))


def _set_sealed_through(
    connection: apsw.Connection, complete: Mapping[int, str], outlet: int | None
) -> None:
    """The promise is about all buckets that hold vouchers: as of the one that is furthest behind.

    Half a bucket, or half of them, keeps an earlier promise.
    """
    wanted = replica_scope.wanted(connection, outlet)
    moments = [complete.get(bucket) for bucket in wanted if bucket != replica_scope.CATALOGUE]
    moments = moments or list(complete.values())
    known = [moment for moment in moments if moment is not None]
    if len(known) == len(moments):
        set_meta(connection, "sealed_through", min(known))
