"""The replica's tables can be made, and hold what they promise."""

import contextlib
import sqlite3

import pytest

from sync.replica_schema import PAGE_BYTES, RESERVED_BYTES, TABLES, blank


@pytest.fixture
def database():
    connection = sqlite3.connect(":memory:")
    for statement in TABLES:
        connection.execute(statement)
    yield connection
    connection.close()


def test_the_tables_are_the_contract(database):
    """Design section 6 names two; the others carry the catalogue and the cursors."""
    names = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
    assert {"sealed", "state", "streams", "product", "outlet", "bucket", "cursor", "meta"} <= names
    columns = [row[1] for row in database.execute("PRAGMA table_info(state)")]
    assert columns[:5] == ["voucher", "version", "state", "generation", "used"]
    assert columns[5:8] == ["valid_from", "valid_until", "home"]
    assert columns[8:] == ["reflects_epoch", "reflects_seq", "bucket"]


def test_a_blank_file_leaves_room_in_each_page(tmp_path):
    """SQLite takes it for its own, fills it, and leaves the end of every page alone."""
    path = tmp_path / "snapshot.db"
    path.write_bytes(blank())
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for statement in TABLES:
            file.execute(statement)
        rows = [(n.to_bytes(16), bytes([255]) * 150, "v", 1) for n in range(500)]
        file.executemany("INSERT INTO sealed VALUES (?, ?, ?, ?)", rows)
        file.commit()
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert file.execute("PRAGMA page_size").fetchone() == (PAGE_BYTES,)
    raw = path.read_bytes()
    assert len(raw) > 20 * PAGE_BYTES
    ends = {raw[at - RESERVED_BYTES : at] for at in range(PAGE_BYTES, len(raw) + 1, PAGE_BYTES)}
    assert ends == {bytes(RESERVED_BYTES)}


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO sealed VALUES (x'00', x'00', 'v', 1)",
        "INSERT INTO state VALUES ('v', 1, 'expired', 0, 0, 0, 0, NULL, NULL, NULL, 1)",
        "INSERT INTO state VALUES ('v', 1, 'live', 0, -1, 0, 0, NULL, NULL, NULL, 1)",
        "INSERT INTO state VALUES ('v', 'one', 'live', 0, 0, 0, 0, NULL, NULL, NULL, 1)",
    ],
)
def test_nonsense_is_not_stored(database, statement):
    """A short key, a state that is computed, a negative count, a text for a number."""
    with pytest.raises(sqlite3.Error):
        database.execute(statement)
