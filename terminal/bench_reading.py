"""How long reading takes: a voucher in a big replica, and the whole journal at a start.

Responsible for: point look-ups in replicas of different sizes, and the check of the chain.
Not responsible for: seeding or for redeeming. Invariant: the keys looked up are spread over the
whole file and are not asked for twice in a row.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from terminal import bench_shop, keys, startup
from terminal.bench_rows import Goal, Row, Turn, timed, turn_about
from terminal.bench_shop import PRODUCT, SHARES, Stock
from terminal.counter import ShopCounter
from terminal.datadir import DataDir
from terminal.journal import Stamp
from terminal.replica import Replica
from vouchers import ids
from vouchers.entries import Kind

SMALL_ROWS: Final = 10_000
_KEYS_MAX: Final = 2_000
_TRANSACTION: Final = 1_000


@dataclass(frozen=True, slots=True)
class Effort:
    """How often: `each` look-ups in each of `rounds`, in `small` and in `rows` vouchers."""

    rounds: int
    each: int
    rows: int
    small: int = SMALL_ROWS


def look_up(effort: Effort) -> Row:
    """The sealed row and the state of one voucher, files in the system's memory."""
    with _replica(effort.rows) as large, _replica(effort.small) as small:
        turns = _look_ups(large, effort.rows), _look_ups(small, effort.small)
        turn_about(turns, rounds=1, each=_KEYS_MAX)  # files and statements are warm afterwards
        in_large, in_small = turn_about(turns, rounds=effort.rounds, each=effort.each)
    return Row(
        what=f"point look-up in {effort.rows:,} vouchers, row and state",
        bare_is=f"the same in {effort.small:,}",
        measured=in_large,
        bare=in_small,
        ratio=in_large.p50 / in_small.p50,
        goal=Goal(1.5),
    )


@dataclass(frozen=True, slots=True)
class Check:
    """How often: `rounds` checks of a journal of `entries`."""

    rounds: int
    entries: int


def journal_check(effort: Check) -> Row:
    """Hash, order and totals of every entry; the signatures were acknowledged by central."""
    with TemporaryDirectory(prefix="hexiao-bench-") as directory:
        data = DataDir.at(Path(directory))
        bench_shop.make(data, Stock(0, 0))
        counter = bench_shop.open_counter(data)
        try:
            bodies = _write_journal(counter, effort.entries)
            turns = (
                lambda: timed(lambda: _check(counter)) // effort.entries,
                lambda: timed(lambda: _hash(bodies)) // effort.entries,
            )
            check, bare = turn_about(turns, rounds=effort.rounds, each=1)
        finally:
            bench_shop.close_counter(counter)
    per_s = 1e6 / check.p50
    return Row(
        what=f"journal check at start, {effort.entries:,} entries, each entry",
        bare_is="one SHA-256 of its body",
        measured=check,
        bare=bare,
        ratio=check.p50 / bare.p50,
        goal=Goal(100_000, least=True, unit="entries/s"),
        value=per_s,
        more={"entries_per_s": per_s},
    )


@contextmanager
def _replica(rows: int) -> Iterator[Replica]:
    with TemporaryDirectory(prefix="hexiao-bench-") as directory:
        data = DataDir.at(Path(directory))
        bench_shop.make(data, Stock(rows, 0))
        replica = Replica(data.replica, keys.fetch(data), bench_shop.POSID)
        try:
            yield replica
        finally:
            replica.close()


def _look_ups(replica: Replica, rows: int) -> Turn:
    """One key after the other, in an order that is not the file's."""
    spread = max(1, rows // _KEYS_MAX)
    wanted = [
        (key, bench_shop.voucher_of(n * spread))
        for n, key in enumerate(islice(bench_shop.row_keys(rows), 0, None, spread))
    ]
    wanted.sort(key=lambda pair: hashlib.sha256(pair[0]).digest())
    asked = cycle(wanted)
    return lambda: timed(partial(_find, replica, *next(asked)))


def _find(replica: Replica, key: bytes, voucher: str) -> None:
    assert replica.sealed(key) is not None and replica.state(voucher) is not None


def _write_journal(counter: ShopCounter, entries: int) -> list[bytes]:
    """Entries such as redemptions make, all of them acknowledged."""
    journal = counter.parts.journal
    bodies: list[bytes] = []
    while len(bodies) < entries:
        with journal.transaction() as connection:
            for number in range(len(bodies), min(len(bodies) + _TRANSACTION, entries)):
                stamp = Stamp(1_700_000_000_000 + number, "bench", number, "ok", "BENCH")
                data = _redemption(number)
                stored, _ = journal.append(connection, Kind.REDEEMED, data, stamp)
                bodies.append(stored.body.encode())
            journal.advance(connection, "acknowledged", 1, len(bodies))
        journal.checkpoint()
    return bodies


def _redemption(number: int) -> dict[str, object]:
    return {
        "serial": ids.serial(bench_shop.POSID, 1, number + 1),
        "request": ids.uuid7(number, bytes(10)),
        "claim": None,
        "voucher": bench_shop.voucher_of(number),
        "generation": 0,
        "shares": 1,
        "left": SHARES - 1,
        "successor": True,
        "credential": "code",
        "evidence": "row",
        "mode": "lone",
        "product": PRODUCT,
        "amount_fen": 100,
        "replica_version": "0:1.1.1 1:1.1.1",
    }


def _check(counter: ShopCounter) -> None:
    fault = startup.chain_fault(counter.parts)
    assert fault is None, fault


def _hash(bodies: Sequence[bytes]) -> None:
    for body in bodies:
        hashlib.sha256(body).hexdigest()
