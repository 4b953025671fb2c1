"""The clock drivers are handed.

Responsible for: one monotonic reading in whole milliseconds. Not responsible for: the time of day
(a scan or a job is stamped by whoever journals it) and for waiting: pure modules are told `now_ms`,
worker threads wait on their queues.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Anything that can say how many milliseconds have passed since some fixed moment."""

    def monotonic_ms(self) -> int:
        """Milliseconds, never going back."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def monotonic_ms(self) -> int:
        """Milliseconds since an arbitrary moment, unaffected by clock changes."""
        return time.monotonic_ns() // 1_000_000
