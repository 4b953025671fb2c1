"""The replica: what central told us, read at the counter.

Responsible for: finding sealed rows, states, products and outlets, and how old all that is. Not
responsible for: filling it (`replica_writer`). Invariants: nothing here writes; a replica that is
missing or damaged is an outage of this part only, said as such, and can be downloaded again.
"""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
import msgspec
from msgspec import Struct

from terminal import database
from terminal.errors import OutOfService
from vouchers import times
from vouchers.policy import Policy
from vouchers.replica_form import REPLICA_SCHEMA, SEALED_FOUND, place_of
from vouchers.rules import ProductRule
from vouchers.standing import Standing, VoucherState

T = TypeVar("T")


class Product(Struct, frozen=True):
    """A product as the counter needs it; `slip_text` is printed as it is (AX-16)."""

    rule: ProductRule
    name: str
    slip_text: str | None


class StateRow(Struct, frozen=True):
    """Central's word on a voucher, and which own entries it includes."""

    standing: Standing
    version: int
    reflects_epoch: int
    reflects_seq: int


_DAMAGE: Final = (apsw.CorruptError, apsw.NotADBError, apsw.SQLError)
"""Errors that a new file heals; a full disk or a lost one is no reason to download it."""


HALF: Final = "half:"
"""Begins the key in `meta` that says: more of this bucket was there than has been applied."""

_SEALED: Final = f"SELECT record FROM sealed WHERE {SEALED_FOUND}"

_FACTS_MAX: Final = 1_000
"""What is kept from one look to the next; more would only take up memory."""


def damage_mark(path: Path) -> Path:
    """The empty file beside a replica that says: this one is damaged."""
    return path.with_name(path.name + ".damaged")


