"""Print jobs: what is to be on paper, and what is forgotten when it is."""

import apsw
import pytest

from terminal import slip_jobs
from terminal.counter import ShopCounter
from terminal.slip_facts import to_json
from terminal.slip_jobs import Job
from tests.terminal.asking import all_entries, job_of, redeem, reverse, view
from tests.terminal.shop import NOW, Shop, close


def settle(counter: ShopCounter, job: Job, state: str) -> None:
    with counter.parts.journal.transaction() as connection:
        slip_jobs.set_state(connection, job.job, state, NOW)


def dump(counter: ShopCounter) -> str:
    """Every value of every row of the journal's own tables."""
    connection = counter.parts.journal.connection
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return repr([connection.execute(f"SELECT * FROM {table}").fetchall() for (table,) in tables])


def test_a_job_is_written_with_its_entry(shop: Shop, counter: ShopCounter) -> None:
    """The slip of a partial redemption carries its facts and, apart from them, the new code."""
    sample = shop.issue(5)
    done = redeem(counter, sample, 2)
    job = job_of(counter, done.serial)
    assert (job.state, job.copy, job.code) == ("queued", 1, sample.code(1))
    said = job.facts
    assert (said.kind, said.serial, said.left, said.mode) == ("redeemed", done.serial, 3, "lone")
    assert (said.head, said.at, said.successor) == (done.head, done.at, True)
    assert sample.code(1) not in to_json(said)


@pytest.mark.parametrize("state", ["printed", "unconfirmed", "abandoned"])
def test_a_settled_slip_forgets_the_code(shop: Shop, counter: ShopCounter, state: str) -> None:
    """Once confirmed or abandoned, the successor code is nowhere in the journal any more."""
    sample = shop.issue(5)
    done = redeem(counter, sample, 2)
    assert sample.code(1) in dump(counter)
    settle(counter, job_of(counter, done.serial), state)
    assert sample.code(1) not in dump(counter)
    counter.reprint(done.serial, clerk="li")
    assert (job_of(counter, done.serial).copy, job_of(counter, done.serial).code) == (2, None)


@pytest.mark.parametrize("state", ["queued", "printing", "unknown", "failed"])
def test_an_unsettled_slip_keeps_the_code_for_its_copy(
    shop: Shop, counter: ShopCounter, state: str
) -> None:
    """Until the customer has it, a reprint carries the code, and the copy before does not print."""
    sample = shop.issue(5)
    done = redeem(counter, sample, 2)
    first = job_of(counter, done.serial)
    settle(counter, first, state)
    assert counter.reprint(done.serial, clerk="wu")
    copy = job_of(counter, done.serial)
    assert (copy.copy, copy.code, copy.state) == (2, sample.code(1), "queued")
    before = slip_jobs.by_id(counter.parts.journal.connection, first.job)
    if state != "printing":  # that one is under way: the printer says what becomes of it
        assert (before.state, before.code) == ("abandoned", None)
    entry = all_entries(counter)[-1]
    assert (entry.kind, entry.clerk) == ("reprinted", "wu")
    assert entry.data == {"serial": done.serial, "copy": 2}


@pytest.mark.parametrize(("state", "after"), [("printing", "queued"), ("abandoned", "abandoned")])
def test_a_slip_of_which_nothing_left_is_put_back(
    shop: Shop, counter: ShopCounter, state: str, after: str
) -> None:
    """It waits again, unless a person did without it meanwhile."""
    job = job_of(counter, redeem(counter, shop.issue()).serial)
    settle(counter, job, state)
    slip_jobs.put_back(counter.parts, job.job)
    assert slip_jobs.by_id(counter.parts.journal.connection, job.job).state == after


def test_neither_journal_nor_jobs_hold_what_was_typed(shop: Shop, counter: ShopCounter) -> None:
    """No table holds last four digits or the presented code, whatever was done with them."""
    shop.serial = 7_000
    sample = shop.issue(5)
    done = redeem(counter, sample, 2)
    reverse(counter, done.serial)
    counter.look_up(sample.code(), "8642")
    counter.look_up(shop.qr(sample), sample.last4)
    counter.reprint(done.serial, clerk="li")
    held = dump(counter)
    assert sample.code() not in held
    bodies = "".join(stored.body for stored in counter.parts.journal.entries(1, 0, 99))
    for secret in (sample.code(), sample.code(1)):
        assert secret not in bodies
    for digits in (sample.last4, "8642"):
        assert f'"{digits}"' not in bodies and f"'{digits}'" not in held


