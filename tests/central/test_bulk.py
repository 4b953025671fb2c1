"""What a server does while Python goes on: what goes wrong comes out, and as what it is."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from central import bulk, schema
from central.database import KeyTaken
from central.service import Central

TABLE = schema.notes
NAMES = ("merchant", "serial", "posid", "note", "at")
TAKEN = (KeyTaken, IntegrityError)


def note(serial: str) -> bulk.Row:
    return 1, serial, "POS1", "", 7


def stored(central: Central) -> list[str]:
    with central.read() as work:
        found = work.connection.execute(select(TABLE.c.serial).order_by(TABLE.c.serial))
        return list(found.scalars())


@pytest.fixture
def noted(central: Central) -> Central:
    """A service with two notes."""
    with central.write() as work:
        bulk.insert(work.connection, TABLE, NAMES, [note("a"), note("b")])
    return central


def test_what_was_sent_is_done_at_the_end_of_the_block(noted: Central) -> None:
    with noted.write() as work:
        with bulk.meanwhile(work.connection):
            bulk.insert_new(work.connection, TABLE, NAMES, [note("b"), note("c")])
            bulk.update(work.connection, TABLE, 2, ("merchant", "serial", "at"), [(1, "a", 8)])
            bulk.delete(work.connection, TABLE, ("merchant", "serial"), [(1, "b")])
        found = work.connection.execute(select(TABLE.c.serial, TABLE.c.at)).all()
    assert sorted(map(tuple, found)) == [("a", 8), ("c", 7)]


def test_a_change_that_fails_fails_the_block_and_the_transaction(noted: Central) -> None:
    """The second takes the key of another row; what is sent after it is not done either."""
    with pytest.raises(TAKEN), noted.write() as work, bulk.meanwhile(work.connection):
        bulk.insert_new(work.connection, TABLE, NAMES, [note("c")])
        # By its POSID and time, so that the serial is what changes.
        keys = ("merchant", "posid", "at", "serial")
        bulk.update(work.connection, TABLE, 3, keys, [(1, "POS1", 7, "a")])
        bulk.insert_new(work.connection, TABLE, NAMES, [note("d")])
    assert stored(noted) == ["a", "b"]


def test_a_key_that_is_taken_fails_the_insert(noted: Central) -> None:
    with pytest.raises(TAKEN), noted.write() as work:
        ready = bulk.ready(work.connection, TABLE, NAMES, [note("c"), note("a")])
        with bulk.inserting(work.connection, ready):
            pass
    assert stored(noted) == ["a", "b"]


@pytest.mark.parametrize("way", ["inserting", "meanwhile", "selecting_in"])
def test_a_bug_beside_it_comes_out_as_itself(noted: Central, way: str) -> None:
    """And nothing is stored; the connection can be used again."""
    with pytest.raises(ZeroDivisionError), noted.write() as work:
        connection = work.connection
        ready = bulk.ready(connection, TABLE, NAMES, [note("c")])
        blocks = {
            "inserting": bulk.inserting(connection, ready),
            "meanwhile": bulk.meanwhile(connection),
            "selecting_in": bulk.selecting_in(connection, TABLE, NAMES, 1, ("serial", ["a"])),
        }
        with blocks[way]:
            if way == "meanwhile":
                bulk.insert_new(connection, TABLE, NAMES, [note("c")])
            raise ZeroDivisionError
    assert stored(noted) == ["a", "b"]


def test_rows_are_found_while_the_block_runs(noted: Central) -> None:
    with noted.read() as work:
        for wanted, due in ((["b", "x"], [("b", 7)]), ([], [])):
            where = ("serial", wanted)
            with bulk.selecting_in(work.connection, TABLE, ("serial", "at"), 1, where) as answer:
                assert answer() == due
        assert work.connection.execute(select(func.count()).select_from(TABLE)).scalar() == 2
