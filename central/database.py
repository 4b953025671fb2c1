"""The one door to the database: snapshots to read from, and transactions that write.

Responsible for: the engine, the pragmas of SQLite, and the two kinds of transaction. With
`bulk` the only module that knows the dialects apart. Not responsible for: what is read or written.
Invariants: a reader sees one moment; a writer of SQLite takes the write lock when it begins (no
upgrade, so no deadlock) and commits with synchronous=FULL; foreign writers wait, they do not fail;
a transaction that lost against another one changed nothing, and is tried again (`retried`).
"""

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, OperationalError

from central.errors import Misconfigured, OutcomeUnknown, OutOfService

_BUSY_MS: Final = 30_000
"""Longest wait for another process's write transaction; a large import holds the lock shorter."""

_KEPT: Final = 8
"""Connections that stay open; the others are for a rush."""

_RUSH: Final = 32

_CACHE_KIB: Final = 32 * 1024

MEMORY_BYTES: Final = (_KEPT + 2) * _CACHE_KIB * 1024
"""What SQLite uses in this process, all connections together: the caches of those that stay, and
something beside. A rush of further ones makes do with the rest instead of 1.3 GB."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {_BUSY_MS}",
    f"PRAGMA cache_size = -{_CACHE_KIB}",
    f"PRAGMA soft_heap_limit = {MEMORY_BYTES}",
)

_WRITES: Final = "hexiao_writes"

_BY_KEY: Final = "; ".join(
    f"SET LOCAL enable_{way} = off" for way in ("hashjoin", "mergejoin", "seqscan")
)
"""What writes finds its rows by their keys, some hundreds at a time: so PostgreSQL must not read a
whole table instead, whatever it believes of the table's size."""

ATTEMPTS: Final = 8
"""Tries of a transaction that loses against others; each loss means that another one won."""

_LOST: Final = frozenset({"40001", "40P01"})
"""SQLSTATE of a serialization failure and of a deadlock: the other transaction goes on."""

_TAKEN: Final = "23505"
"""SQLSTATE of a key that another transaction took between our reading and our writing."""

P = ParamSpec("P")
T = TypeVar("T")


class Collision(OutOfService):
    """Other writers were faster each time. Nothing was done; the same again may succeed."""


def retried(use_case: Callable[P, T]) -> Callable[P, T]:
    """Do a use case again when its transaction lost against another one (PostgreSQL).

    For functions that change nothing outside of their one transaction, and read what they decide
    by anew each time. A key that is still taken at the last try is a bug, and comes out as such.
    """

    @functools.wraps(use_case)
    def again(*args: P.args, **named: P.kwargs) -> T:
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(Collision, KeyTaken):
                return use_case(*args, **named)
        return use_case(*args, **named)

    return again


class KeyTaken(Exception):
    """A row with this key exists: another transaction was faster, or a bug."""


class Database:
    """A database of either dialect. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        """Prepare an engine for `url`; nothing is opened before the first transaction."""
        self.url = url
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # SQLite lets waiting writers starve one another; threads of one process queue here first.
        self._queue: contextlib.AbstractContextManager[Any] = (
            threading.Lock() if self.is_sqlite else contextlib.nullcontext()
        )

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent moment of the database, read only by convention."""
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with _outages(), self.engine.connect() as connection:
            connection = connection.execution_options(**options)
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed when the block ends, rolled back when it raises.

        Raises OutcomeUnknown when it is the COMMIT that fails.
        """
        with _outages(), self._queue, self.engine.connect() as connection:
            connection = connection.execution_options(**{_WRITES: True})
            with connection.begin() as transaction:
                if not self.is_sqlite:
                    connection.exec_driver_sql(_BY_KEY)
                yield connection
                with contextlib.ExitStack() as failed:
                    # A COMMIT that failed may leave its transaction open: SQLAlchemy must be told,
                    # else it hands the connection to the next one as it is.
                    failed.callback(transaction.rollback)
                    with _commits():
                        transaction.commit()
                    failed.pop_all()

    def directory(self) -> Path | None:
        """Where a SQLite database lies; None for a database server."""
        path = _sqlite_path(self.url)
        return path.parent if path else None

    def exists(self) -> bool:
        """Whether there is anything to open. A server database always exists as far as we know."""
        path = _sqlite_path(self.url)
        return path is None or path.exists()

    def create_file(self) -> None:
        """Make a SQLite file that only its owner can read: it holds the signing keys."""
        path = _sqlite_path(self.url)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise Misconfigured(
            "--database must be a URL such as sqlite:///central.db or postgresql://host/name"
        ) from None
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "sqlite" and not parsed.database:
        raise Misconfigured("--database sqlite:// names no file; write sqlite:///central.db")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise Misconfigured(f"no support for a database of kind {parsed.drivername}")
    engine = create_engine(parsed, pool_size=_KEPT, max_overflow=_RUSH)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _sqlite_path(url: str) -> Path | None:
    parsed = make_url(url)
    return Path(parsed.database) if parsed.drivername == "sqlite" and parsed.database else None


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction control would begin late and deferred; ours does it (below).
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    from central import packing  # only where the engine is PostgreSQL

    packing.teach(connection)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def _commits() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) in _LOST:
            raise  # undone, and the server says so
        raise OutcomeUnknown(
            "the database failed while it was to keep this, and may or may not have done so; "
            f"look before you do it again: {error.orig}"
        ) from error


@contextlib.contextmanager
def _outages() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) == _TAKEN:
            raise KeyTaken(str(error.orig)) from error
        raise
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) in _LOST:
            raise Collision(f"other writers were faster each time: {error.orig}") from error
        raise OutOfService(f"the database does not answer: {error.orig}") from error
    except DatabaseError as error:
        # The bare class is how sqlite3 says that a file is damaged or none of its own; every other
        # kind below it is a bug of ours.
        if type(error) is not DatabaseError:
            raise
        raise OutOfService(f"the database cannot be read: {error.orig}") from error
