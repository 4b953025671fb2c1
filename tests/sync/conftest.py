"""A terminal and a central in memory, joined by real HTTP."""

import pytest

from tests.sync.server import ScriptedServer
from tests.sync.till import Service, Till


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def server(service):
    with ScriptedServer(service) as running:
        yield running


@pytest.fixture
def till(tmp_path):
    return Till(tmp_path)


@pytest.fixture
def ports(till, server):
    made = till.ports(server.url)
    yield made
    made.central.close()
