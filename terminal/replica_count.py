"""What a replica counts of each bucket, for the comparison with central's checkpoint.

Responsible for: how many state rows of a bucket there are, and the sum of their digests, kept with
the page that changes them. Not responsible for: applying items, or what a difference leads to
(`sync`). Invariants: the count moves in the transaction that moves the rows, and with it that of
another bucket which a row leaves; a row that waits for the feed of its new bucket counts nowhere;
where none was begun (an older central's snapshot) nothing is compared.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import apsw

from sync.feed import Checkpoint, StateGone, StatePut, digest_text, row_digest
from sync.receiver import BEGINNING, place
from sync.replica_schema import tally_key, tally_text
from terminal.replica_scope import set_meta


class Tally(NamedTuple):
    """Rows and the sum of their digests; the sum may be negative or large until it is written."""

    live: int
    digest: int


def begun(connection: apsw.Connection, bucket: int, after: str) -> Tally | None:
    """The count of a bucket at the cursor `after`."""
    found = _read(connection, bucket)
    return Tally(0, 0) if found is None and after == BEGINNING else found


class Counting:
    """A count on its way over the items of one page, before any of them is applied."""

    def __init__(self, connection: apsw.Connection, bucket: int, tally: Tally) -> None:
        """Begin with the count at the page's start. `left` is what other buckets lose."""
        self._connection, self._bucket, self.tally = connection, bucket, tally
        self.left: dict[int, Tally] = {}
        self._known: dict[str, _Known | None] = {}

    def add(self, states: Sequence[StatePut | StateGone]) -> None:
        """Go on over some items, in their order."""
        known = self._known
        self._look_up([item.voucher for item in states if item.voucher not in known])
        put = digests = 0  # added up once: this runs for each row of a feed
        for item in states:
            voucher = item.voucher
            old = known[voucher]
            if old is not None:
                if not self._replaces(item, old):
                    continue
                self._take(voucher, old)
            known[voucher] = None
            if isinstance(item, StatePut):
                known[voucher] = _Known(item.version, self._bucket)
                put += 1
                digests += row_digest(voucher, item.version)
        self.tally = Tally(self.tally.live + put, self.tally.digest + digests)

    def _replaces(self, item: StatePut | StateGone, old: "_Known") -> bool:
        if old.version > item.version:
            return False
        return isinstance(item, StatePut) or old.bucket in (self._bucket, ~self._bucket)

    def _take(self, voucher: str, old: "_Known") -> None:
        """A row stands no longer where it stood; below 0 it counted nowhere."""
        if old.bucket == self._bucket:
            live, digest = self.tally
            self.tally = Tally(live - 1, digest - row_digest(voucher, old.version))
        elif old.bucket >= 0:
            live, digest = self.left.get(old.bucket, Tally(0, 0))
            self.left[old.bucket] = Tally(live + 1, digest + row_digest(voucher, old.version))

    def _look_up(self, vouchers: Sequence[str]) -> None:
        rows: list[Any] = self._connection.execute(
            "SELECT voucher, version, bucket FROM state"
            " WHERE voucher IN (SELECT value FROM json_each(?))",
            (json.dumps(vouchers),),
        ).fetchall()
        self._known |= dict.fromkeys(vouchers, None)
        self._known |= {voucher: _Known(version, bucket) for voucher, version, bucket in rows}


class _Known(NamedTuple):
    """A row as it stands before the next item."""

    version: int
    bucket: int


def keep(connection: apsw.Connection, bucket: int, cursor: str, counting: Counting) -> Checkpoint:
    """Keep the counts at a bucket's new cursor; answers that bucket's for comparison."""
    for other, (live, digest) in counting.left.items():
        before = _read(connection, other)
        if before is not None:
            _write(connection, other, Tally(before.live - live, before.digest - digest))
    digest_ = _write(connection, bucket, counting.tally)
    there = place(cursor)
    seq = 0 if there is None else there.seq
    return Checkpoint(seq=seq, live=counting.tally.live, digest=digest_)


def _read(connection: apsw.Connection, bucket: int) -> Tally | None:
    row = connection.execute(
        "SELECT value FROM meta WHERE key = ?", (tally_key(bucket),)
    ).fetchone()
    if row is None:
        return None
    live, _, digest = str(row[0]).partition(":")
    return Tally(int(live), int(digest, 16))


def _write(connection: apsw.Connection, bucket: int, tally: Tally) -> str:
    digest = digest_text(tally.digest)
    set_meta(connection, tally_key(bucket), tally_text(tally.live, digest))
    return digest
