"""What a bench says: timings of the same run, set against each other.

Responsible for: taking turns between what is compared, medians and 99th percentiles, and the form
of a row. Not responsible for: what is measured. Invariants: a figure never stands alone, its bare
limit was timed in the same run, turn about; whether a goal is met follows from the figures.
"""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter_ns
from typing import Final

Turn = Callable[[], int]
"""Does some work once; answers how long it took, in nanoseconds."""

_US: Final = 1_000


@dataclass(frozen=True, slots=True)
class Timing:
    """How long something took, in nanoseconds, each time."""

    taken: tuple[int, ...]

    @property
    def p50(self) -> float:
        """The median in microseconds."""
        return median(self.taken) / _US

    @property
    def p99(self) -> float:
        """The time in microseconds that one in a hundred exceeds."""
        return sorted(self.taken)[-(-99 * len(self.taken) // 100) - 1] / _US


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound from the design: `least` turns it around. `unit` is `x` for a ratio."""

    bound: float
    least: bool = False
    unit: str = "x"

    def met(self, value: float) -> bool:
        """Whether a value keeps the bound."""
        return value >= self.bound if self.least else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.least else '<='} {self.bound:,g} {self.unit}"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. `value` is what the goal speaks of; it is the ratio unless said otherwise."""

    what: str
    bare_is: str
    measured: Timing
    bare: Timing
    ratio: float
    goal: Goal
    value: float | None = None
    more: dict[str, float] = field(default_factory=dict)
    sound: bool = True
    """False where something happened that may not happen however quickly: then no goal is met."""

    @property
    def met(self) -> bool:
        """Whether this run kept the goal."""
        return self.sound and self.goal.met(self.ratio if self.value is None else self.value)

    def json(self) -> dict[str, object]:
        """The row for `--json`: times in microseconds."""
        return {
            "what": self.what,
            "measured_us": round(self.measured.p50, 1),
            "measured_p99_us": round(self.measured.p99, 1),
            "bare": self.bare_is,
            "bare_us": round(self.bare.p50, 1),
            "bare_p99_us": round(self.bare.p99, 1),
            "ratio": round(self.ratio, 2),
            "goal": str(self.goal),
            "met": self.met,
            "samples": len(self.measured.taken),
            **{name: round(value, 1) for name, value in self.more.items()},
        }

    def text(self) -> str:
        """The row for a person."""
        more = "".join(f", {name} {value:,.0f}" for name, value in self.more.items())
        return (
            f"{self.what}\n"
            f"  {_span(self.measured)} against {_span(self.bare)} for {self.bare_is}{more}\n"
            f"  ratio {self.ratio:.2f}, goal {self.goal}: {'met' if self.met else 'NOT met'}\n"
        )


@dataclass(frozen=True, slots=True)
class Amount:
    """A comparison of sizes; the goal is a bound on the measured one, in the same `unit`."""

    what: str
    unit: str
    measured: float
    bare_is: str
    bare: float
    goal: Goal

    @property
    def met(self) -> bool:
        """Whether this run kept the goal."""
        return self.goal.met(self.measured)

    def json(self) -> dict[str, object]:
        """The row for `--json`."""
        return {
            "what": self.what,
            f"measured_{self.unit}": round(self.measured, 1),
            "bare": self.bare_is,
            f"bare_{self.unit}": round(self.bare, 1),
            "ratio": round(self.measured / self.bare, 2),
            "goal": str(self.goal),
            "met": self.met,
        }

    def text(self) -> str:
        """The row for a person."""
        return (
            f"{self.what}\n"
            f"  {self.measured:,.1f} {self.unit} against {self.bare:,.1f} for {self.bare_is}\n"
            f"  ratio {self.measured / self.bare:.2f}, goal {self.goal}:"
            f" {'met' if self.met else 'NOT met'}\n"
        )


@dataclass(frozen=True, slots=True)
class Skipped:
    """A comparison that cannot be made here, and why."""

    what: str
    why: str

    def json(self) -> dict[str, object]:
        """The row for `--json`."""
        return {"what": self.what, "skipped": self.why, "met": None}

    def text(self) -> str:
        """The row for a person."""
        return f"{self.what}\n  skipped: {self.why}\n"


def turn_about(
    turns: Sequence[Turn], *, rounds: int, each: int, between: Callable[[], object] = gc.collect
) -> list[Timing]:
    """Take turns, `each` times in each of `rounds`, with `between` before every round.

    What disturbs the machine then disturbs all of them, and each finds the caches as cold as the
    others do: a customer comes once in a while, not in a loop.
    """
    taken: list[list[int]] = [[] for _ in turns]
    for _ in range(rounds):
        between()
        for number in range(each):
            for step in range(len(turns)):
                which = (number + step) % len(turns)
                taken[which].append(turns[which]())
    return [Timing(tuple(times)) for times in taken]


def timed(work: Callable[[], object]) -> int:
    """How long one call takes, in nanoseconds."""
    before = perf_counter_ns()
    work()
    return perf_counter_ns() - before


def _span(timing: Timing) -> str:
    if timing.p50 >= 10_000:
        return f"{timing.p50 / 1_000:.1f} ms (p99 {timing.p99 / 1_000:.1f})"
    return f"{timing.p50:.1f} us (p99 {timing.p99:.1f})"
