"""The tables of journal.db.

Responsible for: the DDL, its triggers and its version. Not responsible for: using them.
Invariants held by the database itself: entries are appended without gaps and never change or go;
watermarks move forward only; no voucher is used beyond its shares; one request has one entry.
"""

from typing import Final

VERSION: Final = 1

TABLES: Final = """
CREATE TABLE epoch (
    epoch INTEGER PRIMARY KEY,
    record TEXT NOT NULL,
    public_key BLOB NOT NULL,
    first_prev TEXT NOT NULL,
    totals TEXT NOT NULL
) STRICT;

CREATE TABLE entry (
    epoch INTEGER NOT NULL REFERENCES epoch (epoch),
    seq INTEGER NOT NULL CHECK (seq >= 1),
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    hash TEXT NOT NULL CHECK (length(hash) = 64),
    sig BLOB NOT NULL CHECK (length(sig) IN (0, 64)),
    PRIMARY KEY (epoch, seq)
) WITHOUT ROWID, STRICT;

CREATE TRIGGER entry_never_changes BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'a journal entry never changes'); END;
CREATE TRIGGER entry_never_goes BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'a journal entry is never deleted'); END;
CREATE TRIGGER entry_leaves_no_gap BEFORE INSERT ON entry
WHEN NEW.seq != 1 + coalesce((SELECT max(seq) FROM entry WHERE epoch = NEW.epoch), 0)
BEGIN SELECT RAISE(ABORT, 'a journal entry must be the next'); END;
CREATE TRIGGER entry_in_last_epoch BEFORE INSERT ON entry
WHEN NEW.epoch != (SELECT max(epoch) FROM epoch)
BEGIN SELECT RAISE(ABORT, 'a journal entry belongs to the last epoch'); END;

CREATE TABLE redemption (
    serial TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    voucher TEXT NOT NULL,
    shares INTEGER NOT NULL CHECK (shares > 0),
    at INTEGER NOT NULL,
    reversed_by TEXT
) WITHOUT ROWID, STRICT;
CREATE INDEX redemption_order ON redemption (epoch, seq);

CREATE TABLE own_use (
    voucher TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    shares INTEGER NOT NULL,
    after INTEGER NOT NULL,
    used_after INTEGER NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (voucher, epoch, seq),
    CHECK (shares < 0 OR used_after BETWEEN 0 AND total)
) WITHOUT ROWID, STRICT;

CREATE TABLE own_row (
    k BLOB PRIMARY KEY CHECK (length(k) = 16),
    record BLOB NOT NULL,
    voucher TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE request (
    request TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE lone_use (
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    home INTEGER NOT NULL CHECK (home IN (0, 1)),
    amount_fen INTEGER NOT NULL,
    PRIMARY KEY (epoch, seq)
) WITHOUT ROWID, STRICT;

CREATE TABLE print_job (
    id INTEGER PRIMARY KEY,
    serial TEXT NOT NULL,
    copy INTEGER NOT NULL CHECK (copy >= 1),
    state TEXT NOT NULL,
    facts TEXT NOT NULL,
    successor_code TEXT,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    detail TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX print_job_serial ON print_job (serial);
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
    note TEXT NOT NULL CHECK (length(note) <= 80)
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
