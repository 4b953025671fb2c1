"""Filling the replica: feed pages and whole snapshots.

Responsible for: applying items by version with the cursor in one transaction, and putting a
verified snapshot, encrypted, in place of the old file (storage decisions D4, D5). Not responsible
for: fetching or verifying what central sent (`sync`). Invariants: the journal is never written
here; a page is applied whole or not; until a snapshot is encrypted, checked and durable the old
file serves.
"""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple

import apsw
import msgspec

from sync import feed
from sync.feed import FeedPage
from sync.messages import Manifest
from sync.replica_schema import REPLICA_SCHEMA
from terminal import database, keys, replica_count, snapshots
from terminal.errors import OutOfService
from terminal.replica import damage_mark
from vouchers import times
from vouchers.ids import unb64u

_Bound = tuple[bytes | str | int | None, ...]

_AT_ONCE: Final = 50
"""Rows between two looks at whether a clerk waits: about a millisecond of work."""


class Applied(NamedTuple):
    """What came of a page: whether it brought a policy, and the bucket's own count after it."""

    policy: bool
    own: feed.Checkpoint | None


class ReplicaWriter:
    """The one writing connection. Two rounds may pull at once (one of them a person's): each call
    is whole, and a page that another round has overtaken is passed over.
    """

    def __init__(
        self, path: Path, key: bytes, *, make_way: Callable[[], None] = lambda: None
    ) -> None:
        """`make_way` is called every millisecond of work or so; it may wait for somebody."""
        self._path, self._key = path, key
        self._make_way = make_way
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
        """The catalogue first, then every bucket that a product names."""
        with self._storing() as connection:
            rows = connection.execute("SELECT DISTINCT bucket FROM product WHERE bucket != 0")
            return [0, *sorted(int(str(row[0])) for row in rows)]

    def cursor(self, bucket: int) -> str:
        """Where a bucket stands; `0` before its first page."""
        with self._storing() as connection:
            return _cursor(connection, bucket)

    def apply(self, bucket: int, page: FeedPage) -> Applied:
        """Apply a page and its cursor in one transaction.

        Raises ValueError when it cannot be stored; nothing of it was then.
        """
        with self._storing() as connection, connection:
            if _cursor(connection, bucket) != page.from_:
                return Applied(policy=False, own=None)
            own = self._count(connection, bucket, page)
            self._apply_all(connection, page)
            connection.execute(
                "INSERT INTO cursor VALUES (?, ?)"
                " ON CONFLICT (bucket) DO UPDATE SET cursor = excluded.cursor",
                (bucket, page.cursor),
            )
            complete = self._complete
            if page.sealed_through is not None:
                complete = _completed(complete, bucket, page.sealed_through, more=page.more)
                if page.more:
                    _lower_sealed_through(connection, page.sealed_through)
                else:
                    _set_sealed_through(connection, complete)
        self._complete = complete
        return Applied(any(isinstance(item, feed.PolicyPut) for item in page.items), own)

    def confirm(self, at_ms: int) -> None:
        """Everything central had was applied at this moment."""
        with self._storing() as connection:
            _set_meta(connection, "fresh_at", times.format_utc(at_ms))

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
        counting = replica_count.Counting(connection, tally)
        states = [item for item in page.items if isinstance(item, feed.StatePut | feed.StateGone)]
        for start in range(0, len(states), _AT_ONCE):
            self._make_way()
            counting.add(states[start : start + _AT_ONCE])
        return replica_count.keep(connection, bucket, page.cursor, counting.tally)

    def _apply_all(self, connection: apsw.Connection, page: FeedPage) -> None:
        """Sealed rows and states, which are many, in runs and in the order of the file.

        Neighbours in the file are found without searching it anew. The sort keeps what happened to
        one row in its order, and no table knows another's.
        """
        sealed: list[feed.SealedPut | feed.SealedGone] = []
        states: list[feed.StatePut | feed.StateGone] = []
        for item in page.items:
            match item:
                case feed.SealedPut() | feed.SealedGone():
                    sealed.append(item)
                case feed.StatePut() | feed.StateGone():
                    states.append(item)
                case _:
                    _apply_other(connection, item)
        for gone, run in groupby(sealed, lambda item: isinstance(item, feed.SealedGone)):
            self._store(connection, _SEALED_GONE if gone else _SEALED_PUT, map(_sealed_row, run))
        row = _StateRows(page.reflects)
        for gone, moved in groupby(states, lambda item: isinstance(item, feed.StateGone)):
            self._store(connection, _STATE_GONE if gone else _STATE_PUT, map(row, moved))

    def _store(self, connection: apsw.Connection, statement: str, rows: Iterable[_Bound]) -> None:
        connection.executemany(statement, self._gently(sorted(self._gently(rows), key=_FIRST)))

    def _gently(self, rows: Iterable[_Bound]) -> Iterator[_Bound]:
        """Rows, with room for the counter between them: Python runs one thread at a time."""
        for number, row in enumerate(rows):
            if number % _AT_ONCE == 0:
                self._make_way()
            yield row

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
    """The states of half a bucket are newer than the promise from before: never promise more."""
    connection.execute(
        "UPDATE meta SET value = ? WHERE key = 'sealed_through' AND value > ?", (moment, moment)
    )


