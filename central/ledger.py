"""The vouchers as the ledger holds them.

Responsible for: reading and changing voucher rows, and saying what terminals hear of them. Not
responsible for: why they change. Invariants: every change raises the version by one and is
published in the voucher's bucket, that of its product; `used` includes what was booked and what was
spent in another system before (`used_before`); a retired voucher is in no replica, and its changes
are published to nobody.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import replace
from sqlalchemy import select

from central import bulk, schema
from central.service import Work
from sync.feed import State, StatePut, row_digest
from vouchers import codes, times
from vouchers.sealed import SECRET_BYTES

T = TypeVar("T")
STATE: Final = "state"
SEALED: Final = "sealed"

_FIRST_BYTES: Final = 4
_LINK_BYTES: Final = _FIRST_BYTES + SECRET_BYTES

_BATCH: Final = 500
"""Values in one IN list: far below every engine's limit on parameters."""


class Voucher(msgspec.Struct, frozen=True, gc=False):
    """One voucher. Times are milliseconds UTC, validity half-open; `home` None: no home outlet.

    `secret` makes the codes; where the first one's generations were not enough, further ones follow
    it, each behind the first generation that it makes (`central.horizon`).
    `bucket` is where terminals hear of it; once it is retired, the complement of where they did.
    `has_reversals`: a reversal among its entries counts. A struct, as a batch reads hundreds.
    """

    voucher: str
    order_id: str
    product: int
    bucket: int
    secret: bytes
    horizon: int
    shares: int
    used: int
    used_before: int
    generation: int
    generation_before: int
    refunded_shares: int
    state: State
    valid_from: int
    valid_until: int
    home: int | None
    last4: str
    paid_fen: int
    issued_at: int
    version: int
    has_reversals: int = 0

    @property
    def left(self) -> int:
        """Shares neither used nor refunded, never negative."""
        return max(0, self.shares - self.used - self.refunded_shares)

    @property
    def retired(self) -> bool:
        """Whether it has left all replicas (`central.compaction`)."""
        return self.bucket < 0

    @property
    def own_bucket(self) -> int:
        """The bucket of its product's outlets, retired or not."""
        return ~self.bucket if self.retired else self.bucket

    @property
    def code(self) -> str:
        """The code that is current now."""
        return self.code_of(self.generation)

    def code_of(self, generation: int) -> str:
        """The code of a generation, up to the horizon."""
        return codes.derive(self._span(generation)[0], generation)

    def successors(self, generation: int) -> tuple[bytes, int]:
        """The secret that makes the codes after this generation, and how far it reaches."""
        return self._span(generation + 1)

    @property
    def has_turned(self) -> bool:
        """Whether it has more than its first secret."""
        return len(self.secret) > SECRET_BYTES

    def turn(self) -> int | None:
        """The next generation whose successors are made with another secret, None without one."""
        if not self.has_turned:
            return None
        last = self._span(self.generation)[1]
        return last if last < self.horizon else None

    def _span(self, generation: int) -> tuple[bytes, int]:
        """The secret of a generation and the last generation that it makes."""
        secret, last = self.secret[:SECRET_BYTES], self.horizon
        for at in range(SECRET_BYTES, len(self.secret), _LINK_BYTES):
            first = int.from_bytes(self.secret[at : at + _FIRST_BYTES], "big")
            if generation < first:
                return secret, first - 1
            secret = self.secret[at + _FIRST_BYTES : at + _LINK_BYTES]
        return secret, last


_NAMES: Final = Voucher.__struct_fields__


def find(work: Work, voucher: str) -> Voucher | None:
    """One voucher, or None."""
    return find_all(work, [voucher]).get(voucher)


def find_all(work: Work, ids: Collection[str], *, lock: bool = False) -> dict[str, Voucher]:
    """Vouchers by id; unknown ids are left out. `lock` keeps other writers away until commit."""
    rows = bulk.select_in(
        work.connection,
        schema.vouchers,
        _NAMES,
        work.merchant,
        ("voucher", ids),
        lock=lock,
    )
    return {row[0]: Voucher(*row) for row in rows}


@contextmanager
def finding_all(work: Work, ids: Collection[str]) -> Iterator[Callable[[], dict[str, Voucher]]]:
    """`find_all` without locks, found while the block runs, in which the database does no more."""
    where = ("voucher", ids)
    with bulk.selecting_in(
        work.connection, schema.vouchers, _NAMES, work.merchant, where
    ) as answer:
        yield lambda: {row[0]: Voucher(*row) for row in answer()}


