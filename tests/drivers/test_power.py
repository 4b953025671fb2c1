"""The power fails at each byte of a slip, one run for each byte, on a fake clock.

Promise under test: `printed` is told only when the paper holds every line once and the cut; a slip
of which anything may be on paper is `unknown`, is never sent again by itself, and the next slip
comes out whole.
"""

import pytest

from drivers.emulated.machine import Build
from drivers.escpos.job import JobState
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Code128, Cut, Image, Line, Qr, Slip
from drivers.escpos.status import PrinterStatus
from tests.drivers.rig import CUT_TEXT, Rig, check_honest, numbered, wanted

SLIP = numbered(9)
AFTER = numbered(3, tag="后")
PARTS = 6


def rig(confirm: str = "gs_h", status: tuple[str, ...] = ("asb", "dle_eot")) -> Rig:
    profile = PrinterProfile(
        baud=115200, cut="partial", line_ms=25, window=192, confirm=confirm, status=status
    )
    return Rig(profile, Build(baud=115200, line_ms=25))


def bytes_of_a_slip(confirm: str = "gs_h") -> int:
    whole = rig(confirm)
    whole.plug()
    whole.submit("a", SLIP)
    whole.run(20_000, "a")
    assert whole.state("a") is JobState.PRINTED
    check_honest(whole, "a", SLIP)
    return whole.machine.count.received


def power_cut_at(byte: int, off_ms: int, confirm: str) -> Rig:
    one = rig(confirm)
    one.machine.levers.power_off_at = byte
    one.plug()
    one.submit("a", SLIP)
    while one.machine.powered and one.state("a") is not JobState.PRINTED:
        one.run(5)
    one.run(off_ms)
    one.machine.power_on(one.now)
    one.run(60_000, "a")
    return one


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(("confirm", "off_ms"), [("gs_h", 50), ("gs_h", 8_000), ("gs_r", 50)])
def test_power_cut_at_every_byte(part: int, confirm: str, off_ms: int) -> None:
    """A short dip and a long one; confirmed by identifier and by barrier."""
    total = bytes_of_a_slip(confirm)
    unknown = 0
    for byte in range(part, total, PARTS):
        one = power_cut_at(byte, off_ms, confirm)
        state = one.state("a")
        assert state in (JobState.PRINTED, JobState.UNKNOWN), f"byte {byte}: {state}"
        check_honest(one, "a", SLIP)
        unknown += state is JobState.UNKNOWN
    assert unknown > 5, "a cut inside the slip must be noticed"


@pytest.mark.parametrize("byte", range(270, 480, 23))
def test_the_next_slip_is_whole_after_a_power_cut(byte: int) -> None:
    """Half a command in the printer swallows nothing of the slip that follows."""
    one = power_cut_at(byte, 50, "gs_h")
    assert one.state("a") is JobState.UNKNOWN
    before = len(one.lines())
    one.submit("b", AFTER)
    one.run(60_000, "b")
    assert one.state("b") is JobState.PRINTED
    assert one.lines()[before:][-4:] == wanted(AFTER)


def test_a_printer_that_stays_off_is_silent_and_the_next_slip_waits() -> None:
    """Nothing is guessed: the slip is unknown, the printer silent, the next slip queued."""
    one = rig()
    one.machine.levers.power_off_at = 400
    one.plug()
    one.submit("a", SLIP)
    one.submit("b", AFTER)
    one.run(60_000)
    assert one.state("a") is JobState.UNKNOWN
    assert one.state("b") is JobState.QUEUED
    assert one.engine.status is PrinterStatus.SILENT
    one.machine.power_on(one.now)
    one.run(30_000, "b")
    assert one.state("b") is JobState.PRINTED
    assert one.lines()[-4:] == [*wanted(AFTER)[:3], CUT_TEXT]


@pytest.mark.parametrize("at_ms", range(0, 700, 20))
def test_unplugged_at_any_moment(at_ms: int) -> None:
    """The cable is pulled: what has begun is unknown, what has not is queued and comes later."""
    one = rig()
    one.plug()
    one.submit("a", SLIP)
    one.run(at_ms)
    one.unplug()
    pulled = one.state("a")
    assert pulled in (JobState.QUEUED, JobState.UNKNOWN, JobState.PRINTED)
    one.run(3_000)
    one.plug()
    one.submit("b", AFTER)
    one.run(60_000, "b")
    assert one.state("b") is JobState.PRINTED
    if pulled is JobState.QUEUED:
        assert one.state("a") is JobState.PRINTED
        assert one.lines() == [*wanted(SLIP), *wanted(AFTER)]
    else:
        assert one.state("a") is pulled
        assert one.lines()[-4:] == wanted(AFTER)


IMAGE = Image(384, b"\xf0" * 48 * 9)
CODES = Slip((Line("券 voucher"), Qr("12345678901"), IMAGE, Code128("123456"), Cut()))


def test_power_cut_inside_codes_and_images() -> None:
    """Commands that carry data: what is told is true, and the next slip is not swallowed."""
    whole = rig()
    whole.plug()
    whole.submit("a", CODES)
    whole.run(20_000, "a")
    paper, total = whole.lines(), whole.machine.count.received
    assert len(paper) >= 5 and whole.state("a") is JobState.PRINTED
    for byte in range(220, total, 5):
        one = rig()
        one.machine.levers.power_off_at = byte
        one.plug()
        one.submit("a", CODES)
        while one.machine.powered and one.state("a") is not JobState.PRINTED:
            one.run(5)
        one.run(50)
        one.machine.power_on(one.now)
        one.run(60_000, "a")
        assert (one.state("a") is JobState.PRINTED) is (one.lines() == paper), f"byte {byte}"
        one.submit("b", AFTER)
        one.run(60_000, "b")
        assert one.state("b") is JobState.PRINTED
        assert one.lines()[-4:] == wanted(AFTER), f"byte {byte}"
