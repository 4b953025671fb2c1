"""Words for a display and a scanner that are not there yet."""

from typing import cast

from drivers.display import Display
from terminal.front import Front
from terminal.scanning import ScannerWorker


class Told:
    """Takes what a display and a scanner are told."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def show(self, top: str, bottom: str) -> None:
        self.heard.append((top, bottom))

    def sound(self, *, good: bool) -> None:
        self.heard.append(good)

    def listen(self, *, on: bool) -> None:
        self.heard.append("on" if on else "off")


def test_a_display_that_comes_late_shows_what_holds_now() -> None:
    """The last lines, and from then on every pair."""
    front, display = Front(), Told()
    front.show("Latte", "Redeem 1 of 4?")
    front.show("Thank you", "")
    front.with_display(cast(Display, display))
    front.show("Welcome", "")
    assert display.heard == [("Thank you", ""), ("Welcome", "")]


def test_a_scanner_that_comes_late_is_quiet_while_a_person_is_asked() -> None:
    """Beeps of before are not made up for; whether to read is."""
    front, scanner = Front(), Told()
    front.sound(good=True)
    front.listen(on=False)
    front.with_scanner(cast(ScannerWorker, scanner))
    front.sound(good=False)
    front.listen(on=True)
    assert scanner.heard == ["off", False, "on"]


def test_a_scanner_that_comes_while_nothing_is_asked_is_left_alone() -> None:
    """It reads by itself."""
    front, scanner = Front(), Told()
    front.with_scanner(cast(ScannerWorker, scanner))
    assert scanner.heard == []
