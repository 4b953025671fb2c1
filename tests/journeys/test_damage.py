"""A damaged list of vouchers: said, downloaded again at the next sync, and nothing is lost."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from config.loader import load
from terminal.errors import OutOfService
from terminal.outcomes import View
from terminal.place import Place
from terminal.station import Station
from tests.drivers.waiting import until
from tests.journeys.world import PATIENCE_S, Till, Voucher, World

PAGE = 4096


def emptied(path: Path, _: random.Random) -> None:
    """A file system that lost the contents."""
    path.write_bytes(b"")


def replaced(path: Path, rng: random.Random) -> None:
    """Other bytes altogether."""
    path.write_bytes(rng.randbytes(100_000))


def scattered(path: Path, rng: random.Random) -> None:
    """Flipped bits in every page but the first."""
    data = bytearray(path.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page + rng.randrange(4096)] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(data))


def shortened(path: Path, _: random.Random) -> None:
    """The second half is gone."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 8192 * 4096])


DAMAGES = [emptied, replaced, scattered, shortened]


@pytest.fixture
def sold(world: World, till: Till) -> tuple[Voucher, Voucher]:
    """One of three shares of which one is redeemed, unsent; and one untouched."""
    world.start()
    opened, untouched = world.sell(3, 1)
    till.ask("sync")
    world.stop()
    till.redeem(opened.code, opened.last4)
    return opened, untouched


def files(till: Till) -> Path:
    """The replica, all of it in one file."""
    for path in till.data.glob("replica.db-*"):
        path.unlink()
    return till.data / "replica.db"


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
def test_command_says_so_and_the_next_sync_heals(
    world: World,
    till: Till,
    sold: tuple[Voucher, Voucher],
    rng: random.Random,
    damage: Callable[[Path, random.Random], None],
) -> None:
    """Out of service in words; after a sync everything is as it was, the redemption included."""
    opened, untouched = sold
    damage(files(till), rng)
    done = till.run("redeem", untouched.code, untouched.last4, "--json")
    assert (done.status, done.row["reason"]) == (3, "out_of_service"), done
    assert "voucher list" in done.row["message"] or "replica" in done.row["message"]
    assert till.run("sync").status == 3
    assert till.verify() >= 1
    world.start()
    assert till.ask("sync")["behind"] == 0
    assert till.refused("redeem", opened.code, opened.last4) == "replaced"
    assert till.redeem(untouched.code, untouched.last4)["left"] == 0
    till.ask("sync")
    assert len(world.booked()) == 2


def test_running_terminal_heals_itself(
    world: World, till: Till, sold: tuple[Voucher, Voucher], rng: random.Random
) -> None:
    """Damaged under a holder: out of service until it has a new list, without a restart."""
    _, untouched = sold
    world.start()
    with till.station() as station:
        until(lambda: station.counter.status().network == "online", PATIENCE_S)
        replaced(till.data / "replica.db", rng)

        def good() -> bool:
            done = till.run("lookup", untouched.code, untouched.last4, "--json")
            return done.status == 0

        until(good, PATIENCE_S)
        assert isinstance(station.counter.look_up(untouched.code, untouched.last4), View)
    assert len(till.entries()) == 1 and till.verify()


def test_every_page_may_be_the_bad_one(world: World, till: Till) -> None:
    """Whichever page one look-up finds bad, the next sync of another process replaces the list."""
    world.start()
    sold = world.sell(*[1] * 40)
    till.ask("sync")
    good = files(till).read_bytes()
    hurt = 0
    for page in range(len(good) // PAGE):
        bad = bytearray(good)
        bad[page * PAGE + PAGE // 2] ^= 4
        files(till).write_bytes(bytes(bad))
        if unreadable(till, sold[page % 4 :: 4]) == 0:
            continue
        hurt += 1
        with contextlib.closing(Opened(till)) as opened:
            assert opened.station.syncing is not None
            assert opened.station.syncing.once().error is None
        assert unreadable(till, sold) == 0, f"page {page} is still bad"
    assert hurt > 2


class Opened:
    """A terminal opened as one command does, without followers."""

    def __init__(self, till: Till) -> None:
        self.station = Station(Place(load(str(till.config))))

    def close(self) -> None:
        """End it."""
        self.station.stop()


def unreadable(till: Till, sold: list[Voucher]) -> int:
    """How many of these vouchers the list cannot answer for."""
    count = 0
    with contextlib.closing(Opened(till)) as opened:
        for each in sold:
            try:
                assert isinstance(opened.station.counter.look_up(each.code, each.last4), View)
            except OutOfService:
                count += 1
    return count


@pytest.mark.parametrize("name", ["identity", "key.json", "database.key"])
@pytest.mark.parametrize("content", [b"", b"\x00" * 32, b"{}"])
def test_broken_key_files_are_said(prepared: World, tmp_path: Path, name: str, content: bytes):
    """Keys and identity are not guessed: which file, and what to do; the journal is not touched."""
    till = World(tmp_path / "w").tills["T1"]
    till.root.parent.mkdir()
    shutil.copytree(prepared.tills["T1"].root, till.root)
    journal = (till.data / "journal.db").read_bytes()
    (till.data / name).write_bytes(content)
    done = till.run("lookup", "11111111111", "1234", "--json")
    assert done.status in (2, 3) and done.row["reason"] == "out_of_service", done
    assert (till.data / "journal.db").read_bytes() == journal