def _set_sealed_through(connection: apsw.Connection, complete: Mapping[int, str]) -> None:
    """The promise is about all buckets that hold vouchers: as of the one that is furthest behind.

    Half a bucket, or half of them, keeps an earlier promise.
    """
    rows = connection.execute("SELECT DISTINCT bucket FROM product WHERE bucket != 0")
    moments = [complete.get(int(str(row[0]))) for row in rows] or list(complete.values())
    known = [moment for moment in moments if moment is not None]
    if len(known) == len(moments):
        _set_meta(connection, "sealed_through", min(known))


def _set_meta(connection: apsw.Connection, key: str, value: str) -> None:
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


_FIRST: Final = itemgetter(0)
_SEALED_PUT: Final = (
    "INSERT INTO sealed VALUES (?, ?, ?) ON CONFLICT (k) DO UPDATE SET"
    " record = excluded.record, voucher = excluded.voucher"
)
_SEALED_GONE: Final = "DELETE FROM sealed WHERE k = ?"
_STATE_PUT: Final = (
    "INSERT INTO state VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (voucher) DO UPDATE SET version = excluded.version, state = excluded.state,"
    " generation = excluded.generation, used = excluded.used,"
    " valid_from = excluded.valid_from, valid_until = excluded.valid_until,"
    " home = excluded.home, reflects_epoch = excluded.reflects_epoch,"
    " reflects_seq = excluded.reflects_seq WHERE excluded.version >= state.version"
)
_STATE_GONE: Final = "DELETE FROM state WHERE voucher = ? AND version <= ?"


def _sealed_row(item: feed.SealedPut | feed.SealedGone) -> _Bound:
    if isinstance(item, feed.SealedGone):
        return (unb64u(item.k),)
    return unb64u(item.k), unb64u(item.record), item.voucher


class _StateRows:
    """What is bound for a state; what the page reflects and its few validities are read once."""

    def __init__(self, reflects: feed.Reflects | None) -> None:
        self._reflects = (None, None) if reflects is None else (reflects.epoch, reflects.seq)
        self._times: dict[str, int] = {}

    def __call__(self, item: feed.StatePut | feed.StateGone) -> _Bound:
        if isinstance(item, feed.StateGone):
            return item.voucher, item.version
        return (
            item.voucher,
            item.version,
            item.state,
            item.generation,
            item.used,
            self._time(item.valid_from),
            self._time(item.valid_until),
            item.home,
            *self._reflects,
        )

    def _time(self, text: str) -> int:
        found = self._times.get(text)
        if found is None:
            found = self._times[text] = times.parse_utc(text)
        return found


_Other = (
    feed.ProductPut
    | feed.ProductGone
    | feed.OutletPut
    | feed.OutletGone
    | feed.PolicyPut
    | feed.KeyPut
    | feed.KeyGone
)


def _apply_other(connection: apsw.Connection, item: _Other) -> None:
    match item:
        case feed.PolicyPut(policy=policy):
            _set_meta(connection, "policy", msgspec.json.encode(policy).decode())
        case feed.KeyPut() | feed.KeyGone():
            pass  # what is believed of central does not go with a voucher list (`holding`)
        case _:
            _apply_catalogue(connection, item)


def _apply_catalogue(
    connection: apsw.Connection,
    item: feed.ProductPut | feed.ProductGone | feed.OutletPut | feed.OutletGone,
) -> None:
    match item:
        case feed.ProductPut():
            connection.execute(
                "INSERT INTO product VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET version = excluded.version, name = excluded.name,"
                " outlets = excluded.outlets, weekdays = excluded.weekdays,"
                " online_only = excluded.online_only, bucket = excluded.bucket,"
                " price_fen = excluded.price_fen, slip_text = excluded.slip_text"
                " WHERE excluded.version >= product.version",
                (
                    item.id,
                    item.version,
                    item.name,
                    json.dumps(item.outlets),
                    json.dumps(item.weekdays),
                    int(item.online_only),
                    item.bucket,
                    item.price_fen,
                    item.slip_text,
                ),
            )
        case feed.ProductGone():
            connection.execute(
                "DELETE FROM product WHERE id = ? AND version <= ?", (item.id, item.version)
            )
        case feed.OutletPut():
            connection.execute(
                "INSERT INTO outlet VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " version = excluded.version, name = excluded.name"
                " WHERE excluded.version >= outlet.version",
                (item.id, item.version, item.name),
            )
        case feed.OutletGone():
            connection.execute(
                "DELETE FROM outlet WHERE id = ? AND version <= ?", (item.id, item.version)
            )
