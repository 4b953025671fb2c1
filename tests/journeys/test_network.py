"""The network down, slow or lying: the counter goes on, and afterwards everything arrives once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from terminal.counter import ShopCounter
from terminal.outcomes import Redeemed
from terminal.station import Station
from tests.drivers.waiting import until
from tests.journeys.line import NONSENSE, Line
from tests.journeys.world import PATIENCE_S, Till, Voucher, World


@pytest.fixture
def line(world: World) -> Iterator[Line]:
    """Central behind a line that can be disturbed."""
    made = Line(world.port, world.start(port=0))
    yield made
    made.close()


def redeem(counter: ShopCounter, code: str, last4: str, shares: int = 1) -> Redeemed:
    """At the counter, without a slip."""
    done = counter.redeem_presented(code, last4, shares, clerk="", request=f"r{code}", slip=False)
    assert isinstance(done, Redeemed), done
    return done


def share_by_share(counter: ShopCounter, voucher: Voucher) -> list[Redeemed]:
    """All shares of a voucher, each on the successor of the one before."""
    code: str | None = voucher.code
    done = []
    while code is not None:
        done.append(redeem(counter, code, voucher.last4))
        code = done[-1].successor_code
    return done


def arrived(world: World, done: list[Redeemed]) -> None:
    """Central has booked exactly these, once, in their order."""
    booked = world.booked()
    assert [row["serial"] for row in booked] == [each.serial for each in done]
    assert {row["verdict"] for row in booked} == {"accepted"}


def caught_up(station: Station) -> bool:
    """Central has signed for everything and the counter says so."""
    status = station.counter.status()
    return status.unacknowledged == 0 and status.network == "online"


def online(station: Station) -> bool:
    """The status line says so."""
    return station.counter.status().network == "online"


def test_central_down(world: World, till: Till) -> None:
    """No central: `offline` in the status line, nothing else; it comes back by itself."""
    world.start()
    voucher = world.issue(4)
    till.ask("sync")
    world.stop()
    with till.station() as station:
        done = share_by_share(station.counter, voucher)
        assert station.counter.status().network == "offline"
        assert station.counter.status().unacknowledged == len(done) + 1  # and `started`
        world.start()
        until(lambda: caught_up(station), PATIENCE_S)
    assert {each.mode for each in done} == {"lone"}
    arrived(world, done)


def test_central_slow(world: World, till: Till, line: Line) -> None:
    """Answers that do not come: the clerk waits for one claim at most, then not again."""
    voucher = world.issue(4)
    with till.station() as station:
        until(lambda: online(station) and not line_is_new(station, voucher), PATIENCE_S)
        line.hold()
        before = line.asked.count("claims")
        done = share_by_share(station.counter, voucher)
        assert line.asked.count("claims") - before <= 1
        assert station.counter.status().network == "slow"
        line.release()
        until(lambda: caught_up(station), PATIENCE_S)
    assert {each.mode for each in done} == {"lone"}
    arrived(world, done)


def line_is_new(station: Station, voucher: Voucher) -> bool:
    """Whether the replica does not hold the voucher yet."""
    parts = station.counter.parts
    return station.counter.exclusive(lambda _: parts.replica.state(voucher.voucher)) is None


@pytest.mark.parametrize("kind", sorted(NONSENSE))
def test_central_answers_nonsense(world: World, till: Till, line: Line, kind: str) -> None:
    """A hotspot's login page, noise, other JSON: as good as no central, never a traceback."""
    voucher = world.issue(2)
    till.ask("sync")
    line.talk(NONSENSE[kind])
    done = till.run("sync", "--json")
    assert (done.status, done.row["reason"]) == (3, "out_of_service"), done
    with till.station() as station:
        redeemed = share_by_share(station.counter, voucher)
        until(lambda: station.counter.status().network == "offline", PATIENCE_S)
        line.talk(None)
        until(lambda: caught_up(station), PATIENCE_S)
    assert {each.mode for each in redeemed} == {"lone"}
    arrived(world, redeemed)


def test_commands_do_not_wait_for_a_slow_central(world: World, till: Till, line: Line) -> None:
    """A command that runs alone asks once within its budget, redeems and ends."""
    voucher = world.issue(2)
    till.ask("sync")
    line.hold()
    line.asked.clear()
    done = till.redeem(voucher.code, voucher.last4)
    assert done["mode"] == "lone" and line.asked == ["claims"]
    line.release()
    assert till.ask("sync")["behind"] == 0
    assert [row["serial"] for row in world.booked()] == [done["serial"]]


def test_one_request_at_once_while_central_is_slow(world: World, till: Till, line: Line) -> None:
    """AX-02: two that wait for their claims at the same time book once; the other is told so."""
    voucher = world.issue(4)
    with till.station() as station, ThreadPoolExecutor() as pool:
        until(lambda: online(station) and not line_is_new(station, voucher), PATIENCE_S)
        line.hold()
        asked = [
            pool.submit(redeem, station.counter, voucher.code, voucher.last4) for _ in range(2)
        ]
        done = [each.result(PATIENCE_S) for each in asked]
        assert line.asked.count("claims") == 2
        line.release()
        until(lambda: caught_up(station), PATIENCE_S)
    assert sorted(each.repeated for each in done) == [False, True]
    arrived(world, done[:1])
