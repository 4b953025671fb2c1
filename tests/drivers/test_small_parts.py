"""Ports by identity, back-off, statistics, clock, listeners that fail."""

import logging
from pathlib import Path

import pytest

from drivers.backoff import Backoff
from drivers.clock import SystemClock
from drivers.escpos.job import JobState
from drivers.escpos.printer import Outlook
from drivers.events import DeviceEvent, Presence
from drivers.ports import PortFound, discover, identity, resolve
from drivers.scanner.scan import Scan
from drivers.statistics import Counter, Tally, counted_outlook, counted_scans
from drivers.telling import tell
from tests.drivers.waiting import Seen

ONE = PortFound("/dev/ttyUSB0", 0x1A86, 0x7523, "", "1-2.1", "USB Serial")
TWIN = PortFound("/dev/ttyUSB1", 0x1A86, 0x7523, "", "1-2.2", "USB Serial")
NAMED = PortFound("/dev/ttyACM0", 0x05E0, 0x1701, "S123", "1-3", "Scanner")
NAMED_TWIN = PortFound("/dev/ttyACM1", 0x05E0, 0x1701, "S123", "", "Scanner")


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("/dev/ttyUSB7", "/dev/ttyUSB7"),
        ("socket://host:9100", "socket://host:9100"),
        ("usb:05e0:1701:S123", "/dev/ttyACM0"),
        ("usb:05E0:1701", "/dev/ttyACM0"),
        ("usb:05e0:1701:OTHER", "usb:05e0:1701:OTHER"),
        ("usb-at:1-2.2", "/dev/ttyUSB1"),
        ("usb-at:9-9", "usb-at:9-9"),
    ],
)
def test_resolve(spec: str, path: str) -> None:
    """The number of ttyUSB never matters; what is not there now stands for itself."""
    assert resolve(spec, (ONE, TWIN, NAMED)) == path


def test_identity() -> None:
    """A serial number, unless a twin has the same; else the place; else the path."""
    ports = (ONE, TWIN, NAMED)
    assert identity(NAMED, ports) == "usb:05e0:1701:S123"
    assert identity(ONE, ports) == "usb-at:1-2.1"
    assert identity(NAMED, (NAMED, NAMED_TWIN)) == "usb-at:1-3"
    assert identity(NAMED_TWIN, (NAMED, NAMED_TWIN)) == "/dev/ttyACM1"
    assert all(resolve(identity(port, ports), ports) == port.path for port in ports)


def test_discover_asks_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """USB ports only, with empty texts where the system knows nothing."""
    from serial.tools.list_ports_common import ListPortInfo

    plain, usb = ListPortInfo("/dev/ttyS0"), ListPortInfo("/dev/ttyUSB0")
    usb.vid, usb.pid, usb.location = 0x1A86, 0x7523, "1-2.1"
    monkeypatch.setattr("drivers.ports.list_ports.comports", lambda: [plain, usb])
    assert discover() == (PortFound("/dev/ttyUSB0", 0x1A86, 0x7523, "", "1-2.1", ""),)
    assert resolve("usb:1a86:7523") == "/dev/ttyUSB0"


def test_a_flapping_device_is_named_once() -> None:
    """Lost and found a hundred times in a row: told when it is lost first, and when back."""
    backoff = Backoff()
    assert backoff.opened(0), "the first opening is news"
    told = [backoff.lost(1_000), backoff.lost(1_500), backoff.opened(2_000), backoff.opened(2_001)]
    assert told == [True, False, True, False]


def test_waits_double_and_begin_anew_after_a_stable_time() -> None:
    """250, 500, 1,000, 1,000 ms; after ten seconds of use from the beginning."""
    backoff = Backoff()
    assert [backoff.failed() for _ in range(4)] == [250, 500, 1_000, 1_000]
    backoff.opened(0)
    backoff.lost(5_000)
    assert backoff.failed() == 1_000
    backoff.opened(6_000)
    backoff.lost(20_000)
    assert backoff.failed() == 250


def test_statistics_survive_a_restart(tmp_path: Path) -> None:
    """Counters go on where they stopped."""
    path = tmp_path / "scanner.json"
    tally = Tally(path)
    tally.add(Counter.GOOD_SCANS)
    tally.add(Counter.GOOD_SCANS, 2)
    tally.save()
    again = Tally(path)
    again.add(Counter.GOOD_SCANS)
    assert again.counts() == {"good_scan_count": 4} and again.fault == ""


@pytest.mark.parametrize("text", ["{", "[]", '{"good_scan_count": "many"}'])
def test_broken_statistics_stop_nothing(tmp_path: Path, text: str) -> None:
    """A damaged file begins again from nothing."""
    path = tmp_path / "scanner.json"
    path.write_text(text)
    tally = Tally(path)
    tally.add(Counter.GOOD_SCANS)
    assert tally.counts() == {"good_scan_count": 1}


def test_statistics_that_cannot_be_written(tmp_path: Path) -> None:
    """The fault is kept for the doctor; without a file nothing is written."""
    tally = Tally(tmp_path / "no" / "folder.json")
    tally.save()
    assert tally.fault
    Tally().save()


def test_listeners_are_counted_and_still_told(tmp_path: Path) -> None:
    """Slips by how they ended, scans by how sure they are, losses; on disk at each change."""
    told: Seen[object] = Seen()
    tally = Tally(tmp_path / "printer.json")
    outlook = counted_outlook(Outlook(on_job=told, on_event=told), tally)
    for state in JobState:
        outlook.on_job("a", state, "")
    for presence in Presence:
        outlook.on_event(DeviceEvent("p", presence, "", 0))
    on_scan = counted_scans(told, tally)
    for complete in (True, False):
        on_scan(Scan(b"1", "1", "", "unknown", "utf-8", complete, 0))
    assert len(told) == len(JobState) + len(Presence) + 2
    assert tally.counts() == {
        "slips_printed_count": 2,
        "slips_unknown_count": 1,
        "slips_failed_count": 1,
        "communication_error_count": 1,
        "good_scan_count": 1,
        "uncertain_scan_count": 1,
    }
    assert Tally(tmp_path / "printer.json").counts()["slips_printed_count"] == 2


def test_the_clock_goes_forward() -> None:
    """Whole milliseconds."""
    clock = SystemClock()
    first = clock.monotonic_ms()
    assert isinstance(first, int) and clock.monotonic_ms() >= first


def test_a_listener_that_fails_is_logged_by_kind(caplog: pytest.LogCaptureFixture) -> None:
    """Its text could quote a slip, so only the kind of fault is logged."""

    def broken(text: str) -> None:
        raise ValueError(text)

    with caplog.at_level(logging.ERROR):
        tell(broken, "12345678901")
    assert "ValueError" in caplog.text and "12345678901" not in caplog.text
