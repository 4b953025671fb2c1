"""A central service in a fresh database of either engine, and the same served over HTTP."""

import contextlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from central import catalogue, issuing, setup
from central.api.serve import Service
from central.catalogue import NewProduct, Product
from central.errors import Refused
from central.issuing import Issued, NewOrder
from central.service import Central
from tests import postgresql
from tests.central import till
from tests.central.till import Till

ENGINES = ("sqlite", "postgresql")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that opens a database on both engines; TEST_CENTRAL names one of them."""
    if "engine" in metafunc.fixturenames:
        only = os.environ.get("TEST_CENTRAL")
        metafunc.parametrize("engine", [only] if only else ENGINES, scope="session")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A PostgreSQL server of our own, with the tables in the database `ready`."""
    with postgresql.running() as url:
        postgresql.execute(url, "CREATE DATABASE ready")
        setup.migrate(postgresql.named(url, "ready"))
        yield url


@pytest.fixture
def database_url(tmp_path: Path, engine: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database: a new SQLite file, or a copy of the server's `ready`."""
    if engine == "sqlite":
        yield f"sqlite:///{tmp_path}/central.db"
        return
    server = request.getfixturevalue("server")
    name = f"t{secrets.token_hex(8)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE ready".encode())
        yield postgresql.named(server, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def central(database_url: str) -> Iterator[Central]:
    """Outlets 1 and 2; product 1 is good at both, 50.00 a share."""
    new = setup.NewMerchant("测试 Merchant", "Asia/Shanghai", "light")
    made = setup.init(database_url, new, secrets.token_bytes)
    assert isinstance(made, Central)
    catalogue.add_outlet(made, "East")
    catalogue.add_outlet(made, "West")
    assert isinstance(catalogue.add_product(made, NewProduct("Bread", 5000, (1, 2))), Product)
    yield made
    made.database.close()


@pytest.fixture
def url(central: Central) -> Iterator[str]:
    """The service over real HTTP."""
    with served(central) as address:
        yield address


@contextlib.contextmanager
def served(central: Central, **bounds: Any) -> Iterator[str]:
    """A service over real HTTP. `bounds`: `wait_s` and `most` of its connections."""
    service = Service(central, "127.0.0.1", 0, **bounds)
    ready = threading.Event()
    thread = threading.Thread(target=service.run, args=(lambda _: ready.set(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield service.url
    finally:
        service.stop()
        thread.join(10)
    assert not thread.is_alive()


Pair = Callable[..., Till]


@pytest.fixture
def pair(central: Central, url: str) -> Iterator[Pair]:
    """Enrols tills: `pair("POS1", outlet=1)`."""
    made: list[Till] = []

    def enrol(posid: str, outlet: int = 1, **more: int) -> Till:
        made.append(till.pair(central, url, posid, outlet, **more))
        return made[-1]

    yield enrol
    for one in made:
        one.http.close()


def issue(central: Central, **changes: object) -> Issued:
    """An issued voucher of product 1, 1 share, to 138 0000 1234."""
    order = NewOrder(**({"product": 1, "mobile": "13800001234"} | changes))  # type: ignore[arg-type]
    issued = issuing.issue(central, order)
    assert not isinstance(issued, Refused), issued
    return issued
