"""Power that fails and is back at once: the printer's macro proves that it did not.

Promise under test: `printed` is told only when the paper holds every line once and the cut, however
short the loss and wherever in the slip, with either confirmation, with and without a wire that
holds the host, seen or not. Where a printer has no macro, what is left is told as it is.
"""

from collections.abc import Iterator

import pytest

from drivers.emulated.machine import ALL_ANSWERS, Build
from drivers.escpos import encode
from drivers.escpos.job import JobState
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Code128, Cut, Image, Line, Qr, Slip
from tests.drivers.rig import Rig, check_honest, numbered, wanted

SLIP = numbered(9)
AFTER = numbered(3, tag="后")
IMAGE = Image(384, b"\xf0\x1d\x3a" * 16 * 9)
CODES = Slip((Line("券 voucher"), Qr("12345678901"), IMAGE, Code128("29582958"), Cut()))
NO_MACRO = ALL_ANSWERS - {"macro"}
TOLD = (JobState.PRINTED, JobState.UNKNOWN)
WAYS = [("none", True), ("rtscts", True), ("rtscts", False)]
"""Flow control, and whether the wire can be seen."""


def rig(
    confirm: str = "gs_h",
    flow: str = "none",
    *,
    seen: bool = True,
    answers: frozenset[str] = ALL_ANSWERS,
    restart_ms: int = 0,
) -> Rig:
    profile = PrinterProfile(baud=19200, cut="partial", line_ms=5, confirm=confirm, flow=flow)
    build = Build(
        baud=19200,
        line_ms=5,
        answers=answers,
        rtscts=flow == "rtscts",
        restart_ms=restart_ms,
    )
    return Rig(profile, build, sees_wire=seen)


def greeted(one: Rig) -> int:
    """The port is open and the printer known; how many bytes it was sent for that."""
    one.plug()
    one.run(4_000)
    return one.machine.count.received


def failed_at(one: Rig, byte: int, back_ms: int, slip: Slip = SLIP) -> Rig:
    """The power fails at that byte of the slip and is back by itself."""
    one.machine.levers.power_off_at = greeted(one) + byte
    one.machine.levers.power_back_ms = back_ms
    one.submit("a", slip)
    one.run(60_000, "a")
    return one


def bytes_of(slip: Slip, confirm: str, answers: frozenset[str] = ALL_ANSWERS) -> int:
    one = rig(confirm, answers=answers)
    before = greeted(one)
    one.submit("a", slip)
    one.run(20_000, "a")
    assert one.state("a") is JobState.PRINTED
    return one.machine.count.received - before


def cuts(confirm: str, flow: str, back_ms: int, *, seen: bool, step: int) -> Iterator[Rig]:
    for byte in range(back_ms % step, bytes_of(SLIP, confirm), step):
        yield failed_at(rig(confirm, flow, seen=seen), byte, back_ms)


def check_cuts(confirm: str, flow: str, back_ms: int, *, seen: bool, step: int) -> None:
    unknown = 0
    for one in cuts(confirm, flow, back_ms, seen=seen, step=step):
        assert one.state("a") in TOLD
        check_honest(one, "a", SLIP)
        unknown += one.state("a") is JobState.UNKNOWN
    assert unknown > 5, "a loss inside the slip must be noticed"


@pytest.mark.parametrize("back_ms", [0, 1, 50, 249])
@pytest.mark.parametrize("confirm", ["gs_h", "gs_r"])
@pytest.mark.parametrize(("flow", "seen"), WAYS)
def test_power_that_is_back_at_once(confirm: str, flow: str, seen: bool, back_ms: int) -> None:
    """At every thirteenth byte of the slip."""
    check_cuts(confirm, flow, back_ms, seen=seen, step=13)


@pytest.mark.soak
@pytest.mark.parametrize("back_ms", [0, 1, 50, 249])
@pytest.mark.parametrize("confirm", ["gs_h", "gs_r"])
@pytest.mark.parametrize(("flow", "seen"), WAYS)
def test_power_that_is_back_at_once_at_every_byte(
    confirm: str, flow: str, seen: bool, back_ms: int
) -> None:
    """The same at every byte."""
    check_cuts(confirm, flow, back_ms, seen=seen, step=1)


@pytest.mark.parametrize("back_ms", [0, 249])
@pytest.mark.parametrize("confirm", ["gs_h", "gs_r"])
@pytest.mark.parametrize("flow", ["none", "rtscts"])
def test_power_that_fails_while_it_is_greeted(confirm: str, flow: str, back_ms: int) -> None:
    """Half a definition of the macro, or none: the slip comes out whole and is told so."""
    whole = rig(confirm, flow)
    whole.plug()
    while not whole.engine._handshake.done:
        whole.run(10)
    greeting = whole.machine.count.received
    for byte in range(greeting - 48 + bool(back_ms), greeting + 1, 3):
        one = rig(confirm, flow)
        one.machine.levers.power_off_at = byte
        one.machine.levers.power_back_ms = back_ms
        one.plug()
        one.submit("a", SLIP)
        one.run(60_000, "a")
        assert one.state("a") is JobState.PRINTED, f"byte {byte}: {one.told}"
        check_honest(one, "a", SLIP)


@pytest.mark.parametrize("confirm", ["gs_h", "gs_r"])
@pytest.mark.parametrize("flow", ["none", "rtscts"])
def test_power_that_failed_between_two_slips(confirm: str, flow: str) -> None:
    """No fault of the next slip: nothing of it has left when that is noticed."""
    one = rig(confirm, flow)
    greeted(one)
    one.machine.power_off()
    one.machine.power_on(one.now)
    one.submit("a", SLIP)
    one.run(60_000, "a")
    assert one.state("a") is JobState.PRINTED and one.lines() == wanted(SLIP)
    assert [report.state for report in one.told if report.job_id == "a"].count(JobState.QUEUED) == 2
    assert one.engine.confirm == confirm


