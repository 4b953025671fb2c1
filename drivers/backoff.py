"""When to try a lost device again, and when to speak about it.

Responsible for: the waiting times between attempts to open a port, and for naming a flapping device
once instead of a hundred times. Pure. Invariants: waits double from `first_ms` to `last_ms`; a
device is called stable only after `stable_ms` of use, so one that comes and goes every second does
not start again at the shortest wait.
"""

from dataclasses import dataclass

FIRST_MS = 250  # found again within 2 s of being plugged in: 250 + 500 + 1000 < 2000
LAST_MS = 1_000
STABLE_MS = 10_000


@dataclass(slots=True)
class Backoff:
    """The state of one device's attempts. Not shared between threads."""

    first_ms: int = FIRST_MS
    last_ms: int = LAST_MS
    stable_ms: int = STABLE_MS
    _wait_ms: int = 0
    _opened_ms: int | None = None
    _told: bool = False

    def failed(self) -> int:
        """One more attempt failed: milliseconds to wait before the next."""
        self._wait_ms = min(self._wait_ms * 2, self.last_ms) if self._wait_ms else self.first_ms
        return self._wait_ms

    def opened(self, now_ms: int) -> bool:
        """The port opened. True when this is worth telling (it was named lost, or is new)."""
        fresh = self._opened_ms is None
        self._opened_ms = now_ms
        was_told, self._told = self._told, False
        return fresh or was_told

    def lost(self, now_ms: int) -> bool:
        """The port went away or would not open. True the first time of a row, then False."""
        if self._opened_ms is not None and now_ms - self._opened_ms >= self.stable_ms:
            self._wait_ms = 0
        first, self._told = not self._told, True
        return first
