"""The journal: an append-only, hash-chained, signed record of what this terminal did.

Responsible for: appending entries inside one durable transaction together with whatever else must
become true with them, reading them back, epochs, watermarks and small durable facts. Not
responsible for: deciding what to append. Invariants: the commit is the redemption; a COMMIT that
raises leaves the journal broken until it is opened again; nothing is deleted when it was delivered.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import apsw

from terminal import database, journal_schema
from terminal.errors import OutcomeUnknown, OutOfService
from terminal.identity import Signer
from vouchers import entries, ids
from vouchers.entries import Entry, Kind, Totals


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of an epoch; at `seq` 0 `hash` is the first entry's `prev`."""

    epoch: int
    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as stored: the body verbatim, its hash (hex) and signature (64 bytes; none where it
    came back from central and a later signature covers it)."""

    epoch: int
    seq: int
    body: str
    hash: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Stamp:
    """When and by whom: milliseconds UTC, boot id, milliseconds since boot, clock `ok/suspect`."""

    at: int
    boot: str
    mono_ms: int
    clock: str
    clerk: str
    auth: str = "os"
    shift: str | None = None


_LOG_PAGES = 256
"""A quarter of the warmed write-ahead log: some twenty redemptions."""

Data = Callable[[str], dict[str, object]]


class Journal:
    """One open journal. Calls must not overlap; the counter serialises them."""

    def __init__(
        self, path: Path, key: bytes, *, merchant: int, posid: str, signer: Signer
    ) -> None:
        self._path, self._key = path, key
        self._merchant, self._posid, self._signer = merchant, posid, signer
        self._tail: tuple[Head, Totals] | None = None
        self._facts: dict[str, str] | None = None
        self._connection = self._open()
        self.broken = False

    def _open(self) -> apsw.Connection:
        connection = database.open_journal(self._path, self._key)
        self._log_pages = 0
        connection.set_wal_hook(self._committed_pages)
        version = connection.pragma("user_version")
        if version == 0:
            self._create(connection)
        elif version != journal_schema.VERSION:
            connection.close()
            raise OutOfService(
                f"{self._path.name} was written by another version of hexiao: install that version"
            )
        return connection

    def _create(self, connection: apsw.Connection) -> None:
        try:
            with connection:
                connection.execute(journal_schema.TABLES)
                connection.pragma("user_version", journal_schema.VERSION)
        except apsw.Error as error:
            with suppress(apsw.Error):
                connection.close()
            raise OutOfService(f"{self._path.name} cannot be made: {error}") from error

    def close(self) -> None:
        """Close the file; what was committed is durable already, so nothing can be lost here."""
        with suppress(apsw.Error):
            self._connection.close()

    def reopen(self) -> None:
        """After a COMMIT raised: close, open again, and believe only what is there.

        Raises OutOfService while that cannot be made durable.
        """
        self._tail = self._facts = None
        with suppress(apsw.Error):  # the old handle failed already; what counts is what is read
            self._connection.close()
        self._connection = self._open()
        try:
            # What is found may be in the system's memory only; it counts once it is flushed.
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)
        except apsw.Error as error:
            raise OutOfService(f"the journal cannot be written: {error}") from error
        self.broken = False

    def warm(self) -> None:
        """Prepare the write-ahead log for quick commits."""
        # Without it commits are slower, that is all; a full disk is said where it matters.
        with suppress(OSError):
            database.warm(self._path)

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file while nobody waits."""
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._log_pages = 0

    @property
    def log_is_long(self) -> bool:
        """Whether the write-ahead log should be moved before it outgrows what was warmed."""
        return self._log_pages > _LOG_PAGES

    def _committed_pages(self, _: apsw.Connection, __: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    @property
    def connection(self) -> apsw.Connection:
        """For the modules that keep their own tables in this file."""
        return self._connection

    @contextmanager
    def transaction(self) -> Iterator[apsw.Connection]:
        """All or nothing, durable on return.

        Raises OutOfService when nothing was done, OutcomeUnknown when COMMIT raised.
        """
        if self.broken:
            raise OutOfService("the journal failed and has not been opened again")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            raise OutOfService(f"the journal cannot be written: {error}") from error
        try:
            yield self._connection
        except apsw.ConstraintError:
            self._rollback()
            raise
        except apsw.Error as error:
            self._rollback()
            raise OutOfService(
                f"the journal cannot be written: {error}. Nothing was done"
            ) from error
        except BaseException:
            self._rollback()
            raise
        try:
            self._connection.execute("COMMIT")
        except apsw.Error as error:
            self.broken, self._tail, self._facts = True, None, None
            raise OutcomeUnknown(f"the journal's commit failed: {error}") from error

    def _rollback(self) -> None:
        self._tail = self._facts = None
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error:
            self.broken = True

    def open_epoch(
        self, *, epoch: int, previous_head: str | None, totals: Totals | None = None
    ) -> None:
        """Start an epoch: its enrolment record is what the first entry points at."""
        record = entries.enrolment_record(
            merchant=self._merchant,
            posid=self._posid,
            epoch=epoch,
            public_key=self._signer.public,
            previous_head=previous_head,
        )
        start = totals or Totals()
        if self.epochs():
            start = start.at_least(self.totals())
        self.add_epoch(epoch, record, self._signer.public, start)

    def add_epoch(self, epoch: int, record: str, public_key: bytes, totals: Totals) -> None:
        """Write an epoch's beginning: a new one, or one that central gave back."""
        self._tail = None
        values = epoch, record, public_key, entries.first_prev(record), json.dumps(asdict(totals))
        with self.transaction() as connection:
            connection.execute("INSERT INTO epoch VALUES (?, ?, ?, ?, ?)", values)

    def epochs(self) -> list[int]:
        """All epochs, oldest first."""
        return [
            row[0] for row in self._connection.execute("SELECT epoch FROM epoch ORDER BY epoch")
        ]

    def epoch_record(self, epoch: int) -> tuple[str, bytes, str]:
        """Enrolment record, public key and first `prev` of an epoch."""
        row = self._connection.execute(
            "SELECT record, public_key, first_prev FROM epoch WHERE epoch = ?", (epoch,)
        ).fetchone()
        assert row is not None
        return row[0], row[1], row[2]

    def head(self, epoch: int | None = None) -> Head:
        """The last entry of an epoch, by default of the last one."""
        if epoch is None and self._tail is not None:
            return self._tail[0]
        row = self._connection.execute(
            "SELECT e.epoch, coalesce(n.seq, 0), coalesce(n.hash, e.first_prev) FROM epoch e"
            " LEFT JOIN entry n ON n.epoch = e.epoch"
            " WHERE e.epoch = coalesce(?, (SELECT max(epoch) FROM epoch))"
            " ORDER BY n.seq DESC LIMIT 1",
            (epoch,),
        ).fetchone()
        if row is None:
            raise OutOfService("the journal has no epoch: enrol this terminal")
        return Head(*row)

    def totals(self, epoch: int | None = None) -> Totals:
        """The running totals after the last entry."""
        head = self.head(epoch)
        if head.seq:
            return entries.read_entry(self.entry(head.epoch, head.seq).body).totals
        return self.totals_at_start(head.epoch)

    def totals_at_start(self, epoch: int) -> Totals:
        """The running totals that an epoch began with."""
        row = self._connection.execute(
            "SELECT totals FROM epoch WHERE epoch = ?", (epoch,)
        ).fetchone()
        assert row is not None
        return Totals(**json.loads(row[0]))

    def append(
        self, connection: apsw.Connection, kind: Kind, data: Data | dict[str, object], stamp: Stamp
    ) -> tuple[Stored, Entry]:
        """Append one entry inside an open transaction; `data` may need the serial (AX-01)."""
        head, totals = self._tail or (self.head(), self.totals())
        seq = head.seq + 1
        values = data(ids.serial(self._posid, head.epoch, seq)) if callable(data) else data
        entry = Entry(
            merchant=self._merchant,
            posid=self._posid,
            epoch=head.epoch,
            seq=seq,
            prev=head.hash,
            at=stamp.at,
            boot=stamp.boot,
            mono_ms=stamp.mono_ms,
            clock=stamp.clock,
            clerk=stamp.clerk,
            auth=stamp.auth,
            shift=stamp.shift,
            kind=kind,
            data=values,
            totals=totals.after(kind, values),
        )
        body = entries.compose(entry)
        stored = Stored(
            head.epoch,
            seq,
            body,
            entries.entry_hash(body),
            entries.sign_entry(body, self._signer.private),
        )
        connection.execute(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)",
            (stored.epoch, stored.seq, str(kind), stored.body, stored.hash, stored.sig),
        )
        self._tail = Head(stored.epoch, stored.seq, stored.hash), entry.totals
        return stored, entry

    def entry(self, epoch: int, seq: int) -> Stored:
        """One entry; it must exist."""
        row = self._connection.execute(
            "SELECT epoch, seq, body, hash, sig FROM entry WHERE epoch = ? AND seq = ?",
            (epoch, seq),
        ).fetchone()
        assert row is not None, f"no entry {epoch}/{seq}"
        return Stored(*row)

    def entries(self, epoch: int, after: int, limit: int) -> Sequence[Stored]:
        """Up to `limit` entries of an epoch after a sequence number, in order."""
        rows = self._connection.execute(
            "SELECT epoch, seq, body, hash, sig FROM entry WHERE epoch = ? AND seq > ?"
            " ORDER BY seq LIMIT ?",
            (epoch, after, limit),
        )
        return [Stored(*row) for row in rows]

    def find_request(self, request: str) -> Stored | None:
        """The entry that a request id led to, if any."""
        row = self._connection.execute(
            "SELECT epoch, seq FROM request WHERE request = ?", (request,)
        ).fetchone()
        return None if row is None else self.entry(row[0], row[1])

    def watermark(self, name: str) -> tuple[int, int]:
        """How far a follower is: (epoch, seq), (0, 0) before it began."""
        row = self._connection.execute(
            "SELECT epoch, seq FROM watermark WHERE name = ?", (name,)
        ).fetchone()
        return (0, 0) if row is None else (row[0], row[1])

    def advance(self, connection: apsw.Connection, name: str, epoch: int, seq: int) -> None:
        """Move a follower's watermark forward, inside an open transaction."""
        connection.execute(
            "INSERT INTO watermark VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq",
            (name, epoch, seq),
        )

    def count_after(self, epoch: int, seq: int) -> int:
        """Entries later than a watermark, over all epochs: counted without reading them, since
        each epoch's run from 1 without a gap.
        """
        rows = self._connection.execute(
            "SELECT epoch, (SELECT max(seq) FROM entry WHERE entry.epoch = e.epoch)"
            " FROM epoch e WHERE epoch >= ?",
            (epoch,),
        )
        return sum(max(0, (last or 0) - (seq if at == epoch else 0)) for at, last in rows)

    def meta(self, key: str) -> str | None:
        """A small durable fact; kept in memory, as nobody else can write to this file."""
        if self._facts is None:
            rows = self._connection.execute("SELECT key, value FROM meta")
            self._facts = {str(name): str(value) for name, value in rows}
        return self._facts.get(key)

    def set_meta(self, connection: apsw.Connection, key: str, value: str) -> None:
        """Set a small durable fact, inside an open transaction."""
        self._facts = None
        connection.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )
