"""Outlets and products, and the buckets that their changes are fed through.

Responsible for: adding and reading them. Not responsible for: orders, vouchers, the feed's pages.
Invariants: bucket 0 is the catalogue itself; every distinct set of outlets has one bucket, for
ever; a product without outlets does not exist (decision 12).
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Table, bindparam, func, select

from central import schema, texts
from central.database import retried
from central.errors import Refused
from central.service import Central, Work
from sync.feed import digest_text

CATALOGUE: Final = 0
"""The bucket of outlets, products, the policy and keys; every terminal pulls it."""

PRICE_FEN_MAX: Final = 100_000_000
"""One million yuan a share: anything above is a slip of the keyboard."""

VALID_DAYS_MAX: Final = 3_660
"""Ten years."""

FEE_BEARERS: Final = ("buyer", "seller")


@dataclass(frozen=True, slots=True)
class Outlet:
    """An outlet (EV-020)."""

    outlet: int
    name: str


@dataclass(frozen=True, slots=True)
class NewProduct:
    """What a product is to be. Money in fen, times in milliseconds UTC, `valid_to` exclusive.

    Validity (EV-018): `valid_to` is a fixed end, else `valid_days` counts from the day of issue.
    `weekdays` empty means every day (AX-11). `refund_ratio` is 1..100 percent (EV-055).
    """

    name: str
    price_fen: int
    outlets: tuple[int, ...]
    weekdays: tuple[int, ...] = ()
    online_only: bool = False
    valid_from: int | None = None
    valid_to: int | None = None
    valid_days: int | None = 365
    refund_ratio: int = 100
    refund_fee_fen: int = 100
    fee_bearer: str = "buyer"
    auto_refund: bool = False
    slip_text: str | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """A product as it stands; see `NewProduct` for the fields."""

    product: int
    bucket: int
    version: int
    outlets: tuple[int, ...]
    terms: NewProduct


@retried
def add_outlet(central: Central, name: str) -> Outlet | Refused:
    """Open an outlet."""
    readable = texts.read_name(name, "outlet")
    if isinstance(readable, Refused):
        return readable
    with central.write() as work:
        outlet = next_number(work, schema.outlets, schema.outlets.c.outlet)
        work.connection.execute(
            schema.outlets.insert().values(
                merchant=work.merchant, outlet=outlet, name=readable, version=1
            )
        )
        work.put(CATALOGUE, "outlet", str(outlet))
    return Outlet(outlet, readable)


def outlets(work: Work) -> list[Outlet]:
    """All outlets, by number."""
    table = schema.outlets
    rows = work.connection.execute(
        select(table).where(table.c.merchant == work.merchant).order_by(table.c.outlet)
    )
    return [Outlet(row.outlet, row.name) for row in rows]


@retried
def add_product(central: Central, new: NewProduct) -> Product | Refused:
    """Publish a product (EV-016 to EV-026, as far as the counter is concerned)."""
    wrong = _complaint(new)
    if wrong is not None:
        return wrong
    with central.write() as work:
        unknown = sorted(set(new.outlets) - {found.outlet for found in outlets(work)})
        if unknown:
            return Refused("unknown_outlet", f"there is no outlet {unknown[0]}")
        bucket = open_bucket(work, new.outlets, central.random)
        product = next_number(work, schema.products, schema.products.c.product)
        work.connection.execute(
            schema.products.insert().values(
                merchant=work.merchant,
                product=product,
                bucket=bucket,
                version=1,
                moving=0,
                **_columns(new),
            )
        )
        work.put(CATALOGUE, "product", str(product))
    return Product(product, bucket, 1, tuple(sorted(set(new.outlets))), new)


def _complaint(new: NewProduct) -> Refused | None:
    name = texts.read_name(new.name, "product")
    slip = None if new.slip_text is None else texts.read_slip_text(new.slip_text)
    for text in (name, slip):
        if isinstance(text, Refused):
            return text
    checks = (
        (bool(new.outlets), "no_outlets", "a product must name the outlets where it is good"),
        (0 <= new.price_fen <= PRICE_FEN_MAX, "bad_price", "the price must be 0 to 100000000 fen"),
        (1 <= new.refund_ratio <= 100, "bad_ratio", "the refund ratio must be 1 to 100 percent"),
        (new.refund_fee_fen >= 0, "bad_fee", "the refund fee must not be negative"),
        (new.fee_bearer in FEE_BEARERS, "bad_fee", "the fee bearer must be buyer or seller"),
        (
            new.valid_days is None or 1 <= new.valid_days <= VALID_DAYS_MAX,
            "bad_validity",
            f"the validity must be 1 to {VALID_DAYS_MAX} days",
        ),
        (
            new.valid_to is None or new.valid_from is None or new.valid_from < new.valid_to,
            "bad_validity",
            "the validity must end after it begins",
        ),
        (
            new.valid_to is not None or new.valid_days is not None,
            "bad_validity",
            "a product needs an end date or a number of days",
        ),
    )
    return next((Refused(reason, words) for good, reason, words in checks if not good), None)


def _columns(new: NewProduct) -> dict[str, object]:
    return {
        "name": str(texts.read_name(new.name, "product")),
        "price_fen": new.price_fen,
        "weekdays": json.dumps(sorted(set(new.weekdays))),
        "online_only": int(new.online_only),
        "valid_from": new.valid_from,
        "valid_to": new.valid_to,
        "valid_days": new.valid_days,
        "refund_ratio": new.refund_ratio,
        "refund_fee_fen": new.refund_fee_fen,
        "fee_bearer": new.fee_bearer,
        "auto_refund": int(new.auto_refund),
        "slip_text": None if new.slip_text is None else str(texts.read_slip_text(new.slip_text)),
    }


def products(work: Work) -> dict[int, Product]:
    """All products by number."""
    table, bucket = schema.products, schema.buckets
    rows = work.connection.execute(
        select(table, bucket.c.outlets)
        .join(bucket, (bucket.c.merchant == table.c.merchant) & (bucket.c.bucket == table.c.bucket))
        .where(table.c.merchant == work.merchant)
        .order_by(table.c.product)
    )
    return {row.product: _product(row) for row in rows}


def _product(row: Any) -> Product:
    outlet_ids = tuple(json.loads(row.outlets))
    return Product(
        product=row.product,
        bucket=row.bucket,
        version=row.version,
        outlets=outlet_ids,
        terms=NewProduct(
            name=row.name,
            price_fen=row.price_fen,
            outlets=outlet_ids,
            weekdays=tuple(json.loads(row.weekdays)),
            online_only=bool(row.online_only),
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            valid_days=row.valid_days,
            refund_ratio=row.refund_ratio,
            refund_fee_fen=row.refund_fee_fen,
            fee_bearer=row.fee_bearer,
            auto_refund=bool(row.auto_refund),
            slip_text=row.slip_text,
        ),
    )


def buckets_of(work: Work, product_ids: Collection[int]) -> dict[int, int]:
    """The bucket of each product, which stays that until this transaction ends."""
    table = schema.products
    rows = work.connection.execute(
        select(table.c.product, table.c.bucket)
        .where(table.c.merchant == work.merchant, table.c.product.in_(sorted(product_ids)))
        .with_for_update(read=True)
    )
    return {row.product: row.bucket for row in rows}


class Places(NamedTuple):
    """Where a product is good, and where it was: until when (ms UTC) that may be unheard of."""

    outlets: frozenset[int]
    former: dict[int, int]


_FORMER: Final = schema.former_outlets
# Made once, and one for both: every upload asks.
_PLACES: Final = (
    select(schema.products.c.product, schema.buckets.c.outlets, _FORMER.c.outlet, _FORMER.c.until)
    .join(
        schema.buckets,
        (schema.buckets.c.merchant == schema.products.c.merchant)
        & (schema.buckets.c.bucket == schema.products.c.bucket),
    )
    .outerjoin(
        _FORMER,
        (_FORMER.c.merchant == schema.products.c.merchant)
        & (_FORMER.c.product == schema.products.c.product),
    )
    .where(schema.products.c.merchant == bindparam("of_merchant"))
)


def places(work: Work) -> dict[int, Places]:
    """Where every product is good."""
    found: dict[int, Places] = {}
    rows = work.connection.execute(_PLACES, {"of_merchant": work.merchant})
    for product, outlets, former, until in rows:
        place = found.get(product)
        if place is None:
            place = found[product] = Places(frozenset(json.loads(outlets)), {})
        if former is not None:
            place.former[former] = until
    return found


def open_bucket(work: Work, outlet_ids: Sequence[int], random: Callable[[int], bytes]) -> int:
    """The bucket of a set of outlets, made if it is new. The empty set is the catalogue's."""
    table = schema.buckets
    text = json.dumps(sorted(set(outlet_ids)))
    found = work.connection.execute(
        select(table.c.bucket).where(table.c.merchant == work.merchant, table.c.outlets == text)
    ).scalar()
    if found is not None:
        return int(found)
    bucket = next_number(work, table, table.c.bucket) if outlet_ids else CATALOGUE
    work.connection.execute(
        table.insert().values(merchant=work.merchant, bucket=bucket, outlets=text)
    )
    work.connection.execute(
        schema.feed_heads.insert().values(
            merchant=work.merchant,
            bucket=bucket,
            epoch=random(8).hex(),
            seq=0,
            floor=0,
            live=0,
            digest=digest_text(0),
        )
    )
    return bucket


def buckets(work: Work) -> dict[int, tuple[int, ...]]:
    """The outlets of every bucket."""
    table = schema.buckets
    rows = work.connection.execute(
        select(table).where(table.c.merchant == work.merchant).order_by(table.c.bucket)
    )
    return {row.bucket: tuple(json.loads(row.outlets)) for row in rows}


def next_number(work: Work, table: Table, column: Column[Any]) -> int:
    """The next small number of a kind of thing; numbers start at 1 and are never used again."""
    highest = work.connection.execute(
        select(func.max(column)).where(table.c.merchant == work.merchant)
    ).scalar()
    return int(highest or 0) + 1