class Replica:
    """One reading connection, opened when first needed. The counter serialises calls."""

    def __init__(self, path: Path, key: bytes, posid: str) -> None:
        self._path, self._key, self._posid = path, key, posid
        self._connection: apsw.Connection | None = None
        self._facts: dict[tuple[object, ...], Any] = {}
        self._reading = False
        self._version: int | None = None

    @property
    def damaged(self) -> bool:
        """Whether the file is to be replaced by a new snapshot, found by this process or another.

        A page that one look-up needs may be the only bad one: without a mark that lasts, a later
        round of sync, which reads other pages, would find nothing to replace.
        """
        return damage_mark(self._path).exists()

    @damaged.setter
    def damaged(self, found: bool) -> None:
        mark = damage_mark(self._path)
        with suppress(OSError):  # a disk that takes not even this says so elsewhere
            mark.touch(mode=0o600) if found else mark.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file, so that another can take its place."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._version = None

    def reading(self) -> AbstractContextManager[None]:
        """One look: everything asked inside is answered as of one moment.

        What is asked for again is kept until somebody writes.
        """
        return _Look(self)

    def begin_look(self) -> None:
        """For `reading`."""
        # A replica that does not open is an outage of whoever asks it something, not of the look.
        if self._connection is not None or self.present:
            with suppress(OutOfService):
                self._run(self._begin)

    def _begin(self, connection: apsw.Connection) -> None:
        connection.execute("BEGIN")
        self._reading = True
        row = connection.execute("PRAGMA data_version").fetchone()
        version = None if row is None else row[0]
        if version != self._version or len(self._facts) > _FACTS_MAX:
            self._facts.clear()
            self._version = version

    def end_look(self) -> None:
        """For `reading`."""
        self._reading = False
        if self._connection is not None and self._connection.in_transaction:
            with suppress(apsw.Error):  # nothing was written that could be lost
                self._connection.execute("END")

    @property
    def present(self) -> bool:
        """Whether there is a file to read."""
        return self._path.exists()

    def sealed(self, row_key: bytes) -> bytes | None:
        """The sealed record under a row key."""
        row = self._one(_SEALED, place_of(row_key), row_key)
        return None if row is None else bytes(row[0])

    def state(self, voucher: str) -> StateRow | None:
        """Where a voucher stands."""
        return self._fact(lambda: self._state(voucher), "state", voucher)

    def _state(self, voucher: str) -> StateRow | None:
        row = self._one(
            "SELECT state, generation, used, valid_from, valid_until, home, version,"
            " reflects_epoch, reflects_seq FROM state WHERE voucher = ?",
            voucher,
        )
        if row is None:
            return None
        standing = Standing(VoucherState(row[0]), row[1], row[2], row[3], row[4], row[5])
        epoch, seq = row[7:]
        if epoch is None or seq is None:
            epoch, seq = self._fact(self._stream, "stream")
        return StateRow(standing, row[6], epoch, seq)

    def _stream(self) -> tuple[int, int]:
        """How far the snapshot as a whole reflects this terminal's entries."""
        row = self._one(
            "SELECT epoch, seq FROM streams WHERE posid = ? ORDER BY epoch DESC LIMIT 1",
            self._posid,
        )
        return (0, 0) if row is None else (row[0], row[1])

    def product(self, product: int) -> Product | None:
        """A product by its id."""
        return self._fact(lambda: self._product(product), "product", product)

    def _product(self, product: int) -> Product | None:
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
        row = self._fact(
            lambda: self._one("SELECT name FROM outlet WHERE id = ?", outlet), "outlet", outlet
        )
        return f"#{outlet}" if row is None else str(row[0])

    def meta(self, key: str) -> str | None:
        """A fact of the replica itself."""
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if row is None else str(row[0])

    def fresh_at(self) -> int:
        """When central last confirmed this replica, milliseconds UTC; 0 when it never did."""
        return self._fact(self._fresh_at, "fresh_at")

    def _fresh_at(self) -> int:
        text = self.meta("fresh_at") or self.meta("sealed_through")
        return 0 if text is None else times.parse_utc(text)

    def sealed_through(self) -> int:
        """Everything issued before this moment has its sealed row here; milliseconds UTC."""
        text = self.meta("sealed_through")
        return 0 if text is None else times.parse_utc(text)

    def half(self) -> bool:
        """Whether a state may be here whose sealed row was to come with a next page."""
        return self._one("SELECT 1 FROM meta WHERE key GLOB ? LIMIT 1", f"{HALF}*") is not None

    def policy(self) -> Policy | None:
        """The policy that central sent, None when the replica holds none that can be read."""
        text = self.meta("policy")
        with suppress(msgspec.MsgspecError):
            return None if text is None else msgspec.json.decode(text, type=Policy)
        return None

    def version(self) -> str | None:
        """Which replica an entry was decided by: the cursor of the catalogue, for the entry."""
        cursors = "SELECT group_concat(bucket || ':' || cursor, ' ') FROM cursor"
        row = self._fact(lambda: self._one(cursors), "version")
        return None if row is None or row[0] is None else str(row[0])

    def check(self) -> str | None:
        """What is wrong with the file, or None."""
        try:
            row = self._one("PRAGMA quick_check")
        except OutOfService as error:
            return str(error)
        return None if row is not None and row[0] == "ok" else f"quick_check: {row and row[0]}"

    def _fact(self, read: Callable[[], T], *name: object) -> T:
        """A fact about the whole replica; outside of `reading` it is read every time."""
        if not self._reading:
            return read()
        if name not in self._facts:
            self._facts[name] = read()
        found: T = self._facts[name]
        return found

    def _one(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        try:
            return (self._connection or self._open()).execute(statement, values).fetchone()
        except apsw.Error as error:
            raise self._outage(error) from error

    def _run(self, work: Callable[[apsw.Connection], T]) -> T:
        try:
            return work(self._open())
        except apsw.Error as error:
            raise self._outage(error) from error

    def _outage(self, error: apsw.Error) -> OutOfService:
        """Let go of a file that cannot be read; what to say about it."""
        self.close()
        if not isinstance(error, _DAMAGE):
            return OutOfService(
                f"the voucher list cannot be read ({error}): free some space or look at the"
                " disk with `hexiao doctor`. Already booked redemptions are safe",
                "list_unreadable",
            )
        self.damaged = True
        return OutOfService(
            f"the voucher list is damaged ({error}); it is downloaded again when the network is"
            " there. Already booked redemptions are safe",
            "list_damaged",
        )

    def _open(self) -> apsw.Connection:
        if self._connection is None:
            if not self._path.exists():
                raise OutOfService(
                    "this terminal has no voucher list yet: connect it to the network once",
                    "no_list",
                )
            self._connection = self._opened()
        return self._connection

    def _opened(self) -> apsw.Connection:
        try:
            connection = database.open_replica(self._path, self._key)
        except OutOfService as error:
            self.damaged = self.damaged or isinstance(error.__cause__, _DAMAGE)
            raise
        row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        if row is None or row[0] != str(REPLICA_SCHEMA):
            connection.close()
            raise OutOfService(
                "the voucher list here is one for another version of hexiao; it is downloaded"
                " again when the network is there. Already booked redemptions are safe",
                "list_of_another_version",
            )
        return connection


class _Look:
    """What `Replica.reading` answers; a class, because a redemption waits for each call."""

    __slots__ = ("_replica",)

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def __enter__(self) -> None:
        self._replica.begin_look()

    def __exit__(self, *_: object) -> None:
        self._replica.end_look()