def buckets_of(work: Work, ids: Collection[str]) -> dict[str, int]:
    """The bucket of each voucher, as of this transaction."""
    names, where = ("voucher", "bucket"), ("voucher", sorted(ids))
    return dict(bulk.select_in(work.connection, schema.vouchers, names, work.merchant, where))


def read_row(row: Any) -> Voucher:
    """A voucher from a row of the table."""
    mapping = row._mapping
    return Voucher(**{name: mapping[name] for name in _NAMES})


def insert(work: Work, new: Sequence[tuple[Voucher, Sequence[str]]]) -> None:
    """Add new vouchers with the codes they reserve, by generation."""
    work.connection.execute(
        schema.vouchers.insert(),
        [{"merchant": work.merchant} | _columns(voucher) for voucher, _ in new],
    )
    work.connection.execute(
        schema.codes.insert(),
        [
            {
                "merchant": work.merchant,
                "code": int(code),
                "voucher": voucher.voucher,
                "generation": generation,
            }
            for voucher, reserved in new
            for generation, code in enumerate(reserved)
        ],
    )
    for voucher, _ in new:
        work.put(voucher.bucket, STATE, voucher.voucher)
        digest = row_digest(voucher.voucher, voucher.version)
        work.tally(voucher.bucket, live=1, digest=digest)


def _columns(voucher: Voucher) -> dict[str, object]:
    return {name: getattr(voucher, name) for name in _NAMES}


def change(work: Work, voucher: Voucher, **values: Any) -> Voucher:
    """Give a voucher new values, under the next version, and publish it."""
    after = replace(voucher, **values, version=voucher.version + 1)
    change_all(work, [after])
    return after


_MUTABLE: Final = (
    "used",
    "generation",
    "refunded_shares",
    "state",
    "valid_from",
    "valid_until",
    "last4",
    "version",
    "has_reversals",
)
_CHANGED: Final = ("merchant", "voucher", *_MUTABLE)
_SAME: Final = (
    "horizon",
    "bucket",
    "state",
    "valid_from",
    "valid_until",
    "refunded_shares",
    "has_reversals",
)
"""What a verdict and the next codes hang on, besides the count."""

_ADDED: Final = ("merchant", *_SAME, "voucher", "used", "generation")
_ADDING: Final = bulk.Conditional(
    sets="used = t.used + new.used, version = t.version + 1, generation = "
    "CASE WHEN new.generation > t.generation THEN new.generation ELSE t.generation END",
    condition="t.used + new.used <= t.shares - t.refunded_shares",
    answer=("voucher", "used", "generation", "version"),
)


def change_all(work: Work, after: Sequence[Voucher]) -> None:
    """Write changed vouchers, each already under its next version, and publish them."""
    write_all(work, after)
    publish_all(work, after)


def write_all(work: Work, after: Sequence[Voucher]) -> None:
    """Write changed vouchers that this transaction has locked; they are still to be published."""
    rows = [
        (work.merchant, voucher.voucher, *(getattr(voucher, name) for name in _MUTABLE))
        for voucher in after
    ]
    bulk.update(work.connection, schema.vouchers, 2, _CHANGED, rows)


@contextmanager
def adding_all(
    work: Work, added: Sequence[tuple[Voucher, Voucher]]
) -> Iterator[Callable[[], dict[str, Voucher]]]:
    """Count uses on vouchers that were read without a lock: as read, and as they are to be then.

    Answers each as it now is; locked. Another transaction may have been faster: what it counted is
    counted too, as long as all of it fits into the shares. What no longer fits, or of which
    something else has changed, is left out and stands as the other left it. It is done while the
    block runs, in which the database does nothing else.
    """
    rows = [
        (
            work.merchant,
            *(getattr(before, name) for name in _SAME),
            before.voucher,
            after.used - before.used,
            after.generation,
        )
        for before, after in added
    ]
    keys = len(_ADDED) - 2
    hoped = {after.voucher: after for _, after in added}
    with bulk.updating_if(
        work.connection, schema.vouchers, keys, _ADDED, rows, how=_ADDING
    ) as answer:
        if answer is None:
            yield lambda: hoped
        else:
            yield lambda: {row[0]: _counted(hoped[row[0]], *row[1:]) for row in answer()}


def _counted(hoped: Voucher, used: int, generation: int, version: int) -> Voucher:
    if (used, generation, version) == (hoped.used, hoped.generation, hoped.version):
        return hoped
    return replace(hoped, used=used, generation=generation, version=version)


