"""The wall clock of the central service.

Responsible for: what time it is. The only module of this package that asks. Not responsible for:
trusting a terminal's clock.
"""

import time


def now_ms() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000
