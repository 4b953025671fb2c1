"""A COMMIT that raises: what then stands in the journal is the answer, and nothing is booked twice.

The errors are put in below SQLite (`faulty_disk`), so what is found after opening again is what a
real disk would have left.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from terminal import startup
from terminal.counter import ShopCounter
from terminal.errors import OutcomeUnknown, OutOfService, TerminalError
from terminal.outcomes import Redeemed, Reversed
from tests.terminal.faulty_disk import FaultyDisk, faulty_disk
from tests.terminal.shop import Sample, Shop, close
from vouchers.reasons import Refusal

# An error while a handle is closed reaches nobody but Python's hook for such errors.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    with faulty_disk() as made:
        yield made


@pytest.fixture
def shop(disk: FaultyDisk, tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


def opened(shop: Shop) -> ShopCounter:
    """A till that has redeemed before: its log has its size and something in it."""
    counter = shop.open(has_printer=True)
    counter.exclusive(lambda parts: parts.journal.warm())
    assert isinstance(redeem(counter, shop.issue(3), "before"), Redeemed)
    return counter


def redeem(counter: ShopCounter, sample: Sample, request: str) -> Redeemed | Refusal:
    """One share."""
    return counter.redeem_presented(
        sample.code(), sample.last4, 1, clerk="li", request=request, slip=True
    )


def entries_of(counter: ShopCounter, kind: str) -> int:
    """How many entries of a kind the journal holds."""
    (row,) = counter.parts.journal.connection.execute(
        "SELECT count(*) FROM entry WHERE kind = ?", (kind,)
    )
    return int(str(row[0]))


def test_nothing_was_written(disk: FaultyDisk, shop: Shop) -> None:
    """The log takes no byte: said as nothing booked; the same request then books once."""
    sample, counter = shop.issue(3), opened(shop)
    disk.fail("write -wal", times=1)
    with pytest.raises(OutOfService, match="nothing was booked"):
        redeem(counter, sample, "q")
    assert entries_of(counter, "redeemed") == 1
    done = redeem(counter, sample, "q")
    assert isinstance(done, Redeemed) and not done.repeated and done.left == 2
    assert startup.chain_fault(counter.parts, everything=True) is None
    close(counter)


def test_everything_was_written_but_not_flushed(disk: FaultyDisk, shop: Shop) -> None:
    """The flush fails and the entry is found afterwards: it is the redemption."""
    sample, counter = shop.issue(3), opened(shop)
    woken: list[str] = []
    counter.on_entry = lambda: woken.append("woken")
    disk.fail("sync", times=2)  # that of the commit, and that of closing the log
    done = redeem(counter, sample, "q")
    assert isinstance(done, Redeemed) and disk.calls.count("sync -wal") >= 2
    assert (done.left, done.repeated, done.successor_code) == (2, False, sample.code(1))
    assert woken, "printing and sending were not woken"
    assert counter.parts.witness.read() == counter.parts.journal.head()
    assert counter.history(1)[0].slip == "queued"
    again = redeem(counter, sample, "q")
    assert isinstance(again, Redeemed) and (again.serial, again.repeated) == (done.serial, True)
    assert entries_of(counter, "redeemed") == 2
    close(counter)


def test_what_was_found_is_flushed_before_it_counts(disk: FaultyDisk, shop: Shop) -> None:
    """An entry that is only in the system's memory is not told as done."""
    sample, counter = shop.issue(3), opened(shop)
    disk.fail("sync")
    with pytest.raises(OutcomeUnknown):
        redeem(counter, sample, "q")
    with pytest.raises(TerminalError):
        redeem(counter, sample, "q")
    disk.heal()
    done = redeem(counter, sample, "q")
    assert isinstance(done, Redeemed) and done.left == 2
    assert entries_of(counter, "redeemed") == 2
    close(counter)


def test_disk_that_stays_broken_leaves_the_outcome_open(disk: FaultyDisk, shop: Shop) -> None:
    """It cannot even be opened again: unknown, with the request that will tell."""
    sample, counter = shop.issue(3), opened(shop)
    disk.fail("")
    with pytest.raises(OutcomeUnknown) as unknown:
        redeem(counter, sample, "q")
    assert unknown.value.request == "q"
    with pytest.raises(TerminalError):
        counter.status()
    disk.heal()
    done = redeem(counter, sample, "q")
    assert isinstance(done, Redeemed) and done.left == 2
    assert entries_of(counter, "redeemed") == 2
    close(counter)


