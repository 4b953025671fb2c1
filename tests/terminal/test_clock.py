"""What time it is: the anchor, the floor, and clocks that cannot be believed."""

from pathlib import Path

import pytest

from terminal import clock as clocks
from terminal.clock import Anchor, EstimatedClock, SystemClock
from tests.terminal.shop import NOW, FakeClock
from vouchers.times import DAY_MS, HOUR_MS, MINUTE_MS


def estimated(machine: FakeClock, floor: int = NOW, anchor: Anchor | None = None) -> EstimatedClock:
    return EstimatedClock(machine, floor_ms=floor, anchor=anchor)


def test_the_server_s_time_goes_before_the_machine_s() -> None:
    """In the boot of the last signed time, that time plus what has passed is the time."""
    machine = FakeClock()
    clock = estimated(machine)
    clock.server_time(NOW + HOUR_MS, machine.read())
    machine.pass_ms(5_000)
    machine.wall_ms -= 400 * DAY_MS
    found = clock.estimate()
    assert (found.now, found.suspect) == (NOW + HOUR_MS + 5_000, False)


def test_the_estimate_never_goes_behind_the_floor() -> None:
    """A server time behind the last journalled time leaves the floor standing."""
    machine = FakeClock()
    clock = estimated(machine, floor=NOW + HOUR_MS)
    clock.server_time(NOW, machine.read())
    assert clock.estimate().now == NOW + HOUR_MS
    clock.journalled(NOW + 2 * HOUR_MS)
    clock.journalled(NOW)
    assert clock.estimate().floor == NOW + 2 * HOUR_MS


def test_after_a_reboot_the_anchor_counts_no_more() -> None:
    """The counter since boot began anew, so the machine's clock is read instead."""
    machine = FakeClock()
    anchor = estimated(machine).server_time(NOW + HOUR_MS, machine.read())
    machine.reboot()
    machine.wall_ms = NOW + 3 * HOUR_MS
    found = estimated(machine, anchor=anchor).estimate()
    assert (found.now, found.suspect) == (NOW + 3 * HOUR_MS, False)


@pytest.mark.parametrize(
    ("moved", "suspect"),
    [
        (0, False),
        (30 * DAY_MS, False),
        (30 * DAY_MS + 1, True),
        (31 * DAY_MS, True),
        (-1, False),
        (-10 * MINUTE_MS, False),
        (-10 * MINUTE_MS - 1, True),
        (-365 * DAY_MS, True),
    ],
)
def test_how_far_a_clock_may_move_while_the_power_is_off(moved: int, suspect: bool) -> None:
    """Up to 30 days forward and a quartz clock's minutes back are believed, no more."""
    machine = FakeClock()
    machine.reboot()
    machine.wall_ms = NOW + moved
    found = estimated(machine).estimate()
    assert found.suspect is suspect
    assert found.now == (NOW if suspect else max(NOW, NOW + moved))


def test_a_terminal_that_journalled_nothing_believes_its_clock() -> None:
    """Without a floor there is nothing to compare with."""
    machine = FakeClock(wall_ms=NOW + 400 * DAY_MS)
    assert not estimated(machine, floor=0).estimate().suspect


def test_while_suspect_the_floor_rises_with_the_time_since_the_start() -> None:
    """What has passed since the start has passed, whatever the machine's clock says."""
    machine = FakeClock(wall_ms=NOW - 365 * DAY_MS)
    clock = estimated(machine)
    machine.pass_ms(HOUR_MS)
    found = clock.estimate()
    assert (found.now, found.floor, found.suspect) == (NOW + HOUR_MS, NOW + HOUR_MS, True)
    clock.journalled(found.now)
    machine.pass_ms(HOUR_MS)
    assert clock.estimate().now == NOW + 2 * HOUR_MS


def test_running_for_months_is_not_suspect() -> None:
    """Time that the machine counted since the start is no jump of its clock."""
    machine = FakeClock()
    clock = estimated(machine)
    machine.pass_ms(90 * DAY_MS)
    found = clock.estimate()
    assert (found.now, found.suspect) == (NOW + 90 * DAY_MS, False)


def test_ntp_s_small_steps_are_not_suspect() -> None:
    """A clock that is set by seconds while it runs stays believed and never runs backwards."""
    machine = FakeClock()
    clock = estimated(machine)
    last = 0
    for step in (300, -900, 1_200, -2_000, 40, -60_000):
        machine.pass_ms(100)
        machine.wall_ms += step
        found = clock.estimate()
        clock.journalled(found.now)
        assert not found.suspect and found.now >= last
        last = found.now


def test_a_server_time_ends_the_suspicion() -> None:
    """One signed time makes the clock believable again in this boot."""
    machine = FakeClock(wall_ms=NOW - 365 * DAY_MS)
    clock = estimated(machine)
    assert clock.estimate().suspect
    clock.server_time(NOW + DAY_MS, machine.read())
    found = clock.estimate()
    assert (found.now, found.suspect) == (NOW + DAY_MS, False)


def test_the_system_s_clocks_are_read() -> None:
    """The real clocks give a wall time of this century, one boot, and time that does not shrink."""
    clock = SystemClock()
    first, second = clock.read(), clock.read()
    assert first.wall_ms > 1_600_000_000_000 and first.boot == second.boot == clock.read().boot
    assert 0 < first.mono_ms <= second.mono_ms


def test_a_system_without_a_boot_clock_is_read_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where neither CLOCK_BOOTTIME nor a boot id exists, each start is a boot of its own."""
    monkeypatch.delattr(clocks.time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr(clocks, "Path", lambda _: tmp_path / "none")
    first, second = SystemClock(), SystemClock()
    assert first.read().boot != second.read().boot
    assert first.read().mono_ms > 0
