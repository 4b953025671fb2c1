"""One ready-made merchant for all worlds of a test process."""

from collections.abc import Iterator

import pytest

from tests.simulation import runner
from tests.simulation.template import Template


@pytest.fixture(scope="session")
def template() -> Iterator[Template]:
    with runner.merchant() as made:
        yield made
