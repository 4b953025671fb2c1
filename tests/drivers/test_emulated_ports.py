"""The whole stack over real wires: emulated://, a pty and TCP, with a printer and a scanner."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from serial.tools.list_ports_common import ListPortInfo

from drivers.emulated import register
from drivers.emulated.bench import Bench
from drivers.emulated.machine import Build
from drivers.emulated.printer import EmulatedPrinter
from drivers.emulated.scanner import EmulatedScanner
from drivers.errors import Misconfigured
from drivers.escpos.job import JobState
from drivers.escpos.printer import Outlook, Printer
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Columns, Cut, Line, Qr, Slip
from drivers.events import DeviceEvent, Presence
from drivers.link import LineSettings, Link
from drivers.scanner.profile import ScannerProfile
from drivers.scanner.scan import Scan
from drivers.scanner.serial_scanner import SerialScanner
from tests.drivers.waiting import Seen

FAST = PrinterProfile(baud=115200, cut="partial")
SLIP = Slip(
    (
        Line("核销成功 Redeemed", align="center", size="tall"),
        Columns("份数 Shares", "2"),
        Qr("12345678901", caption="123 4567 8901"),
        Cut(),
    )
)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = register()
    yield made
    made.clear()


class Told:
    """Everything a printer tells."""

    def __init__(self) -> None:
        self.jobs: Seen[tuple[str, JobState, str]] = Seen()
        self.devices: Seen[DeviceEvent] = Seen()
        self.outlook = Outlook(on_job=self.jobs, on_event=self.devices)

    def end_of(self, job_id: str) -> tuple[str, JobState, str]:
        going = (JobState.QUEUED, JobState.PRINTING)
        return self.jobs.wait_for(lambda told: told[0] == job_id and told[1] not in going)


def printed_over(port: str) -> list[tuple[str, JobState, str]]:
    told = Told()
    printer = Printer(port, FAST, outlook=told.outlook)
    printer.start()
    try:
        printer.submit("j1", SLIP)
        told.end_of("j1")
    finally:
        printer.stop()
    return list(told.jobs)


WHOLE = [
    ("j1", JobState.QUEUED, ""),
    ("j1", JobState.PRINTING, ""),
    ("j1", JobState.PRINTED, ""),
]


def test_a_slip_over_an_emulated_url(bench: Bench, tmp_path: Path) -> None:
    """The slip is confirmed, and another process may look at it in the paper file."""
    paper = tmp_path / "slip.txt"
    assert printed_over(f"emulated://printer?paper={paper}&png={tmp_path / 'slip.png'}") == WHOLE
    text = bench.printer().paper_text()
    assert "核销成功 Redeemed" in text and "[qr 12345678901]" in text
    bench.clear()
    assert paper.read_text() == text
    assert (tmp_path / "slip.png").stat().st_size > 500


def test_a_slip_over_a_pty() -> None:
    """A plain path to a terminal is a port."""
    device = EmulatedPrinter(Build())
    assert printed_over(device.attach_pty()) == WHOLE
    device.stop()


def test_a_slip_over_tcp() -> None:
    """socket:// is a port."""
    device = EmulatedPrinter(Build())
    number = device.listen("127.0.0.1", 0)
    assert printed_over(f"socket://127.0.0.1:{number}") == WHOLE
    device.stop()


def test_the_journal_knows_before_the_paper(bench: Bench) -> None:
    """When the journal refuses, not one byte of the slip leaves."""

    class Refusing:
        def printing(self, job_id: str) -> None:
            raise OSError("disk full")

    told = Told()
    printer = Printer("emulated://printer", FAST, journal=Refusing(), outlook=told.outlook)
    printer.start()
    printer.submit("j1", SLIP)
    assert told.end_of("j1") == ("j1", JobState.FAILED, "journal: OSError")
    printer.stop()
    assert bench.printer().paper_text() == ""


