"""The witness: the head a second time, and what a difference proves."""

import shutil
from pathlib import Path

import pytest

from terminal import history
from terminal.counter import ShopCounter
from terminal.errors import OutOfService
from terminal.journal import Head
from terminal.witness import Witness
from tests.terminal.asking import redeem
from tests.terminal.shop import Shop, close


def state(counter: ShopCounter) -> str:
    return counter.parts.witness.compare(counter.parts.journal).state


def test_it_follows_every_commit(shop: Shop, counter: ShopCounter) -> None:
    """After a redemption, a reversal, a miss and a refused look-up the witness knows the head."""
    sample = shop.issue(2)
    assert state(counter) == "missing"
    done = redeem(counter, sample)
    assert state(counter) == "agrees"
    counter.reverse(done.serial, reason_code="test", clerk="li")
    assert state(counter) == "agrees"
    counter.look_up(sample.code(1), "9999")
    assert state(counter) == "agrees", "a miss that a restored backup would forget"
    counter.look_up(sample.code(), sample.last4)
    assert state(counter) == "agrees", "a refused look-up is an entry like any other"


def test_a_follower_s_entry_is_witnessed(counter: ShopCounter, shop: Shop) -> None:
    """An entry that a follower appends under the lock is witnessed as well."""
    done = redeem(counter, shop.issue())
    counter.exclusive(lambda parts: history.note(parts, "x", None, {}))
    counter.reprint(done.serial, clerk="li")
    assert state(counter) == "agrees"


def test_its_states(tmp_path: Path, shop: Shop, counter: ShopCounter) -> None:
    """Missing, agreeing, behind, ahead and different are told apart."""
    witness, journal = counter.parts.witness, counter.parts.journal
    witness.write(journal.head())
    assert state(counter) == "agrees"
    redeem(counter, shop.issue())
    head = journal.head()
    witness.write(Head(1, 0, journal.epoch_record(1)[2]))
    assert state(counter) == "behind"
    for seen, wanted in (
        (Head(1, head.seq + 1, "0" * 64), "ahead"),
        (Head(2, 0, "0" * 64), "ahead"),
        (Head(1, 99, head.hash), "ahead"),
        (Head(1, head.seq, "0" * 64), "differs"),
        (Head(1, 0, "0" * 64), "differs"),
        (Head(0, 5, head.hash), "differs"),
    ):
        witness.write(seen)
        assert state(counter) == wanted, seen


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"epoch": 1, "seq": null, "hash": ""}', "\xff"])
def test_one_that_cannot_be_read_is_missing(tmp_path: Path, text: str) -> None:
    """A witness of noise proves nothing and stops nothing."""
    path = tmp_path / "witness"
    path.write_bytes(text.encode("latin-1"))
    assert Witness(path).read() is None


def test_a_shorter_line_leaves_no_older_tail(tmp_path: Path) -> None:
    """Overwriting a long head with a short one leaves the short one."""
    witness = Witness(tmp_path / "witness")
    witness.write(Head(123456, 99999999, "a" * 64))
    witness.write(Head(1, 1, "b" * 64))
    assert witness.read() == Head(1, 1, "b" * 64)


def test_a_journal_from_a_backup_redeems_nothing(shop: Shop, tmp_path: Path) -> None:
    """A journal that was put back is found at the next start and its loss is named."""
    counter = shop.open()
    redeem(counter, shop.issue())
    close(counter)
    backup = tmp_path / "backup.db"
    shutil.copy(shop.data.journal, backup)
    counter = shop.open()
    redeem(counter, shop.issue())
    redeem(counter, shop.issue())
    close(counter)
    shutil.copy(backup, shop.data.journal)
    with pytest.raises(OutOfService, match=r"entries 2 to 3 of epoch 1.*hexiao enrol"):
        shop.open()


def test_a_restored_journal_forgets_no_misses(shop: Shop, tmp_path: Path) -> None:
    """Decision 13: putting back a journal from before the misses does not free the guesser."""
    counter = shop.open()
    sample = shop.issue()
    redeem(counter, shop.issue())
    close(counter)
    shutil.copy(shop.data.journal, tmp_path / "backup.db")
    counter = shop.open()
    for _ in range(4):
        counter.look_up(sample.code(), "9999")
    close(counter)
    shutil.copy(tmp_path / "backup.db", shop.data.journal)
    with pytest.raises(OutOfService, match="put back from a backup"):
        shop.open()


def test_another_history_of_the_same_length_is_found(shop: Shop) -> None:
    """A witness that names another entry at the same place stops the terminal too."""
    counter = shop.open()
    redeem(counter, shop.issue())
    counter.parts.witness.write(Head(1, 1, "0" * 64))
    close(counter)
    with pytest.raises(OutOfService, match="put back from a backup"):
        shop.open()


def test_a_witness_that_cannot_be_written_undoes_nothing(shop: Shop, counter: ShopCounter) -> None:
    """A redemption stands without its witness, and the person is told once."""
    shop.data.witness.mkdir()
    redeem(counter, shop.issue())
    redeem(counter, shop.issue())
    found = [notice for notice in counter.status().notices if notice.kind == "disk"]
    assert [notice.detail["what"] for notice in found] == ["witness"]


def test_entries_missing_from_an_older_epoch_are_found(shop: Shop, counter: ShopCounter) -> None:
    """A witness that knows more of an epoch that was closed since is ahead as well."""
    journal = counter.parts.journal
    redeem(counter, shop.issue())
    journal.open_epoch(epoch=2, previous_head=journal.head().hash)
    counter.parts.witness.write(Head(1, 5, "0" * 64))
    assert state(counter) == "ahead"
    close(counter)
    with pytest.raises(OutOfService, match="entries 2 to 5 of epoch 1"):
        shop.open()
