"""A shop on real files, and its counter."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.counter import ShopCounter
from tests.terminal.service import Central, serving
from tests.terminal.shop import Shop, close


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """One enrolled terminal with a replica."""
    return Shop(tmp_path / "data")


@pytest.fixture
def counter(shop: Shop) -> Iterator[ShopCounter]:
    """The shop's terminal, open, with a printer that nobody started."""
    opened = shop.open(has_printer=True)
    yield opened
    close(opened)


@pytest.fixture(scope="session")
def central(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Central]:
    """One central service for all tests that need one; each pairs terminals of its own."""
    with serving(tmp_path_factory.mktemp("central")) as running:
        yield running
