"""Flow control by wire: what the printer cannot take waits in the host, also without power.

Promise under test: a slip whose beginning was lost while its end waited in the host is never told
printed; and a printer that holds the host while it has no paper is not taken for a silent one. All
of it for a printer without macros; with one see `test_continuity.py`.
"""

import pytest

from drivers import emulated
from drivers.emulated.machine import Build
from drivers.emulated.printer import EmulatedPrinter
from drivers.escpos.job import JobState
from drivers.escpos.printer import Outlook, Printer
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.status import PrinterStatus
from drivers.link import LineSettings, Link
from tests.drivers.rig import Rig, check_honest, numbered, wanted
from tests.drivers.waiting import Seen, until

SLIP = numbered(20)
AFTER = numbered(3, tag="后")
FIRST, LAST = 1_060, 1_590
"""The bytes of the slip: before them the printer is greeted with NULs."""


def rig(
    *, baud: int = 9600, kernel: int = 4096, busy_offline: bool = False, **profile: object
) -> Rig:
    base = {"baud": baud, "cut": "partial", "line_ms": 25, "flow": "rtscts", "continuity": "none"}
    made = PrinterProfile(**(base | profile))  # type: ignore[arg-type]
    build = Build(baud=baud, line_ms=25, rtscts=True, busy_offline=busy_offline)
    return Rig(made, build, kernel_bytes=kernel)


def power_cut(one: Rig, byte: int, off_ms: int) -> None:
    """The power fails when that many bytes have arrived, for so long."""
    one.machine.levers.power_off_at = byte
    one.plug()
    one.submit("a", SLIP)
    while one.machine.powered and one.state("a") is not JobState.PRINTED:
        one.run(20)
    one.run(off_ms)
    one.machine.power_on(one.now)
    one.run(60_000, "a")


def power_cuts(off_ms: int, kernel: int, step: int) -> None:
    unknown = 0
    for byte in range(FIRST, LAST, step):
        one = rig(kernel=kernel)
        power_cut(one, byte, off_ms)
        assert one.state("a") in (JobState.PRINTED, JobState.UNKNOWN), f"byte {byte}"
        check_honest(one, "a", SLIP)
        unknown += one.state("a") is JobState.UNKNOWN
    assert unknown > 5, "a cut inside the slip must be noticed"


@pytest.mark.parametrize("kernel", [64, 4096])
@pytest.mark.parametrize("off_ms", [400, 1_500, 8_000])
def test_power_that_fails_while_the_host_is_held(off_ms: int, kernel: int) -> None:
    """The rest of a block waits and comes out as if nothing had been: never told printed."""
    power_cuts(off_ms, kernel, 61)


@pytest.mark.soak
@pytest.mark.parametrize("kernel", [64, 4096])
@pytest.mark.parametrize("off_ms", [400, 700, 1_500, 3_000, 8_000])
def test_power_that_fails_at_many_bytes_while_the_host_is_held(off_ms: int, kernel: int) -> None:
    """The same at each fifth byte of the slip."""
    power_cuts(off_ms, kernel, 5)


def test_nothing_is_doubted_where_nothing_happened() -> None:
    """A slip on a wire that never holds is printed, and so is the one after."""
    one = rig()
    one.plug()
    for job_id in ("a", "b"):
        one.submit(job_id, SLIP)
        one.run(30_000, job_id)
        assert one.state(job_id) is JobState.PRINTED


@pytest.mark.parametrize(
    ("line", "kernel"), [*((line, 4096) for line in range(1, 21)), (4, 64), (11, 64), (20, 64)]
)
def test_paper_out_while_the_host_is_held(line: int, kernel: int) -> None:
    """No question reaches a printer that is busy when offline; what it said by itself holds."""
    one = rig(busy_offline=True, kernel=kernel)
    one.machine.levers.paper_lines = line
    one.plug()
    one.submit("a", SLIP)
    one.run(45_000)
    assert one.state("a") is JobState.PRINTING
    assert one.engine.status is PrinterStatus.PAPER_OUT
    one.machine.load_paper()
    one.run(30_000, "a")
    assert one.state("a") is JobState.PRINTED
    check_honest(one, "a", SLIP)


@pytest.mark.parametrize("line", range(1, 21, 3))
@pytest.mark.parametrize("busy_offline", [True, False])
@pytest.mark.parametrize("off_ms", [700, 2_000])
def test_switched_off_and_on_while_the_paper_is_changed(
    line: int, busy_offline: bool, off_ms: int
) -> None:
    """What many people do: the printer forgets what it held, and the rest comes out."""
    one = rig(busy_offline=busy_offline)
    one.machine.levers.paper_lines = line
    one.plug()
    one.submit("a", SLIP)
    one.run(20_000)
    one.machine.power_off()
    one.run(off_ms)
    one.machine.load_paper()
    one.machine.power_on(one.now)
    one.run(60_000, "a")
    check_honest(one, "a", SLIP)
    assert one.state("a") is JobState.UNKNOWN
    one.submit("b", AFTER)
    one.run(60_000, "b")
    assert one.state("b") is JobState.PRINTED
    assert one.lines()[-4:] == wanted(AFTER)


def test_the_worker_looks_at_the_wire() -> None:
    """Over a port with such a wire: power that fails in the middle of a slip and comes back."""
    bench = emulated.register()
    device = bench.printer("wire", flow="rtscts", baud="9600")
    told: Seen[tuple[str, JobState, str]] = Seen()
    profile = PrinterProfile(baud=9600, flow="rtscts", cut="partial")
    printer = Printer("emulated://printer?name=wire", profile, outlook=Outlook(on_job=told))
    printer.start()
    printer.submit("a", numbered(9))
    until(lambda: "行 003" in device.paper_text())
    device.power_off()
    until(lambda: printer._engine._hold.doubtful)
    device.power_on()
    told.wait_for(lambda job: job[1] in (JobState.UNKNOWN, JobState.PRINTED))
    assert told[-1][:2] == ("a", JobState.UNKNOWN)
    printer.stop()
    bench.clear()


@pytest.mark.parametrize("flow", ["rtscts", "none"])
def test_a_link_sees_the_wire_of_a_port_that_has_one(flow: str) -> None:
    """Down without power; a port that was opened without that flow control is never held."""
    bench = emulated.register()
    device = bench.printer("seen", flow="rtscts")
    link = Link("emulated://printer?name=seen", LineSettings(flow=flow), on_bytes=_no, on_lost=_no)
    assert not link.held()
    link.open()
    assert not link.held()
    device.power_off()
    assert link.held() is (flow == "rtscts")
    device.power_on()
    assert not link.held()
    link.close()
    bench.clear()


def test_a_pty_has_no_such_wire() -> None:
    """What cannot be seen is not claimed."""
    device = EmulatedPrinter()
    link = Link(device.attach_pty(), LineSettings(flow="rtscts"), on_bytes=_no, on_lost=_no)
    link.open()
    assert not link.held()
    link.close()
    device.stop()


def _no(told: object) -> None:
    del told
