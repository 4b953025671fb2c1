"""The feed as a law: whatever is committed late, compacted, repeated or cut into pages, a replica
that follows it ends as the head is. Each way to get it wrong stands beside it and fails.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from central import (
    compaction,
    feed,
    ingest,
    ledger,
    orders,
    reports,
    restoring,
    schema,
    sealing,
    service,
)
from central.arriving import Upload
from central.errors import Refused
from central.feed import BEGINNING, Reader, Resync
from central.issuing import Issued
from central.service import Central, Work
from sync.feed import FeedPage, SealedGone, StateGone, StatePut, digest_text, row_digest
from tests.central.conftest import Pair, issue
from tests.central.replicas import Replica
from tests.central.till import Till
from vouchers import entries, times

NOBODY = Reader("NOBODY", 1)


def page(central: Central, after: str, limit: int = 5_000, bucket: int = 1) -> FeedPage:
    found = answer(central, after, limit, bucket)
    assert isinstance(found, FeedPage), found
    return found


def answer(central: Central, after: str, limit: int = 5_000, bucket: int = 1) -> FeedPage | Resync:
    with central.read() as work:
        return feed.read_page(work, bucket, after, limit=limit, reader=NOBODY)


def touch(work: Work, voucher: str) -> None:
    """A change like any other: another version of the voucher's state."""
    found = ledger.find_all(work, [voucher], lock=True)[voucher]
    ledger.change(work, found, valid_until=found.valid_until + 1)


def changed(found: FeedPage) -> set[str]:
    return {item.voucher for item in found.items if isinstance(item, StatePut)}


# Rows that are committed late


def overlapping(central: Central, engine: str, early: str, late: str) -> list[set[str]]:
    """Two writers at once: `late` wrote first and commits last. What a reader hears meanwhile."""
    if engine == "sqlite":
        pytest.skip("a second writer of SQLite does not begin before the first has ended")
    wrote, may_commit = threading.Event(), threading.Event()

    def hold() -> None:
        with central.write() as work:
            touch(work, late)
            wrote.set()
            assert may_commit.wait(10)

    cursor = page(central, BEGINNING).cursor
    holder = threading.Thread(target=hold)
    holder.start()
    assert wrote.wait(10)
    with central.write() as work:
        touch(work, early)
    first = page(central, cursor)
    may_commit.set()
    holder.join(10)
    second = page(central, first.cursor)
    return [changed(first), changed(second)]


def test_a_row_committed_late_is_not_skipped(central: Central, engine: str) -> None:
    """Central notes 4.1: a reader's cursor lies before what comes to light later."""
    early, late = issue(central).voucher, issue(central).voucher
    assert overlapping(central, engine, early, late) == [{early}, {late}]


def test_a_writer_that_holds_the_counter_hides_everything_behind_it(
    central: Central, engine: str
) -> None:
    """Once a sequence is taken no other is visible before it, nor a checkpoint without it."""
    if engine == "sqlite":
        pytest.skip("a second writer of SQLite does not begin before the first has ended")
    one, two = issue(central).voucher, issue(central).voucher
    cursor = page(central, BEGINNING).cursor
    with central.database.write() as connection:
        work = Work(connection, central.merchant, central.clock())
        touch(work, one)
        service._publish(work)
        second = threading.Thread(target=commit_one, args=(central, two))
        second.start()
        wait_for_a_lock(central)
        seen = page(central, cursor)
        assert seen.items == () and not seen.more
    second.join(10)
    after = page(central, cursor)
    assert changed(after) == {one, two} and after.checkpoint == check(central)


def commit_one(central: Central, voucher: str) -> None:
    with central.write() as work:
        touch(work, voucher)


def wait_for_a_lock(central: Central) -> None:
    """Until some transaction of this database waits for another one."""
    for _ in range(2_000):
        with central.database.engine.connect() as connection:
            waiting = connection.exec_driver_sql(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).scalar_one()
        if waiting:
            return
    raise AssertionError("nobody waited")


def test_a_naive_cursor_misses_such_a_row(database_url: str, engine: str) -> None:
    """The control: numbers from a sequence, taken at the insert, lose the row for ever."""
    if engine == "sqlite":
        pytest.skip("a second writer of SQLite does not begin before the first has ended")
    with psycopg.connect(database_url, autocommit=True) as setting:
        setting.execute("CREATE TABLE naive (id bigserial PRIMARY KEY, voucher text)")
    insert = "INSERT INTO naive (voucher) VALUES (%s)"
    news = "SELECT id, voucher FROM naive WHERE id > %s ORDER BY id"
    with (
        psycopg.connect(database_url) as late,
        psycopg.connect(database_url) as early,
        psycopg.connect(database_url, autocommit=True) as reader,
    ):
        late.execute(insert, ["late"])
        early.execute(insert, ["early"])
        early.commit()
        first = reader.execute(news, [0]).fetchall()
        late.commit()
        second = reader.execute(news, [first[-1][0]]).fetchall()
    assert [row[1] for row in first] == ["early"] and second == []


