"""The same symbol read twice in a moment, for the screen.

Responsible for: telling a trigger held too long from a second scan. Pure. Not responsible for: the
guard against redeeming twice, which is the request id of the redemption; a scan that is named a
repeat here is still shown, it is not an error.
"""

from drivers.scanner.scan import Scan


class DoubleRead:
    """Remembers one payload for `window_ms`."""

    def __init__(self, window_ms: int = 1_500) -> None:
        self._window_ms = window_ms
        self._raw = b""
        self._until_ms = -1
        self.repeats = 0

    def repeated(self, scan: Scan) -> bool:
        """Whether this is the same payload again within the window, which then runs anew."""
        same = scan.raw == self._raw and scan.at < self._until_ms
        self._raw, self._until_ms = scan.raw, scan.at + self._window_ms
        self.repeats += same
        return same

    def forget(self) -> None:
        """The screen moved on: the next scan is new, whatever it holds."""
        self._until_ms = -1
