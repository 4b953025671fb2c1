"""The kiosk's two clocks.

Responsible for: monotonic milliseconds for events, and the time of day for the status line. Not
responsible for: the time that vouchers are judged by (`terminal.clock`).
"""

import time


def now_ms() -> int:
    """Monotonic milliseconds, the clock of every event."""
    return round(time.monotonic() * 1000)


def wall_ms() -> int:
    """The time of day in milliseconds UTC, shown and never decided by."""
    return round(time.time() * 1000)
