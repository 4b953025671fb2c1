"""The tables of a replica: of the snapshot that central writes and of the file a terminal keeps.

Responsible for: the DDL, the form of its pages and how a sealed row is stored, in one place for
both sides. Not responsible for: its version and where a key stands (`vouchers.replica_form`), nor
for opening, filling or reading the file.
Invariants: `sealed` is sorted by `k` but for keys that begin alike, holds each key once, and is
practically immutable; times are integer milliseconds UTC; a state row with NULL `reflects_*`
reflects this terminal's entries as `streams` says; `bucket` is whose feed a row is of, and its
complement (below 0) while a row waits for the feed of the bucket that it moved to.
"""

import struct
from typing import Final

from vouchers.replica_form import place_of

PAGE_BYTES: Final = 4096
RESERVED_BYTES: Final = 64
"""What each page of a snapshot leaves free at its end, for the nonce and the tag of the terminal's
cipher: pages are then encrypted where they are. A file without that room serves as well, but has to
be built anew, row by row."""

SealedRow = tuple[int, bytes, bytes, str, int]

TABLES: Final = (
    """
    CREATE TABLE sealed (
        place INTEGER PRIMARY KEY,
        k BLOB NOT NULL CHECK (length(k) = 16),
        record BLOB NOT NULL,
        voucher TEXT NOT NULL,
        bucket INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE state (
        voucher TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('live', 'refunding', 'refunded', 'voided')),
        generation INTEGER NOT NULL CHECK (generation >= 0),
        used INTEGER NOT NULL CHECK (used >= 0),
        valid_from INTEGER NOT NULL,
        valid_until INTEGER NOT NULL,
        home INTEGER,
        reflects_epoch INTEGER,
        reflects_seq INTEGER,
        bucket INTEGER NOT NULL
    ) WITHOUT ROWID, STRICT
    """,
    """
    CREATE TABLE streams (
        posid TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (posid, epoch)
    ) WITHOUT ROWID, STRICT
    """,
    """
    CREATE TABLE product (
        id INTEGER PRIMARY KEY,
        version INTEGER NOT NULL,
        name TEXT NOT NULL,
        outlets TEXT NOT NULL,
        weekdays TEXT NOT NULL,
        online_only INTEGER NOT NULL CHECK (online_only IN (0, 1)),
        bucket INTEGER NOT NULL,
        price_fen INTEGER NOT NULL,
        slip_text TEXT
    ) STRICT
    """,
    """
    CREATE TABLE outlet (
        id INTEGER PRIMARY KEY,
        version INTEGER NOT NULL,
        name TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE bucket (
        id INTEGER PRIMARY KEY,
        outlets TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE cursor (
        bucket INTEGER PRIMARY KEY,
        cursor TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID, STRICT
    """,
)
"""Run in order on an empty database. `outlets` and `weekdays` are JSON arrays of integers."""

SEALED_PUT: Final = """
    INSERT INTO sealed VALUES (
        (SELECT coalesce(
            max(place) FILTER (WHERE k = ?2),
            iif(min(place) = ?1, iif(max(place) < ?1 + 15, max(place) + 1, 'no room'), ?1)
        ) FROM sealed WHERE place BETWEEN ?1 AND ?1 + 15),
        ?2, ?3, ?4, ?5
    ) ON CONFLICT (place) DO UPDATE SET
        record = excluded.record, voucher = excluded.voucher, bucket = excluded.bucket
"""
"""Stores or replaces a `sealed_row`: where its key stands already, else at its own place, else
behind what has that. A seventeenth key of one place is an error of types; it never replaces."""

META_KEYS: Final = ("schema", "merchant", "sealed_through", "policy")
"""What `meta` holds at least: `REPLICA_SCHEMA`, the merchant's id, RFC 3339, policy as JSON."""

MOVES_KEY: Final = "moves"
"""Where `meta` keeps the highest `FeedPage.moves` of all that was applied."""


def blank() -> bytes:
    """An empty database whose pages leave that room: what a snapshot's file is begun with.

    Written after SQLite's file format (1.3, the header; 1.6, the first table page), because no
    pragma asks for the room.
    """
    version, counter, pages, schema_format, utf8, leaf = 1, 1, 1, 4, 1, 13
    header = struct.pack(
        ">16sH6B12I20x2I",
        b"SQLite format 3\0",
        PAGE_BYTES,
        *(version, version, RESERVED_BYTES, 64, 32, 32),
        *(counter, pages, 0, 0, 0, schema_format, 0, 0, utf8, 0, 0, 0),
        *(counter, 0),
    )
    no_tables = struct.pack(">BHHHB", leaf, 0, 0, PAGE_BYTES - RESERVED_BYTES, 0)
    return (header + no_tables).ljust(PAGE_BYTES, b"\0")


def sealed_row(key: bytes, record: bytes, voucher: str, bucket: int) -> SealedRow:
    """What is bound to `SEALED_PUT`."""
    return place_of(key), key, record, voucher, bucket


def tally_key(bucket: int) -> str:
    """Where `meta` counts the state rows of a bucket, for the comparison at a checkpoint."""
    return f"tally:{bucket}"


def tally_text(live: int, digest: str) -> str:
    """The count of a bucket: its rows, and the sum of their digests (16 hex digits)."""
    return f"{live}:{digest}"
