"""A disk was copied and both copies redeemed: head office decides, and the counter follows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.journeys.world import Till, Voucher, World


@pytest.fixture
def vouchers(world: World) -> list[Voucher]:
    """One with a share, one with three, with central running and the till in sync."""
    world.start()
    made = world.sell(1, 3)
    world.tills["T1"].ask("sync")
    return made


@pytest.fixture
def copied(world: World, till: Till, vouchers: list[Voucher], tmp_path: Path) -> tuple[Till, str]:
    """The copy, which redeemed two shares, was stopped and then paired again as the till; and the
    code on its slip.
    """
    one, many = vouchers
    copy = Till(tmp_path / "copy")
    shutil.copytree(till.root, copy.root)
    till.redeem(one.code, one.last4)
    till.ask("sync")
    world.stop()
    slip = copy.redeem(many.code, many.last4, 2)["successor_code"]
    world.start()
    assert copy.run("sync", "--json").status == 3
    world.tills["T1"] = copy
    assert world.enrol("T1")["epoch"] == 2
    assert copy.ask("sync")["behind"] > 0
    return copy, slip


@pytest.mark.parametrize(("way", "left"), [("book", 1), ("dismiss", 3)])
def test_the_counter_counts_what_head_office_counts(
    world: World, copied: tuple[Till, str], vouchers: list[Voucher], way: str, left: int
) -> None:
    """Shares used on the branch count once when it is booked, and not at all when dismissed; the
    code of the slip is current, or the one before it again.
    """
    till, slip = copied
    many = vouchers[1]
    (branch,) = world.central("branch", "list").rows
    assert (branch["redemptions"], branch["shares"]) == (1, 2)
    world.tell("branch", way, branch["branch"], "--reason", "seen")
    told = till.ask("sync")
    assert (told["ok"], told["behind"]) == (True, 0)
    (order,) = [row for row in world.central("report", "orders").rows if row["shares"] == 3]
    code = slip if way == "book" else many.code
    found = till.run("lookup", code, many.last4, "--json").row
    assert (order["left"], found["left"], found["reason"]) == (left, left, None)
    # What head office calls it is found at the till.
    (kept,) = world.central("report", "branches").rows
    (entry,) = till.run("journal", "list", "--serial", kept["serial"], "--json").rows
    assert (entry["hash"], entry["serial"]) == (kept["hash"], kept["on_slip"])
    other = f"{kept['on_slip']}_{'0' * 16}"
    assert till.run("journal", "list", "--serial", other, "--json").rows == []
    # The customer uses up what is left, and head office agrees.
    till.redeem(code, many.last4, left)
    assert till.ask("sync")["behind"] == 0
    assert {row["verdict"] for row in world.booked()} == {"accepted"}
    assert len(world.booked()) == (3 if way == "book" else 2)
