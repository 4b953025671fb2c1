"""What stands before the customer and in the clerk's hand, spoken to before it is there.

Responsible for: passing the screen's words on to the customer display and to the scanner once they
have been started, and keeping the last ones until then. Not responsible for: starting them, or
what is said. Invariants: no call waits; a device that comes late is told what holds now.
"""

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.display import Display
    from terminal.scanning import ScannerWorker


class Front:
    """The devices at the front of the counter; the screen calls it from its own thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._display: Display | None = None
        self._scanner: ScannerWorker | None = None
        self._lines = "", ""
        self._listening = True

    def show(self, top: str, bottom: str) -> None:
        """Two lines for the customer."""
        with self._lock:
            self._lines = top, bottom
            if self._display is not None:
                self._display.show(top, bottom)

    def sound(self, *, good: bool) -> None:
        """Let the scanner beep; a beep that comes late would only mislead."""
        if self._scanner is not None:
            self._scanner.sound(good=good)

    def listen(self, *, on: bool) -> None:
        """Let the scanner read, or stay quiet."""
        with self._lock:
            self._listening = on
            if self._scanner is not None:
                self._scanner.listen(on=on)

    def with_display(self, display: "Display") -> None:
        """The display is there."""
        with self._lock:
            self._display = display
            display.show(*self._lines)

    def with_scanner(self, scanner: "ScannerWorker") -> None:
        """The scanner is there; it reads unless told otherwise."""
        with self._lock:
            self._scanner = scanner
            if not self._listening:
                scanner.listen(on=False)