@pytest.mark.parametrize("times", [1, 2, 3, 1_000_000])
def test_every_call_of_a_redemption_may_fail(disk: FaultyDisk, shop: Shop, times: int) -> None:
    """Whichever write, flush or opening fails, once or on: one request is one entry in the end."""
    counter = opened(shop)
    disk.fail("nothing")
    redeem(counter, shop.issue(3), "count")
    calls = len(disk.calls)
    assert calls > 3
    for after in range(calls + 1):
        sample, request = shop.issue(3), f"q{after}"
        disk.fail("", after=after, times=times)
        said = outcome(partial(redeem, counter, sample, request))
        disk.heal()
        counter.status()
        booked = counter.parts.journal.find_request(request)
        if isinstance(said, Redeemed):
            assert booked is not None and said.head == booked.hash
        elif isinstance(said, OutOfService):
            assert booked is None
        done = redeem(counter, sample, request)
        assert isinstance(done, Redeemed) and done.left == 2
        assert done.repeated == (booked is not None)
        assert entries_of(counter, "redeemed") == after + 3
    assert startup.chain_fault(counter.parts, everything=True) is None
    close(counter)


def outcome(work: Callable[[], object]) -> object:
    """The answer or the outage, as a value."""
    try:
        return work()
    except TerminalError as error:
        return error


@pytest.mark.parametrize("times", [1, 2, 1_000_000])
def test_every_call_of_a_reversal_may_fail(disk: FaultyDisk, shop: Shop, times: int) -> None:
    """The same for taking a redemption back: once, whatever fails."""
    counter = opened(shop)
    for after in range(12):
        sample = shop.issue(3)
        done = redeem(counter, sample, f"q{after}")
        assert isinstance(done, Redeemed)
        disk.fail("", after=after, times=times)
        said = outcome(partial(counter.reverse, done.serial, reason_code="mistake", clerk="li"))
        disk.heal()
        counter.status()
        stands = entries_of(counter, "reversed") == after + 1
        assert stands or not isinstance(said, Reversed)
        assert not (stands and isinstance(said, OutOfService))
        undone = counter.reverse(done.serial, reason_code="mistake", clerk="li")
        assert isinstance(undone, Reversed) and undone.left == 3
        assert entries_of(counter, "reversed") == after + 1
    assert startup.chain_fault(counter.parts, everything=True) is None
    close(counter)


def test_a_miss_is_charged_or_not_answered(disk: FaultyDisk, shop: Shop) -> None:
    """Decision 13: where the charge cannot be made durable there is no answer to learn from."""
    sample, counter = shop.issue(1), opened(shop)
    disk.fail("", times=1)
    with pytest.raises(TerminalError):
        counter.look_up(sample.code(), "0000")
    close(counter)


def test_what_stands_after_a_refusal_s_commit_raised_is_witnessed(
    disk: FaultyDisk, shop: Shop
) -> None:
    """Nothing was booked, but the refusal stands in the journal: a backup must not forget it."""
    sample, counter = shop.issue(1), opened(shop)
    disk.fail("sync", times=2)  # that of the commit, and that of closing the log
    with pytest.raises(OutOfService, match="nothing was booked"):
        counter.redeem_presented(sample.code(), sample.last4, 2, clerk="li", request="q", slip=True)
    assert entries_of(counter, "refused") == 1
    assert counter.parts.witness.read() == counter.parts.journal.head()
    close(counter)


def test_a_miss_whose_commit_raised_stands_and_is_witnessed(
    disk: FaultyDisk, shop: Shop, tmp_path: Path
) -> None:
    """Decision 13: found at once and charged; putting back a backup does not free the guesser."""
    sample, counter = shop.issue(1), opened(shop)
    journal = shop.data.journal
    files = (journal, journal.with_name(f"{journal.name}-wal"))
    for file in files:
        shutil.copy(file, tmp_path / file.name)
    disk.fail("sync", times=2)
    with pytest.raises(OutcomeUnknown):
        counter.look_up(sample.code(), "0000")
    assert entries_of(counter, "refused") == 1
    close(counter)
    for file in files:
        shutil.copy(tmp_path / file.name, file)
    with pytest.raises(OutOfService, match="put back from a backup"):
        shop.open()


def test_half_written_start_is_finished_by_the_next(disk: FaultyDisk, tmp_path: Path) -> None:
    """A disk that fails while the journal is first made leaves nothing that cannot be opened."""
    shop = Shop(tmp_path / "new")
    disk.fail("nothing")
    close(shop.open())
    calls = len(disk.calls)
    for after in range(0, calls, 3):
        each = Shop(tmp_path / f"new{after}")
        disk.fail("", after=after)
        said = outcome(each.open)
        disk.heal()
        if isinstance(said, ShopCounter):
            close(said)
        sample = each.issue(1)
        counter = each.open()
        assert isinstance(redeem(counter, sample, "q"), Redeemed)
        close(counter)
