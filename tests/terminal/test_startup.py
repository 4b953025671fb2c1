"""What is checked before the first redemption after a start."""

import pytest

from terminal import assembly, slip_jobs, startup
from terminal.assembly import Options
from terminal.counter import ShopCounter
from terminal.errors import OutOfService
from tests.terminal.asking import all_entries, job_of, redeem
from tests.terminal.shop import NOW, Shop, close
from vouchers.times import DAY_MS


def tamper(shop: Shop, statement: str, *values: object) -> None:
    """Change the journal as nobody may: with the key, past the triggers."""
    parts = assembly.open_parts(shop.data, Options(), clock=shop.clock)
    connection = parts.journal.connection
    for name in ("entry_never_changes", "entry_never_goes", "entry_leaves_no_gap"):
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement, values)
    assembly.close(parts)


@pytest.fixture
def three(shop: Shop) -> Shop:
    """A shop whose terminal made three redemptions and was closed."""
    counter = shop.open()
    for _ in range(3):
        redeem(counter, shop.issue())
    close(counter)
    return shop


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("UPDATE entry SET body = replace(body, '\"shares\":1', '\"shares\":2') WHERE seq = 2", 2),
        ("UPDATE entry SET hash = replace(hash, 'a', 'b') WHERE seq = 1", 1),
        ("UPDATE entry SET sig = zeroblob(64) WHERE seq = 3", 3),
        ("DELETE FROM entry WHERE seq = 2", 3),
        ("UPDATE entry SET body = '{}' WHERE seq = 3", 3),
        ("UPDATE entry SET body = 'noise' WHERE seq = 1", 1),
    ],
)
def test_a_changed_journal_redeems_nothing(three: Shop, statement: str, place: int) -> None:
    """A changed, missing or unreadable entry is named, and the command that saves the rest."""
    tamper(three, statement)
    with pytest.raises(OutOfService, match="hexiao journal rescue") as caught:
        three.open()
    assert "damaged" in str(caught.value) and str(place) in str(caught.value)


def test_what_central_signed_for_is_not_verified_again(three: Shop) -> None:
    """Signatures up to the acknowledgement were checked by central; the whole check looks again."""
    parts = assembly.open_parts(three.data, Options(), clock=three.clock)
    with parts.journal.transaction() as connection:
        parts.journal.advance(connection, "acknowledged", 1, 2)
    assembly.close(parts)
    tamper(three, "UPDATE entry SET sig = zeroblob(64) WHERE seq = 2")
    counter = three.open()
    assert "signature" in str(startup.chain_fault(counter.parts, everything=True))
    close(counter)


def test_a_file_that_sqlite_finds_damaged_is_said(three: Shop) -> None:
    """Noise inside the file is found before anything is redeemed."""
    raw = bytearray(three.data.journal.read_bytes())
    raw[-3000:] = b"\x5a" * 3000
    three.data.journal.write_bytes(raw)
    with pytest.raises(OutOfService):
        three.open()


def test_a_long_journal_is_checked_page_by_page(
    three: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of entries follow each other without a seam."""
    monkeypatch.setattr(startup, "_PAGE", 2)
    counter = three.open()
    assert startup.chain_fault(counter.parts, everything=True) is None
    close(counter)


def test_a_second_epoch_is_checked_with_its_own_key(three: Shop) -> None:
    """Every epoch is checked from its own enrolment record."""
    counter = three.open()
    parts = counter.parts
    parts.journal.open_epoch(epoch=2, previous_head=parts.journal.head().hash)
    redeem(counter, three.issue())
    close(counter)
    tamper(three, "UPDATE entry SET sig = zeroblob(64) WHERE epoch = 2")
    with pytest.raises(OutOfService, match="2_00000001"):
        three.open()


def test_a_start_is_journalled_and_half_printed_slips_become_questions(
    shop: Shop, counter: ShopCounter
) -> None:
    """A slip that was under way when the power failed is asked about, and that is an entry."""
    done, other = redeem(counter, shop.issue(3)), redeem(counter, shop.issue())
    with counter.parts.journal.transaction() as connection:
        slip_jobs.set_state(connection, job_of(counter, done.serial).job, "printing", NOW)
    counter.exclusive(lambda parts: startup.started(parts, "9.9", clerk="li"))
    assert job_of(counter, done.serial).state == "unknown"
    assert job_of(counter, done.serial).code is not None
    assert job_of(counter, other.serial).state == "queued"
    kinds = [entry.kind for entry in all_entries(counter)[2:]]
    assert kinds == ["started", "printed_unknown"]
    assert all_entries(counter)[2].data == {"version": "9.9"}


def test_every_start_is_counted(counter: ShopCounter) -> None:
    """Central is told by the boot counter how often this terminal started."""
    for _ in range(2):
        counter.exclusive(lambda parts: startup.started(parts, "1", clerk="li"))
    assert counter.parts.journal.meta("boots") == "2"


def test_a_suspect_clock_is_said_at_the_start(shop: Shop, counter: ShopCounter) -> None:
    """A clock that stands a year behind the journal is a notice from the start on."""
    redeem(counter, shop.issue())
    shop.clock.wall_ms -= 365 * DAY_MS
    counter.exclusive(lambda parts: startup.started(parts, "1", clerk="li"))
    assert [notice.kind for notice in counter.status().notices] == ["clock"]
