"""Misses: charged durably before the answer is given (decision 13).

Responsible for: counting misses per code and per terminal and saying when that locks something.
Not responsible for: deciding what is a miss, or journalling it. Invariants: a bucket is two bytes
of a keyed hash, so the table names no code; a kill between charge and answer never loses a charge;
time comes from the estimated clock, so setting the clock back frees nothing.
"""

import hmac
from typing import Any, Final

import apsw
from msgspec import Struct

from vouchers.policy import Guess
from vouchers.times import MINUTE_MS

BUCKET_BYTES: Final = 2
TERMINAL: Final = b""
"""The bucket of the whole terminal."""


class Lock(Struct, frozen=True):
    """Something is locked until a moment (milliseconds UTC); `terminal` when all of it is."""

    until: int
    terminal: bool


class Guesses(Struct, frozen=True):
    """The counters of one terminal, under its device key."""

    device_key: bytes
    limits: Guess

    def bucket(self, code: str) -> bytes:
        """The bucket of a code: 65,536 of them, so a few codes share each."""
        return hmac.digest(self.device_key, code.encode(), "sha256")[:BUCKET_BYTES]

    def locked(self, connection: apsw.Connection, code: str | None, now: int) -> Lock | None:
        """Whether this code, or the terminal, is locked now."""
        asked = TERMINAL if code is None else self.bucket(code)
        rows: list[Any] = connection.execute(
            "SELECT bucket, count, until FROM guesses WHERE bucket IN (?, ?)", (TERMINAL, asked)
        ).fetchall()
        for bucket, count, until in sorted(rows):  # that of the whole terminal comes first
            whole = bucket == TERMINAL
            limit = self.limits.per_terminal if whole else self.limits.per_code
            if count >= limit and now < until:
                return Lock(until, terminal=whole)
        return None

    def charge(self, connection: apsw.Connection, code: str, now: int) -> Lock | None:
        """Charge a miss inside an open transaction; answers the lock that it brought about."""
        window = self.limits.window_minutes * MINUTE_MS
        lock = self.limits.lock_minutes * MINUTE_MS
        one = self._count(connection, self.bucket(code), lock, now)
        whole = self._count(connection, TERMINAL, window, now)
        if whole >= self.limits.per_terminal:
            return Lock(self._lock(connection, TERMINAL, now + lock), terminal=True)
        if one >= self.limits.per_code:
            return Lock(self._lock(connection, self.bucket(code), now + lock), terminal=False)
        return None

    def _count(self, connection: apsw.Connection, bucket: bytes, span: int, now: int) -> int:
        row = connection.execute(
            "INSERT INTO guesses VALUES (?, 1, ?) ON CONFLICT (bucket) DO UPDATE SET"
            " count = iif(until <= ?, 1, count + 1),"
            " until = iif(until <= ?, excluded.until, until) RETURNING count",
            (bucket, now + span, now, now),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def _lock(self, connection: apsw.Connection, bucket: bytes, until: int) -> int:
        connection.execute("UPDATE guesses SET until = ? WHERE bucket = ?", (until, bucket))
        return until