def test_ax_19_a_slip_that_was_never_queued_can_be_made(shop: Shop) -> None:
    """AX-19: a redemption without a printer is reprinted from the journal as copy 2."""
    counter = shop.open(has_printer=False)
    done = redeem(counter, shop.issue(3), 1)
    undone = reverse(counter, done.serial)
    assert counter.history(1)[0].slip == "none"
    for serial, kind in ((done.serial, "redeemed"), (undone.serial, "reversed")):
        assert counter.reprint(serial, clerk="li")
        job = job_of(counter, serial)
        assert (job.copy, job.facts.kind, job.code) == (2, kind, None)
    close(counter)


def test_there_is_nothing_to_reprint_of_other_things(shop: Shop, counter: ShopCounter) -> None:
    """Noise, another terminal's serial, one that does not exist and a refusal have no slip."""
    sample = shop.issue()
    counter.look_up(sample.code(), "9999")
    for serial in ("", "noise", "T2_1_00000001", "T1_1_00000099", "T1_1_00000001"):
        assert counter.reprint(serial, clerk="li") is False
    assert counter.parts.journal.head().seq == 1


def test_a_slip_of_unknown_fate_is_a_question(shop: Shop, counter: ShopCounter) -> None:
    """The clerk is asked; `no` abandons it and forgets the code, `yes` prints a marked copy."""
    sample = shop.issue(5)
    done = redeem(counter, sample, 1)
    settle(counter, job_of(counter, done.serial), "unknown")
    (notice,) = counter.status().notices
    assert (notice.kind, notice.serial, notice.detail["copy"]) == ("slip_unknown", done.serial, 1)
    counter.settle_slip(done.serial, reprint=True, clerk="li")
    assert counter.status().notices == () and job_of(counter, done.serial).copy == 2
    settle(counter, job_of(counter, done.serial), "unknown")
    counter.settle_slip(done.serial, reprint=False, clerk="li")
    assert job_of(counter, done.serial).state == "abandoned"
    assert sample.code(1) not in dump(counter)
    counter.settle_slip(done.serial, reprint=False, clerk="li")
    counter.settle_slip("T1_1_00000099", reprint=False, clerk="li")


def test_the_oldest_waits_first(shop: Shop, counter: ShopCounter) -> None:
    """Jobs go to paper in the order of what they tell of."""
    serials = [redeem(counter, shop.issue()).serial for _ in range(3)]
    connection = counter.parts.journal.connection
    for serial in serials:
        job = slip_jobs.next_queued(connection)
        assert job is not None and job.serial == serial
        settle(counter, job, "printed")
    assert slip_jobs.next_queued(connection) is None
    printed = connection.execute("SELECT serial FROM print_job WHERE state = 'printed' ORDER BY id")
    assert [str(row[0]) for row in printed] == serials


def test_what_waits_is_found_without_reading_what_came_out(counter: ShopCounter) -> None:
    """A till that printed for years looks at its open slips only: SQLite uses the index."""
    connection = counter.parts.journal.connection
    asked: list[str] = []

    def keep(_: apsw.Cursor, statement: str, __: object) -> bool:
        asked.append(statement)
        return True

    connection.set_exec_trace(keep)
    slip_jobs.next_queued(connection)
    slip_jobs.in_state(connection, "unknown")
    connection.set_exec_trace(None)
    assert len(asked) == 2
    for statement in asked:
        plan = str(
            connection.execute(
                f"EXPLAIN QUERY PLAN {statement}", ("",)[: "?" in statement]
            ).fetchall()
        )
        assert "USING INDEX print_job_open" in plan, plan


def test_a_qr_s_redemption_says_that_the_code_follows(shop: Shop, counter: ShopCounter) -> None:
    """A voucher known by its QR has no successor here, and its slip knows until when it is good."""
    sample = shop.issue(2, rows=())
    shop.database.execute("DELETE FROM state WHERE voucher = ?", (sample.voucher,))
    seen = view(counter, shop.qr(sample), sample.last4)
    done = counter.redeem(seen.handle, 1, clerk="li", request="q")
    job = job_of(counter, done.serial)  # type: ignore[union-attr]
    assert (job.code, job.facts.successor, job.facts.left) == (None, False, 1)
    assert job.facts.valid_until == seen.valid_until
