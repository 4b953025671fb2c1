"""A snapshot that arrived, made ready to serve.

Responsible for: writing into the file what its manifest says, encrypting it where it lies, and
checking and syncing the result. Not responsible for: fetching or verifying it (`sync`), or for
putting it where it serves (`replica_writer`). Invariant: whatever ends this early, the file is not
yet at its place, and is downloaded again.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import apsw

from sync.messages import Manifest
from terminal import database
from vouchers.replica_form import REPLICA_SCHEMA


def make_ready(snapshot: Path, manifest: Manifest, key: bytes) -> None:
    """Encrypt in place, check what a reader will see, and make it durable.

    Raises ValueError where it cannot serve, apsw.Error or OSError where it cannot be written.
    """
    with closing(apsw.Connection(str(snapshot))) as connection:
        # No journal, no flush: half of it is of no use, and it is synced once, below.
        connection.pragma("journal_mode", "OFF")
        connection.pragma("synchronous", "OFF")
        _complete(connection, manifest)
        database.encrypt_replica(connection, key)
    snapshot.chmod(0o600)
    with ThreadPoolExecutor(1, "sync-snapshot") as beside:
        durable = beside.submit(_sync, snapshot)
        _check(snapshot, key)
        durable.result()


def _complete(connection: apsw.Connection, manifest: Manifest) -> None:
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    if row is None or row[0] != str(REPLICA_SCHEMA):
        raise ValueError("the snapshot is of a version this terminal does not read")
    with connection:
        connection.executemany(
            "INSERT INTO cursor VALUES (?, ?)"
            " ON CONFLICT (bucket) DO UPDATE SET cursor = excluded.cursor",
            ((int(bucket), cursor) for bucket, cursor in manifest.cursor.items()),
        )
        connection.execute(
            "INSERT INTO meta VALUES ('sealed_through', ?)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (manifest.sealed_through,),
        )


def _check(snapshot: Path, key: bytes) -> None:
    """Every page decrypts to what was encrypted, by its tag, and all of them make a database."""
    with closing(apsw.Connection(str(snapshot), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        database.unlock_replica(connection, key)
        # Its rows passed the table's own checks when central wrote them, and the hash says that
        # they are still those.
        connection.pragma("ignore_check_constraints", 1)
        if connection.pragma("quick_check") != "ok":
            raise ValueError("the snapshot is damaged")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
