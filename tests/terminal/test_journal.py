"""The journal: appended, chained, durable, and never anything else."""

from pathlib import Path

import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from terminal import database
from terminal.errors import OutcomeUnknown, OutOfService
from terminal.identity import Signer
from terminal.journal import Journal, Stamp, Stored
from terminal.journal_schema import VERSION, Effect, entry_id
from vouchers import entries
from vouchers.entries import Kind, Totals

KEY = b"k" * 32
STAMP = Stamp(1_720_000_000_000, "boot", 5, "ok", "li")
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"p" * 32)
SIGNER = Signer(PRIVATE, PRIVATE.public_key().public_bytes_raw())


def open_journal(path: Path) -> Journal:
    return Journal(path / "journal.db", KEY, merchant=1, posid="T1", signer=SIGNER)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = open_journal(tmp_path)
    made.open_epoch(epoch=1, previous_head=None)
    return made


def insert(values: str, where: str) -> str:
    """A statement that copies an entry to another place."""
    columns = "(id, kind, body, hash, sig)"
    return f"INSERT INTO entry {columns} SELECT {values} FROM entry WHERE {where}"


def start(journal: Journal, count: int = 1) -> None:
    for _ in range(count):
        with journal.transaction() as connection:
            journal.append(connection, Kind.STARTED, {"version": "1"}, STAMP)


def start_in(journal: Journal, connection: apsw.Connection) -> Stored:
    return journal.append(connection, Kind.STARTED, {"version": "1"}, STAMP)[0]


def fail_commit(journal: Journal) -> None:
    """SQLite itself refuses the next COMMIT, as a full or failing disk makes it do."""
    journal.connection.set_commit_hook(lambda: True)


def test_entries_are_chained_from_the_enrolment_record(journal: Journal) -> None:
    """The first `prev` is the hash of the enrolment record, each next one the hash before it."""
    start(journal, 3)
    record, public, prev = journal.epoch_record(1)
    assert prev == entries.first_prev(record) and public == SIGNER.public
    for seq, stored in enumerate(journal.entries(1, 0, 10), 1):
        entry = entries.read_entry(stored.body)
        assert (entry.seq, entry.prev) == (seq, prev)
        assert stored.hash == entries.entry_hash(stored.body)
        key = Ed25519PublicKey.from_public_bytes(public)
        assert entries.signature_holds(stored.hash, stored.sig, key)
        prev = stored.hash
    assert journal.head().hash == prev


def test_two_entries_of_one_transaction_follow_each_other(journal: Journal) -> None:
    """A second entry inside the same transaction points at the first."""
    with journal.transaction() as connection:
        first, _ = journal.append(connection, Kind.STARTED, {"version": "1"}, STAMP)
        second, entry = journal.append(connection, Kind.LOCKED, {"terminal": True}, STAMP)
    assert entry.prev == first.hash and second.seq == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET body = 'x'",
        "DELETE FROM entry",
        insert("id + 1, kind, body, hash, sig", "epoch = 1"),
        insert("id + 2, kind, body, hash, sig", "epoch = 2"),
        insert("id, kind, body, hash, sig", "epoch = 2"),
        insert("id - 1, kind, body, hash, sig", "epoch = 2"),
        insert("id + 1, kind, body, 'short', sig", "epoch = 2"),
        insert("id + 1, kind, body, hash, 'short'", "epoch = 2"),
    ],
)
def test_the_database_refuses_what_a_journal_never_does(journal: Journal, statement: str) -> None:
    """Entries do not change, go, leave gaps, come twice or join an older epoch, whoever asks."""
    start(journal)
    journal.open_epoch(epoch=2, previous_head=journal.head().hash)
    start(journal)
    with pytest.raises(apsw.ConstraintError):
        journal.connection.execute(statement)
    assert journal.count_after(0, 0) == 2


def test_the_database_takes_what_follows(journal: Journal) -> None:
    """The statements above fail for what they ask, not for their form."""
    start(journal)
    journal.connection.execute(insert("id + 1, kind, body, hash, sig", "epoch = 1"))
    assert journal.count_after(0, 0) == 2


