"""What a replica counts of each bucket, for the comparison with central's checkpoint.

Responsible for: how many state rows of a bucket there are, and the sum of their digests, kept with
the page that changes them. Not responsible for: applying items, or what a difference leads to
(`sync`). Invariants: the count moves in the transaction that moves the rows; where none was begun
(an older central's snapshot) nothing is compared.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import apsw

from sync.feed import Checkpoint, StateGone, StatePut, digest_text, row_digest
from sync.receiver import BEGINNING, place
from sync.replica_schema import tally_key, tally_text


class Tally(NamedTuple):
    """Rows and the sum of their digests; the sum may be negative or large until it is written."""

    live: int
    digest: int


def begun(connection: apsw.Connection, bucket: int, after: str) -> Tally | None:
    """The count of a bucket at the cursor `after`."""
    row = connection.execute(
        "SELECT value FROM meta WHERE key = ?", (tally_key(bucket),)
    ).fetchone()
    if row is None:
        return Tally(0, 0) if after == BEGINNING else None
    live, _, digest = str(row[0]).partition(":")
    return Tally(int(live), int(digest, 16))


class Counting:
    """A count on its way over the items of one page, before any of them is applied."""

    def __init__(self, connection: apsw.Connection, tally: Tally) -> None:
        """Begin with the count at the page's start."""
        self._connection, self.tally = connection, tally
        self._versions: dict[str, int | None] = {}

    def add(self, states: Sequence[StatePut | StateGone]) -> None:
        """Go on over some items, in their order."""
        self._look_up([item.voucher for item in states if item.voucher not in self._versions])
        live, digest = self.tally
        for item in states:
            old = self._versions[item.voucher]
            if old is not None and old > item.version:
                continue
            if old is not None:
                live, digest = live - 1, digest - row_digest(item.voucher, old)
                self._versions[item.voucher] = None
            if isinstance(item, StatePut):
                live, digest = live + 1, digest + row_digest(item.voucher, item.version)
                self._versions[item.voucher] = item.version
        self.tally = Tally(live, digest)

    def _look_up(self, vouchers: Sequence[str]) -> None:
        rows: list[Any] = self._connection.execute(
            "SELECT voucher, version FROM state WHERE voucher IN (SELECT value FROM json_each(?))",
            (json.dumps(vouchers),),
        ).fetchall()
        self._versions |= dict.fromkeys(vouchers, None) | dict(rows)


def keep(connection: apsw.Connection, bucket: int, cursor: str, tally: Tally) -> Checkpoint:
    """Keep the count of a bucket at its new cursor; answers it for comparison."""
    digest = digest_text(tally.digest)
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (tally_key(bucket), tally_text(tally.live, digest)),
    )
    there = place(cursor)
    return Checkpoint(seq=0 if there is None else there.seq, live=tally.live, digest=digest)
