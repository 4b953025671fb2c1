"""What every test gets: repeatable randomness, one seed that is printed, logs that must format.

Nothing here stands in for a part of the product.
"""

from __future__ import annotations

import logging
import os
import random
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable",
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("soak", deadline=None, print_blob=True, max_examples=5_000)
settings.load_profile("repeatable")

OUR_PACKAGES = ("vouchers", "drivers", "sync", "terminal", "central", "config", "hexiao")


class StrictHandler(logging.Handler):
    """Formats every record at once: a log call with wrong arguments fails the test that made it."""

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()


@pytest.fixture(autouse=True)
def logs_must_format() -> Iterator[None]:
    """Turn all of our loggers up and let a badly formatted message raise where it is logged."""
    handler = StrictHandler(logging.DEBUG)
    levels = {name: logging.getLogger(name).level for name in OUR_PACKAGES}
    for name in OUR_PACKAGES:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test: fixed by its name, or HEXIAO_SEED; shown when the test fails."""
    chosen = int(os.environ.get("HEXIAO_SEED") or zlib.crc32(request.node.nodeid.encode()))
    print(f"seed {chosen}: HEXIAO_SEED={chosen} repeats this run")
    return chosen


@pytest.fixture
def rng(seed: int) -> random.Random:
    """A generator of its own for this test, from its seed."""
    return random.Random(seed)