EFFECT = Effect("v", 0, 2, 1, 2, 5, "r", None, True, 400, bytes(16), b"row")


def put(journal: Journal, effect: Effect) -> None:
    with journal.transaction() as connection:
        journal.append(connection, Kind.STARTED, {"version": "1"}, STAMP, effect)


@pytest.mark.parametrize(
    "change",
    [
        {"used_after": 6},
        {"used_after": -1},
        {"shares": 0},
        {"total": None},
        {"shares": -2},
        {"reverses": 7},
        {"home": 2},
        {"home": None},
        {"amount_fen": None},
        {"row_key": b"short"},
        {"record": None},
    ],
    ids=str,
)
def test_the_database_refuses_an_effect_that_cannot_be(
    journal: Journal, change: dict[str, object]
) -> None:
    """No voucher beyond its shares, no reversal of nothing, no half of a successor's row."""
    put(journal, EFFECT)
    with pytest.raises(apsw.ConstraintError):
        put(journal, EFFECT._replace(request="s", **change))  # type: ignore[arg-type]
    put(journal, EFFECT._replace(request="s"))
    assert journal.head().seq == 2


def test_one_request_has_one_entry(journal: Journal) -> None:
    """The database itself takes a request once; entries that nobody asked for do not collide."""
    put(journal, EFFECT)
    with pytest.raises(apsw.ConstraintError):
        put(journal, EFFECT)
    undo = EFFECT._replace(request=None, shares=-2, reverses=entry_id(1, 1))
    put(journal, undo)
    put(journal, undo)
    assert journal.head().seq == 3


def test_a_number_that_no_till_reaches_is_no_entry(journal: Journal) -> None:
    """A serial of fifteen nines may be typed: nothing is found, and nothing of another epoch."""
    start(journal)
    journal.open_epoch(epoch=2, previous_head=journal.head().hash)
    start(journal)
    assert journal.entries(1, 999_999_999_999_998, 5) == []


def test_ax_01_a_serial_is_given_inside_the_transaction(journal: Journal) -> None:
    """AX-01: the serial is that of the entry, and a rolled back one is given again."""
    with pytest.raises(ZeroDivisionError), journal.transaction() as connection:
        assert journal.next_serial() == "T1_1_00000001"
        start_in(journal, connection)
        assert journal.next_serial() == "T1_1_00000002"
        raise ZeroDivisionError
    with journal.transaction() as connection:
        assert journal.next_serial() == "T1_1_00000001"
        assert start_in(journal, connection).seq == 1


def test_a_rolled_back_entry_is_not_pointed_at(journal: Journal) -> None:
    """After a rollback the next entry follows what is really there."""
    start(journal)
    head = journal.head()
    with pytest.raises(apsw.ConstraintError), journal.transaction() as connection:
        journal.append(connection, Kind.STARTED, {"version": "2"}, STAMP)
        connection.execute("INSERT INTO note (serial, note) VALUES ('s', 'a'), ('s', 'b')")
    assert journal.head() == head
    start(journal)
    assert entries.read_entry(journal.entry(1, 2).body).prev == head.hash


def test_a_failing_statement_is_out_of_service_and_does_nothing(journal: Journal) -> None:
    """An error of SQLite before COMMIT means that nothing was done, and says so."""
    with pytest.raises(OutOfService, match="Nothing was done"), journal.transaction() as connection:
        journal.append(connection, Kind.STARTED, {"version": "1"}, STAMP)
        connection.execute("SELECT * FROM no_such_table")
    assert journal.head().seq == 0 and not journal.broken


def test_a_commit_that_raises_is_an_unknown_outcome(journal: Journal) -> None:
    """A raising COMMIT breaks the journal until it is opened again and read."""
    start(journal)
    fail_commit(journal)
    with pytest.raises(OutcomeUnknown):
        start(journal)
    assert journal.broken
    with pytest.raises(OutOfService, match="not been opened again"), journal.transaction():
        pass
    journal.reopen()
    assert journal.head().seq == 1
    start(journal)
    assert journal.head().seq == 2


