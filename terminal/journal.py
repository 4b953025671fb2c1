"""The journal: an append-only, hash-chained, signed record of what this terminal did.

Responsible for: appending entries inside one durable transaction together with whatever else must
become true with them, reading them back, epochs, watermarks and small durable facts. Not
responsible for: deciding what to append. Invariants: the commit is the redemption; a COMMIT that
raises leaves the journal broken until it is opened again; nothing is deleted when it was delivered.
"""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Final

import apsw
from msgspec import Struct

from terminal import database, journal_schema
from terminal.errors import JournalOut, OutcomeUnknown, OutOfService
from terminal.identity import Signer
from terminal.journal_schema import ENTRY, ENTRY_WITH_EFFECT, SEQ_MAX, Effect, entry_id
from vouchers import entries, ids
from vouchers.entries import Entry, Kind, Totals


class Head(Struct, frozen=True):
    """The last entry of an epoch; at `seq` 0 `hash` is the first entry's `prev`."""

    epoch: int
    seq: int
    hash: str


class Stored(Struct, frozen=True):
    """An entry as stored: the body verbatim, its hash (hex) and signature (64 bytes; none where it
    came back from central and a later signature covers it)."""

    epoch: int
    seq: int
    body: str
    hash: str
    sig: bytes


class Stamp(Struct, frozen=True):
    """When and by whom: milliseconds UTC, boot id, milliseconds since boot, clock `ok/suspect`."""

    at: int
    boot: str
    mono_ms: int
    clock: str
    clerk: str
    auth: str = "os"
    shift: str | None = None


_LOG_PAGES: Final = 256
"""Some twenty redemptions; the warmed write-ahead log has room for ten times as much besides."""

_LAST_OF_EPOCH: Final = (
    f"(SELECT max(id) FROM entry WHERE id BETWEEN e.epoch << 32 AND (e.epoch << 32) + {SEQ_MAX})"
)
"""The last entry of an epoch `e`."""


