"""Which buckets a replica follows, and letting go of the others.

Responsible for: what the replica knows of buckets, which of them belong to this terminal's scope
(design, section 6: all of the merchant's, or those of its own outlet), and taking away the rows of
one that does no longer. Not responsible for: pages (`replica_writer`), or when either is done.
Invariants: a bucket that is let go is gone whole before it is followed again, from its beginning;
nothing but the replica is touched.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import apsw

from sync.replica_schema import tally_key
from terminal.replica import HALF

CATALOGUE: Final = 0
"""The bucket of what every terminal knows: outlets, products, the policy, keys."""

_LEAVING: Final = "leaving:"
"""Begins the key in `meta` that says: this bucket is being let go."""

_PORTION: Final = 500
"""Rows deleted at once; whoever redeems goes in between."""


def set_meta(connection: apsw.Connection, key: str, value: str) -> None:
    """Keep a fact of the replica itself."""
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


def learn(connection: apsw.Connection, buckets: Mapping[int, Sequence[int]]) -> None:
    """Keep the outlets of buckets; they never change."""
    connection.executemany(
        "INSERT OR IGNORE INTO bucket VALUES (?, ?)",
        [(bucket, json.dumps(sorted(outlets))) for bucket, outlets in buckets.items()],
    )


def wanted(connection: apsw.Connection, outlet: int | None) -> list[int]:
    """The buckets to follow, the catalogue first; `outlet` None: every one."""
    rows: list[Any] = connection.execute(
        "SELECT id, outlets FROM bucket WHERE id != ? ORDER BY id", (CATALOGUE,)
    ).fetchall()
    mine = [id_ for id_, outlets in rows if outlet is None or outlet in json.loads(outlets)]
    return [CATALOGUE, *mine]


def await_rows(connection: apsw.Connection, bucket: int) -> None:
    """Rows wait for this bucket: it has to be followed, or let go, even before its first page."""
    connection.execute("INSERT OR IGNORE INTO cursor VALUES (?, '0')", (bucket,))


def note_half(connection: apsw.Connection, bucket: int, *, half: bool) -> None:
    """Say whether a bucket's last page left something for a next one."""
    if half:
        set_meta(connection, HALF + str(bucket), "1")
    else:
        connection.execute("DELETE FROM meta WHERE key = ?", (HALF + str(bucket),))


def unwanted(connection: apsw.Connection, outlet: int | None) -> list[int]:
    """The buckets of which something is here that should not, or was half let go."""
    kept = set(wanted(connection, outlet))
    here = {int(str(row[0])) for row in connection.execute("SELECT bucket FROM cursor")}
    keys = connection.execute("SELECT key FROM meta WHERE key GLOB ?", (f"{_LEAVING}*",))
    leaving = {int(str(row[0]).removeprefix(_LEAVING)) for row in keys}
    return sorted((here - kept) | leaving)


def let_go(connection: apsw.Connection, bucket: int, make_way: Callable[[], None]) -> None:
    """Take away all rows of a bucket, in portions; an interrupted one is gone on with."""
    with connection:
        set_meta(connection, _LEAVING + str(bucket), "1")
    for table, key in (("state", "voucher"), ("sealed", "place")):
        _delete(connection, table, key, bucket, make_way)
    with connection:
        connection.execute("DELETE FROM cursor WHERE bucket = ?", (bucket,))
        for name in (tally_key(bucket), HALF + str(bucket), _LEAVING + str(bucket)):
            connection.execute("DELETE FROM meta WHERE key = ?", (name,))


def _delete(
    connection: apsw.Connection, table: str, key: str, bucket: int, make_way: Callable[[], None]
) -> None:
    """Walks once through the table, because no index leads to a bucket's rows."""
    after: Any = -1 if table == "sealed" else ""
    while True:
        make_way()
        rows = connection.execute(
            f"SELECT {key} FROM {table} WHERE {key} > ? AND bucket IN (?, ?)"
            f" ORDER BY {key} LIMIT {_PORTION}",
            (after, bucket, ~bucket),
        ).fetchall()
        if not rows:
            return
        with connection:
            connection.executemany(f"DELETE FROM {table} WHERE {key} = ?", rows)
        after = rows[-1][0]
