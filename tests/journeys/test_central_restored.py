"""Central's database put back from a backup, as docs/operations.md says: nothing is booked twice,
what the backup did not have comes again from the tills, and they take a new voucher list.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from tests.journeys.world import Till, Voucher, World


def backup(world: World, to: Path) -> None:
    """A copy of the database of a running service, the way `sqlite3 … .backup` makes it."""
    with (
        contextlib.closing(sqlite3.connect(world.root / "central.db")) as source,
        contextlib.closing(sqlite3.connect(to)) as target,
    ):
        source.backup(target)


def put_back(world: World, copy: Path) -> None:
    """Stop the service and let the copy take the place of its database."""
    world.stop()
    for old in world.root.glob("central.db*"):
        old.unlink()
    copy.rename(world.root / "central.db")


def redeemed(till: Till, voucher: Voucher, shares: int = 1) -> str:
    """Redeem and send; the serial."""
    serial = str(till.redeem(voucher.code, voucher.last4, shares)["serial"])
    assert till.ask("sync")["behind"] == 0
    return serial


def test_what_came_after_the_backup_comes_again(world: World, till: Till, tmp_path: Path) -> None:
    """Two tills, redemptions before and after the backup: each booked once in the end."""
    other = world.tills["T3"]
    world.start()
    first, second, third = world.sell(2, 3, 1)
    for one in (till, other):
        one.ask("sync")
    serials = [redeemed(till, first)]
    backup(world, tmp_path / "copy.db")
    serials += [redeemed(till, second, 2), redeemed(other, third)]
    assert {row["serial"] for row in world.booked()} == set(serials)

    put_back(world, tmp_path / "copy.db")
    assert [row["serial"] for row in world.booked()] == serials[:1]
    assert world.tell("restored")["ok"] is True
    world.start()
    for one in (till, other):
        assert one.ask("sync")["behind"] == 0

    booked = world.booked()
    assert sorted(row["serial"] for row in booked) == sorted(serials)
    assert {row["verdict"] for row in booked} == {"accepted"}
    assert other.refused("redeem", third.code, third.last4) == "used_up"
    assert till.verify() == len(till.run("journal", "list", "--json").rows)
    # And on it goes: the other till knows what the first one redeemed after the backup.
    assert other.refused("redeem", second.code, second.last4) == "replaced"
    assert world.central("alarms").rows == []


def test_a_backup_is_as_secret_as_the_database(world: World, tmp_path: Path) -> None:
    """It holds the keys: whoever has it can make codes, which is why the document says so."""
    backup(world, tmp_path / "copy.db")
    assert (world.root / "central.db").stat().st_mode & 0o077 == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        (count,) = copy.execute("SELECT count(*) FROM keys WHERE length(secret) > 0").fetchone()
    assert count > 0
