"""The replica: what central told us, read at the counter.

Responsible for: finding sealed rows, states, products and outlets, and how old all that is. Not
responsible for: filling it (`replica_writer`). Invariants: nothing here writes; a replica that is
missing or damaged is an outage of this part only, said as such, and can be downloaded again.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import apsw
import msgspec

from terminal import database
from terminal.errors import OutOfService
from vouchers import times
from vouchers.policy import Policy
from vouchers.rules import ProductRule
from vouchers.standing import Standing, VoucherState

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Product:
    """A product as the counter needs it; `slip_text` is printed as it is (AX-16)."""

    rule: ProductRule
    name: str
    slip_text: str | None


@dataclass(frozen=True, slots=True)
class StateRow:
    """Central's word on a voucher, and which own entries it includes."""

    standing: Standing
    version: int
    reflects_epoch: int
    reflects_seq: int


class Replica:
    """One reading connection, opened when first needed. The counter serialises calls."""

    def __init__(self, path: Path, key: bytes, posid: str) -> None:
        self._path, self._key, self._posid = path, key, posid
        self._connection: apsw.Connection | None = None
        self.damaged = False
        """Set when reading failed: the file is to be replaced by a new snapshot."""

    def close(self) -> None:
        """Let go of the file, so that another can take its place."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def present(self) -> bool:
        """Whether there is a file to read."""
        return self._path.exists()

    def sealed(self, row_key: bytes) -> bytes | None:
        """The sealed record under a row key."""
        row = self._one("SELECT record FROM sealed WHERE k = ?", row_key)
        return None if row is None else bytes(row[0])

    def state(self, voucher: str) -> StateRow | None:
        """Where a voucher stands."""
        row = self._one(
            "SELECT state, generation, used, valid_from, valid_until, home, version,"
            " coalesce(reflects_epoch, (SELECT max(epoch) FROM streams WHERE posid = ?), 0),"
            " coalesce(reflects_seq, (SELECT seq FROM streams WHERE posid = ?"
            " ORDER BY epoch DESC LIMIT 1), 0)"
            " FROM state WHERE voucher = ?",
            self._posid,
            self._posid,
            voucher,
        )
        if row is None:
            return None
        standing = Standing(VoucherState(row[0]), row[1], row[2], row[3], row[4], row[5])
        return StateRow(standing, row[6], row[7], row[8])

    def product(self, product: int) -> Product | None:
        """A product by its id."""
        row = self._one(
            "SELECT name, outlets, weekdays, online_only, slip_text FROM product WHERE id = ?",
            product,
        )
        if row is None:
            return None
        rule = ProductRule(
            product, frozenset(json.loads(row[1])), frozenset(json.loads(row[2])), bool(row[3])
        )
        return Product(rule, row[0], row[4])

    def outlet_name(self, outlet: int) -> str:
        """An outlet's name, or its number where the replica does not know it."""
        row = self._one("SELECT name FROM outlet WHERE id = ?", outlet)
        return f"#{outlet}" if row is None else str(row[0])

    def meta(self, key: str) -> str | None:
        """A fact of the replica itself."""
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if row is None else str(row[0])

    def fresh_at(self) -> int:
        """When central last confirmed this replica, milliseconds UTC; 0 when it never did."""
        text = self.meta("fresh_at") or self.meta("sealed_through")
        return 0 if text is None else times.parse_utc(text)

    def sealed_through(self) -> int:
        """Everything issued before this moment has its sealed row here; milliseconds UTC."""
        text = self.meta("sealed_through")
        return 0 if text is None else times.parse_utc(text)

    def policy(self) -> Policy | None:
        """The policy that central sent, None when the replica holds none."""
        text = self.meta("policy")
        return None if text is None else msgspec.json.decode(text, type=Policy)

    def version(self) -> str | None:
        """Which replica an entry was decided by: the cursor of the catalogue, for the entry."""
        row = self._one("SELECT group_concat(bucket || ':' || cursor, ' ') FROM cursor")
        return None if row is None or row[0] is None else str(row[0])

    def check(self) -> str | None:
        """What is wrong with the file, or None."""
        try:
            row = self._one("PRAGMA quick_check")
        except OutOfService as error:
            return str(error)
        return None if row is not None and row[0] == "ok" else f"quick_check: {row and row[0]}"

    def _one(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        return self._run(lambda connection: connection.execute(statement, values).fetchone())

    def _run(self, work: Callable[[apsw.Connection], T]) -> T:
        try:
            return work(self._open())
        except apsw.Error as error:
            self.close()
            self.damaged = True
            raise OutOfService(
                f"the voucher list is damaged ({error}); it is downloaded again when the network is"
                " there. Already booked redemptions are safe"
            ) from error

    def _open(self) -> apsw.Connection:
        if self._connection is None:
            if not self._path.exists():
                raise OutOfService(
                    "this terminal has no voucher list yet: connect it to the network once"
                )
            self._connection = self._opened()
        return self._connection

    def _opened(self) -> apsw.Connection:
        try:
            return database.open_replica(self._path, self._key)
        except OutOfService:
            self.damaged = True
            raise
