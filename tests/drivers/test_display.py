"""Customer display: whole frames per family, and the latest frame after a replug."""

import os
from pathlib import Path

import pytest

from drivers.display import Display, DisplayProfile, frame, opening
from drivers.emulated.scanner import EmulatedScanner
from drivers.events import DeviceEvent, Presence
from tests.drivers.waiting import Seen, until


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (
            DisplayProfile(),
            b"\x1bQACoffee x2           \r\x1bQBLast four digits?   \r",
        ),
        (
            DisplayProfile(family="escpos"),
            b"\x1f$\x01\x01Coffee x2           \x1f$\x01\x02Last four digits?   ",
        ),
        (
            DisplayProfile(family="text", columns=18, charset="utf-8"),
            b"\x0cCoffee x2         \r\nLast four digits? \r\n",
        ),
    ],
)
def test_golden_frames(profile: DisplayProfile, expected: bytes) -> None:
    """Byte for byte as the manuals have them."""
    assert frame(profile, "Coffee x2", "Last four digits?") == expected


def test_text_is_fitted_and_cannot_command() -> None:
    """Control bytes vanish; too long is cut; Hanzi count double, never half; ASCII drops them."""
    panel = DisplayProfile(family="text", columns=5, charset="gb18030")
    assert frame(panel, "优惠券", "a\x0cb\x1b") == b"\x0c\xd3\xc5\xbb\xdd \r\nab   \r\n"
    assert frame(DisplayProfile(columns=4), "优A惠BCDEF", "").startswith(b"\x1bQAABCD\r")
    assert opening(panel) == b"" and opening(DisplayProfile()) == b"\x1b@\x0c"


def test_the_latest_frame_after_replugging(tmp_path: Path) -> None:
    """A display that comes back shows what is true now; losses are told once."""
    lasting = tmp_path / "display"
    device = EmulatedScanner()  # any device that listens will do
    device.attach_pty(lasting)
    events: Seen[DeviceEvent] = Seen()
    display = Display(str(lasting), DisplayProfile(), on_event=events)
    display.start()
    display.show("first", "")
    until(lambda: b"first" in device.heard())
    device.unplug()
    assert [events.wait().presence for _ in range(2)] == [Presence.FOUND, Presence.LOST]
    display.show("second", "")
    display.show("third", "")
    device.attach_pty(lasting)
    until(lambda: b"third" in device.heard())
    assert b"second" not in device.heard()
    assert events.wait().presence is Presence.FOUND
    display.stop()
    device.stop()
    assert not os.path.lexists(lasting)


def test_a_wrong_port_is_told() -> None:
    """A setting that cannot work is told as such."""
    events: Seen[DeviceEvent] = Seen()
    display = Display("nothing://", DisplayProfile(), on_event=events)
    display.start()
    assert events.wait().presence is Presence.WRONG
    display.stop()
