"""What the counter keeps in memory between two redemptions, and when it must look again.

Goal: a remembered fact never outlives what it was read from. Method: a real terminal, its replica
written by another connection in between, its journal acknowledged, extended and opened again.
"""

import random
from pathlib import Path

import apsw
import pytest

from terminal.counter import ShopCounter
from terminal.outcomes import Redeemed, View
from terminal.tally import Alone, Tally
from tests.terminal.shop import Shop, close
from vouchers.entries import Kind


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "t1")


def redeem(counter: ShopCounter, shop: Shop, *, home: int | None = 1) -> Redeemed:
    """One share of a new voucher."""
    sample = shop.issue(2, home=home, product=2)
    view = counter.look_up(sample.code(), sample.last4)
    assert isinstance(view, View), view
    done = counter.redeem(view.handle, 1, clerk="c", request=f"r-{sample.voucher}")
    assert isinstance(done, Redeemed), done
    return done


def test_facts_are_read_once_until_somebody_writes(shop: Shop) -> None:
    """Inside one look a fact stands still; in the next it is what was written in between."""
    counter = shop.open()
    replica = counter.parts.replica
    with replica.reading():
        assert replica.outlet_name(1) == "East Gate"
        shop.database.execute("UPDATE outlet SET name = 'North Gate' WHERE id = 1")
        assert replica.outlet_name(1) == "East Gate"
    assert replica.outlet_name(1) == "North Gate"
    with replica.reading():
        assert replica.outlet_name(1) == "North Gate"
    close(counter)


def test_a_voucher_s_state_is_read_once_until_somebody_writes(shop: Shop) -> None:
    """Between look-up and commit nothing is read again; what central changed meanwhile is."""
    counter = shop.open()
    replica, sample = counter.parts.replica, shop.issue()

    def used() -> int:
        state = replica.state(sample.voucher)
        assert state is not None
        return state.standing.used

    with replica.reading():
        assert used() == 0
        shop.database.execute("UPDATE state SET used = 1")
        assert used() == 0
    with replica.reading():
        assert used() == 1
    close(counter)


