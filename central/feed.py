"""The feed: pages of changes of one bucket, by commit sequence.

Responsible for: cursors, choosing the items of a page, the checkpoint. Not responsible for: taking
sequences (`service`), HTTP, waiting. Invariants: a page is read in one moment, as state: each item
stands as it is now, however often it changed; a cursor is only answered by the history it came
from, else the terminal takes a new snapshot (central notes, 4.4).
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, select

from central import ahead, alarms, bulk, catalogue, keys, ledger, policies, schema, sealing
from central.database import retried
from central.service import Central, Work
from sync import coding
from sync.coding import Opening
from sync.feed import (
    Checkpoint,
    FeedPage,
    Item,
    KeyPut,
    OutletPut,
    PolicyPut,
    ProductPut,
    Reflects,
    SealedGone,
    SealedPut,
    StateGone,
)
from sync.messages import ServerKey, encode
from vouchers import ids, times

_CURSOR: Final = re.compile(r"1\.([0-9a-f]{1,16})\.(\d{1,16})", re.ASCII)
BEGINNING: Final = "0"
AHEAD: Final = ahead.AHEAD
DIFFERS: Final = "differs"


@dataclass(frozen=True, slots=True)
class Resync:
    """The cursor cannot be served: `reason` is epoch, floor, ahead or unknown_bucket."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: a terminal's POSID and its current epoch."""

    posid: str
    epoch: int


def cursor_text(epoch: str, seq: int) -> str:
    """A cursor: the place `seq` in the history `epoch` of a bucket."""
    return f"1.{epoch}.{seq}"


# Made once: every upload asks.
_HEADS: Final = (
    select(schema.feed_heads)
    .where(schema.feed_heads.c.merchant == bindparam("of_merchant"))
    .order_by(schema.feed_heads.c.bucket)
)


def heads(work: Work, buckets: Collection[int] | None = None) -> dict[int, str]:
    """The cursor of the newest change of each bucket."""
    rows = work.connection.execute(_HEADS, {"of_merchant": work.merchant})
    return {
        row.bucket: cursor_text(row.epoch, row.seq)
        for row in rows
        if buckets is None or row.bucket in buckets
    }


@dataclass(frozen=True, slots=True)
class SharedPage:
    """A page for several readers: the same for all but for what it reflects of each."""

    page: FeedPage
    opening: Opening
    reflects: Mapping[Reader, Reflects]

    def for_reader(self, reader: Reader) -> FeedPage:
        """The page as one reader gets it."""
        return msgspec.structs.replace(self.page, reflects=self.reflects.get(reader))

    def body_for(self, reader: Reader, accepted: str) -> tuple[bytes, str | None]:
        """The same as a body, and its Content-Encoding; only the end is the reader's own."""
        end = b',"reflects":' + encode(self.reflects.get(reader)) + b"}"
        return coding.finish(self.opening, end, accepted)


# Made once: for a page, SQLAlchemy takes longer to put statements together than to run them.
_HEAD: Final = select(schema.feed_heads).where(
    schema.feed_heads.c.merchant == bindparam("of_merchant"),
    schema.feed_heads.c.bucket == bindparam("of_bucket"),
)
_ROWS: Final = (
    select(schema.feed)
    .where(
        schema.feed.c.merchant == bindparam("of_merchant"),
        schema.feed.c.bucket == bindparam("of_bucket"),
        schema.feed.c.seq > bindparam("after"),
    )
    .order_by(schema.feed.c.seq)
    .limit(bindparam("most"))
)
_STREAMS: Final = select(
    schema.streams.c.posid, schema.streams.c.epoch, schema.streams.c.seq
).where(
    schema.streams.c.merchant == bindparam("of_merchant"),
    schema.streams.c.posid.in_(bindparam("of", expanding=True)),
)


def read_page(
    work: Work, bucket: int, after: str, *, limit: int, reader: Reader
) -> FeedPage | Resync:
    """The changes of a bucket after a cursor, at most `limit` feed rows of them."""
    found = read_shared(work, bucket, after, limit, frozenset({reader}))
    return found if isinstance(found, Resync) else found.for_reader(reader)


def read_shared(
    work: Work, bucket: int, after: str, limit: int, readers: frozenset[Reader]
) -> SharedPage | Resync:
    """The page of all these readers, read in one moment."""
    named = {"of_merchant": work.merchant, "of_bucket": bucket}
    head = work.connection.execute(_HEAD, named).one_or_none()
    if head is None:
        return Resync("unknown_bucket")
    start = _start(head, after)
    if isinstance(start, Resync):
        return start
    rows = _rows(work, bucket, start, limit)
    until = rows[-1].seq if rows else head.seq
    more = until < head.seq
    items = tuple(_items(work, bucket, rows))
    page = FeedPage(
        from_=after,
        cursor=cursor_text(head.epoch, until),
        more=more,
        sealed_through=times.format_utc(sealing.sealed_through(work)),
        items=items,
        checkpoint=None if more else Checkpoint(seq=until, live=head.live, digest=head.digest),
        moves=moves(work),
        buckets=_moved_to(work, items),
    )
    return SharedPage(page, _opening(page), _reflects(work, readers))


def _opening(page: FeedPage) -> Opening:
    shared = {
        "from": page.from_,
        "cursor": page.cursor,
        "more": page.more,
        "sealed_through": page.sealed_through,
        "items": page.items,
        "checkpoint": page.checkpoint,
        "moves": page.moves,
        "buckets": page.buckets,
    }
    return coding.opening(encode(shared).removesuffix(b"}"))


