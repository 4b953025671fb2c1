"""The items of a page as rows of the replica.

Responsible for: the statements, and what is bound to them. Not responsible for: cursors, counts,
transactions, or which buckets are wanted (`replica_scope`). Invariants: a state is stored only by
version; what a bucket's feed says is gone goes only where the row is of that bucket, so the word of
a bucket that a voucher has left does not touch what the next one said.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import Final

import apsw
import msgspec

from sync import feed
from sync.feed import FeedPage
from sync.replica_schema import SEALED_PUT, sealed_row
from terminal.replica_scope import learn, set_meta
from vouchers import times
from vouchers.ids import unb64u
from vouchers.replica_form import SEALED_FOUND, place_of

_Bound = tuple[bytes | str | int | None, ...]
_Sealed = feed.SealedPut | feed.SealedGone
_State = feed.StatePut | feed.StateGone

AT_ONCE: Final = 50
"""Rows between two looks at whether a clerk waits: about a millisecond of work."""

_FIRST: Final = itemgetter(0)
_SEALED_GONE: Final = f"DELETE FROM sealed WHERE {SEALED_FOUND} AND bucket IN (?3, ?4)"
_SEALED_MOVED: Final = f"UPDATE sealed SET bucket = ?5 WHERE {SEALED_FOUND} AND bucket IN (?3, ?4)"
_STATE_PUT: Final = (
    "INSERT INTO state VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (voucher) DO UPDATE SET version = excluded.version, state = excluded.state,"
    " generation = excluded.generation, used = excluded.used,"
    " valid_from = excluded.valid_from, valid_until = excluded.valid_until,"
    " home = excluded.home, reflects_epoch = excluded.reflects_epoch,"
    " reflects_seq = excluded.reflects_seq, bucket = excluded.bucket"
    " WHERE excluded.version >= state.version"
)
_STATE_GONE: Final = "DELETE FROM state WHERE voucher = ? AND bucket IN (?, ?) AND version <= ?"
_STATE_MOVED: Final = (
    "UPDATE state SET bucket = ?5 WHERE voucher = ?1 AND bucket IN (?2, ?3) AND version <= ?4"
)


class Rows:
    """Where the rows of one page go. `wanted` are the buckets that are followed."""

    def __init__(
        self,
        connection: apsw.Connection,
        bucket: int,
        wanted: frozenset[int],
        make_way: Callable[[], None],
    ) -> None:
        self._connection, self._bucket = connection, bucket
        self._wanted, self._make_way = wanted, make_way
        self._own = (bucket, ~bucket)

    def apply(self, page: FeedPage) -> None:
        """Sealed rows and states, which are many, in runs and in the order of the file.

        Neighbours in the file are found without searching it anew. The sort keeps what happened to
        one row in its order, and no table knows another's.
        """
        sealed: list[_Sealed] = []
        states: list[_State] = []
        for item in page.items:
            match item:
                case feed.SealedPut() | feed.SealedGone():
                    sealed.append(item)
                case feed.StatePut() | feed.StateGone():
                    states.append(item)
                case _:
                    _apply_other(self._connection, item)
        for statement, run in groupby(sealed, self._for_sealed):
            self._store(statement, map(self._sealed_row, run))
        row = _StateRows(page.reflects, self._bucket)
        for statement, moved in groupby(states, self._for_state):
            self._store(
                statement,
                (
                    row(item) if isinstance(item, feed.StatePut) else self._gone_row(item)
                    for item in moved
                ),
            )

    def _for_sealed(self, item: _Sealed) -> str:
        if isinstance(item, feed.SealedPut):
            return SEALED_PUT
        return _SEALED_MOVED if item.bucket in self._wanted else _SEALED_GONE

    def _for_state(self, item: _State) -> str:
        if isinstance(item, feed.StatePut):
            return _STATE_PUT
        return _STATE_MOVED if item.bucket in self._wanted else _STATE_GONE

    def _sealed_row(self, item: _Sealed) -> _Bound:
        if isinstance(item, feed.SealedPut):
            return sealed_row(unb64u(item.k), unb64u(item.record), item.voucher, self._bucket)
        key = unb64u(item.k)
        return place_of(key), key, *self._own, *self._waiting_for(item.bucket)

    def _gone_row(self, item: feed.StateGone) -> _Bound:
        return item.voucher, *self._own, item.version, *self._waiting_for(item.bucket)

    def _waiting_for(self, bucket: int | None) -> tuple[int, ...]:
        """How a row is marked that stays until the feed of the bucket it moved to brings it."""
        return (~bucket,) if bucket is not None and bucket in self._wanted else ()

    def _store(self, statement: str, rows: Iterable[_Bound]) -> None:
        ordered = sorted(self._gently(rows), key=_FIRST)
        self._connection.executemany(statement, self._gently(ordered))

    def _gently(self, rows: Iterable[_Bound]) -> Iterator[_Bound]:
        """Rows, with room for the counter between them: Python runs one thread at a time."""
        return chain.from_iterable(self._portions(iter(rows)))

    def _portions(self, rows: Iterator[_Bound]) -> Iterator[tuple[_Bound, ...]]:
        while portion := tuple(islice(rows, AT_ONCE)):
            self._make_way()
            yield portion


class _StateRows:
    """What is bound for a state; what the page reflects and its few validities are read once."""

    def __init__(self, reflects: feed.Reflects | None, bucket: int) -> None:
        seen = (None, None) if reflects is None else (reflects.epoch, reflects.seq)
        self._same_for_all = (*seen, bucket)
        self._times: dict[str, int] = {}

    def __call__(self, item: feed.StatePut) -> _Bound:
        return (
            item.voucher,
            item.version,
            item.state,
            item.generation,
            item.used,
            self._time(item.valid_from),
            self._time(item.valid_until),
            item.home,
            *self._same_for_all,
        )

    def _time(self, text: str) -> int:
        found = self._times.get(text)
        if found is None:
            found = self._times[text] = times.parse_utc(text)
        return found


_Other = (
    feed.ProductPut
    | feed.ProductGone
    | feed.OutletPut
    | feed.OutletGone
    | feed.PolicyPut
    | feed.KeyPut
    | feed.KeyGone
)


def _apply_other(connection: apsw.Connection, item: _Other) -> None:
    match item:
        case feed.PolicyPut(policy=policy):
            set_meta(connection, "policy", msgspec.json.encode(policy).decode())
        case feed.KeyPut() | feed.KeyGone():
            pass  # what is believed of central does not go with a voucher list (`holding`)
        case _:
            _apply_catalogue(connection, item)


def _apply_catalogue(
    connection: apsw.Connection,
    item: feed.ProductPut | feed.ProductGone | feed.OutletPut | feed.OutletGone,
) -> None:
    match item:
        case feed.ProductPut():
            learn(connection, {item.bucket: item.outlets})
            connection.execute(
                "INSERT INTO product VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET version = excluded.version, name = excluded.name,"
                " outlets = excluded.outlets, weekdays = excluded.weekdays,"
                " online_only = excluded.online_only, bucket = excluded.bucket,"
                " price_fen = excluded.price_fen, slip_text = excluded.slip_text"
                " WHERE excluded.version >= product.version",
                (
                    item.id,
                    item.version,
                    item.name,
                    json.dumps(item.outlets),
                    json.dumps(item.weekdays),
                    int(item.online_only),
                    item.bucket,
                    item.price_fen,
                    item.slip_text,
                ),
            )
        case feed.ProductGone():
            connection.execute(
                "DELETE FROM product WHERE id = ? AND version <= ?", (item.id, item.version)
            )
        case feed.OutletPut():
            connection.execute(
                "INSERT INTO outlet VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " version = excluded.version, name = excluded.name"
                " WHERE excluded.version >= outlet.version",
                (item.id, item.version, item.name),
            )
        case feed.OutletGone():
            connection.execute(
                "DELETE FROM outlet WHERE id = ? AND version <= ?", (item.id, item.version)
            )
