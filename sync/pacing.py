"""When to try again.

Responsible for: the pause after a failure, growing and spread, and central's wish to be left alone.
Not responsible for: deciding what failed, or waiting.
Invariants: pauses at least double their bound up to `PAUSE_MS_MAX`; two terminals that failed
together do not come back together, because half of each pause is chance, given as a value; what
central asks for is the least, and is spread as well, or a fleet would come back as one.
"""

from dataclasses import dataclass
from typing import Final

PAUSE_MS_FIRST: Final = 1_000
"""After the first failure: a lost packet is not an outage."""

PAUSE_MS_MAX: Final = 60_000
"""A shop that comes back online is heard within a minute."""

ASKED_PAUSE_S_MAX: Final = 600
"""What central may ask for; beyond it a mistake there would silence the fleet for long."""

_DOUBLINGS_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Pace:
    """Failures in a row, and the moment (monotonic ms) before which nothing is tried."""

    failures: int = 0
    not_before_ms: int = 0

    def wait_ms(self, now_ms: int) -> int:
        """How long to wait still."""
        return max(0, self.not_before_ms - now_ms)


def after_failure(pace: Pace, *, now_ms: int, chance: float, asked_s: int | None = None) -> Pace:
    """The pace after one more failure. `chance` is in [0, 1); `asked_s` is central's own wish."""
    bound = min(PAUSE_MS_MAX, PAUSE_MS_FIRST << min(pace.failures, _DOUBLINGS_MAX))
    pause = bound // 2 + int(bound // 2 * chance)
    if asked_s is not None:
        asked = min(max(asked_s, 0), ASKED_PAUSE_S_MAX) * 1000
        pause += asked + int(min(asked, PAUSE_MS_MAX) * chance)
    return Pace(pace.failures + 1, now_ms + pause)
