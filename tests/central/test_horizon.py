"""A voucher with more shares than codes were reserved for, redeemed one share at a time."""

from pathlib import Path

import pytest

from central import horizon, ingest, keys, ledger, orders, schema, sealing
from central.arriving import Upload
from central.issuing import Issued
from central.service import Central
from tests.central.conftest import Pair, issue
from tests.central.replicas import Replica
from tests.central.till import Till
from vouchers import codes, entries, sealed
from vouchers.sealed import Record

SHARES = 70
SYNC_EVERY = 4


def push(central: Central, till: Till, first: int) -> None:
    last = len(till.bodies)
    sig = entries.sign_entry(till.bodies[-1], till.key)
    bodies = till.bodies[first - 1 :]
    batch = Upload(till.posid, 1, first, till.heads[first - 1], bodies, {last: sig})
    assert isinstance(ingest.ingest(central, batch), ingest.Held)


def redeem_one_by_one(till: Till, issued: Issued, count: int) -> None:
    for generation in range(count):
        till.redeem(issued, generation=generation, left=SHARES - generation - 1)


def seal_all(central: Central) -> None:
    while sealing.run(central):
        pass


def opened(replica: Replica, till: Till, code: str) -> Record:
    key = sealed.stretch(code, "1234", till.vault)
    with replica.opened() as file:
        row = file.execute("SELECT record FROM sealed WHERE k = ?", (key.row_key,)).fetchone()
    assert row is not None, f"no row for {code}"
    return sealed.open_record(bytes(row[0]), key)


def voucher(central: Central, issued: Issued) -> ledger.Voucher:
    with central.read() as work:
        return ledger.find_all(work, [issued.voucher])[issued.voucher]


def test_a_connected_counter_never_runs_out_of_codes(
    central: Central, pair: Pair, tmp_path: Path
) -> None:
    """Design 6: the horizon is extended through the feed, share after share, to the last one.

    The counter goes on by the record it has; only where that ends it looks for central's.
    """
    issued = issue(central, shares=SHARES)
    till, replica = pair("POS1"), Replica(central, tmp_path / "replica")
    record, code, turns = opened(replica, till, issued.code), issued.code, 0
    for generation in range(SHARES - 1):
        if record.horizon == generation:
            record, turns = opened(replica, till, code), turns + 1
        assert record.horizon > generation, "needs_network"
        till.redeem(issued, generation=generation, left=SHARES - generation - 1)
        code = codes.derive(record.secret, generation + 1)
        if generation % SYNC_EVERY == 0:
            push(central, till, max(1, generation - SYNC_EVERY + 2))
            seal_all(central)
            replica.pull_all(100)
            assert code == voucher(central, issued).code
    found = voucher(central, issued)
    assert (found.generation, found.left) == (SHARES - 1, 1) and code == found.code
    with central.read() as work:
        rows = work.connection.execute(schema.codes.select()).all()
    made = {str(row.code): row.generation for row in rows}
    assert len(made) == len(rows) == found.horizon + 1
    assert all(found.code_of(g) == code for code, g in made.items())
    assert not any(map(codes.looks_like_mobile, made)) and turns >= 2
    replica.writer.close()


def test_the_row_of_the_turn_is_there_before_it_is_reached(
    central: Central, pair: Pair, tmp_path: Path
) -> None:
    """A counter that goes offline eight redemptions before its codes end goes on beyond them."""
    issued = issue(central, shares=SHARES)
    till = pair("POS1")
    last = codes.horizon(SHARES)
    redeem_one_by_one(till, issued, last - horizon.AHEAD + 1)
    push(central, till, 1)
    seal_all(central)
    replica = Replica(central, tmp_path / "replica")
    first = voucher(central, issued)
    turn = opened(replica, till, first.code_of(last))
    assert (turn.generation, turn.horizon) == (last, first.horizon) and first.horizon > last + 8
    plain = opened(replica, till, first.code)
    assert plain.horizon == last and plain.secret != turn.secret
    replica.writer.close()


def test_a_turn_that_was_sealed_too_early_is_sealed_again(central: Central, pair: Pair) -> None:
    """All redemptions come at once: the last row is sealed without what lies beyond, then with."""
    issued = issue(central, shares=SHARES)
    till, last = pair("POS1"), codes.horizon(SHARES)
    redeem_one_by_one(till, issued, last)
    early = voucher(central, issued)
    row = sealing.seal(central, early, last, vault(central))
    with central.write() as work:
        sealing.store(work, [row])
    push(central, till, 1)
    seal_all(central)
    with central.read() as work:
        (found,) = work.connection.execute(
            schema.sealed.select().where(schema.sealed.c.generation == last)
        ).all()
    key = sealed.stretch(early.code_of(last), "1234", till.vault)
    assert sealed.open_record(found.record, key).horizon > last


def vault(central: Central) -> sealed.Vault:
    with central.read() as work:
        return keys.load(work).vault


def test_another_mobile_keeps_the_turn(central: Central, pair: Pair, tmp_path: Path) -> None:
    issued = issue(central, shares=SHARES)
    till, last = pair("POS1"), codes.horizon(SHARES)
    redeem_one_by_one(till, issued, last - 3)
    push(central, till, 1)
    seal_all(central)
    assert isinstance(orders.change_mobile(central, issued.order, "13900005678"), orders.Order)
    with central.read() as work:
        rows = work.connection.execute(schema.sealed.select()).all()
    assert {row.generation for row in rows} == {last - 3, last - 2, last}


def test_two_jobs_extend_once(central: Central, pair: Pair) -> None:
    issued = issue(central, shares=SHARES)
    till, last = pair("POS1"), codes.horizon(SHARES)
    redeem_one_by_one(till, issued, last)
    push(central, till, 1)
    horizon.extend(central, [issued.voucher])
    once = voucher(central, issued)
    assert not horizon.due(once)
    horizon.extend(central, [issued.voucher])
    assert voucher(central, issued) == once


@pytest.mark.parametrize("shares", [1, 2, 17])
def test_few_shares_need_no_extension(central: Central, shares: int) -> None:
    """The codes reserved at issue are enough, and eight more for undoing."""
    found = voucher(central, issue(central, shares=shares))
    assert not horizon.due(found) and found.turn() is None
    assert found.successors(0) == (found.secret, found.horizon)
