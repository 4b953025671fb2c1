"""The encrypted files: what they are opened as, and what is refused."""

import shutil
from pathlib import Path

import apsw
import pytest

from terminal import database
from terminal.errors import OutOfService

KEY = b"k" * 32


def make(path: Path, key: bytes = KEY) -> None:
    connection = database.open_journal(path, key)
    connection.execute("CREATE TABLE t (text TEXT)")
    connection.execute("INSERT INTO t VALUES ('a sentence that must not be legible')")
    connection.close()


def test_the_journal_is_full_exclusive_and_forgets(tmp_path: Path) -> None:
    """The journal opens in WAL mode, FULL, EXCLUSIVE, with secure_delete on."""
    connection = database.open_journal(tmp_path / "j.db", KEY)
    modes = {name: connection.pragma(name) for name in ("journal_mode", "locking_mode")}
    assert modes == {"journal_mode": "wal", "locking_mode": "exclusive"}
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("secure_delete") == 1
    assert connection.pragma("wal_autocheckpoint") == 0
    connection.close()
    assert (tmp_path / "j.db").stat().st_mode & 0o777 == 0o600


def test_a_journal_of_larger_pages_is_read_as_it_is(tmp_path: Path) -> None:
    """A new journal has pages of 1 KiB; one that was made with others opens and keeps them."""
    older = apsw.Connection(str(tmp_path / "older.db"))
    older.pragma("cipher", "chacha20")
    older.pragma("key", f"raw:{KEY.hex()}")
    older.pragma("page_size", 4096)
    older.execute("CREATE TABLE t (n); INSERT INTO t VALUES (7)")
    older.close()
    make(tmp_path / "new.db")
    for name, size in (("older.db", 4096), ("new.db", 1024)):
        connection = database.open_journal(tmp_path / name, KEY)
        assert connection.pragma("page_size") == size
        assert len(connection.execute("SELECT * FROM t").fetchall()) == 1
        connection.close()


def test_the_replica_is_shared_and_read_only_for_readers(tmp_path: Path) -> None:
    """A reader of the replica cannot write; the writer beside it can."""
    writer = database.open_replica(tmp_path / "r.db", KEY, writable=True)
    writer.execute("CREATE TABLE t (n)")
    reader = database.open_replica(tmp_path / "r.db", KEY)
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("INSERT INTO t VALUES (1)")
    writer.execute("INSERT INTO t VALUES (2)")
    assert reader.execute("SELECT n FROM t").fetchone() == (2,)
    reader.close()
    writer.close()


def test_nothing_legible_is_on_the_disk(tmp_path: Path) -> None:
    """The file is encrypted: neither text nor SQLite's own header can be read."""
    make(tmp_path / "j.db")
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"legible" not in raw and b"SQLite format" not in raw


@pytest.mark.parametrize("damage", ["key", "text", "short"])
def test_a_file_that_does_not_open_says_so(tmp_path: Path, damage: str) -> None:
    """A wrong key or foreign bytes are out of service, and the file's name is said."""
    path = tmp_path / "j.db"
    make(path)
    if damage == "text":
        path.write_bytes(b"not a database at all" * 500)
    elif damage == "short":
        path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(OutOfService, match=r"j\.db"):
        database.open_journal(path, b"x" * 32 if damage == "key" else KEY)


def test_a_directory_in_its_place_says_so(tmp_path: Path) -> None:
    """What cannot be opened at all names the file and the command that looks closer."""
    (tmp_path / "j.db").mkdir()
    with pytest.raises(OutOfService, match=r"j\.db cannot be opened.*hexiao doctor"):
        database.open_journal(tmp_path / "j.db", KEY)


def test_a_second_opener_of_the_journal_is_refused(tmp_path: Path) -> None:
    """EXCLUSIVE means one: a second opening is out of service and harms nothing."""
    first = database.open_journal(tmp_path / "j.db", KEY)
    first.execute("CREATE TABLE t (n)")
    with pytest.raises(OutOfService, match="locked"):
        database.open_journal(tmp_path / "j.db", KEY)
    first.execute("INSERT INTO t VALUES (1)")
    first.close()


def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite with the WAL-reset bug is refused before it can damage anything."""
    monkeypatch.setattr(database, "_SQLITE_FIXED", (99, 0, 0))
    with pytest.raises(OutOfService, match="update it"):
        database.open_journal(tmp_path / "j.db", KEY)
    assert not (tmp_path / "j.db").exists()


def test_modes_that_did_not_take_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that opened in another mode than asked for is not used."""
    monkeypatch.setattr(database, "_SYNC_FULL", 3)
    with pytest.raises(OutOfService, match="not safe to use"):
        database.open_journal(tmp_path / "j.db", KEY)


def test_warming_grows_the_log_and_changes_nothing(tmp_path: Path) -> None:
    """The write-ahead log is long at once, also after twice, and what is written stays in it."""
    path, crashed = tmp_path / "j.db", tmp_path / "crashed"
    connection = database.open_journal(path, KEY)
    connection.execute("CREATE TABLE t (n INTEGER)")
    database.warm(path)
    database.warm(path)
    log = tmp_path / "j.db-wal"
    assert log.stat().st_size == database.WARM_BYTES
    connection.execute("INSERT INTO t VALUES (1)")
    assert log.stat().st_size == database.WARM_BYTES
    crashed.mkdir()
    for file in (path, log):
        shutil.copy(file, crashed)
    connection.close()
    again = database.open_journal(crashed / "j.db", KEY)
    assert again.execute("SELECT n FROM t").fetchall() == [(1,)]
    assert again.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    again.close()
