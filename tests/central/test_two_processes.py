"""Two central processes on one database: each is a `Central` of its own, with its own connections.

Nothing is lost, nothing booked twice, and a transaction that lost is tried again, unseen.
"""

import random
import threading

import pytest

from central import catalogue, ingest, ledger, reports
from central.arriving import Upload
from central.catalogue import NewProduct, Outlet, Product
from central.database import ATTEMPTS, Collision, KeyTaken, retried
from central.grouping import Group
from central.ingest import Held
from central.service import Central, Work, open_central
from tests.central.conftest import Pair, issue
from tests.central.test_races import together
from tests.central.till import Till
from vouchers import entries


def upload(till: Till, first: int, last: int) -> Upload:
    sig = entries.sign_entry(till.bodies[last - 1], till.key)
    bodies = till.bodies[first - 1 : last]
    return Upload(till.posid, till.epoch, first, till.heads[first - 1], bodies, {last: sig})


def test_two_processes_book_the_same_vouchers_at_once(
    central: Central, pair: Pair, rng: random.Random
) -> None:
    """Batches in every order of vouchers, each sent to both: each share is borne exactly once."""
    other = open_central(central.database.url)
    vouchers = [issue(central, shares=4) for _ in range(10)]
    tills = [pair(f"POS{n}", 1 + n % 2) for n in range(4)]
    for till in tills:
        for _ in range(2):
            for voucher in rng.sample(vouchers, len(vouchers)):
                till.redeem(voucher, left=3)

    def send(place: Central, till: Till) -> None:
        for first in range(1, len(till.bodies) + 1, 5):
            assert isinstance(ingest.ingest(place, upload(till, first, first + 4)), Held)

    together(
        *(
            lambda place=place, till=till: send(place, till)  # type: ignore[misc]
            for till in tills
            for place in (central, other)
        )
    )
    other.database.close()
    with central.read() as work:
        rows = list(reports.redemptions(work))
        states = ledger.find_all(work, {voucher.voucher for voucher in vouchers})
    assert len(rows) == len({row["serial"] for row in rows}) == 80
    assert {state.used for state in states.values()} == {8}
    for voucher in vouchers:
        mine = [row for row in rows if row["voucher"] == voucher.voucher]
        verdicts = sorted(str(row["verdict"]) for row in mine)
        assert verdicts == ["accepted"] * 4 + ["over_redeemed"] * 4
        assert sum(int(str(row["excess"])) for row in mine) == 4


def test_two_processes_group_what_waits(central: Central, pair: Pair, rng: random.Random) -> None:
    """Single redemptions of many counters by way of both, on few vouchers: each share once."""
    other = open_central(central.database.url)
    groups = [Group(central), Group(other)]
    vouchers = [issue(central, shares=3) for _ in range(4)]
    tills = [pair(f"POS{n}", 1 + n % 2) for n in range(8)]
    for till in tills:
        for voucher in rng.sample(vouchers, len(vouchers)):
            till.redeem(voucher, left=2)

    def send(place: int, till: Till) -> None:
        for seq in range(1, len(till.bodies) + 1):
            taken = groups[(place + seq) % 2].ingest(upload(till, seq, seq))
            assert isinstance(taken, Held) and taken.added == 1

    together(
        *(lambda place=place, till=till: send(place, till) for place, till in enumerate(tills))  # type: ignore[misc]
    )
    other.database.close()
    with central.read() as work:
        rows = list(reports.redemptions(work))
        states = ledger.find_all(work, {voucher.voucher for voucher in vouchers})
    assert len(rows) == len({row["serial"] for row in rows}) == 32
    assert {state.used for state in states.values()} == {8}
    for voucher in vouchers:
        mine = [str(row["verdict"]) for row in rows if row["voucher"] == voucher.voucher]
        assert sorted(mine) == ["accepted"] * 3 + ["over_redeemed"] * 5


def test_two_back_offices_add_at_once(central: Central) -> None:
    """Each new thing gets a number of its own, whoever came first."""
    other = open_central(central.database.url)
    made = together(
        *(
            lambda place=place, n=n: catalogue.add_outlet(place, f"Gate {n}")  # type: ignore[misc]
            for n in range(3)
            for place in (central, other)
        )
    )
    outlets = [one.outlet for one in made if isinstance(one, Outlet)]
    assert sorted(outlets) == list(range(3, 9))
    new = NewProduct("Tea", 100, tuple(outlets))
    both = together(
        lambda: catalogue.add_product(central, new), lambda: catalogue.add_product(other, new)
    )
    products = [one for one in both if isinstance(one, Product)]
    other.database.close()
    assert {product.product for product in products} == {2, 3}
    assert len({product.bucket for product in products}) == 1


def lock(work: Work, voucher: str) -> None:
    assert ledger.find_all(work, [voucher], lock=True)


def test_a_deadlock_is_tried_again(central: Central, engine: str) -> None:
    """The database ends one of two that wait for each other; that one begins anew."""
    if engine == "sqlite":
        pytest.skip("writers of SQLite take turns and never wait for each other")
    pair = [issue(central).voucher for _ in range(2)]
    gate, tries = threading.Barrier(2), list[str]()

    @retried
    def cross(first: str, second: str) -> None:
        with central.write() as work:
            tries.append(first)
            lock(work, first)
            if tries.count(first) == 1:
                gate.wait(10)
            lock(work, second)

    together(lambda: cross(*pair), lambda: cross(*reversed(pair)))
    # Three, unless the one that was ended is back before the other has gone on.
    assert len(tries) >= 3


@pytest.mark.parametrize("kind", [Collision, KeyTaken])
def test_a_transaction_that_always_loses_says_so(kind: type[Exception]) -> None:
    tries = []

    @retried
    def lose() -> None:
        tries.append(1)
        raise kind("lost")

    with pytest.raises(kind):
        lose()
    assert len(tries) == ATTEMPTS
