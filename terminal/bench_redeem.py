"""How long a redemption takes: from the code in memory to the durable commit.

Responsible for: redeeming two of five shares again and again at a real counter without a screen,
and its bare limits: a one-row commit of the same engine, an Ed25519 signature, an Argon2id.
Not responsible for: seeding. Invariant: what is timed is the two calls that the clerk waits for;
between them the clerk decides, and that pause, in which the successor's key is stretched and the
write-ahead log is put away, is not timed.
"""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import apsw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from terminal import bench_shop, database
from terminal.bench_rows import Goal, Row, Timing, timed, turn_about
from terminal.bench_shop import Presented, Stock
from terminal.counter import ShopCounter
from terminal.datadir import DataDir
from terminal.outcomes import Redeemed, View
from vouchers import sealed
from vouchers.sealed import COST_DEFAULT

TAKEN: Final = 2
"""Shares redeemed of each voucher: a partial redemption does the most work (EV-049)."""

_DIGEST: Final = bytes(32)
WARM_UP: Final = 10


@dataclass(frozen=True, slots=True)
class Effort:
    """How often: `each` redemptions in each of `rounds`, on a replica of `rows` vouchers."""

    rounds: int
    each: int
    rows: int


def light(effort: Effort) -> Row:
    """With a vault that costs nothing: what is left is our own work."""
    with counter_with(_stock(effort)) as (counter, presented), _bare_journal() as bare:
        key = Ed25519PrivateKey.from_private_bytes(_DIGEST)
        redeem, commit, sign = _against(effort, counter, presented, bare, lambda: key.sign(_DIGEST))
    return Row(
        what=f"redeem, light vault, {effort.rows:,} vouchers: extra over a bare durable commit",
        bare_is="one Ed25519 signature",
        measured=redeem,
        bare=sign,
        ratio=(redeem.p50 - commit.p50) / sign.p50,
        goal=Goal(5),
        more=_beside(commit),
    )


def default(effort: Effort) -> Row:
    """With the vault of a real merchant: the stretch of the presented code is the limit."""
    with (
        counter_with(_stock(effort, COST_DEFAULT)) as (counter, presented),
        _bare_journal() as bare,
    ):
        vault = counter.parts.identity.vault
        redeem, commit, stretch = _against(
            effort, counter, presented, bare, lambda: sealed.stretch("0", "0000", vault)
        )
    return Row(
        what=f"redeem, default vault, {effort.rows:,} vouchers",
        bare_is="one Argon2id of the epoch",
        measured=redeem,
        bare=stretch,
        ratio=redeem.p50 / stretch.p50,
        goal=Goal(1.2),
        more=_beside(commit),
    )


def _stock(effort: Effort, cost: tuple[int, int, int] = sealed.COST_LIGHT) -> Stock:
    return Stock(effort.rows, effort.rounds * effort.each + WARM_UP, cost)


def _beside(commit: Timing) -> dict[str, float]:
    return {"commit_us": commit.p50, "commit_p99_us": commit.p99}


@contextmanager
def counter_with(stock: Stock) -> Iterator[tuple[ShopCounter, Iterator[Presented]]]:
    """An open counter that has redeemed a little, and what can be presented there."""
    with TemporaryDirectory(prefix="hexiao-bench-") as directory:
        data = DataDir.at(Path(directory))
        presented = iter(bench_shop.make(data, stock))
        counter = bench_shop.open_counter(data)
        try:
            for _ in range(WARM_UP):
                one_customer(counter, next(presented))
            yield counter, presented
        finally:
            bench_shop.close_counter(counter)


def _against(
    effort: Effort,
    counter: ShopCounter,
    presented: Iterator[Presented],
    bare: apsw.Connection,
    limit: Callable[[], object],
) -> list[Timing]:
    """Redemption, bare commit and limit, turn about."""

    def put_away() -> None:
        _put_away(bare)
        gc.collect()

    turns = (
        lambda: one_customer(counter, next(presented)),
        lambda: timed(lambda: _commit(bare)),
        lambda: timed(limit),
    )
    return turn_about(turns, rounds=effort.rounds, each=effort.each, between=put_away)


def one_customer(counter: ShopCounter, voucher: Presented) -> int:
    """One customer; answers the nanoseconds that the clerk waited."""
    views: list[object] = []
    results: list[object] = []
    waited = timed(lambda: views.append(counter.look_up(voucher.code, voucher.last4)))
    (view,) = views
    assert isinstance(view, View) and view.refusal is None, view
    counter.prepare(view.handle)
    counter.pause()
    waited += timed(
        lambda: results.append(
            counter.redeem(view.handle, TAKEN, clerk="BENCH", request=f"bench-{view.voucher}")
        )
    )
    counter.pause()
    assert isinstance(results[0], Redeemed), results[0]
    return waited


@contextmanager
def _bare_journal() -> Iterator[apsw.Connection]:
    """The same engine, cipher and pragmas, warmed, with one table of one column."""
    with TemporaryDirectory(prefix="hexiao-bench-") as directory:
        path = Path(directory) / "bare.db"
        connection = database.open_journal(path, os.urandom(32))
        connection.execute("CREATE TABLE bare (value INTEGER PRIMARY KEY)")
        database.warm(path)
        try:
            yield connection
        finally:
            connection.close()


def _commit(connection: apsw.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO bare VALUES (NULL)")
    connection.execute("COMMIT")


def _put_away(connection: apsw.Connection) -> None:
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
