"""`bench central`: what the central service costs, each figure against a bare limit of its run.

Responsible for: which comparisons there are. Not responsible for: making them; each is a module of
its own (`bench_upload` and its like). Invariants: a figure never stands alone, its bare limit was
timed in the same run, turn about, with the same rows and as many commits.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from central import bench_upload
from central.bench_ground import Effort

ENGINES: Final = ("postgresql", "sqlite")
BATCHES_MAX: Final = 10_000
"""Five million entries, about 10 GB on disk; more is a mistake of the hand."""


class Shown(Protocol):
    """A figure as it is printed."""

    def json(self) -> dict[str, object]:
        """The figure as an object."""

    def text(self) -> str:
        """The figure as a sentence."""


def figures(engines: Sequence[str], effort: Effort) -> Iterator[Shown]:
    """Each comparison, as soon as it is known."""
    for engine in engines:
        yield from bench_upload.figures(engine, effort)
