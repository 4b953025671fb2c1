"""What time it is, as far as this terminal can know.

Responsible for: reading the system's clocks in one place and estimating the time from the last
signed server time, the time since boot and the journal's own last time (design, section 6,
"Clock"). Not responsible for: what depends on it. Invariants: the estimate never goes behind the
floor; the floor never goes back; a suspect clock is said, never guessed away.
"""

import threading
import time
import uuid
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from vouchers.times import DAY_MS, MINUTE_MS

FORWARD_MAX_MS: Final = 30 * DAY_MS
"""A terminal that was switched off for longer has its clock looked at by a person."""

BACKWARD_MAX_MS: Final = 10 * MINUTE_MS
"""A quartz clock may lag the server's by minutes; the estimate is floored, so nothing revives."""


class Reading(Struct, frozen=True):
    """One look at the machine: wall clock and milliseconds since boot, and which boot it is."""

    wall_ms: int
    boot: str
    mono_ms: int


class Clock(Protocol):
    """The lowest seam of time."""

    def read(self) -> Reading:
        """Look at the clocks."""
        ...


class SystemClock:
    """The machine's own clocks; time asleep counts where the system can tell."""

    def __init__(self) -> None:
        self._source = getattr(time, "CLOCK_BOOTTIME", None)
        path = Path("/proc/sys/kernel/random/boot_id")
        self._boot = path.read_text().strip() if path.exists() else str(uuid.uuid4())

    def read(self) -> Reading:
        """Look at the clocks."""
        since = time.monotonic_ns() if self._source is None else time.clock_gettime_ns(self._source)
        return Reading(time.time_ns() // 1_000_000, self._boot, since // 1_000_000)


class Anchor(Struct, frozen=True):
    """A signed server time and when, by this boot's counter, it arrived."""

    server_ms: int
    boot: str
    mono_ms: int


class Estimate(Struct, frozen=True):
    """The time to go by, and what may be believed of it. Milliseconds UTC."""

    now: int
    floor: int
    suspect: bool
    reading: Reading


class EstimatedClock:
    """Time from the best evidence at hand. Thread-safe on its own: a request to central is signed
    with this time while the counter waits for its answer.
    """

    def __init__(self, clock: Clock, *, floor_ms: int, anchor: Anchor | None) -> None:
        self._clock = clock
        self._floor, self._anchor = floor_ms, anchor
        self._started = clock.read()
        self._floor_at_start = floor_ms
        self._lock = threading.Lock()

    def estimate(self) -> Estimate:
        """The time now."""
        with self._lock:
            return self._estimate(self._clock.read())

    def _estimate(self, reading: Reading) -> Estimate:
        anchor = self._anchor
        if anchor is not None and anchor.boot == reading.boot:
            now = anchor.server_ms + reading.mono_ms - anchor.mono_ms
            return Estimate(max(now, self._floor), self._floor, suspect=False, reading=reading)
        behind = reading.wall_ms < self._floor - BACKWARD_MAX_MS
        ahead = self._floor > 0 and reading.wall_ms > self._floor + FORWARD_MAX_MS + self._uptime(
            reading
        )
        if behind or ahead:
            proven = self._floor_at_start + self._uptime(reading)
            self._floor = max(self._floor, proven)
            return Estimate(self._floor, self._floor, suspect=True, reading=reading)
        now = max(reading.wall_ms, self._floor)
        return Estimate(now, self._floor, suspect=False, reading=reading)

    def journalled(self, at_ms: int) -> None:
        """An entry was committed at that time: the floor rises to it."""
        with self._lock:
            self._floor = max(self._floor, at_ms)

    def server_time(self, server_ms: int, reading: Reading) -> Anchor:
        """A signed server time arrived at `reading`; answers what to keep across restarts."""
        anchor = Anchor(server_ms, reading.boot, reading.mono_ms)
        with self._lock:
            self._anchor = anchor
        return anchor

    def read(self) -> Reading:
        """A plain look at the machine's clocks."""
        return self._clock.read()

    def _uptime(self, reading: Reading) -> int:
        return max(0, reading.mono_ms - self._started.mono_ms)
