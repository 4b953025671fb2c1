"""Two tills that do not see each other redeem the same voucher: both hear of it until settled."""

from __future__ import annotations

from typing import Any

from terminal.outcomes import Delivery, Notice
from tests.journeys.world import Till, Voucher, World


def verdicts(till: Till) -> list[Notice]:
    """What the counter shows a person about verdicts."""
    with till.station() as station:
        return [each for each in station.counter.status().notices if each.kind == "verdict"]


def redeemed_twice(world: World) -> tuple[Voucher, list[dict[str, Any]]]:
    """A voucher of two that both tills of its home redeem whole with central away."""
    voucher = world.issue(2)
    tills = [world.tills["T1"], world.tills["T2"]]
    for till in tills:
        till.ask("sync")
    world.stop()
    return voucher, [till.redeem(voucher.code, voucher.last4, 2) for till in tills]


def test_both_counters_are_told_until_it_is_settled(world: World) -> None:
    """The one that crosses the limit is over_redeemed, the other related; settling ends both."""
    world.start()
    first, second = world.tills["T1"], world.tills["T2"]
    _, (kept, over) = redeemed_twice(world)
    world.start()
    for till in (first, second, first):
        assert till.ask("sync")["behind"] == 0
    booked = {row["posid"]: row for row in world.booked()}
    assert (booked["T1"]["verdict"], booked["T1"]["flags"]) == ("accepted", ["related"])
    assert (booked["T2"]["verdict"], booked["T2"]["excess"]) == ("over_redeemed", 2)
    assert booked["T2"]["others"] == [kept["serial"]]
    (at_second,) = verdicts(second)
    assert at_second.serial == over["serial"]
    assert at_second.detail["verdict"] == "over_redeemed"
    assert (at_second.detail["excess"], at_second.detail["others"]) == (2, [kept["serial"]])
    (at_first,) = verdicts(first)
    assert (at_first.serial, at_first.detail["flags"]) == (kept["serial"], ["related"])
    with second.station() as station:
        assert station.counter.history(1)[0].delivery is Delivery.ATTENTION
    world.tell("settle", over["serial"], "loss")
    for till in (first, second):
        till.ask("sync")
        assert verdicts(till) == []
    assert {row["settled"] for row in world.central("report", "conflicts").rows} == {"loss"}


def test_partly_over(world: World) -> None:
    """Only the part beyond the limit is excess; the forks made one successor, not two."""
    world.start()
    voucher = world.issue(3)
    first, second = world.tills["T1"], world.tills["T2"]
    for till in (first, second):
        till.ask("sync")
    world.stop()
    one = first.redeem(voucher.code, voucher.last4, 2)
    other = second.redeem(voucher.code, voucher.last4, 2)
    assert one["successor_code"] == other["successor_code"]
    world.start()
    for till in (first, second, first):
        assert till.ask("sync")["behind"] == 0
    booked = {row["posid"]: row for row in world.booked()}
    assert {name: (row["verdict"], row["excess"]) for name, row in booked.items()} == {
        "T1": ("accepted", 0),
        "T2": ("over_redeemed", 1),
    }
    for till in (first, second):
        assert till.refused("redeem", one["successor_code"], voucher.last4) == "used_up"