def moves(work: Work) -> int:
    """How often vouchers were moved between buckets, as of this moment."""
    table = schema.counters
    found = work.connection.execute(
        select(table.c.value).where(table.c.merchant == work.merchant, table.c.name == schema.MOVES)
    ).scalar()
    return int(found or 0)


def _moved_to(work: Work, items: Sequence[Item]) -> dict[str, tuple[int, ...]]:
    """The outlets of the buckets that rows went to."""
    moved = {item.bucket for item in items if isinstance(item, StateGone | SealedGone)} - {None}
    return (
        {str(bucket): those for bucket, those in catalogue.buckets(work).items() if bucket in moved}
        if moved
        else {}
    )


@retried
def report_difference(central: Central, posid: str, place: str) -> None:
    """Raise an alarm, once an hour: a terminal's rows are not what this database holds."""
    words = f"at {place}: the terminal's rows are not those of the bucket; it takes a new snapshot"
    with central.write() as work:
        alarms.raise_hourly(central, work, DIFFERS, posid, words)


def _start(head: Any, after: str) -> int | Resync:
    if after == BEGINNING:
        return 0
    found = _CURSOR.fullmatch(after)
    if found is None or found[1] != head.epoch:
        return Resync("epoch")
    seq = int(found[2])
    if seq > head.seq:
        return Resync(AHEAD)
    return Resync("floor") if seq < head.floor else seq


def _rows(work: Work, bucket: int, after: int, limit: int) -> Sequence[Any]:
    asked = {"of_merchant": work.merchant, "of_bucket": bucket, "after": after, "most": limit}
    return work.connection.execute(_ROWS, asked).all()


def _reflects(work: Work, readers: frozenset[Reader]) -> dict[Reader, Reflects]:
    found: dict[Reader, Reflects] = {}
    for part in ledger.parts(sorted({reader.posid for reader in readers})):
        for row in work.connection.execute(_STREAMS, {"of_merchant": work.merchant, "of": part}):
            found[Reader(row.posid, row.epoch)] = Reflects(epoch=row.epoch, seq=int(row.seq))
    return {reader: found[reader] for reader in readers if reader in found}


def _items(work: Work, bucket: int, rows: Sequence[Any]) -> list[Item]:
    """The items that the rows name, each once, in the order of their newest row."""
    newest = {(row.kind, row.ref): row.seq for row in rows}
    by_kind: dict[str, list[str]] = {}
    for kind, ref in newest:
        by_kind.setdefault(kind, []).append(ref)
    found: dict[tuple[str, str], Item] = {}
    for kind, refs in by_kind.items():
        found |= {(kind, ref): item for ref, item in _read(work, bucket, kind, refs).items()}
    return [found[name] for name in sorted(found, key=newest.__getitem__)]


def _read(work: Work, bucket: int, kind: str, refs: list[str]) -> dict[str, Item]:
    match kind:
        case ledger.STATE:
            return _states(work, bucket, refs)
        case ledger.SEALED:
            return _sealed(work, bucket, refs)
        case "product":
            products = catalogue.products(work)
            return {ref: product_item(products[int(ref)]) for ref in refs}
        case "outlet":
            outlets = {str(row.outlet): row for row in catalogue.outlets(work)}
            return {
                ref: OutletPut(id=outlets[ref].outlet, name=outlets[ref].name, version=1)
                for ref in refs
            }
        case "policy":
            return dict.fromkeys(refs, PolicyPut(policy=policies.current(work)))
        case "key":
            known = {str(one.kid): one for one in keys.load(work).vouched()}
            return {ref: _key_item(known[ref]) for ref in refs}
        case _:
            raise AssertionError(f"a feed row of kind {kind}")


def _key_item(key: ServerKey) -> KeyPut:
    return KeyPut(kid=key.kid, key=key.key, by=key.by, sig=key.sig)


def _states(work: Work, bucket: int, refs: list[str]) -> dict[str, Item]:
    items: dict[str, Item] = {}
    for voucher in ledger.find_all(work, refs).values():
        name = voucher.voucher
        if voucher.bucket == bucket:
            items[name] = ledger.state_item(voucher)
        else:
            now = None if voucher.retired else voucher.bucket
            items[name] = StateGone(op="del", voucher=name, version=voucher.version, bucket=now)
    return items


def _sealed(work: Work, bucket: int, refs: list[str]) -> dict[str, Item]:
    items: dict[str, Item] = {ref: SealedGone(op="del", k=ref) for ref in refs}
    names, wanted = ("k", "record", "voucher", "bucket"), [ids.unb64u(ref) for ref in refs]
    rows = bulk.select_in(work.connection, schema.sealed, names, work.merchant, ("k", wanted))
    for row_key, record, voucher, there in rows:
        # Not in the statement: by an index of buckets it would read the whole bucket.
        k = ids.b64u(row_key)
        items[k] = (
            SealedPut(k=k, record=ids.b64u(record), voucher=voucher)
            if there == bucket
            else SealedGone(op="del", k=k, bucket=there)
        )
    return items


def product_item(product: catalogue.Product) -> ProductPut:
    """What a terminal hears of a product."""
    return ProductPut(
        id=product.product,
        name=product.terms.name,
        outlets=product.outlets,
        weekdays=product.terms.weekdays,
        online_only=product.terms.online_only,
        bucket=product.bucket,
        price_fen=product.terms.price_fen,
        version=product.version,
        slip_text=product.terms.slip_text,
    )
