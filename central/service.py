"""The central service as a value: its database, its merchant, its clock and its randomness.

Responsible for: what every use case is handed, opening it, and the unit of work. Not responsible
for: any rule. Invariants: use cases take time and randomness from here only, so that a simulation
may supply both; what a transaction changed for terminals is published as its last statements.
"""

import contextlib
import hashlib
import secrets
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, bindparam, inspect, select, text, update

from central import bulk, schema
from central.clock import now_ms
from central.database import Database
from central.errors import Misconfigured
from sync.feed import digest_text

REVISION: Final = "0001"
"""The migration that this program needs; `hexiao central migrate` brings a database to it."""

DEFAULT_MERCHANT: Final = 1
"""The one merchant of a central service until several share one (a later step)."""


@dataclass(frozen=True, slots=True)
class Central:
    """What use cases work with. `clock` answers milliseconds UTC; `spool` holds snapshot files."""

    database: Database
    merchant: int
    name: str
    zone: ZoneInfo
    spool: Path
    clock: Callable[[], int] = now_ms
    random: Callable[[int], bytes] = secrets.token_bytes

    @contextlib.contextmanager
    def write(self) -> Iterator["Work"]:
        """One transaction; its changes are published and committed when the block ends."""
        with self.database.write() as connection:
            # The clock is read under the write lock, so times rise in the order of commits.
            work = Work(connection, self.merchant, self.clock())
            yield work
            _publish(work)

    @contextlib.contextmanager
    def read(self) -> Iterator["Work"]:
        """One consistent moment, to read from."""
        with self.database.read() as connection:
            yield Work(connection, self.merchant, self.clock())


class Change(NamedTuple):
    """Something terminals must hear about: an item of a bucket, and whether it is gone."""

    bucket: int
    kind: str
    ref: str


@dataclass(slots=True)
class Tally:
    """What a transaction adds to the checkpoint of a bucket: state rows, and their digests."""

    live: int = 0
    digest: int = 0


@dataclass(slots=True)
class Work:
    """A transaction under way: `now` is its moment, in milliseconds UTC."""

    connection: Connection
    merchant: int
    now: int
    changes: dict[Change, bool] = field(default_factory=dict)
    tallies: dict[int, Tally] = field(default_factory=dict)

    def put(self, bucket: int, kind: str, ref: str) -> None:
        """Note that an item has a new state."""
        self._note(Change(bucket, kind, ref), removed=False)

    def remove(self, bucket: int, kind: str, ref: str) -> None:
        """Note that an item is gone from its bucket."""
        self._note(Change(bucket, kind, ref), removed=True)

    def tally(self, bucket: int, *, live: int, digest: int) -> None:
        """Add to a bucket's checkpoint (`sync.feed.row_digest`; differences may be negative)."""
        sums = self.tallies.setdefault(bucket, Tally())
        sums.live += live
        sums.digest += digest

    def _note(self, change: Change, *, removed: bool) -> None:
        self.changes.pop(change, None)  # the newest word on an item is also the last one
        self.changes[change] = removed


def open_central(url: str) -> Central:
    """Open a database that `init` made. Raises Misconfigured when it is none or not up to date."""
    database = Database(url)
    if not database.exists():
        raise Misconfigured(f"no central database at {url}; make one with `hexiao central init`")
    with database.read() as connection:
        _check_revision(connection)
        row = connection.execute(
            select(schema.merchants).where(schema.merchants.c.merchant == DEFAULT_MERCHANT)
        ).one_or_none()
    if row is None:
        raise Misconfigured("the database has no merchant; run `hexiao central init` again")
    return Central(
        database=database,
        merchant=row.merchant,
        name=row.name,
        zone=ZoneInfo(row.time_zone),
        spool=_spool(database),
    )


def _check_revision(connection: Connection) -> None:
    if not inspect(connection).has_table("alembic_version"):
        raise Misconfigured("this is not a central database; make one with `hexiao central init`")
    check_revision(connection)


def check_revision(connection: Connection) -> None:
    """Read which version a database is at. Raises Misconfigured when another program's."""
    found = check_not_later(connection)
    if found != REVISION:
        raise Misconfigured(
            f"the database is at version {found}, this program needs {REVISION}; "
            "run `hexiao central migrate`"
        )


def check_not_later(connection: Connection) -> str:
    """The version a database is at. Raises Misconfigured when a later program made it so."""
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found is not None and found > REVISION:
        raise Misconfigured(
            f"the database is at version {found}, this program knows versions up to {REVISION} "
            "and has changed nothing; install the later hexiao again, or restore the backup "
            "that was made before it"
        )
    return str(found)


def _spool(database: Database) -> Path:
    directory = database.directory()
    if directory is None:
        name = hashlib.sha256(database.url.encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"hexiao-central-{name}"
    return directory / "snapshots"


def _publish(work: Work) -> None:
    """Take a commit sequence for every change, as the last thing before COMMIT.

    Invariant of the feed: if a sequence of a bucket is visible, so is every lower one. It holds
    because the counter row stays locked from here to the commit (central notes, 4.4). Buckets go
    in ascending order, so that two transactions cannot wait for each other.
    """
    if not work.changes:
        return
    counts: dict[int, int] = {}
    for change in work.changes:
        counts[change.bucket] = counts.get(change.bucket, 0) + 1
    next_seq = {bucket: _advance(work, bucket, counts[bucket]) for bucket in sorted(counts)}
    rows = []
    for change, removed in work.changes.items():
        seq = next_seq[change.bucket]
        next_seq[change.bucket] = seq + 1
        rows.append((work.merchant, change.bucket, seq, change.kind, change.ref, int(removed)))
    bulk.insert(work.connection, schema.feed, _FEED, rows)


_FEED: Final = ("merchant", "bucket", "seq", "kind", "ref", "removed")


# Made once: each transaction that terminals hear of ends with them.
_MINE: Final = (schema.feed_heads.c.merchant == bindparam("of_merchant")) & (
    schema.feed_heads.c.bucket == bindparam("of_bucket")
)
_HEAD: Final = select(schema.feed_heads).where(_MINE).with_for_update()
_MOVE_HEAD: Final = update(schema.feed_heads).where(_MINE)


def _advance(work: Work, bucket: int, count: int) -> int:
    """Take `count` sequences of a bucket; answers the first of them."""
    mine = {"of_merchant": work.merchant, "of_bucket": bucket}
    head = work.connection.execute(_HEAD, mine).one()
    tally = work.tallies.get(bucket, Tally())
    moved = {
        "seq": head.seq + count,
        "live": head.live + tally.live,
        "digest": digest_text(int(head.digest, 16) + tally.digest),
    }
    work.connection.execute(_MOVE_HEAD, mine | moved)
    return int(head.seq) + 1
