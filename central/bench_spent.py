"""What a way of doing something spends: the clock's time, and the processor's by process.

Responsible for: the accounts of Linux, which are the only ones that tell processes apart. Not
responsible for: what is measured. Invariant: where the system keeps no such accounts only the
clock's time is noted.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from central.service import Central

Accounts = Mapping[str, Callable[[], float]]
"""Seconds of processor time so far, by what spent them."""

_PROC: Final = Path("/proc")
_PARENT, _SPENT = 1, slice(11, 15)
"""In /proc/PID/stat behind the name: the parent; user and system time, its own and of its ended
children (proc_pid_stat(5))."""


@dataclass(slots=True)
class Spent:
    """What `rows` of one way took: seconds by the clock, processor seconds by process."""

    way: str
    engine: str
    rows: int
    seconds: float = 0.0
    processor: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def noting(self, accounts: Accounts) -> Iterator[None]:
        """Add what happens meanwhile."""
        before = {name: read() for name, read in accounts.items()}
        began = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - began
        for name, read in accounts.items():
            self.processor[name] = self.processor.get(name, 0.0) + read() - before[name]

    def json(self) -> dict[str, object]:
        """The figure as an object; microseconds a row."""
        return {
            "what": f"processor time of journal upload {self.way}",
            "engine": self.engine,
            "rows": self.rows,
            "clock_us_per_row": self._per_row(self.seconds),
            "processor_us_per_row": {n: self._per_row(s) for n, s in self.processor.items()},
        }

    def text(self) -> str:
        """The figure as a sentence."""
        parts = ", ".join(f"{name} {self._per_row(s)}" for name, s in self.processor.items())
        return f"processor time of journal upload {self.way} on {self.engine}, µs a row: {parts}"

    def _per_row(self, seconds: float) -> float:
        return round(seconds * 1e6 / self.rows, 1)


def accounts(central: Central, service: int) -> Accounts:
    """Those of this process, of the service and of its database server; none outside of Linux."""
    if not (_PROC / "self" / "stat").exists():
        return {}
    found = {"this process": time.process_time, "the service": lambda: of_family(service)}
    if not central.database.is_sqlite:
        with central.read() as work:
            backend = work.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        server = int(_fields(backend)[_PARENT])
        found["the database server"] = lambda: of_family(server)
    return found


def of_family(pid: int) -> float:
    """Seconds that a process and its children have spent, those that have ended too."""
    return _spent(_fields(pid)) + sum(map(_spent, _children(pid)))


def _children(parent: int) -> Iterator[list[str]]:
    for found in _PROC.iterdir():
        if found.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                fields = _fields(int(found.name))
                if int(fields[_PARENT]) == parent:
                    yield fields


def _fields(pid: int) -> list[str]:
    # The name in brackets may hold anything, brackets and spaces too.
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _spent(fields: list[str]) -> float:
    return sum(map(int, fields[_SPENT])) / os.sysconf("SC_CLK_TCK")
