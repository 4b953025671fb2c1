"""Rows that a statement reads to find those it wants: only those, also before there are statistics.

A young table has none, and the server then takes every value for a common one. What is counted are
the server's own counts of rows fetched, so this is about PostgreSQL alone.
"""

from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from central import bench_ground, feed, ingest, ledger, sealing
from central.bench_ground import Effort
from central.feed import Reader
from central.ingest import Held
from central.service import Central
from sync.feed import FeedPage

EFFORT = Effort(batches=4, each=150)
"""Hundreds of vouchers, three items each: far more than any statement here wants."""

USES_OF_A_PLAN = 12
"""The driver prepares a statement at its sixth use; five more and the server may keep one plan."""


@pytest.fixture
def young(database_url: str, engine: str) -> Iterator[Central]:
    """A service whose tables have rows and no statistics."""
    if engine == "sqlite":
        pytest.skip("the counts are PostgreSQL's")
    made = bench_ground.prepare(database_url, EFFORT)
    with made.read() as work:
        known = "SELECT count(*) FROM pg_class WHERE reltuples >= 0 AND relname IN "
        known += "('vouchers', 'sealed', 'sealing')"
        assert work.connection.execute(text(known)).scalar() == 0
    # A connection tells its counts late: all do now, and from here on there is only one.
    with made.read() as one, made.read() as two, made.read() as three:
        for work in (one, two, three):
            work.connection.execute(text("SELECT pg_stat_force_next_flush()"))
    made.database.close()
    yield made
    made.database.close()


def read_so_far(central: Central) -> Counter[str]:
    """Rows that were read of each table until now, by whichever way."""
    with central.read() as work:
        work.connection.execute(text("SELECT pg_stat_force_next_flush()"))
    counts = "SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables"
    with central.read() as work:
        return Counter({str(name): int(n) for name, n in work.connection.execute(text(counts))})


def test_a_page_reads_what_it_shows(young: Central) -> None:
    """Not the whole bucket for each portion: so a young service was downloaded at an eighth."""
    cursor = feed.BEGINNING
    for _ in range(USES_OF_A_PLAN):
        before = read_so_far(young)
        with young.read() as work:
            page = feed.read_page(work, 1, cursor, limit=120, reader=Reader("NOBODY", 1))
        assert isinstance(page, FeedPage) and len(page.items) == 120
        read = read_so_far(young) - before
        assert read["sealed"] + read["vouchers"] == 120 and read.total() < 3 * 120, read
        cursor = page.cursor


def test_an_upload_reads_its_own_vouchers(young: Central) -> None:
    """Reading, counting on, queueing: some times each voucher, and never all of them."""
    for upload in bench_ground.journal(young, Effort(batches=USES_OF_A_PLAN, each=20)):
        before = read_so_far(young)
        taken = ingest.ingest(young, upload)
        assert isinstance(taken, Held) and taken.added == 20
        read = read_so_far(young) - before
        assert 0 < read["vouchers"] <= 4 * 20 and read.total() < 10 * 20, read


def test_sealing_reads_what_it_seals(young: Central) -> None:
    """A long queue is not read whole for each portion of it."""
    with young.write() as work:
        names = work.connection.execute(text("SELECT voucher FROM vouchers")).scalars().all()
        vouchers = ledger.find_all(work, names)
        sealing.forget(work, names)
        sealing.enqueue(work, list(vouchers.values()))
    for _ in range(3):
        before = read_so_far(young)
        assert sealing.run(young, limit=30) == 30
        read = read_so_far(young) - before
        assert 0 < read["vouchers"] <= 3 * 30 and read.total() < 10 * 30, read


def test_a_page_does_not_read_what_waits_to_be_sealed(young: Central) -> None:
    """How far all is sealed stands on each page, also while a large import waits."""
    with young.write() as work:
        names = work.connection.execute(text("SELECT voucher FROM vouchers")).scalars().all()
        sealing.forget(work, names)
        sealing.enqueue(work, list(ledger.find_all(work, names).values()))
    for _ in range(USES_OF_A_PLAN):
        before = read_so_far(young)
        with young.read() as work:
            oldest = sealing.sealed_through(work)
        assert oldest < work.now
        assert (read_so_far(young) - before)["sealing"] <= 1
