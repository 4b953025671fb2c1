"""The tables of journal.db.

Responsible for: the DDL, its triggers and its version, and how an entry is numbered. Not
responsible for: using them. Invariants held by the database itself: entries are appended without
gaps and never change or go; watermarks move forward only; no voucher is used beyond its shares; one
request has one entry.

What an entry brought about stands in its own row: a redemption then writes one row and not five,
and none of it changes afterwards either.
"""

from typing import Final, NamedTuple

VERSION: Final = 2

_SEQ_BITS: Final = 32
SEQ_MAX: Final = (1 << _SEQ_BITS) - 1


def entry_id(epoch: int, seq: int) -> int:
    """The number of an entry in the file, in the order of epochs and sequence numbers.

    A serial may name a sequence number that no till ever reaches: no entry has what is answered.
    """
    return (epoch << _SEQ_BITS) | min(seq, SEQ_MAX)


class Effect(NamedTuple):
    """What a redemption or its reversal brings about, in the row of its entry.

    `shares` is negative for a reversal, which names the entry it `reverses`. `home` and
    `amount_fen` are given for what was redeemed without central's word, `row_key` and `record` for
    a successor's sealed row.
    """

    voucher: str
    generation: int
    shares: int
    after: int
    used_after: int
    total: int
    request: str | None = None
    reverses: int | None = None
    home: bool | None = None
    amount_fen: int | None = None
    row_key: bytes | None = None
    record: bytes | None = None


ENTRY: Final = "INSERT INTO entry (id, kind, body, hash, sig) VALUES (?, ?, ?, ?, ?)"
ENTRY_WITH_EFFECT: Final = (
    f"INSERT INTO entry (id, kind, body, hash, sig, {', '.join(Effect._fields)})"
    f" VALUES ({', '.join('?' * (5 + len(Effect._fields)))})"
)
REVERSAL_OF: Final = "(SELECT max(id) FROM entry WHERE reverses = e.id)"
"""The entry that reverses an entry `e`."""


def of_another_version(name: str, version: object) -> str:
    """What to say about a file whose `user_version` is not ours."""
    if isinstance(version, int) and version < VERSION:
        return (
            f"{name} was written by an earlier version of hexiao and is not read by this one."
            " Install that version again and run `hexiao sync`; then move the data directory aside"
            " and enrol anew with this version: `hexiao enrol URL CODE`"
        )
    return f"{name} was written by a later version of hexiao: install that version"


TABLES: Final = """
CREATE TABLE epoch (
    epoch INTEGER PRIMARY KEY,
    record TEXT NOT NULL,
    public_key BLOB NOT NULL,
    first_prev TEXT NOT NULL,
    totals TEXT NOT NULL
) STRICT;

CREATE TABLE entry (
    id INTEGER PRIMARY KEY, -- (epoch << 32) | seq
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    hash TEXT NOT NULL CHECK (length(hash) = 64),
    sig BLOB NOT NULL CHECK (length(sig) IN (0, 64)),
    -- a redemption or its reversal: what it was asked as, and what became of the voucher
    request TEXT,
    voucher TEXT,
    generation INTEGER,
    shares INTEGER,
    after INTEGER,
    used_after INTEGER,
    total INTEGER,
    reverses INTEGER,
    -- a redemption without central's word: whether at the voucher's home, and its value
    home INTEGER CHECK (home IN (0, 1)),
    amount_fen INTEGER,
    -- the sealed row of the successor code
    row_key BLOB CHECK (length(row_key) = 16),
    record BLOB,
    epoch INTEGER GENERATED ALWAYS AS (id >> 32) VIRTUAL,
    seq INTEGER GENERATED ALWAYS AS (id & 0xffffffff) VIRTUAL CHECK (seq >= 1),
    CHECK (
        voucher IS NULL
        OR (generation + shares + after + used_after + total IS NOT NULL AND shares != 0)
    ),
    CHECK (shares < 0 OR used_after BETWEEN 0 AND total),
    CHECK (coalesce(shares < 0, 0) = (reverses IS NOT NULL)),
    CHECK ((row_key IS NULL) = (record IS NULL)),
    CHECK ((home IS NULL) = (amount_fen IS NULL))
) STRICT;
CREATE UNIQUE INDEX entry_request ON entry (request) WHERE request IS NOT NULL;
CREATE INDEX entry_voucher ON entry (voucher) WHERE voucher IS NOT NULL;
CREATE INDEX entry_reverses ON entry (reverses) WHERE reverses IS NOT NULL;
CREATE INDEX entry_row_key ON entry (row_key) WHERE row_key IS NOT NULL;

CREATE TRIGGER entry_never_changes BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'a journal entry never changes'); END;
CREATE TRIGGER entry_never_goes BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'a journal entry is never deleted'); END;
CREATE TRIGGER entry_leaves_no_gap BEFORE INSERT ON entry
WHEN (NEW.id & 0xffffffff) > 1 AND NOT EXISTS (SELECT 1 FROM entry WHERE id = NEW.id - 1)
BEGIN SELECT RAISE(ABORT, 'a journal entry must be the next'); END;
CREATE TRIGGER entry_in_last_epoch BEFORE INSERT ON entry
WHEN (NEW.id >> 32) != (SELECT max(epoch) FROM epoch)
BEGIN SELECT RAISE(ABORT, 'a journal entry belongs to the last epoch'); END;

CREATE TABLE print_job (
    id INTEGER PRIMARY KEY, -- of the entry that asks for the slip or for its copy
    serial TEXT NOT NULL,
    copy INTEGER NOT NULL CHECK (copy >= 1),
    state TEXT NOT NULL,
    facts TEXT NOT NULL,
    successor_code TEXT,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    detail TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX print_job_copy ON print_job (serial) WHERE copy > 1;
CREATE INDEX print_job_open ON print_job (state) WHERE state IN ('queued', 'printing', 'unknown');

CREATE TABLE watermark (
    name TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TRIGGER watermark_moves_forward BEFORE UPDATE ON watermark
WHEN (NEW.epoch, NEW.seq) < (OLD.epoch, OLD.seq)
BEGIN SELECT RAISE(ABORT, 'a watermark moves forward only'); END;

CREATE TABLE ack (
    epoch INTEGER NOT NULL,
    up_to INTEGER NOT NULL,
    ack TEXT NOT NULL,
    kid INTEGER NOT NULL,
    sig BLOB NOT NULL,
    PRIMARY KEY (epoch, up_to)
) WITHOUT ROWID, STRICT;

CREATE TABLE verdict (
    serial TEXT PRIMARY KEY,
    verdict TEXT NOT NULL,
    flags TEXT NOT NULL,
    excess INTEGER NOT NULL,
    others TEXT NOT NULL,
    settled TEXT
) WITHOUT ROWID, STRICT;

CREATE TABLE guesses (
    bucket BLOB PRIMARY KEY,
    count INTEGER NOT NULL,
    until INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE note (
    serial TEXT PRIMARY KEY,
    note TEXT NOT NULL CHECK (length(note) <= 80),
    sent INTEGER NOT NULL DEFAULT 0 CHECK (sent IN (0, 1))
) WITHOUT ROWID, STRICT;

CREATE TABLE notice (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    serial TEXT,
    detail TEXT NOT NULL,
    dismissed INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID, STRICT;
"""
"""Run once on an empty file, in one transaction with `PRAGMA user_version`."""
