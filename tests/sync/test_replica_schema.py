"""The replica's tables can be made, and hold what they promise."""

import sqlite3

import pytest

from sync.replica_schema import TABLES


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
    assert {"sealed", "state", "streams", "product", "outlet", "cursor", "meta"} <= names
    columns = [row[1] for row in database.execute("PRAGMA table_info(state)")]
    assert columns[:5] == ["voucher", "version", "state", "generation", "used"]
    assert columns[5:] == ["valid_from", "valid_until", "home", "reflects_epoch", "reflects_seq"]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO sealed VALUES (x'00', x'00', 'v')",
        "INSERT INTO state VALUES ('v', 1, 'expired', 0, 0, 0, 0, NULL, NULL, NULL)",
        "INSERT INTO state VALUES ('v', 1, 'live', 0, -1, 0, 0, NULL, NULL, NULL)",
        "INSERT INTO state VALUES ('v', 'one', 'live', 0, 0, 0, 0, NULL, NULL, NULL)",
    ],
)
def test_nonsense_is_not_stored(database, statement):
    """A short key, a state that is computed, a negative count, a text for a number."""
    with pytest.raises(sqlite3.Error):
        database.execute(statement)