@pytest.mark.parametrize("wire", ["emulated", "pty"])
def test_a_scanner_is_unplugged_and_plugged_again(wire: str, bench: Bench, tmp_path: Path) -> None:
    """A scan before and a scan after arrive; the loss is told once; half a scan is forgotten."""
    lasting = tmp_path / "by-id"
    device = bench.scanner() if wire == "emulated" else EmulatedScanner()
    port = "emulated://scanner" if wire == "emulated" else str(lasting)
    if wire == "pty":
        device.attach_pty(lasting)
    scans: Seen[Scan] = Seen()
    events: Seen[DeviceEvent] = Seen()
    scanner = SerialScanner(port, ScannerProfile(), on_scan=scans, on_event=events)
    scanner.start()
    assert events.wait().presence is Presence.FOUND
    device.scan("11111111111")
    assert scans.wait().text == "11111111111"
    device.unplug()
    assert events.wait().presence is Presence.LOST
    if wire == "emulated":
        device.replug()
    else:
        device.attach_pty(lasting)  # another pty number, the same lasting name
    assert events.wait().presence is Presence.FOUND
    device.scan("22222222222")
    assert scans.wait().text == "22222222222"
    scanner.stop()
    device.stop()


def test_a_device_is_followed_by_what_it_is_and_not_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scanner of ttyUSB0 comes back as ttyUSB1, and its old number goes to a stranger."""
    mine, stranger = EmulatedScanner(), EmulatedScanner()
    first, second = tmp_path / "ttyUSB0", tmp_path / "ttyUSB1"
    there = [usb_port(first, "1-2.1")]
    monkeypatch.setattr("drivers.ports.list_ports.comports", lambda: list(there))
    mine.attach_pty(first)
    scans: Seen[Scan] = Seen()
    events: Seen[DeviceEvent] = Seen()
    profile = ScannerProfile(commands="datalogic")
    scanner = SerialScanner(str(first), profile, on_scan=scans, on_event=events)
    scanner.start()
    assert events.wait().presence is Presence.FOUND
    there.clear()
    mine.unplug()
    assert events.wait().presence is Presence.LOST
    stranger.attach_pty(first)
    there.append(usb_port(first, "1-2.2"))
    mine.attach_pty(second)
    there.append(usb_port(second, "1-2.1"))
    assert events.wait().presence is Presence.FOUND
    mine.scan("12345678901")
    assert scans.wait().text == "12345678901"
    assert stranger.heard() == b"", "the stranger's port was never opened"
    scanner.stop()
    for device in (mine, stranger):
        device.stop()


def usb_port(path: Path, location: str) -> ListPortInfo:
    """A CH340 adapter, which has no serial number."""
    port = ListPortInfo(str(path))
    port.vid, port.pid, port.location = 0x1A86, 0x7523, location
    return port


def test_a_file_is_no_pipe_for_orders(bench: Bench, tmp_path: Path) -> None:
    """Somebody wrote to it before the device was there: said, instead of read for ever."""
    (tmp_path / "orders").write_text("paper out\n")
    port = f"emulated://printer?name=filed&control={tmp_path / 'orders'}"
    with pytest.raises(Misconfigured, match="no named pipe"):
        Link(port, LineSettings(), on_bytes=print, on_lost=print).open()


def test_a_line_in_the_feed_pipe_is_scanned(bench: Bench, tmp_path: Path) -> None:
    """Another process scans by writing a line."""
    feed = tmp_path / "feed"
    scans: Seen[Scan] = Seen()
    events: Seen[DeviceEvent] = Seen()
    port = f"emulated://scanner?feed={feed}"
    scanner = SerialScanner(port, ScannerProfile(), on_scan=scans, on_event=events)
    scanner.start()
    events.wait()
    with feed.open("w") as pipe:
        pipe.write("12345678901\n")
    assert scans.wait().text == "12345678901"
    scanner.stop()
