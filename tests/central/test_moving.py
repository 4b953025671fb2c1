"""Products that become good elsewhere, and replicas that hold one outlet's vouchers only.

Goal: whatever moves, a replica of an outlet ends with exactly what is good there, and a voucher
that is good there before and after a move is known at every moment between.
Method: both engines, the terminal's own writer, pages of every size in every order of buckets; the
counts of each bucket are compared at each checkpoint (`Replica.pull`).
"""

import random
from pathlib import Path

import pytest

from central import catalogue, compaction, feed, ledger, moving, schema, sealing
from central.catalogue import NewProduct, Product
from central.errors import Refused
from central.feed import Reader
from central.service import Central
from sync.errors import Outdated
from sync.feed import FeedPage, SealedGone, SealedPut, StateGone, StatePut
from tests.central.conftest import issue
from tests.central.replicas import Replica
from vouchers import times

BREAD = 1
EAST, WEST, NORTH = 1, 2, 3


@pytest.fixture
def wide(central: Central) -> Central:
    """Bread is good at East and West, tea at West, cake at North."""
    catalogue.add_outlet(central, "North")
    for name, outlets in (("Tea", (WEST,)), ("Cake", (NORTH,))):
        assert isinstance(catalogue.add_product(central, NewProduct(name, 900, outlets)), Product)
    return central


def move(central: Central, product: int, *outlets: int) -> int:
    found = moving.change_outlets(central, product, outlets)
    assert isinstance(found, moving.Moved), found
    return found.vouchers


def bucket_of(central: Central, product: int) -> int:
    with central.read() as work:
        return catalogue.products(work)[product].bucket


def good_at(central: Central, outlet: int | None) -> dict[str, int]:
    """The vouchers that central knows to be good there, and their versions."""
    with central.read() as work:
        here = {
            product
            for product, found in catalogue.places(work).items()
            if outlet is None or outlet in found.outlets
        }
        rows = work.connection.execute(schema.vouchers.select()).all()
    return {row.voucher: row.version for row in rows if row.product in here and row.bucket >= 0}


def held(replica: Replica) -> dict[str, int]:
    return {str(row[0]): int(str(row[1])) for row in replica.shown()["state"]}


def sealed_for(replica: Replica) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in replica.shown()["sealed"]:
        found[str(row[2])] = found.get(str(row[2]), 0) + 1
    return found


def read(central: Central, bucket: int, after: str = "0", limit: int = 5_000) -> FeedPage:
    with central.read() as work:
        page = feed.read_page(work, bucket, after, limit=limit, reader=Reader("POS1", 1))
    assert isinstance(page, FeedPage)
    return page


def test_a_replica_of_an_outlet_holds_what_is_good_there(wide: Central, tmp_path: Path) -> None:
    """By snapshot and by feed; the file of all buckets is another one."""
    for product in (1, 2, 3):
        issue(wide, product=product, shares=3)
    east, west = (Replica(wide, tmp_path / str(outlet), outlet) for outlet in (EAST, WEST))
    everything = Replica(wide, tmp_path / "all")
    issue(wide, product=2), issue(wide, product=3)
    for replica in (east, west, everything):
        replica.pull_all(2)
        assert held(replica) == good_at(wide, replica.outlet)
        assert sealed_for(replica).keys() == held(replica).keys()
    assert (len(held(east)), len(held(west)), len(held(everything))) == (1, 3, 5)
    assert len(east.shown()["product"]) == 3, "the catalogue names what is good elsewhere"
    assert len(list(wide.spool.glob("*.db"))) == 3


def test_a_voucher_that_stays_good_here_is_never_unknown(wide: Central, tmp_path: Path) -> None:
    """Whichever bucket is pulled first and however small its pages: a row per voucher, always."""
    sold = [issue(wide, shares=3).voucher for _ in range(3)]
    for number, order in enumerate(((1, 0), (0, 1))):
        replica = Replica(wide, tmp_path / str(number), WEST)
        old = bucket_of(wide, BREAD)
        move(wide, BREAD, *((WEST, NORTH) if number == 0 else (EAST, WEST)))
        new = bucket_of(wide, BREAD)
        while replica.pull(0, 5_000):
            pass
        for turn in order:
            more = True
            while more:
                more = replica.pull((old, new)[turn], 1)
                assert set(sold) <= held(replica).keys()
                assert sealed_for(replica) == dict.fromkeys(sold, 2)
        replica.pull_all(5_000)
        assert held(replica) == good_at(wide, WEST)
        assert {row[-1] for row in replica.shown()["state"]} == {new}
        assert {row[-1] for row in replica.shown()["sealed"]} == {new}


