"""The replica's tables can be made, and hold what they promise."""

import contextlib
import sqlite3
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync.replica_schema import PAGE_BYTES, RESERVED_BYTES, SEALED_PUT, TABLES, blank, sealed_row
from vouchers.replica_form import SEALED_FOUND, place_of


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
        keys = [(n << 64).to_bytes(16) for n in range(0, 500 * 32, 32)]
        rows = [sealed_row(key, bytes([255]) * 150, "v", 1) for key in keys]
        file.executemany(SEALED_PUT, rows)
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
        "INSERT INTO sealed VALUES (1, x'00', x'00', 'v', 1)",
        "INSERT INTO state VALUES ('v', 1, 'expired', 0, 0, 0, 0, NULL, NULL, NULL, 1)",
        "INSERT INTO state VALUES ('v', 1, 'live', 0, -1, 0, 0, NULL, NULL, NULL, 1)",
        "INSERT INTO state VALUES ('v', 'one', 'live', 0, 0, 0, 0, NULL, NULL, NULL, 1)",
    ],
)
def test_nonsense_is_not_stored(database, statement):
    """A short key, a state that is computed, a negative count, a text for a number."""
    with pytest.raises(sqlite3.Error):
        database.execute(statement)


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=2))
def test_rows_stand_in_the_order_of_their_keys(keys):
    """Each at a place of its own size, which is a positive number for SQLite."""
    places = [place_of(key) for key in sorted(keys)]
    assert all(first <= second for first, second in pairwise(places))
    assert all(0 <= place < 2**63 - 15 and place % 16 == 0 for place in places)


_ALIKE = [
    first.to_bytes(8) + bytes([last]) * 8
    for first in (0, 31, 32, 63, 64, 2**64 - 1)
    for last in (0, 1, 255)
]
"""Three times six keys, of which two times six share a place; the places touch one another."""


@example([(key, stored) for stored in (True, False) for key in _ALIKE])
@example([(key, stored) for key in reversed(_ALIKE) for stored in (True, False, True)])
@given(st.lists(st.tuples(st.sampled_from(_ALIKE), st.booleans()), max_size=40))
def test_keys_that_begin_alike_are_kept_apart(steps):
    """Whatever is stored and taken away, in any order: a key has its own last row, and only one."""
    kept = {}
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute(TABLES[0])
        for number, (key, stored) in enumerate(steps):
            if stored:
                kept[key] = number.to_bytes(2)
                database.execute(SEALED_PUT, sealed_row(key, kept[key], "v", 1))
            else:
                kept.pop(key, None)
                database.execute(f"DELETE FROM sealed WHERE {SEALED_FOUND}", (place_of(key), key))
            assert dict(database.execute("SELECT k, record FROM sealed")) == kept
            assert database.execute("SELECT count(*) FROM sealed").fetchone() == (len(kept),)
            for wanted in _ALIKE:
                query = f"SELECT record FROM sealed WHERE {SEALED_FOUND}"
                found = database.execute(query, (place_of(wanted), wanted)).fetchall()
                assert found == ([(kept[wanted],)] if wanted in kept else [])


def test_more_keys_alike_than_there_is_room_for_replace_nothing(database):
    """The seventeenth, which noise never brings, is an error and not another voucher's row."""
    keys = [bytes(15) + bytes([n]) for n in range(17)]
    database.executemany(SEALED_PUT, [sealed_row(key, key, "v", 1) for key in keys[:16]])
    database.execute(SEALED_PUT, sealed_row(bytes(6) + b"\x00\x20" + bytes(8), b"next", "v", 1))
    with pytest.raises(sqlite3.Error, match="mismatch"):
        database.execute(SEALED_PUT, sealed_row(keys[16], b"", "v", 1))
    rows = database.execute("SELECT k, record FROM sealed ORDER BY place").fetchall()
    assert [row[0] for row in rows[:16]] == [row[1] for row in rows[:16]] == keys[:16]
    assert rows[16][1] == b"next" and len(rows) == 17