# Cursors that cannot be served


def check(central: Central) -> Any:
    return page(central, BEGINNING).checkpoint


def head(central: Central, **values: object) -> Any:
    """The head of bucket 1, changed first if values are given."""
    table = schema.feed_heads
    with central.write() as work:
        if values:
            work.connection.execute(table.update().where(table.c.bucket == 1).values(values))
        return work.connection.execute(table.select().where(table.c.bucket == 1)).one()


def test_a_cursor_ahead_of_the_head_raises_one_alarm(central: Central, pair: Pair) -> None:
    """Central lost data: the terminal starts anew, and a person hears of it, once an hour."""
    till = pair("POS1")
    ahead = f"1.{head(central).epoch}.99"
    for _ in range(3):
        with pytest.raises(Exception, match="ahead"):
            till.http.feed(1, after=ahead, limit=10, wait_s=0)
    with central.read() as work:
        (alarm,) = reports.alarms(work)
    assert (alarm["kind"], alarm["posid"]) == ("ahead", "POS1") and ahead in str(alarm["detail"])


def test_a_cursor_below_the_floor_starts_anew(central: Central) -> None:
    for _ in range(3):
        issue(central)
    epoch = head(central, floor=4).epoch
    assert answer(central, f"1.{epoch}.3") == Resync("floor")
    assert isinstance(answer(central, f"1.{epoch}.4"), FeedPage)
    assert isinstance(answer(central, "0"), FeedPage), "who holds nothing misses no tombstone"
    assert answer(central, "1.abc.4") == Resync("epoch")


# What is forgotten


def at(central: Central, days: float) -> Central:
    """The same service so many days from now."""
    moment = central.clock() + int(days * times.DAY_MS)
    return replace(central, clock=lambda: moment)


def test_an_ended_voucher_leaves_the_replicas_after_90_days(central: Central) -> None:
    """Expired or refunded vouchers go, with their rows; live ones and frozen ones stay."""
    expired, frozen = issue(central), issue(central)
    later = at(central, 365 + 91)
    alive = issue(later)
    orders.request_refund(central, frozen.order)
    refunded = issue(later)
    assert not isinstance(orders.pay_refund(central, refunded.order), Refused)
    cursor = page(central, BEGINNING).cursor
    assert compaction.retire(later) == 2
    gone = page(later, cursor)
    assert {i.voucher for i in gone.items if isinstance(i, StateGone)} == {
        expired.voucher,
        refunded.voucher,
    }
    assert sum(isinstance(i, SealedGone) for i in gone.items) == 2
    assert changed(page(later, BEGINNING)) == {alive.voucher, frozen.voucher}
    assert gone.checkpoint is not None and gone.checkpoint.live == 2
    assert compaction.retire(later) == 0
    assert compaction.retire(at(central, 364)) == 0


def test_a_retired_voucher_is_still_booked_and_can_be_extended(
    central: Central, pair: Pair
) -> None:
    """A late entry is judged as ever and told to nobody's replica; an extension brings it back."""
    voucher = issue(central, shares=3)
    till = pair("POS1")
    later = at(central, 365 + 91)
    assert compaction.retire(later) == 1
    before = page(central, BEGINNING)
    till.redeem(voucher)
    upload(central, till)
    after = page(central, before.cursor)
    assert (after.cursor, after.checkpoint) == (before.cursor, before.checkpoint)
    with central.read() as work:
        found = ledger.find(work, voucher.voucher)
        (row,) = reports.redemptions(work)
    assert found is not None and (found.used, found.retired) == (1, True)
    assert row["verdict"] == "accepted"
    assert not isinstance(extend(later, voucher), Refused)
    back = page(central, before.cursor)
    assert changed(back) == {voucher.voucher}
    assert back.checkpoint is not None and back.checkpoint.live == 1
    (state,) = [item for item in back.items if isinstance(item, StatePut)]
    assert back.checkpoint.digest == digest_text(row_digest(state.voucher, state.version))
    seal_all(central)
    with central.read() as work:
        sealed = work.connection.execute(schema.sealed.select()).all()
    assert {(row.voucher, row.generation) for row in sealed} == {
        (voucher.voucher, 1),
        (voucher.voucher, 2),
    }


