"""The lowest seams of the product, put under the hand of the simulation.

Responsible for: time, randomness, SQL statements as places where a process may die, and pairing
without a socket. Not responsible for: when anything goes wrong (`faults`). Everything above these
seams is the product's own code.
"""

import contextlib
import random
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from terminal import assembly
from terminal import enrol as pairing
from terminal.clock import Reading
from vouchers import times

START_MS = times.parse_utc("2024-07-10T04:00:00.000Z")
"""A Wednesday, noon at the counter."""


class Crash(BaseException):
    """The process dies here. No `except Exception` of the product may survive its own death."""


@dataclass
class Time:
    """True time, which only the simulation moves."""

    now_ms: int = START_MS

    def read(self) -> int:
        return self.now_ms


@dataclass
class TillClock:
    """A terminal's clocks: a wall clock that may be wrong and a counter since boot."""

    time: Time
    wrong_by_ms: int = 0
    boots: int = 1
    booted_ms: int = START_MS - 60_000

    def read(self) -> Reading:
        now = self.time.now_ms
        return Reading(now + self.wrong_by_ms, f"boot-{self.boots}", now - self.booted_ms)

    def reboot(self) -> None:
        self.boots += 1
        self.booted_ms = self.time.now_ms - 1_000


@dataclass
class Fuse:
    """Burns down with every SQL statement of the terminals; at zero the process dies.

    `commit_fails` makes the next COMMIT raise: `written` after it took effect, `lost` before.
    """

    left: int | None = None
    commit_fails: str | None = None
    thread: int = field(default=0, repr=False)

    def disarm(self) -> None:
        self.left = self.commit_fails = None

    def burn(self, cursor: Any, statement: str, _bindings: object) -> bool:
        """An execution tracer: called before each statement."""
        if threading.get_ident() != self.thread:
            return True
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.disarm()
                raise Crash
        if self.commit_fails is not None and statement == "COMMIT":
            written = self.commit_fails == "written"
            self.disarm()
            if written:
                getattr(cursor, "connection", cursor).execute("END TRANSACTION")
            raise apsw.IOError("the disk says no")
        return True


FUSE = Fuse()
"""One for all terminals: one process runs at a time."""


def _trace(connection: apsw.Connection) -> None:
    connection.set_exec_trace(FUSE.burn)


def _random_bytes(rng: random.Random, count: int) -> bytes:
    # A thread of its own makes the successor's row while the clerk decides: what it draws, and
    # when, must not change what this world does next.
    return rng.randbytes(count) if threading.get_ident() == FUSE.thread else bytes(count)


def _keys(kind: Any, rng: random.Random) -> Any:
    """A key class whose new keys come from the seed."""

    class Seeded:
        @staticmethod
        def generate() -> Any:
            return kind.from_private_bytes(rng.randbytes(32))

    return Seeded


@contextlib.contextmanager
def seams(rng: random.Random, clock: Time) -> Iterator[pytest.MonkeyPatch]:
    """Randomness from `rng` and time from `clock` for as long as the block lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_bytes", lambda count=32: _random_bytes(rng, count))
        patch.setattr(random, "random", rng.random)
        patch.setattr(pairing, "Ed25519PrivateKey", _keys(Ed25519PrivateKey, rng))
        patch.setattr(pairing, "X25519PrivateKey", _keys(X25519PrivateKey, rng))
        for module in (pairing, assembly):
            patch.setattr(module, "SystemClock", lambda: TillClock(clock))
        FUSE.thread = threading.get_ident()
        apsw.connection_hooks.append(_trace)
        try:
            yield patch
        finally:
            apsw.connection_hooks.remove(_trace)
            FUSE.disarm()


@contextlib.contextmanager
def paired_by(connect: Callable[..., object]) -> Iterator[None]:
    """Let `terminal.enrol` reach central over the simulation's network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairing, "HttpCentral", connect)
        yield