def publish_all(work: Work, after: Sequence[Voucher]) -> None:
    """Tell terminals of vouchers that have been written under their next version."""
    moved: dict[int, int] = {}
    for voucher in after:
        if voucher.retired:
            continue
        bucket, name, version = voucher.bucket, voucher.voucher, voucher.version
        work.put(bucket, STATE, name)
        old, new = row_digest(name, version - 1), row_digest(name, version)
        moved[bucket] = moved.get(bucket, 0) + new - old
    for bucket, digest in moved.items():
        work.tally(bucket, live=0, digest=digest)


def retire_all(work: Work, vouchers: Sequence[Voucher]) -> None:
    """Take vouchers out of all replicas: gone from their buckets, kept in the ledger."""
    _rehome(work, [replace(v, bucket=~v.bucket, version=v.version + 1) for v in vouchers])
    for voucher in vouchers:
        work.remove(voucher.bucket, STATE, voucher.voucher)
        work.tally(voucher.bucket, live=-1, digest=-row_digest(voucher.voucher, voucher.version))


def move_all(work: Work, vouchers: Sequence[Voucher], bucket: int, outlets: Sequence[int]) -> None:
    """Move locked vouchers to another bucket: gone from one and new in the other at one moment.

    One whose home is not among these `outlets` any more has the only one as its home, or none.
    """
    after = [
        replace(
            voucher,
            bucket=~bucket if voucher.retired else bucket,
            home=_home_among(outlets, voucher.home),
            version=voucher.version + 1,
        )
        for voucher in vouchers
    ]
    names = ("merchant", "voucher", "bucket", "home", "version")
    rows = [(work.merchant, v.voucher, v.bucket, v.home, v.version) for v in after]
    bulk.update(work.connection, schema.vouchers, 2, names, rows)
    for old, new in zip(vouchers, after, strict=True):
        if old.retired:
            continue
        work.remove(old.bucket, STATE, old.voucher)
        work.tally(old.bucket, live=-1, digest=-row_digest(old.voucher, old.version))
        work.put(new.bucket, STATE, new.voucher)
        work.tally(new.bucket, live=1, digest=row_digest(new.voucher, new.version))


def _home_among(outlets: Sequence[int], home: int | None) -> int | None:
    if home is None or home in outlets:
        return home
    return outlets[0] if len(outlets) == 1 else None


def revive(work: Work, voucher: Voucher) -> Voucher:
    """Bring a retired voucher back into the replicas; its rows must be sealed again."""
    after = replace(voucher, bucket=voucher.own_bucket, version=voucher.version + 1)
    _rehome(work, [after])
    work.put(after.bucket, STATE, after.voucher)
    work.tally(after.bucket, live=1, digest=row_digest(after.voucher, after.version))
    return after


def _rehome(work: Work, after: Sequence[Voucher]) -> None:
    names = ("merchant", "voucher", "bucket", "version")
    rows = [(work.merchant, v.voucher, v.bucket, v.version) for v in after]
    bulk.update(work.connection, schema.vouchers, 2, names, rows)


def taken(work: Work, wanted: Sequence[str]) -> set[str]:
    """Those of the codes that other vouchers have or reserve."""
    table = schema.codes
    found: set[str] = set()
    for part in parts(wanted):
        rows = work.connection.execute(
            select(table.c.code).where(
                table.c.merchant == work.merchant, table.c.code.in_([int(code) for code in part])
            )
        )
        found.update(str(code) for code in rows.scalars())
    return found


def with_secret(voucher: Voucher, first: int, secret: bytes) -> bytes:
    """The voucher's secrets with another one that makes the codes from generation `first` on."""
    assert first == voucher.horizon + 1 and len(secret) == SECRET_BYTES
    return voucher.secret + first.to_bytes(_FIRST_BYTES, "big") + secret


def with_last4(voucher: Voucher, last4: str) -> Voucher:
    """The voucher as it would be with other last four digits; nothing is stored."""
    return replace(voucher, last4=last4)


def state_item(voucher: Voucher) -> StatePut:
    """What a terminal hears of a voucher."""
    return StatePut(
        voucher=voucher.voucher,
        version=voucher.version,
        state=voucher.state,
        generation=voucher.generation,
        used=voucher.used,
        valid_from=times.format_utc(voucher.valid_from),
        valid_until=times.format_utc(voucher.valid_until),
        home=voucher.home,
    )


def parts(ids: Sequence[T]) -> Iterator[list[T]]:
    """Ids in portions that fit one statement."""
    rest = iter(ids)
    while part := list(islice(rest, _BATCH)):
        yield part