def test_a_journal_that_cannot_be_written_says_so(journal: Journal) -> None:
    """A read-only file refuses before anything is done."""
    journal.connection.pragma("query_only", 1)
    with pytest.raises(OutOfService, match="cannot be written"):
        start(journal)


def test_a_rollback_that_raises_breaks_it(journal: Journal) -> None:
    """Where not even the rollback works, nothing is written until the file is opened again."""
    with pytest.raises(OutOfService), journal.transaction() as connection:
        connection.close()
        connection.execute("SELECT 1")
    assert journal.broken


def test_watermarks_move_forward_only(journal: Journal) -> None:
    """A follower's watermark begins at nothing and never goes back, also across epochs."""
    assert journal.watermark("printed") == (0, 0)
    with journal.transaction() as connection:
        journal.advance(connection, "printed", 1, 7)
    with journal.transaction() as connection:
        journal.advance(connection, "printed", 2, 1)
    for epoch, seq in ((1, 9), (2, 0)):
        with pytest.raises(apsw.ConstraintError), journal.transaction() as connection:
            journal.advance(connection, "printed", epoch, seq)
    assert journal.watermark("printed") == (2, 1)


def test_counting_after_a_watermark_spans_epochs(journal: Journal) -> None:
    """What is not acknowledged is counted over all epochs."""
    start(journal, 3)
    journal.open_epoch(epoch=2, previous_head=journal.head().hash)
    start(journal, 2)
    counts = [journal.count_after(*mark) for mark in ((0, 0), (1, 2), (1, 3), (2, 2))]
    assert counts == [5, 3, 2, 0]


def test_totals_go_on_across_epochs(journal: Journal) -> None:
    """A new epoch begins with the totals of the one before, or with those it is given."""
    journal.open_epoch(epoch=2, previous_head=None, totals=Totals(redemptions=3, shares=5))
    assert journal.totals_at_start(2).shares == 5 and journal.totals_at_start(1) == Totals()
    start(journal)
    journal.open_epoch(epoch=3, previous_head=None)
    assert journal.totals(3) == journal.totals(2) == Totals(redemptions=3, shares=5)


def test_a_journal_without_an_epoch_says_what_to_do(tmp_path: Path) -> None:
    """A file that was never enrolled has no head."""
    with pytest.raises(OutOfService, match="enrol"):
        open_journal(tmp_path).head()


def test_a_journal_of_another_version_is_left_alone(tmp_path: Path, journal: Journal) -> None:
    """A file of an earlier or later version is refused, says what to do, and is not changed."""
    start(journal)
    journal.close()
    for version, advice in ((1, "earlier .*hexiao sync.*enrol"), (VERSION + 1, "later version")):
        connection = database.open_journal(tmp_path / "journal.db", KEY)
        connection.pragma("user_version", version)
        connection.close()
        before = (tmp_path / "journal.db").read_bytes()
        with pytest.raises(OutOfService, match=advice):
            open_journal(tmp_path)
        assert (tmp_path / "journal.db").read_bytes() == before


def test_small_facts_are_replaced(journal: Journal) -> None:
    """A durable fact has one value, the last."""
    assert journal.meta("floor") is None
    for value in ("1", "2"):
        with journal.transaction() as connection:
            journal.set_meta(connection, "floor", value)
    assert journal.meta("floor") == "2"


def test_pages_of_entries_are_bounded_and_in_order(journal: Journal) -> None:
    """`entries` answers up to its limit, after a number, in order."""
    start(journal, 5)
    assert [stored.seq for stored in journal.entries(1, 1, 3)] == [2, 3, 4]
    assert journal.entries(1, 5, 3) == []


def test_a_checkpoint_keeps_everything(tmp_path: Path, journal: Journal) -> None:
    """Moving the log into the file changes nothing that is read, now or later."""
    journal.warm()
    start(journal, 3)
    journal.checkpoint()
    head = journal.head()
    journal.close()
    assert open_journal(tmp_path).head() == head