def test_what_is_kept_of_the_replica_is_bounded(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A till that looks up vouchers all day, while central says nothing, keeps a few of them."""
    monkeypatch.setattr("terminal.replica._FACTS_MAX", 3)
    counter = shop.open()
    replica, samples = counter.parts.replica, [shop.issue() for _ in range(12)]
    kept = []
    for sample in samples:
        with replica.reading():
            assert replica.state(sample.voucher) is not None
            kept.append(len(replica._facts))
    assert max(kept) <= 5 < len(samples)
    close(counter)


def test_facts_go_with_the_file(shop: Shop) -> None:
    """After the file was closed, as a new snapshot does, nothing of the old one is said."""
    counter = shop.open()
    replica = counter.parts.replica
    with replica.reading():
        assert replica.outlet_name(1) == "East Gate"
    replica.close()
    shop.database.execute("UPDATE outlet SET name = 'North Gate' WHERE id = 1")
    with replica.reading():
        assert replica.outlet_name(1) == "North Gate"
    close(counter)


def test_a_look_at_a_missing_replica_is_no_outage_of_its_own(tmp_path: Path) -> None:
    """Only who asks the replica something is told that it is missing."""
    shop = Shop(tmp_path / "t1")
    counter = shop.open()
    counter.parts.replica.close()
    shop.database.close()
    shop.data.replica.unlink()
    with counter.parts.replica.reading():
        assert not counter.parts.replica.present
    close(counter)


def test_a_stream_stands_in_for_rows_that_name_no_entry(shop: Shop) -> None:
    """A snapshot's rows reflect this terminal's entries as its streams say, the last epoch's."""
    counter = shop.open()
    sample = shop.issue()
    state = counter.parts.replica.state(sample.voucher)
    assert state is not None and (state.reflects_epoch, state.reflects_seq) == (0, 0)
    shop.database.execute("INSERT INTO streams VALUES ('T1', 1, 9), ('T1', 2, 3), ('T2', 5, 5)")
    state = counter.parts.replica.state(sample.voucher)
    assert state is not None and (state.reflects_epoch, state.reflects_seq) == (2, 3)
    close(counter)


def test_the_tally_follows_commits_and_acknowledgements(shop: Shop) -> None:
    """It grows with each commit, and starts anew after the watermark."""
    counter = shop.open()
    parts = counter.parts
    journal = parts.journal

    def alone() -> Alone:
        return parts.tally.since(journal, journal.watermark("acknowledged"))

    assert alone() == Alone()
    redeem(counter, shop)
    assert alone() == Alone(1, 0, 1000)
    redeem(counter, shop, home=None)
    last = redeem(counter, shop)
    assert alone() == Alone(2, 1, 3000)
    seq = int(last.serial[-8:])
    with journal.transaction() as connection:
        journal.advance(connection, "acknowledged", 1, seq - 1)
    assert alone() == Alone(1, 0, 1000)
    close(counter)


def test_the_tally_follows_a_backlog_that_drains(shop: Shop, rng: random.Random) -> None:
    """Whatever the order of redemptions, other entries and acknowledgements: what stands after
    the watermark, and never more read than what the watermark passed."""
    counter = shop.open()
    parts = counter.parts
    journal, mark = parts.journal, 0
    for _ in range(60):
        if rng.random() < 0.5:
            redeem(counter, shop, home=rng.choice((1, None)))
        elif rng.random() < 0.4:
            counter.look_up("20412345678", "1234")
            with journal.transaction() as connection:
                stamp = parts.stamp(parts.clock.estimate(), "li")
                journal.append(connection, Kind.STARTED, {}, stamp)
        else:
            mark = rng.randint(mark, journal.head().seq)
        fresh = Tally().since(journal, (1, mark))
        assert parts.tally.since(journal, (1, mark)) == fresh
    close(counter)


def test_the_tally_is_counted_anew_from_an_opened_journal(shop: Shop) -> None:
    """What counts after an unknown outcome is what the file holds."""
    counter = shop.open()
    journal = counter.parts.journal
    redeem(counter, shop)
    assert counter.parts.tally.since(journal, (0, 0)) == Alone(1, 0, 1000)
    journal.reopen()
    journal.connection.execute("DROP TRIGGER entry_never_changes")
    journal.connection.execute("UPDATE entry SET amount_fen = 7 WHERE home IS NOT NULL")
    assert counter.parts.tally.since(journal, (0, 0)) == Alone(1, 0, 7)
    close(counter)


def test_the_head_in_memory_is_the_head_in_the_file(shop: Shop) -> None:
    """After a commit, after a transaction that was given up, and after opening again."""
    counter = shop.open()
    journal = counter.parts.journal
    redeem(counter, shop)
    assert journal.head() == journal.head(1)
    before = journal.head()
    with pytest.raises(apsw.ConstraintError), journal.transaction() as connection:
        connection.execute(
            "INSERT INTO entry (id, kind, body, hash, sig) VALUES (7, '', '', '', '')"
        )
    assert journal.head() == before
    journal.reopen()
    assert journal.head() == before
    close(counter)


def test_entries_are_counted_over_all_epochs(shop: Shop) -> None:
    """What a watermark leaves: the rest of its epoch and all of the later ones."""
    counter = shop.open()
    journal = counter.parts.journal
    for _ in range(3):
        redeem(counter, shop)
    head = journal.head()
    assert journal.count_after(0, 0) == journal.count_after(1, 0) == head.seq
    assert journal.count_after(1, head.seq - 1) == 1
    assert journal.count_after(1, head.seq + 5) == 0
    journal.open_epoch(epoch=2, previous_head=head.hash)
    redeem(counter, shop)
    assert journal.count_after(1, head.seq - 1) == 2
    assert journal.count_after(2, 0) == 1
    close(counter)


def test_the_log_is_put_away_behind_the_counter(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long write-ahead log is moved into the file after the answer, by nobody who waits."""
    counter = shop.open()
    journal = counter.parts.journal
    redeem(counter, shop)
    counter.pause()
    assert not journal.log_is_long
    size = shop.data.journal.stat().st_size
    monkeypatch.setattr("terminal.journal._LOG_PAGES", 0)
    redeem(counter, shop)
    counter.pause()
    assert not journal.log_is_long
    assert shop.data.journal.stat().st_size > size
    close(counter)


def test_a_durable_fact_is_what_was_committed(shop: Shop) -> None:
    """Also after a transaction that was given up, and after opening again."""
    counter = shop.open()
    journal = counter.parts.journal
    assert journal.meta("fact") is None
    with journal.transaction() as connection:
        journal.set_meta(connection, "fact", "1")
        assert journal.meta("fact") == "1"
    with pytest.raises(ValueError), journal.transaction() as connection:
        journal.set_meta(connection, "fact", "2")
        assert journal.meta("fact") == "2"
        raise ValueError
    assert journal.meta("fact") == "1"
    journal.reopen()
    assert journal.meta("fact") == "1"
    close(counter)
