"""Whether a clerk notices that the feed brings much: redemptions beside a delta.

Responsible for: redeeming at a real counter while the worker's own ports apply pages of the feed to
the replica that it reads, and the same without. Not responsible for: the network. Invariant: both
halves redeem the same kind of voucher at the same counter, one after the other, at the pace of the
counter itself.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

import msgspec

from sync import receiver
from sync.errors import SyncError
from sync.feed import decode_page
from terminal import bench_shop, keys
from terminal.bench_redeem import WARM_UP, counter_with, one_customer
from terminal.bench_rows import Goal, Row, Timing
from terminal.bench_shop import Stock
from terminal.counter import ShopCounter
from terminal.replica_writer import ReplicaWriter
from terminal.syncing import ReplicaOfTerminal
from vouchers.sealed import COST_DEFAULT

_FROM: Final = bench_shop.cursors()[bench_shop.BUCKET]


@dataclass(frozen=True, slots=True)
class Effort:
    """How many redemptions each way at most, among how many vouchers, and what the feed brings."""

    redemptions: int
    rows: int
    delta: int


def redeem(effort: Effort) -> Row:
    """With the default vault, which is what a shop has."""
    stock = Stock(effort.rows, 2 * effort.redemptions + WARM_UP, COST_DEFAULT)
    with counter_with(stock) as (counter, presented):
        pages = [msgspec.json.encode(page) for page in bench_shop.delta(effort.delta, _FROM)]
        alone = [one_customer(counter, next(presented)) for _ in range(effort.redemptions)]
        with _feed(counter, pages) as running:
            beside = [
                one_customer(counter, next(presented))
                for _ in takewhile(lambda _: running(), range(effort.redemptions))
            ]
    measured, bare = Timing(tuple(beside)), Timing(tuple(alone))
    return Row(
        what=f"redeem, default vault, while the feed brings {effort.delta:,} vouchers: p99",
        bare_is="the same without the feed",
        measured=measured,
        bare=bare,
        ratio=measured.p99 / bare.p99,
        goal=Goal(2),
    )


@contextmanager
def _feed(counter: ShopCounter, pages: Sequence[bytes]) -> Iterator[Callable[[], bool]]:
    """A thread that does with the pages what the pulling one does with what central sends."""
    stopping, failures = threading.Event(), list[Exception]()
    writer = ReplicaWriter(
        counter.parts.data.replica, keys.fetch(counter.parts.data), make_way=counter.make_way
    )
    replica = ReplicaOfTerminal(counter, writer)

    def follow() -> None:
        try:
            for body in pages:
                if stopping.is_set():
                    return
                page = decode_page(body)
                receiver.check_page(page, after=replica.cursor(bench_shop.BUCKET))
                replica.apply_page(bench_shop.BUCKET, page)
        except (SyncError, ValueError) as error:
            failures.append(error)

    thread = threading.Thread(target=follow, name="pull", daemon=True)
    thread.start()
    try:
        yield thread.is_alive
    finally:
        stopping.set()
        thread.join()
        writer.close()
    assert not failures, failures
