"""Running worlds: one after the other, or many at once on all cores.

Responsible for: the ready-made merchant of a process, counting, and telling of what went wrong
with the command that shows it again. Not responsible for: what happens in a world.
"""

import atexit
import contextlib
import os
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.simulation.template import Template, make
from tests.simulation.world import World

PORTION = 50
"""Worlds that one process lives through before it reports."""


@dataclass(frozen=True)
class Failure:
    """A world in which a promise was broken, or the product fell over."""

    seed: int
    kind: str
    what: str
    trace: str
    history: list[str]

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.what}\nagain: python -m tests.simulation --seed {self.seed}"
        )


@dataclass
class Outcome:
    """What some worlds came to. `digests` are their histories, by seed."""

    worlds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    digests: dict[int, str] = field(default_factory=dict)

    def add(self, other: "Outcome") -> None:
        self.worlds += other.worlds
        self.counts += other.counts
        self.failures += other.failures
        self.digests |= other.digests


@contextlib.contextmanager
def merchant() -> Iterator[Template]:
    """A ready-made merchant, in memory where the system has a directory for that."""
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="hexiao-worlds-", dir=where) as folder:
        yield make(Path(folder))


def live(seeds: Iterable[int], template: Template) -> Outcome:
    """One world for each seed."""
    outcome = Outcome()
    for seed in seeds:
        world = World(seed, template)
        outcome.worlds += 1
        try:
            outcome.digests[seed] = world.run()
        except Exception as error:  # noqa: BLE001 whatever it is, it is what the world came to
            kind = type(error).__name__
            trace = "".join(traceback.format_exception(error))
            failure = Failure(seed, kind, f"{kind}: {error}", trace, world.history)
            outcome.failures.append(failure)
        outcome.counts.update(world.auditor.counts)
    return outcome


def first_failure(
    seeds: Iterable[int], template: Template, mutate: Callable[[pytest.MonkeyPatch], None]
) -> Failure | None:
    """The first of these worlds that is wrong in a product that was broken on purpose."""
    for seed in seeds:
        with pytest.MonkeyPatch.context() as patch:
            mutate(patch)
            outcome = live([seed], template)
        if outcome.failures:
            return outcome.failures[0]
    return None


@cache
def _own_template() -> Template:
    """The merchant of this worker process, for as long as it runs."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(merchant())


def _portion(first: int, last: int) -> Outcome:
    outcome = live(range(first, last), _own_template())
    outcome.digests.clear()
    return outcome


def live_many(first: int, worlds: int, *, jobs: int) -> Iterator[Outcome]:
    """Worlds `first` to `first + worlds - 1` on several processes; portions as they are done."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        ends = first + worlds
        portions = [
            pool.submit(_portion, start, min(start + PORTION, ends))
            for start in range(first, ends, PORTION)
        ]
        for done in as_completed(portions):
            yield done.result()
