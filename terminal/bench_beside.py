"""Whether a clerk notices that the feed brings much: redemptions beside a delta.

Responsible for: redeeming at a real counter while the worker's own ports apply pages of the feed to
the replica that it reads, and the same without. Not responsible for: the network. Invariant: both
halves redeem the same kind of voucher at the same counter, one after the other, at the pace of the
counter itself.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle

import msgspec
from msgspec.structs import replace

from sync import receiver
from sync.errors import SyncError
from sync.feed import decode_page
from sync.receiver import BEGINNING
from terminal import bench_shop, keys
from terminal.bench_redeem import WARM_UP, counter_with, one_customer
from terminal.bench_rows import Goal, Row, Timing
from terminal.bench_shop import Stock
from terminal.counter import ShopCounter
from terminal.replica_writer import ReplicaWriter
from terminal.syncing import ReplicaOfTerminal
from vouchers.sealed import COST_DEFAULT


@dataclass(frozen=True, slots=True)
class Effort:
    """How many redemptions each way, among how many vouchers, and what the feed brings."""

    redemptions: int
    rows: int
    delta: int


def redeem(effort: Effort) -> Row:
    """With the default vault, which is what a shop has."""
    stock = Stock(effort.rows, 2 * effort.redemptions + WARM_UP, COST_DEFAULT)
    with counter_with(stock) as (counter, presented):
        pages = [msgspec.json.encode(page) for page in bench_shop.delta(effort.delta, BEGINNING)]
        alone = [one_customer(counter, next(presented)) for _ in range(effort.redemptions)]
        with _feed(counter, pages):
            beside = [one_customer(counter, next(presented)) for _ in range(effort.redemptions)]
    measured, bare = Timing(tuple(beside)), Timing(tuple(alone))
    return Row(
        what=f"redeem, default vault, while the feed brings {effort.delta:,} vouchers a turn: p99",
        bare_is="the same without the feed",
        measured=measured,
        bare=bare,
        ratio=measured.p99 / bare.p99,
        goal=Goal(2),
    )


@contextmanager
def _feed(counter: ShopCounter, pages: Sequence[bytes]) -> Iterator[None]:
    """A thread that does with the pages what the pulling one does with what central sends.

    When they are at their end they come again, as news of the same vouchers.
    """
    stopping, failures = threading.Event(), list[Exception]()
    writer = ReplicaWriter(
        counter.parts.data.replica, keys.fetch(counter.parts.data), make_way=counter.make_way
    )
    replica = ReplicaOfTerminal(counter, writer)

    def follow() -> None:
        try:
            for number, body in enumerate(cycle(pages), start=1):
                if stopping.is_set():
                    return
                after = replica.cursor(bench_shop.BUCKET)
                page = replace(decode_page(body), from_=after, cursor=bench_shop.cursor(number))
                receiver.check_page(page, after=after)
                replica.apply_page(bench_shop.BUCKET, page)
        except (SyncError, ValueError) as error:
            failures.append(error)

    thread = threading.Thread(target=follow, name="pull", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        writer.close()
    assert not failures, failures
