"""`bench central`: what the central service costs, each figure against a bare limit of its run.

Responsible for: which comparisons there are. Not responsible for: making them; each is a module of
its own (`bench_upload` and its like). Invariants: a figure never stands alone, its bare limit was
timed in the same run, turn about, with the same rows and as many commits.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from central import (
    bench_feed,
    bench_http,
    bench_sealing,
    bench_snapshot,
    bench_together,
    bench_upload,
)
from central.bench_ground import Effort

ENGINES: Final = ("postgresql", "sqlite")
BATCHES_MAX: Final = 10_000
"""Five million entries, about 10 GB on disk; more is a mistake of the hand."""


TERMINALS_MAX: Final = 5_000
"""A socket each, twice, in two processes of one machine."""

SECONDS_MAX: Final = 3_600
VOUCHERS_MAX: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Crowds:
    """How many terminals wait for news, for how long it is measured, and vouchers in a snapshot."""

    terminals: int = 1_000
    seconds: int = 8
    vouchers: int = 100_000


class Shown(Protocol):
    """A figure as it is printed."""

    def json(self) -> dict[str, object]:
        """The figure as an object."""

    def text(self) -> str:
        """The figure as a sentence."""


Comparison = Callable[[str, Effort, Crowds], Iterator[Shown]]

COMPARISONS: Final[dict[str, Comparison]] = {
    "upload": lambda engine, effort, _: bench_upload.figures(engine, effort),
    "http": lambda engine, effort, _: bench_http.figures(engine, effort),
    "together": lambda engine, *_: bench_together.figures(engine),
    "download": lambda engine, effort, _: iter((bench_feed.download(engine, effort),)),
    "lag": lambda engine, _, crowds: iter(
        (bench_feed.lag(engine, crowds.terminals, crowds.seconds),)
    ),
    "snapshot": lambda engine, _, crowds: bench_snapshot.figures(engine, crowds.vouchers),
    "sealing": lambda engine, *_: bench_sealing.figures(engine),
}
"""By the name that `--only` takes."""


def figures(
    engines: Sequence[str], effort: Effort, crowds: Crowds, only: Sequence[str] = ()
) -> Iterator[Shown]:
    """Each comparison, as soon as it is known; all of them unless named."""
    for engine in engines:
        for name, compare in COMPARISONS.items():
            if not only or name in only:
                yield from compare(engine, effort, crowds)
