"""A line that breaks while a snapshot is on its way.

Responsible for: seeing where each request for the file begins, ending the connection in the middle
as often as told, and calling a test before it does. Not responsible for: anything else on the line.
"""

import re
import threading
import time
from collections.abc import Callable

from tests.central.faulty_line import FaultyLine

_FILE = re.compile(rb"GET /v1/snapshots/[0-9a-f]{64}", re.ASCII)
_RANGE = re.compile(rb"\r\nrange: bytes=(\d+)-\r\n", re.ASCII | re.IGNORECASE)


class Breaks:
    """Put on a line, it ends the first `times` connections that bring more than `after` bytes."""

    def __init__(self, line: FaultyLine, *, after: int, times: int) -> None:
        self._after, self._left = after, times
        self.meanwhile: Callable[[], None] = lambda: None
        """Called in the middle, before the connection ends."""
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self.asked: list[int] = []
        """The byte that each request for the file began at."""
        self.moments: list[float] = []
        """When, in seconds since this was made."""
        line.up, line.down = self._up, self._down

    def _up(self, piece: bytes, _before: int) -> tuple[bytes, bool]:
        if _FILE.search(piece):
            found = _RANGE.search(piece)
            self.asked.append(int(found[1]) if found else 0)
            self.moments.append(round(time.monotonic() - self._began, 1))
        return piece, True

    def _down(self, piece: bytes, before: int) -> tuple[bytes, bool]:
        if before + len(piece) <= self._after:
            return piece, True
        with self._lock:
            if not self._left:
                return piece, True
            self._left -= 1
        self.meanwhile()
        return piece[: max(0, self._after - before)], False
