"""Thousands of terminals wait for news: without a thread or a connection each, and nobody misses
what happened while it came or went.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from sqlalchemy import QueuePool

from central import feed, orders
from central.api.reading import WAVE, Place, SharedReads
from central.api.waiting import ANSWERS_PER_S, Waiters
from central.database import Database
from central.errors import OutOfService
from central.feed import Reader, Resync, SharedPage
from central.service import Central, open_central
from sync.feed import StatePut
from tests.central.conftest import Pair, issue

CROWD = 5_000


def at(central: Central, bucket: int = 1) -> str:
    with central.read() as work:
        return feed.heads(work)[bucket]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def run(work: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await work

    asyncio.run(bounded())


def test_thousands_wait_and_hear_of_what_another_process_did(central: Central) -> None:
    """One look at the heads for all; meanwhile no thread and no connection is theirs."""
    voucher = issue(central)
    there = open_central(central.database.url)
    pool = there.database.engine.pool
    assert isinstance(pool, QueuePool)
    waiters, cursor = Waiters(there), at(central)

    async def crowd() -> None:
        threads = threading.active_count()
        waiting = [asyncio.create_task(waiters.wait({1: cursor}, 20)) for _ in range(CROWD)]
        await until(lambda: len(waiters) == CROWD)
        await until(lambda: pool.checkedout() == 0)
        assert threading.active_count() <= threads + 1
        await asyncio.to_thread(orders.request_refund, central, voucher.order)
        assert all(await asyncio.gather(*waiting))
        assert len(waiters) == 0

    run(crowd())
    there.database.close()


def test_old_news_and_cursors_that_cannot_be_served_end_the_wait(central: Central) -> None:
    """Also what happened before the waiting began, of any bucket that is watched."""
    old, other = at(central), at(central, 0)
    issue(central)
    waiters = Waiters(central)

    async def ask() -> None:
        assert await waiters.wait({1: old}, 20)
        assert await waiters.wait({0: other, 1: old}, 20)
        assert await waiters.wait({77: "0"}, 20)
        assert not await waiters.wait({0: other, 1: at(central)}, 0)
        waiters.stop()
        assert not await waiters.wait({1: old}, 20)

    run(ask())


def test_readers_of_one_place_share_one_read(central: Central, pair: Pair) -> None:
    """Each is told its own `reflects`, of the same moment as the page."""
    voucher = issue(central, shares=3)
    till = pair("POS1")
    till.redeem(voucher)
    till.push()
    reads = SharedReads(central)
    readers = [Reader("POS1", 1), *(Reader(f"N{n}", 1) for n in range(700))]
    place = Place(1, "0", 5_000)

    async def ask() -> None:
        pages = await asyncio.gather(*(reads.page(place, reader) for reader in readers))
        waves = -(-len(readers) // WAVE)
        assert reads.reads == waves
        for reader, page in zip(readers, pages, strict=True):
            assert isinstance(page, SharedPage)
            told = page.for_reader(reader).reflects
            assert (told is not None) == (reader.posid == "POS1")
        assert await reads.page(Place(1, "1.abc.1", 10), readers[0]) == Resync("epoch")
        later = await reads.page(place, readers[0])
        assert isinstance(later, SharedPage) and reads.reads == waves + 2

    run(ask())


def test_who_comes_while_a_page_is_read_gets_the_next_one(central: Central) -> None:
    """A read that began before a change must not answer who asks after it."""
    voucher = issue(central)
    began, may_end = threading.Event(), threading.Event()

    def slow() -> int:
        began.set()
        assert may_end.wait(10)
        return central.clock()

    reads = SharedReads(replace(central, clock=slow))
    place, me = Place(1, "0", 5_000), Reader("POS1", 1)

    async def ask() -> None:
        first = asyncio.create_task(reads.page(place, me))
        await until(began.is_set)
        await asyncio.to_thread(orders.request_refund, central, voucher.order)
        second = asyncio.create_task(reads.page(place, me))
        await asyncio.sleep(0)
        may_end.set()
        await first
        page = await second
        assert isinstance(page, SharedPage) and reads.reads == 2
        (found,) = [item for item in page.page.items if isinstance(item, StatePut)]
        assert found.state == "refunding"

    run(ask())


def test_a_crowd_is_read_to_in_waves_so_that_its_last_hear_what_happened_meanwhile(
    central: Central,
) -> None:
    """In the order of asking: a page for all would be old when the last of them gets it."""
    voucher = issue(central)
    reads, place = SharedReads(central), Place(1, at(central), 5_000)
    order: list[int] = []

    async def one(number: int) -> SharedPage:
        page = await reads.page(place, Reader(f"N{number}", 1))
        assert isinstance(page, SharedPage)
        if not order:
            orders.request_refund(central, voucher.order)
        order.append(number)
        return page

    async def crowd() -> None:
        pages = await asyncio.gather(*(one(number) for number in range(WAVE + 1)))
        assert order == list(range(WAVE + 1))
        assert [len(page.page.items) for page in pages] == [0] * WAVE + [1]

    run(crowd())


def test_who_waits_longest_is_woken_first(central: Central) -> None:
    """Else one served first in a round and last in the next waits for nearly two."""
    waiters, cursor, order = Waiters(central), at(central), list[int]()

    async def one(number: int) -> None:
        await waiters.wait({1: cursor}, 20)
        order.append(number)

    async def crowd() -> None:
        waiting = [asyncio.create_task(one(number)) for number in range(500)]
        await until(lambda: len(waiters) == len(waiting))
        await asyncio.to_thread(issue, central)
        await asyncio.gather(*waiting)
        assert order == list(range(500))

    run(crowd())


def test_in_a_crowd_news_gathers_for_who_has_just_come(central: Central) -> None:
    """Else all ask again as soon as they are answered, and the service does nothing else."""
    waiters, old, order = Waiters(central), at(central), list[str]()
    issue(central)
    now = at(central)

    async def one(name: str, cursor: str) -> None:
        await waiters.wait({1: cursor}, 20)
        order.append(name)

    async def crowd() -> None:
        loop = asyncio.get_running_loop()
        many = [asyncio.create_task(waiters.wait({1: now}, 20)) for _ in range(400)]
        await until(lambda: len(waiters) == len(many))
        came = loop.time()
        await one("behind", old)
        gathered = loop.time() - came
        assert gathered >= 400 / ANSWERS_PER_S and not any(task.done() for task in many)
        waiters.stop()
        assert not any(await asyncio.gather(*many))

    run(crowd())
    assert order == ["behind"]


def test_an_outage_is_told_to_all_who_share_it(tmp_path: Path, central: Central) -> None:
    gone = Database(f"sqlite:///{tmp_path}/nowhere/central.db")
    reads = SharedReads(replace(central, database=gone))

    async def ask() -> None:
        place = Place(1, "0", 10)
        answers = await asyncio.gather(
            *(reads.page(place, Reader("POS1", n)) for n in range(3)), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [OutOfService] * 3

    run(ask())
