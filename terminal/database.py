"""Opening the terminal's encrypted SQLite files.

Responsible for: key, cipher and pragmas (storage decisions D1 to D3), asserted after opening.
Not responsible for: schemas and statements. Invariant: a connection that this module returns is
encrypted, in WAL mode and, for the journal, FULL and EXCLUSIVE; anything else refuses to open.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import apsw

from terminal import ciphers
from terminal.errors import OutOfService

KEY_BYTES: Final = 32
_JOURNAL_CIPHER: Final = ciphers.CHACHA20

_SQLITE_FIXED: Final = (3, 51, 3)
"""The first SQLite without the WAL-reset corruption bug."""

_JOURNAL_PAGE: Final = 1024
"""A redemption touches some ten pages of the journal, each with a few bytes: small ones are
flushed sooner. A new file only; an older one keeps its own."""

_SYNC_NORMAL, _SYNC_FULL = 1, 2
WARM_BYTES: Final = 4 * 1024 * 1024
"""The write-ahead log is grown once, so that a commit overwrites instead of appending (D2)."""


def open_journal(path: Path, key: bytes) -> apsw.Connection:
    """Open the precious file: WAL, FULL, EXCLUSIVE, no automatic checkpoint. Raises OutOfService.

    EXCLUSIVE needs no shared memory file, so the journal can be read on a full disk.
    """
    connection = _open(path, key, _JOURNAL_CIPHER, exclusive=True)
    with _closed_on_failure(connection, path):
        connection.pragma("synchronous", "FULL")
        connection.pragma("wal_autocheckpoint", 0)
        connection.pragma("secure_delete", 1)
        _assert_modes(
            connection,
            path,
            synchronous=_SYNC_FULL,
            locking_mode="exclusive",
            cipher=_JOURNAL_CIPHER,
        )
    return connection


def open_replica(path: Path, key: bytes, *, writable: bool = False) -> apsw.Connection:
    """Open the disposable file: WAL, NORMAL. Raises OutOfService."""
    cipher = ciphers.of(path)
    connection = _open(path, key, cipher, exclusive=False)
    with _closed_on_failure(connection, path):
        connection.pragma("synchronous", "NORMAL")
        connection.set_busy_timeout(5_000)
        _assert_modes(
            connection,
            path,
            synchronous=_SYNC_NORMAL,
            locking_mode="normal",
            cipher=cipher,
        )
        if not writable:
            connection.pragma("query_only", 1)
    return connection


def warm(path: Path) -> None:
    """Grow the write-ahead log of an open file to its working size, before the first redemption.

    SQLite reads a log up to its last valid frame, so zeros behind that are nothing to it; but
    what it writes there later changes no length of the file and is flushed in half the time.
    Nobody may be writing meanwhile. Raises OSError.
    """
    with path.with_name(path.name + "-wal").open("ab") as log:
        log.write(bytes(max(0, WARM_BYTES - log.tell())))
        log.flush()
        os.fsync(log.fileno())


def unlock_replica(connection: apsw.Connection, key: bytes) -> None:
    """Read an encrypted replica through a connection that has read nothing yet."""
    _unlock(connection, key, ciphers.of(Path(connection.filename)))


def encrypt_replica(connection: apsw.Connection, key: bytes) -> None:
    """Encrypt a readable file where it lies. Raises apsw.Error.

    With AEGIS page by page, where these leave room for that (`sync.replica_schema`).
    """
    connection.pragma("cipher", ciphers.quickest())
    connection.pragma("rekey", _raw(key))


def _unlock(connection: apsw.Connection, key: bytes, cipher: str) -> None:
    connection.pragma("cipher", cipher)
    connection.pragma("key", _raw(key))


def _raw(key: bytes) -> str:
    """The key itself: nothing is derived from it at each opening."""
    assert len(key) == KEY_BYTES
    return f"raw:{key.hex()}"


def _open(path: Path, key: bytes, cipher: str, *, exclusive: bool) -> apsw.Connection:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < _SQLITE_FIXED:
        raise OutOfService(f"SQLite {apsw.sqlite_lib_version()} can damage a database: update it")
    try:
        # Made here, because SQLite gives its log the mode of the file; its own would be readable.
        path.touch(mode=0o600)
        connection = apsw.Connection(str(path))
    except (apsw.Error, OSError) as error:
        raise _cannot_be_opened(path, error) from error
    with _closed_on_failure(connection, path):
        _unlock(connection, key, cipher)
        if exclusive:
            connection.pragma("page_size", _JOURNAL_PAGE)
            connection.pragma("locking_mode", "EXCLUSIVE")
        connection.pragma("journal_mode", "WAL")
        connection.pragma("temp_store", "MEMORY")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        path.chmod(0o600)
    return connection


@contextmanager
def _closed_on_failure(connection: apsw.Connection, path: Path) -> Iterator[None]:
    """A handle that failed holds its lock, and with it the next attempt, until it is closed."""
    try:
        yield
    except BaseException as error:
        with suppress(apsw.Error):
            connection.close()
        if isinstance(error, apsw.Error):
            raise _cannot_be_opened(path, error) from error
        raise


def _cannot_be_opened(path: Path, error: apsw.Error | OSError) -> OutOfService:
    if isinstance(error, apsw.NotADBError):
        return OutOfService(
            f"{path.name} does not open with this terminal's key: it is damaged, or the key is not"
            " its own. Run `hexiao doctor`"
        )
    return OutOfService(f"{path.name} cannot be opened: {error}. Run `hexiao doctor`")


def _assert_modes(connection: apsw.Connection, path: Path, **wanted: str | int) -> None:
    wanted["journal_mode"] = "wal"
    found = {name: connection.pragma(name) for name in wanted}
    if found != wanted:
        raise OutOfService(f"{path.name} opened as {found}, not as {wanted}: it is not safe to use")