class Journal:
    """One open journal. Calls must not overlap; the counter serialises them."""

    def __init__(
        self, path: Path, key: bytes, *, merchant: int, posid: str, signer: Signer
    ) -> None:
        self._path, self._key = path, key
        self._merchant, self._posid, self._signer = merchant, posid, signer
        self._tail: tuple[Head, Totals] | None = None
        self._facts: dict[str, str] | None = None
        self._marks: dict[str, tuple[int, int]] | None = None
        self._connection = self._open()
        self._appended = False
        self.written = 0
        """How many transactions with an entry in them were committed."""
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
            raise OutOfService(journal_schema.of_another_version(self._path.name, version))
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
        self._forget()
        with suppress(apsw.Error):  # the old handle failed already; what counts is what is read
            self._connection.close()
        self._connection = self._open()
        try:
            # What is found may be in the system's memory only; it counts once it is flushed.
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)
        except apsw.Error as error:
            raise JournalOut(f"the journal cannot be written: {error}") from error
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

    def transaction(self) -> AbstractContextManager[apsw.Connection]:
        """All or nothing, durable on leaving it.

        Raises OutOfService when nothing was done, OutcomeUnknown when COMMIT raised.
        """
        return _Transaction(self)

    def begin(self) -> apsw.Connection:
        """For `transaction`: nothing is written yet."""
        if self.broken:
            raise JournalOut("the journal failed and has not been opened again")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            raise JournalOut(f"the journal cannot be written: {error}") from error
        return self._connection

    def commit(self) -> None:
        """For `transaction`: on return, what was written is durable."""
        try:
            self._connection.execute("COMMIT")
        except apsw.Error as error:
            self.broken = True
            self._forget()
            raise OutcomeUnknown(f"the journal's commit failed: {error}") from error
        self.written += self._appended
        self._appended = False

    def roll_back(self) -> None:
        """For `transaction`: as if nothing had been written."""
        self._forget()
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error:
            self.broken = True

    def _forget(self) -> None:
        """What is kept in memory is read again: only what was committed counts."""
        self._tail = self._facts = self._marks = None
        self._appended = False

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
            f"SELECT e.epoch, coalesce(n.seq, 0), coalesce(n.hash, e.first_prev) FROM epoch e"
            f" LEFT JOIN entry n ON n.id = {_LAST_OF_EPOCH}"
            " WHERE e.epoch = coalesce(?, (SELECT max(epoch) FROM epoch))",
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

    def next_serial(self) -> str:
        """The serial of the entry that is appended next; inside its transaction only (AX-01)."""
        assert self._connection.in_transaction
        head = self.head()
        return ids.serial(self._posid, head.epoch, head.seq + 1)

    def append(
        self,
        connection: apsw.Connection,
        kind: Kind,
        data: dict[str, object],
        stamp: Stamp,
        effect: Effect | None = None,
    ) -> tuple[Stored, Entry]:
        """Append one entry, and what it brings about, inside an open transaction."""
        head, totals = self._tail or (self.head(), self.totals())
        entry = Entry(
            merchant=self._merchant,
            posid=self._posid,
            epoch=head.epoch,
            seq=head.seq + 1,
            prev=head.hash,
            at=stamp.at,
            boot=stamp.boot,
            mono_ms=stamp.mono_ms,
            clock=stamp.clock,
            clerk=stamp.clerk,
            auth=stamp.auth,
            shift=stamp.shift,
            kind=kind,
            data=data,
            totals=totals.after(kind, data),
        )
        body = entries.compose(entry)
        digest = entries.entry_hash(body)
        sig = entries.sign_hash(digest, self._signer.private)
        row = (entry_id(entry.epoch, entry.seq), kind.value, body, digest, sig)
        if effect is None:
            connection.execute(ENTRY, row)
        else:
            connection.execute(ENTRY_WITH_EFFECT, (*row, *effect))
        self._tail = Head(entry.epoch, entry.seq, digest), entry.totals
        self._appended = True
        return Stored(entry.epoch, entry.seq, body, digest, sig), entry

    def entry(self, epoch: int, seq: int) -> Stored:
        """One entry; it must exist."""
        row = self._connection.execute(
            "SELECT epoch, seq, body, hash, sig FROM entry WHERE id = ?", (entry_id(epoch, seq),)
        ).fetchone()
        assert row is not None, f"no entry {epoch}/{seq}"
        return Stored(*row)

    def entries(self, epoch: int, after: int, limit: int) -> Sequence[Stored]:
        """Up to `limit` entries of an epoch after a sequence number, in order."""
        rows = self._connection.execute(
            "SELECT epoch, seq, body, hash, sig FROM entry WHERE id > ? AND id <= ?"
            " ORDER BY id LIMIT ?",
            (entry_id(epoch, after), entry_id(epoch, SEQ_MAX), limit),
        )
        return [Stored(*row) for row in rows]

    def find_request(self, request: str) -> Stored | None:
        """The entry that a request id led to, if any."""
        row = self._connection.execute(
            "SELECT epoch, seq, body, hash, sig FROM entry WHERE request = ?", (request,)
        ).fetchone()
        return None if row is None else Stored(*row)

    def watermark(self, name: str) -> tuple[int, int]:
        """How far a follower is: (epoch, seq), (0, 0) before it began."""
        if self._marks is None:
            rows = self._connection.execute("SELECT name, epoch, seq FROM watermark")
            self._marks = {str(row[0]): (row[1], row[2]) for row in rows}
        return self._marks.get(name, (0, 0))

    def advance(self, connection: apsw.Connection, name: str, epoch: int, seq: int) -> None:
        """Move a follower's watermark forward, inside an open transaction."""
        self._marks = None
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
            f"SELECT e.epoch, {_LAST_OF_EPOCH} & {SEQ_MAX} FROM epoch e WHERE e.epoch >= ?",
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


class _Transaction:
    """What `Journal.transaction` answers; a class, because a redemption waits for each call."""

    __slots__ = ("_journal",)

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __enter__(self) -> apsw.Connection:
        return self._journal.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self._journal.commit()
            return
        self._journal.roll_back()
        if isinstance(error, apsw.Error) and not isinstance(error, apsw.ConstraintError):
            raise JournalOut(f"the journal cannot be written: {error}. Nothing was done") from error