def test_a_voucher_that_left_is_gone_and_one_that_came_is_here(
    wide: Central, tmp_path: Path
) -> None:
    """Also where the new bucket was not known before, and back again."""
    sold = issue(wide, shares=2).voucher
    replicas = [Replica(wide, tmp_path / str(outlet), outlet) for outlet in (EAST, WEST, NORTH)]
    for outlets in ((NORTH,), (EAST, NORTH), (EAST, WEST), (WEST,)):
        assert move(wide, BREAD, *outlets) == 1
        for replica in replicas:
            replica.pull_all(1)
            here = replica.outlet in outlets
            assert (sold in held(replica), sold in sealed_for(replica)) == (here, here)
    assert all(replica.snapshots == 1 for replica in replicas)


def test_the_feeds_tell_of_a_move(wide: Central) -> None:
    """The old bucket says where to, and whose that is; the new one says what is there now."""
    sold = issue(wide, shares=2).voucher
    old = bucket_of(wide, BREAD)
    before, version = read(wide, old), good_at(wide, None)[sold]
    move(wide, BREAD, NORTH, WEST)
    new = bucket_of(wide, BREAD)
    left, came = read(wide, old, before.cursor), read(wide, new)
    assert [i.bucket for i in left.items if isinstance(i, StateGone)] == [new]
    assert [i.bucket for i in left.items if isinstance(i, SealedGone)] == [new, new]
    assert (left.buckets, came.buckets) == ({str(new): (WEST, NORTH)}, {})
    assert [i.version for i in came.items if isinstance(i, StatePut)] == [version + 1]
    assert sum(isinstance(i, SealedPut) for i in came.items) == 2
    assert (before.moves, left.moves, came.moves) == (0, 1, 1)
    assert left.checkpoint is not None and left.checkpoint.live == 0
    assert came.checkpoint is not None and came.checkpoint.live == 1


def test_a_page_from_before_a_move_comes_too_late(wide: Central, tmp_path: Path) -> None:
    """The old bucket's word, read before the move and delivered after the new bucket's, would put
    back rows that then go: it is refused whole.
    """
    sold = issue(wide, shares=2).voucher
    replica = Replica(wide, tmp_path / "west", WEST)
    old = bucket_of(wide, BREAD)
    issue(wide)
    stale = read(wide, old, replica.writer.cursor(old))
    assert stale.items
    move(wide, BREAD, WEST)
    replica.pull(0, 100), replica.pull(bucket_of(wide, BREAD), 100)
    with pytest.raises(Outdated):
        replica.writer.apply(old, stale)
    replica.pull_all(1)
    assert held(replica) == good_at(wide, WEST)
    assert sealed_for(replica)[sold] == 2


@pytest.mark.parametrize("seed", range(6))
def test_replicas_follow_whatever_moves(wide: Central, tmp_path: Path, seed: int) -> None:
    """The law: any moves, sales, changes, retirements and compactions, any pages in any order of
    buckets, another scope in between: what is held is what is good there.
    """
    print("seed", seed)
    chance = random.Random(seed)
    sold = [issue(wide, product=product, shares=2).voucher for product in (1, 1, 2, 3)]
    replicas = [Replica(wide, tmp_path / str(o), o) for o in (EAST, WEST, NORTH, None)]
    outlets = [(EAST,), (WEST,), (NORTH,), (EAST, WEST), (WEST, NORTH), (EAST, WEST, NORTH)]
    for _ in range(12):
        match chance.randrange(5):
            case 0:
                sold.append(issue(wide, product=chance.randint(1, 3), shares=2).voucher)
            case 1:
                with wide.write() as work:
                    found = ledger.find_all(work, [chance.choice(sold)], lock=True)
                    for voucher in found.values():
                        ledger.change(work, voucher, valid_until=voucher.valid_until + 1)
            case 2:
                compaction.run(wide)
            case _:
                move(wide, chance.randint(1, 3), *chance.choice(outlets))
        replica = chance.choice(replicas)
        if chance.random() < 0.3:
            replica.outlet = chance.choice([EAST, WEST, NORTH, None])
        for bucket in chance.sample(buckets := replica.writer.buckets(), len(buckets)):
            replica.pull(bucket, chance.randint(1, 4))
    for replica in replicas:
        replica.pull_all(chance.randint(1, 4))
        assert held(replica) == good_at(wide, replica.outlet)
        assert sealed_for(replica).keys() == held(replica).keys()
        assert {row[-1] for row in replica.shown()["state"]} <= set(replica.writer.buckets())
        assert replica.snapshots == 1 and replica.compared


