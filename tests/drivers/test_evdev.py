"""A keyboard scanner from recorded events, through a pipe: grab, scans, loss and return."""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.errors import Claimed, Misconfigured, Unplugged
from drivers.events import DeviceEvent, Presence
from drivers.scanner.evdev_scanner import EvdevScanner, _identity, find, grab
from drivers.scanner.profile import ScannerProfile
from drivers.scanner.scan import Scan
from tests.drivers.waiting import Seen

EVENT = struct.Struct("llHHi")
DIGITS = dict(zip("1234567890", range(2, 12), strict=True))
PROFILE = ScannerProfile(name="hid-evdev", kind="evdev", terminators=("cr", "tab"))


def keys(text: str) -> bytes:
    codes = [DIGITS[digit] for digit in text] + [28]
    return b"".join(
        EVENT.pack(0, 0, 1, code, value) + EVENT.pack(0, 0, 0, 0, 0)
        for code in codes
        for value in (1, 0)
    )


class Rig:
    """A pipe where the input device would be."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "event7"
        self.grabbed: list[int] = []
        self.scans: Seen[Scan] = Seen()
        self.events: Seen[DeviceEvent] = Seen()
        self.plug()
        self.scanner = EvdevScanner(
            str(self.path),
            PROFILE,
            on_scan=self.scans,
            on_event=self.events,
            take=self.grabbed.append,
        )

    def plug(self) -> None:
        os.mkfifo(self.path)
        self.writer = os.open(self.path, os.O_RDWR)

    def unplug(self) -> None:
        self.path.unlink()
        os.close(self.writer)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.scanner.stop()


def test_scans_loss_and_return(rig: Rig) -> None:
    """Grabbed before anything is read; half a scan is forgotten; grabbed again after replugging."""
    rig.scanner.start()
    assert rig.events.wait().presence is Presence.FOUND
    os.write(rig.writer, keys("12345678901")[:100])
    os.write(rig.writer, keys("12345678901")[100:])
    assert rig.scans.wait().text == "12345678901"
    os.write(rig.writer, keys("99")[:48])
    rig.unplug()
    assert rig.events.wait().presence is Presence.LOST
    rig.plug()
    assert rig.events.wait().presence is Presence.FOUND
    os.write(rig.writer, keys("22222222222"))
    assert rig.scans.wait().text == "22222222222"
    assert len(rig.grabbed) == 2


def test_silence_ends_a_scan_without_suffix(tmp_path: Path) -> None:
    """A keyboard scanner that sends no Enter."""
    made = Rig(tmp_path)
    made.scanner = EvdevScanner(
        str(made.path),
        ScannerProfile(terminators=(), idle_ms=30),
        on_scan=made.scans,
        on_event=made.events,
        take=made.grabbed.append,
    )
    made.scanner.start()
    made.events.wait()
    os.write(made.writer, keys("123")[: -4 * EVENT.size])
    assert (made.scans.wait().text, made.scans[0].complete) == ("123", False)
    made.scanner.stop()


def test_without_the_grab_nothing_is_read(tmp_path: Path) -> None:
    """A pipe is no input device: told as wrong, and not read."""
    os.mkfifo(tmp_path / "event0")
    events: Seen[DeviceEvent] = Seen()
    scanner = EvdevScanner(str(tmp_path / "event0"), PROFILE, on_scan=events, on_event=events)
    scanner.start()
    assert events.wait().presence is Presence.WRONG
    scanner.stop()


def test_a_missing_device_is_lost(tmp_path: Path) -> None:
    """Told once, looked for on."""
    events: Seen[DeviceEvent] = Seen()
    for port in ("input:05e0:1200", str(tmp_path / "event9")):
        scanner = EvdevScanner(port, PROFILE, on_scan=events, on_event=events)
        scanner.start()
        assert events.wait().presence is Presence.LOST
        scanner.stop()


def test_grab_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held by another program, or no input device at all."""

    def answer(number: int) -> None:
        def ioctl(*_: object) -> int:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "ioctl", ioctl)

    answer(errno.EBUSY)
    with pytest.raises(Claimed):
        grab(0)
    answer(errno.ENOTTY)
    with pytest.raises(Misconfigured):
        grab(0)


def test_finding_by_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """input:VID:PID is looked up in /dev/input; a path is taken as it is."""
    (tmp_path / "event3").touch()
    assert find("/dev/input/event1") == "/dev/input/event1"
    with pytest.raises(Unplugged):
        find("input:05e0:1200", tmp_path)
    assert _identity(tmp_path / "none") == ""
    known = struct.pack("HHHH", 3, 0x05E0, 0x1200, 1)
    monkeypatch.setattr(fcntl, "ioctl", lambda *_: known)
    assert find("input:05E0:1200", tmp_path) == str(tmp_path / "event3")
