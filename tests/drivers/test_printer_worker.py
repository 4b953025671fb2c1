"""The printer's thread over real wires: callers never wait, losses, orders of a person, timing."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.emulated.machine import Build
from drivers.emulated.printer import EmulatedPrinter
from drivers.escpos.job import JobState
from drivers.escpos.printer import Outlook, Printer
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Cut, Image, Line, Slip
from drivers.escpos.status import PrinterStatus
from drivers.events import DeviceEvent, Presence
from tests.drivers.test_layout import PARTIAL
from tests.drivers.waiting import Seen, until

FAST = PrinterProfile(baud=115200, cut="partial", window=512)
UI_MS_MAX = 50


def numbered(lines: int) -> Slip:
    return Slip((*(Line(f"第 {number:03d} 行") for number in range(lines)), Cut()))


class Bench:
    """A printer on a pty with a lasting name, and the worker that drives it."""

    def __init__(self, folder: Path) -> None:
        self.port = folder / "printer"
        self.device = EmulatedPrinter(Build(line_ms=1))
        self.device.attach_pty(self.port)
        self.jobs: Seen[tuple[str, JobState, str]] = Seen()
        self.statuses: Seen[PrinterStatus] = Seen()
        self.events: Seen[DeviceEvent] = Seen()
        outlook = Outlook(on_job=self.jobs, on_status=self.statuses, on_event=self.events)
        self.printer = Printer(str(self.port), FAST, outlook=outlook)

    def end_of(self, job_id: str) -> tuple[JobState, str]:
        going = (JobState.QUEUED, JobState.PRINTING)
        told = self.jobs.wait_for(lambda told: told[0] == job_id and told[1] not in going)
        return told[1], told[2]

    def become(self, status: PrinterStatus) -> None:
        self.statuses.wait_for(lambda seen: seen is status)

    def lines(self) -> list[str]:
        return [line for line in self.device.paper_text().splitlines() if line.startswith("第")]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.printer.start()
    yield made
    made.printer.stop()
    made.device.stop()


def test_unplugged_and_plugged_again_under_another_name(bench: Bench) -> None:
    """Before the slip has begun: it waits, and comes out on the other pty, once."""
    bench.become(PrinterStatus.READY)
    bench.device.unplug()
    bench.become(PrinterStatus.LOST)
    bench.printer.submit("a", numbered(5))
    bench.device.attach_pty(bench.port)
    started = time.monotonic()
    assert bench.end_of("a") == (JobState.PRINTED, "")
    assert time.monotonic() - started < 2.0, "found again within two seconds"
    assert len(bench.lines()) == 5
    assert [event.presence for event in bench.events] == [
        Presence.FOUND,
        Presence.LOST,
        Presence.FOUND,
    ]


def test_unplugged_in_the_middle(bench: Bench) -> None:
    """The slip is unknown and stays away; the next one is whole."""
    bench.device.pull(paper_lines=3)
    bench.printer.submit("a", numbered(40))
    bench.become(PrinterStatus.PAPER_OUT)
    bench.device.unplug()
    assert bench.end_of("a") == (JobState.UNKNOWN, "link_lost")
    bench.device.power_off()
    bench.device.power_on()
    bench.device.load_paper()
    bench.device.attach_pty(bench.port)
    bench.printer.submit("b", numbered(4))
    assert bench.end_of("b") == (JobState.PRINTED, "")
    assert bench.lines()[-4:] == [f"第 {number:03d} 行" for number in range(4)]
    assert len(bench.lines()) == 3 + 4


def test_abandoned_while_waiting_and_under_way(bench: Bench) -> None:
    """A person gives up; what has not left does not leave."""
    bench.device.pull(paper_lines=2)
    bench.printer.submit("a", numbered(60))
    bench.printer.submit("b", numbered(3))
    bench.become(PrinterStatus.PAPER_OUT)
    bench.printer.abandon("b")
    assert bench.end_of("b") == (JobState.ABANDONED, "by_hand")
    bench.printer.abandon("a")
    assert bench.end_of("a") == (JobState.ABANDONED, "by_hand")
    bench.device.load_paper()
    bench.printer.submit("c", numbered(1))
    assert bench.end_of("c") == (JobState.PRINTED, "")
    assert len(bench.lines()) < 60, "only what the printer held already came out"


def test_a_jam_is_cleared(bench: Bench) -> None:
    """The printer goes on from the line that failed when the cover was opened and closed."""
    bench.device.pull(cutter_error=True)
    bench.become(PrinterStatus.FAULT)
    bench.printer.submit("a", numbered(3))
    bench.device.pull(cover_open=True)
    until(lambda: bench.printer._engine._watch.condition.cover_open)
    bench.device.pull(cover_open=False)
    assert bench.end_of("a") == (JobState.PRINTED, "")
    assert len(bench.lines()) == 3


def test_the_drawer_opens_now_or_not_at_all(bench: Bench) -> None:
    """A kick is a job of its own with a deadline."""
    bench.become(PrinterStatus.READY)
    bench.printer.kick_drawer("k1")
    assert bench.end_of("k1") == (JobState.PRINTED, "")
    bench.device.pull(paper_out=True)
    bench.become(PrinterStatus.PAPER_OUT)
    bench.printer.kick_drawer("k2", within_ms=60)
    assert bench.end_of("k2") == (JobState.FAILED, "too_late")
    bench.device.load_paper()
    bench.become(PrinterStatus.READY)
    bench.printer.submit("a", numbered(1))
    bench.end_of("a")
    assert bench.device.machine.count.drawer_kicks == 1


def test_one_bad_slip_and_one_bad_listener_stop_nothing(bench: Bench) -> None:
    """A slip that cannot be laid out fails alone."""
    bench.printer.submit("bad", Slip((Image(0, b""),)))
    assert bench.end_of("bad") == (JobState.FAILED, "layout: ZeroDivisionError")
    bench.printer.submit("good", numbered(1))
    bench.printer.submit("good", numbered(1))
    assert bench.end_of("good") == (JobState.PRINTED, "")
    assert len(bench.lines()) == 1, "the same job twice is one job"


def test_a_wrong_port_is_told_once() -> None:
    """A setting that cannot work."""
    events: Seen[DeviceEvent] = Seen()
    printer = Printer("nothing://", FAST, outlook=Outlook(on_event=events))
    printer.start()
    assert events.wait().presence is Presence.WRONG
    assert printer.status is PrinterStatus.LOST
    printer.stop()


def test_stopping_with_a_slip_under_way(bench: Bench) -> None:
    """Reported unknown before the thread ends, so that the next start can ask."""
    bench.device.pull(paper_lines=1)
    bench.printer.submit("a", numbered(30))
    bench.become(PrinterStatus.PAPER_OUT)
    bench.printer.stop()
    assert bench.jobs[-1] == ("a", JobState.UNKNOWN, "link_lost")


def slowest_ms(call: Callable[[], object], times: int) -> float:
    worst = 0.0
    for _ in range(times):
        started = time.perf_counter()
        call()
        worst = max(worst, time.perf_counter() - started)
    return worst * 1000


def test_the_screen_never_waits(bench: Bench) -> None:
    """While the printer takes nothing at all, every call returns at once."""
    bench.become(PrinterStatus.READY)
    bench.device.pull(xoff=True)
    big = Slip((Image(384, bytes(48 * 2_000)), Cut()))
    ids = iter(range(1_000))

    def everything() -> object:
        job_id = str(next(ids))
        bench.printer.submit(job_id, big)
        bench.printer.abandon(job_id)
        return bench.printer.status

    # The best of three, because a machine that is busy with other things may pause anybody.
    assert min(slowest_ms(everything, 50) for _ in range(3)) < UI_MS_MAX


def test_confirmed_about_as_fast_as_paper_moves(tmp_path: Path) -> None:
    """At 115200 baud within one and a half times the paper's own time."""
    lines = 28
    device = EmulatedPrinter(Build(baud=115200, line_ms=20))
    told: Seen[tuple[str, JobState, str]] = Seen()
    ready: Seen[PrinterStatus] = Seen()
    profile = PrinterProfile(baud=115200, cut="partial", feed_lines=1)
    outlook = Outlook(on_job=told, on_status=ready)
    printer = Printer(device.attach_pty(), profile, outlook=outlook)
    printer.start()
    ready.wait_for(lambda status: status is PrinterStatus.READY)
    printer.submit("warm", Slip((Line("warm"),)))
    told.wait_for(lambda job: job[1] is JobState.PRINTED)
    ratios = []
    for job_id in ("a", "b", "c"):  # the best of three: other programs run here too
        before = device.machine.count.printed_lines
        started = time.monotonic()
        printer.submit(job_id, PARTIAL)
        told.wait_for(lambda job: job[1] is JobState.PRINTED)
        took_ms = (time.monotonic() - started) * 1000
        paper_ms = (device.machine.count.printed_lines - before) * 20
        assert paper_ms >= lines * 20
        ratios.append(took_ms / paper_ms)
    printer.stop()
    device.stop()
    assert min(ratios) <= 1.5, ratios


def test_the_paper_file_is_always_whole(tmp_path: Path) -> None:
    """Another process that looks at any moment sees whole lines."""
    paper = tmp_path / "slip.txt"
    device = EmulatedPrinter(Build(line_ms=2), paper=paper)
    told: Seen[tuple[str, JobState, str]] = Seen()
    printer = Printer(device.attach_pty(), FAST, outlook=Outlook(on_job=told))
    printer.start()
    printer.submit("a", numbered(60))
    until(lambda: paper.exists() and "第" in paper.read_text())
    while not any(job[1] is JobState.PRINTED for job in told):
        text = paper.read_text()
        assert text.endswith("\n") and all(
            len(line) == 7 for line in text.splitlines() if line.startswith("第")
        )
    printer.stop()
    device.stop()