def test_a_retired_voucher_moves_in_silence_and_comes_back_there(wide: Central) -> None:
    """Nobody is told; extended, it appears in the bucket where its product is now."""
    sold = issue(wide).voucher
    with wide.write() as work:
        ledger.retire_all(work, [ledger.find_all(work, [sold], lock=True)[sold]])
        sealing.forget(work, [sold])
    move(wide, BREAD, NORTH)
    new = bucket_of(wide, BREAD)
    assert not any(isinstance(item, StatePut | StateGone) for item in read(wide, new).items)
    with wide.write() as work:
        back = ledger.revive(work, ledger.find_all(work, [sold], lock=True)[sold])
    assert back.bucket == new
    checkpoint = read(wide, new).checkpoint
    assert checkpoint is not None and checkpoint.live == 1


def test_the_home_goes_with_the_outlets(wide: Central) -> None:
    """It stays where it is still good, else is the only outlet, else nobody's."""
    sold = issue(wide, home=EAST).voucher

    def home() -> int | None:
        with wide.read() as work:
            found = ledger.find(work, sold)
        assert found is not None
        return found.home

    move(wide, BREAD, EAST, NORTH)
    assert home() == EAST
    move(wide, BREAD, WEST)
    assert home() == WEST
    move(wide, BREAD, EAST, NORTH)
    assert home() is None


def test_an_outlet_that_lost_a_product_has_time_to_hear(wide: Central) -> None:
    """As long as a till may rely on an old list; back again, nothing is held against it."""

    def former() -> dict[int, int]:
        with wide.read() as work:
            return catalogue.places(work)[BREAD].former

    before = wide.clock()
    move(wide, BREAD, WEST)
    assert former().keys() == {EAST}
    assert before + 96 * times.HOUR_MS <= former()[EAST] <= wide.clock() + 96 * times.HOUR_MS
    move(wide, BREAD, EAST, NORTH)
    assert former().keys() == {WEST}


def test_a_change_that_was_cut_off_is_ended_first(
    wide: Central, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Portions are whole; the job goes on with the rest, and no second change overtakes it."""
    for _ in range(5):
        issue(wide)
    monkeypatch.setattr(moving, "PORTION", 2)
    assert moving._change(wide, BREAD, [NORTH]) is None
    assert moving._portion(wide, BREAD, "")[0] == 2
    refused = moving._change(wide, BREAD, [WEST])
    assert isinstance(refused, Refused) and refused.reason == "moving"
    new = issue(wide).voucher
    assert len(good_at(wide, NORTH)) == 6, "where a voucher is good does not wait for its move"
    found = moving.change_outlets(wide, BREAD, [WEST])
    assert isinstance(found, moving.Moved) and found.vouchers == 3 + 6
    assert moving.run(wide) == 0
    with wide.read() as work:
        assert {row.bucket for row in work.connection.execute(schema.vouchers.select())} == {
            bucket_of(wide, BREAD)
        }
    assert new in good_at(wide, WEST)


@pytest.mark.parametrize(
    ("product", "outlets", "reason"),
    [(9, (1,), "unknown_product"), (1, (), "no_outlets"), (1, (1, 7), "unknown_outlet")],
)
def test_a_change_that_cannot_be(
    wide: Central, product: int, outlets: tuple[int, ...], reason: str
) -> None:
    """Nothing changes, and what is wrong is named."""
    found = moving.change_outlets(wide, product, outlets)
    assert isinstance(found, Refused) and found.reason == reason
    assert move(wide, BREAD, WEST, EAST) == 0, "where it is good already"