def extend(central: Central, voucher: Issued) -> object:
    day = datetime.fromtimestamp(central.clock() / 1000, UTC).date() + timedelta(days=30)
    return orders.extend(central, voucher.order, day)


def upload(central: Central, till: Till) -> None:
    sig = entries.sign_entry(till.bodies[-1], till.key)
    last = len(till.bodies)
    batch = Upload(till.posid, till.epoch, 1, till.heads[0], till.bodies, {last: sig})
    assert isinstance(ingest.ingest(central, batch), ingest.Held)


def rows(central: Central) -> list[Any]:
    table = schema.feed
    with central.read() as work:
        query = table.select().where(table.c.bucket == 1).order_by(table.c.seq)
        return list(work.connection.execute(query))


def test_compaction_drops_replaced_rows_and_old_tombstones(central: Central) -> None:
    """What is replaced goes at once and harms no cursor; a tombstone goes after 90 days."""
    voucher = issue(central, shares=2)
    reader = page(central, BEGINNING).cursor
    for number in range(5):
        orders.change_mobile(central, voucher.order, f"1390000567{number}")
    before = page(central, reader).items
    assert compaction.run(central) > 0
    kept = rows(central)
    assert len({(row.kind, row.ref) for row in kept}) == len(kept)
    assert page(central, reader).items == before and head(central).floor == 0
    again = at(central, 89)
    assert compaction.run(again) == 0 and compaction.run(again) == 0
    tombstones = [row.seq for row in kept if row.removed]
    assert tombstones and compaction.run(at(central, 90)) == len(tombstones)
    assert not any(row.removed for row in rows(central))
    assert head(central).floor == tombstones[-1]
    assert answer(central, reader) == Resync("floor")
    with central.read() as work:
        marks = [str(row.name) for row in work.connection.execute(schema.counters.select())]
    assert len([name for name in marks if name.startswith("feed:1:")]) == 3


def test_a_restored_service_keeps_tombstones_as_long_as_any(central: Central) -> None:
    """What remembers the head of a day is no counter of changes, and leaps no further."""
    voucher = issue(central, shares=2)
    compaction.run(central)
    restoring.renew(central)
    orders.change_mobile(central, voucher.order, "13900005670")
    compaction.run(at(central, 1))
    removed = [row.seq for row in rows(central) if row.removed]
    assert removed and compaction.run(at(central, 90)) == 0
    assert [row.seq for row in rows(central) if row.removed] == removed
    assert compaction.run(at(central, 91)) == len(removed)


def test_any_way_through_the_feed_ends_at_its_head(
    central: Central, tmp_path: Path, rng: random.Random
) -> None:
    """Any pages, any repetition, any compaction, any lag: the replica is what a new snapshot is."""
    now = [central.clock()]
    central = replace(central, clock=lambda: now[0])
    issued: list[Issued] = [issue(central, shares=3) for _ in range(3)]

    def pick() -> Issued:
        return rng.choice(issued)

    acts: tuple[Callable[[], object], ...] = (
        lambda: issued.append(issue(central, shares=rng.randint(1, 3))),
        lambda: orders.request_refund(central, pick().order),
        lambda: orders.withdraw_refund(central, pick().order),
        lambda: orders.pay_refund(central, pick().order),
        lambda: orders.change_mobile(central, pick().order, f"1390000{rng.randint(1000, 9999)}"),
        lambda: now.__setitem__(0, now[0] + rng.randint(1, 60) * times.DAY_MS),
        lambda: extend(central, pick()),
        lambda: compaction.run(central),
    )
    readers = [Replica(central, tmp_path / f"reader{n}") for n in range(2)]
    for _ in range(80):
        rng.choice(acts)()
        for reader, diligence in zip(readers, (0.5, 0.1), strict=True):
            if rng.random() < diligence:
                reader.pull(rng.randint(0, 1), rng.randint(1, 4))
            if reader.old and rng.random() < 0.3:
                bucket, stale = rng.choice(reader.old)
                reader.writer.apply(bucket, stale)
    seal_all(central)
    for reader in readers:
        reader.pull_all(rng.randint(1, 4))
    for path in central.spool.glob("*"):
        path.unlink()
    new = Replica(central, tmp_path / "new")
    for reader in readers:
        assert reader.shown() == new.shown()
        reader.writer.close()
    new.writer.close()


def seal_all(central: Central) -> None:
    while sealing.run(central):
        pass