@pytest.mark.parametrize("byte", range(16, 260, 23))
def test_the_slip_after_is_whole(byte: int) -> None:
    """Whatever the loss left in the printer, half a definition of the macro too."""
    one = failed_at(rig(), byte, 0)
    assert one.state("a") is JobState.UNKNOWN
    before = len(one.lines())
    one.submit("b", AFTER)
    one.run(60_000, "b")
    assert one.state("b") is JobState.PRINTED
    assert one.lines()[before:][-4:] == wanted(AFTER)


@pytest.mark.parametrize("confirm", ["gs_h", "gs_r"])
def test_inside_codes_and_images_that_look_like_a_macro(confirm: str) -> None:
    """Data whose beginning was lost is read as commands, `GS :` among them."""
    whole = rig(confirm)
    greeted(whole)
    whole.submit("a", CODES)
    whole.run(20_000, "a")
    paper = whole.lines()
    assert whole.state("a") is JobState.PRINTED and len(paper) >= 5
    for byte in range(16, bytes_of(CODES, confirm), 29):
        one = failed_at(rig(confirm, "rtscts", seen=False), byte, 0, CODES)
        assert one.state("a") in TOLD
        assert one.state("a") is JobState.UNKNOWN or one.lines() == paper, f"byte {byte}"


def test_no_image_defines_a_macro() -> None:
    """One dot is changed where an image spells `GS :`."""
    assert b"\x1d:" not in encode.raster(b"\x1d\x3a\x00\x1d\x3a\x1d", 2)


@pytest.mark.parametrize("confirm", ["gs_h", "gs_r"])
def test_a_printer_that_is_mute_while_a_macro_is_defined(confirm: str) -> None:
    """The manuals do not say whether it answers then: both are found out."""
    answers = ALL_ANSWERS | {"macro_mute"}
    for byte in range(0, bytes_of(SLIP, confirm, answers), 29):
        one = failed_at(rig(confirm, answers=answers), byte, 1)
        assert one.state("a") in TOLD
        check_honest(one, "a", SLIP)


@pytest.mark.parametrize("answers", [NO_MACRO, ALL_ANSWERS | {"macro_lost"}])
@pytest.mark.parametrize("confirm", ["gs_h", "gs_r"])
@pytest.mark.parametrize("back_ms", [0, 1, 50, 249])
def test_without_a_macro_a_printer_that_takes_time_to_start(
    confirm: str, back_ms: int, answers: frozenset[str]
) -> None:
    """Nothing comes through a quarter of a second after a loss, so no end of a block does."""
    total = bytes_of(SLIP, confirm, answers)
    for flow in ("none", "rtscts"):
        for byte in range(back_ms % 31, total, 31):
            one = failed_at(rig(confirm, flow, answers=answers, restart_ms=400), byte, back_ms)
            assert one.state("a") in TOLD
            check_honest(one, "a", SLIP)


@pytest.mark.parametrize("confirm", ["gs_h", "gs_r"])
def test_where_nothing_vouches_the_clerk_looks(confirm: str) -> None:
    """No macro, and a wire that may hold the host unseen: confirmed is not enough."""
    one = rig(confirm, "rtscts", seen=False, answers=NO_MACRO)
    greeted(one)
    one.submit("a", SLIP)
    one.run(20_000, "a")
    assert (one.state("a"), one.detail("a")) == (JobState.UNCONFIRMED, "wire_unseen")
    assert one.lines() == wanted(SLIP)


@pytest.mark.parametrize("confirm", ["gs_h", "gs_r"])
def test_a_macro_that_was_believed_and_is_not_there(confirm: str) -> None:
    """A stray answer made it look as if there were one: the slip waits a moment, then goes
    without."""
    one = rig(confirm)
    greeted(one)
    one.machine = Rig(one.profile, Build(baud=19200, line_ms=5, answers=NO_MACRO)).machine
    one.engine._handshake._trial += encode.BARRIER  # as if one answer too many came each time
    one.submit("a", SLIP)
    one.run(60_000, "a")
    assert one.state("a") is JobState.PRINTED and one.lines() == wanted(SLIP)


@pytest.mark.parametrize("busy", [True, False])
def test_a_printer_that_tells_that_it_was_switched_on(busy: bool) -> None:
    """A memory switch of better models: believed at once, without a macro too."""
    one = rig(answers=NO_MACRO | {"power_on"})
    if busy:
        failed_at(one, 120, 0)
        assert (one.state("a"), one.detail("a")) == (JobState.UNKNOWN, "power_lost")
    else:
        greeted(one)
        one.machine.power_off()
        one.machine.power_on(one.now)
    one.submit("b", AFTER)
    one.run(60_000, "b")
    assert one.state("b") is JobState.PRINTED and one.lines()[-4:] == wanted(AFTER)


def test_a_question_in_order_is_answered_before_a_slip_begins() -> None:
    """Barriers carry no name: one that is asked for, or came late, would confirm a block."""
    profile = PrinterProfile(baud=19200, cut="partial", line_ms=5, confirm="gs_r", status=("gs_r",))
    one = Rig(profile, Build(baud=19200, line_ms=5))
    one.plug()
    one.run(1_000)
    one.machine.levers.late_ms = 900
    while not one.engine._watch.barrier_open:
        one.run(10)
    one.submit("a", SLIP)
    one.run(250)
    assert one.state("a") is JobState.QUEUED
    one.run(60_000, "a")
    assert one.state("a") is JobState.PRINTED
    check_honest(one, "a", SLIP)
