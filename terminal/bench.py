"""`bench`: speed on this machine, as ratios to bare limits of the same run (design, section 9).

Responsible for: which comparisons are made and how often, and writing each as soon as it is known.
Not responsible for: making them (`bench_redeem`, `bench_reading` and the others). Invariants:
everything it needs it makes in temporary directories, and takes away again; a goal that is not met
is said and does not change the exit status, because a busy machine misses goals too.
"""

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import apsw

from terminal import (
    bench_beside,
    bench_filling,
    bench_memory,
    bench_reading,
    bench_redeem,
    bench_screen,
    bench_slip,
    bench_start,
)
from terminal.bench_rows import Amount, Row, Skipped
from terminal.desk import DONE, WRONG_USE, Io, fail
from terminal.errors import OutOfService

ROWS_MAX: Final = 50_000_000
"""About 15 GB on disk; more is a mistake of the hand."""


Comparison = Callable[[], Row | Amount | Skipped]


@dataclass(frozen=True, slots=True)
class Plan:
    """How often each comparison is made."""

    light: bench_redeem.Effort
    default: bench_redeem.Effort
    look_up: bench_reading.Effort
    journal: bench_reading.Check
    bootstrap: bench_filling.Effort
    delta: bench_filling.Effort
    beside: bench_beside.Effort
    start: bench_start.Effort
    scan: bench_screen.Effort
    memory: bench_screen.Effort
    received: tuple[int, int]
    """Vouchers by a file and by the feed, where memory is looked at."""


def planned(rows: int, feed: int) -> Plan:
    """A run of about two minutes, with so many vouchers held and brought by the feed."""
    return Plan(
        light=bench_redeem.Effort(rounds=20, each=25, rows=rows),
        default=bench_redeem.Effort(rounds=20, each=3, rows=rows),
        look_up=bench_reading.Effort(rounds=20, each=500, rows=rows),
        journal=bench_reading.Check(rounds=5, entries=20_000),
        bootstrap=bench_filling.Effort(rounds=3, rows=rows),
        delta=bench_filling.Effort(rounds=3, rows=feed),
        beside=bench_beside.Effort(redemptions=120, rows=rows, delta=feed),
        start=bench_start.Effort(starts=9, rows=rows),
        scan=bench_screen.Effort(customers=40, rows=rows),
        memory=bench_screen.Effort(customers=3, rows=rows),
        received=(rows, feed),
    )


def bench(args: Namespace, io: Io) -> int:
    """The command. Raises OutOfService when the disk is full."""
    if args.side != "terminal":
        message = "there is nothing to measure at central yet; `hexiao bench` measures the terminal"
        fail("out_of_service", message, io, as_json=args.json)
        return WRONG_USE
    for name, value in (("--rows", args.rows), ("--feed", args.feed)):
        if not 1 <= value <= ROWS_MAX:
            message = f"{name} must lie between 1 and {ROWS_MAX:,}"
            fail("out_of_service", message, io, as_json=args.json)
            return WRONG_USE
    return run(planned(args.rows, args.feed), io, as_json=args.json, only=args.only)


def run(plan: Plan, io: Io, *, as_json: bool, only: Sequence[str] = ()) -> int:
    """Make the comparisons of a plan, all unless named, and write each as soon as it is known."""
    try:
        for name, compare in _comparisons(plan).items():
            if only and name not in only:
                continue
            row = compare()
            if as_json:
                io.json(row.json())
            else:
                io.out(row.text())
    except (apsw.Error, OSError) as error:
        raise OutOfService(f"the bench's own files cannot be written: {error}") from error
    return DONE


def _comparisons(plan: Plan) -> dict[str, Comparison]:
    """By the name that `--only` takes."""
    return {
        "redeem-light": lambda: bench_redeem.light(plan.light),
        "redeem-default": lambda: bench_redeem.default(plan.default),
        "look-up": lambda: bench_reading.look_up(plan.look_up),
        "journal": lambda: bench_reading.journal_check(plan.journal),
        "file": lambda: bench_filling.bootstrap(plan.bootstrap),
        "feed": lambda: bench_filling.delta(plan.delta),
        "beside": lambda: bench_beside.redeem(plan.beside),
        "start": lambda: bench_start.kiosk_start(plan.start),
        "scan": lambda: bench_screen.scan(plan.scan),
        "memory": lambda: bench_screen.memory(plan.memory),
        "memory-file": lambda: bench_memory.from_file(plan.received[0]),
        "memory-feed": lambda: bench_memory.from_feed(plan.received[1]),
        "slip": bench_slip.size,
    }
