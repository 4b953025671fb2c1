"""Products that become good elsewhere, and their vouchers' way to another bucket.

Responsible for: changing the outlets of a product, and moving its vouchers after it in portions.
Not responsible for: what terminals make of it (`sync.feed`), or the rules. Invariants: a portion
leaves one bucket and enters the other in one transaction, and is counted in `moves`; the product
names its new bucket before the first portion, and may not change again before the last; an outlet
that was taken away is not blamed for what it redeems until it must have heard (decision 0021).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, select, update

from central import bulk, catalogue, ledger, policies, schema, sealing
from central.catalogue import CATALOGUE, Product
from central.database import retried
from central.errors import Refused
from central.service import Central, Work
from vouchers import times

PORTION: Final = 500
"""Vouchers moved in one transaction, with a few sealed rows each."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A product where it is good now, and how many vouchers went there with it."""

    product: Product
    vouchers: int


def change_outlets(central: Central, product: int, outlets: Sequence[int]) -> Moved | Refused:
    """Make a product good at other outlets from now on (EV-020), its sold vouchers too."""
    before = run(central)  # what another change left half done goes first
    refused = _change(central, product, sorted(set(outlets)))
    if refused is not None:
        return refused
    moved = run(central) + before
    with central.read() as work:
        return Moved(catalogue.products(work)[product], moved)


@retried
def _change(central: Central, product: int, outlets: Sequence[int]) -> Refused | None:
    with central.write() as work:
        row = _locked(work, product)
        wrong = _complaint(work, product, row, outlets)
        if wrong is not None:
            return wrong
        bucket = catalogue.open_bucket(work, outlets, central.random)
        if bucket == row.bucket:
            return None
        _remember_former(work, product, set(catalogue.buckets(work)[row.bucket]), set(outlets))
        _set(work, product, bucket=bucket, version=row.version + 1, moving=1)
        work.put(CATALOGUE, "product", str(product))
    return None


def _locked(work: Work, product: int) -> Any:
    table = schema.products
    return work.connection.execute(
        select(table)
        .where(table.c.merchant == work.merchant, table.c.product == product)
        .with_for_update()
    ).one_or_none()


def _complaint(work: Work, product: int, row: Any, outlets: Sequence[int]) -> Refused | None:
    if row is None:
        return Refused("unknown_product", f"there is no product {product}")
    if not outlets:
        return Refused("no_outlets", "a product must name the outlets where it is good")
    unknown = sorted(set(outlets) - {found.outlet for found in catalogue.outlets(work)})
    if unknown:
        return Refused("unknown_outlet", f"there is no outlet {unknown[0]}")
    if row.moving:
        words = f"vouchers of product {product} are still being moved; try again in a moment"
        return Refused("moving", words)
    return None


def _remember_former(work: Work, product: int, old: set[int], new: set[int]) -> None:
    """A terminal may decide by a list as old as the policy allows, once more by override."""
    offline = policies.current(work).offline
    hours = offline.max_replica_age_hours + offline.override_hours
    table = schema.former_outlets
    mine = (table.c.merchant == work.merchant) & (table.c.product == product)
    work.connection.execute(delete(table).where(mine, table.c.outlet.in_(old | new)))
    names = ("merchant", "product", "outlet", "until")
    until = work.now + hours * times.HOUR_MS
    rows = [(work.merchant, product, outlet, until) for outlet in sorted(old - new)]
    bulk.insert(work.connection, table, names, rows)


def _set(work: Work, product: int, **values: int) -> None:
    table = schema.products
    work.connection.execute(
        update(table)
        .where(table.c.merchant == work.merchant, table.c.product == product)
        .values(values)
    )


def run(central: Central) -> int:
    """Move what lies in the former buckets of products; answers how many vouchers went."""
    done = 0
    for product in _unfinished(central):
        after: str | None = ""
        while after is not None:
            count, after = _portion(central, product, after)
            done += count
    return done


def _unfinished(central: Central) -> list[int]:
    table = schema.products
    with central.read() as work:
        rows = work.connection.execute(
            select(table.c.product)
            .where(table.c.merchant == work.merchant, table.c.moving == 1)
            .order_by(table.c.product)
        )
        return list(rows.scalars())


@retried
def _portion(central: Central, product: int, after: str) -> tuple[int, str | None]:
    """Move the next vouchers by id; how many, and where to go on: None when all have moved."""
    with central.write() as work:
        bucket = catalogue.buckets_of(work, [product])[product]
        found = ledger.find_all(work, _left_behind(work, product, bucket, after), lock=True)
        if not found:
            _set(work, product, moving=0)
            return 0, None
        outlets = catalogue.buckets(work)[bucket]
        ledger.move_all(work, list(found.values()), bucket, outlets)
        sealing.move_all(work, list(found), bucket)
        _count(work)
    return len(found), max(found)


def _left_behind(work: Work, product: int, bucket: int, after: str) -> list[str]:
    table = schema.vouchers
    rows = work.connection.execute(
        select(table.c.voucher)
        .where(
            table.c.merchant == work.merchant,
            table.c.product == product,
            table.c.voucher > after,
            table.c.bucket.not_in((bucket, ~bucket)),
        )
        .order_by(table.c.voucher)
        .limit(PORTION)
    )
    return list(rows.scalars())


def _count(work: Work) -> None:
    """One more move. The row stays locked until commit, so the count rises in that order."""
    table = schema.counters
    names = ("merchant", "name", "value")
    bulk.insert_new(work.connection, table, names, [(work.merchant, schema.MOVES, 0)])
    work.connection.execute(
        update(table)
        .where(table.c.merchant == work.merchant, table.c.name == schema.MOVES)
        .values(value=table.c.value + 1)
    )
