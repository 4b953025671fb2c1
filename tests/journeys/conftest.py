"""A merchant for each journey: made once by the commands, copied for each test."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys import world as worlds
from tests.journeys.world import Till, World


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Central with two outlets and a product, and three tills that are paired and in sync."""
    return worlds.prepare(tmp_path_factory.mktemp("merchant") / "made", random.Random())


@pytest.fixture
def world(prepared: World, tmp_path: Path) -> Iterator[World]:
    """The merchant of this test; central is not running yet."""
    made = worlds.copy(prepared, tmp_path / "world")
    yield made
    made.close()


@pytest.fixture
def till(world: World) -> Till:
    """The first till."""
    return world.tills["T1"]
