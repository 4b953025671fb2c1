"""Issuing: an order becomes a voucher with a code (EV-034 to EV-036).

Responsible for: what an order must say, the secret whose codes collide with nothing, the signed QR.
Not responsible for: payment, sending messages, sealing in bulk (queued here, done by `sealing`).
Invariants: no code of the generations 0..H of two vouchers is the same (design, section 6); an
11-digit code never looks like a mobile number; a single issue answers only once its current code
and the next are sealed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from msgspec.structs import replace
from sqlalchemy import select

from central import cards, catalogue, keys, ledger, schema, sealing, texts
from central.catalogue import Product
from central.database import retried
from central.errors import Refused
from central.keys import Keyring
from central.ledger import Voucher
from central.service import Central, Work
from vouchers import codes, ids, qr, times
from vouchers.limits import SHARES_MAX
from vouchers.sealed import SECRET_BYTES

EXTERNAL_CHARS_MAX: Final = 64
"""An order id of another system."""

PAID_FEN_MAX: Final = 1_000_000_000_000
"""Ten billion yuan for an order: keeps every product of money and shares inside 64 bits."""


@dataclass(frozen=True, slots=True)
class NewOrder:
    """One order. `paid_fen` None: shares x price. `valid_from`/`valid_until` override the product.

    `external` is the order's id in the shop system. `used_before` shares were spent, and
    `generation_before` codes replaced, in another system before (a migrated voucher).
    `fingerprint` tells a repeated import row from a changed one. `id_card` is the MD5 of the
    buyer's ID number, as upstream delivers it: that card opens the voucher too (EV-032).
    """

    product: int
    mobile: str
    shares: int = 1
    home: int | None = None
    external: str | None = None
    paid_fen: int | None = None
    valid_from: int | None = None
    valid_until: int | None = None
    used_before: int = 0
    generation_before: int = 0
    origin: str = "issue"
    fingerprint: str | None = None
    id_card: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Draft:
    """An order that was found good: what the voucher will be, short of its secret."""

    order: NewOrder
    product: Product
    mobile: str
    paid_fen: int
    valid_from: int
    valid_until: int
    home: int | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A secret and its codes of the generations 0..H, free when they were looked up."""

    secret: bytes
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class New:
    """A voucher about to be stored, with the draft it came from and the codes it reserves."""

    draft: Draft
    voucher: Voucher
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Issued:
    """An issued voucher; `qr` is the text of its signed QR."""

    order: str
    voucher: str
    code: str
    last4: str
    shares: int
    qr: str


@retried
def issue(central: Central, order: NewOrder) -> Issued | Refused:
    """Issue one voucher; its codes are sealed when this answers."""
    with central.read() as work:
        ring = keys.load(work)
        draft = examine(central, work, order, catalogue.products(work))
        if isinstance(draft, Refused):
            return draft
        moment = work.now
        (drawn,) = draw(central, work, [order.shares])
    person = None if order.id_card is None else cards.stretch(order.id_card, ring.vault)
    while True:
        voucher = compose(central, draft, drawn, moment)
        rows = [
            sealing.seal(central, voucher, generation, ring.vault)
            for generation in _generations(voucher)
        ]
        with central.write() as work:
            if _is_known(work, order.external):
                words = f"order {order.external} was issued already: look at `report orders`"
                return Refused("exists", words)
            if not ledger.taken(work, drawn.codes):
                insert(work, [New(draft, voucher, drawn.codes)])
                sealing.store(work, rows)
                if person is not None:
                    cards.store(central, work, voucher, person, ring.vault)
                return _issued(central, voucher, ring)
            (drawn,) = draw(central, work, [order.shares])


def _is_known(work: Work, external: str | None) -> bool:
    table = schema.orders
    mine = (table.c.merchant == work.merchant) & (table.c.external == external)
    return external is not None and bool(work.connection.execute(select(table).where(mine)).first())


def _generations(voucher: Voucher) -> tuple[int, ...]:
    """What a new voucher has sealed: also codes replaced elsewhere, so they can be named so."""
    return tuple(sorted({*range(voucher.generation), *sealing.wanted(voucher)}))


def examine(
    central: Central, work: Work, order: NewOrder, products: dict[int, Product]
) -> Draft | Refused:
    """Check an order and settle its validity, home and price."""
    product = products.get(order.product)
    if product is None:
        return Refused("unknown_product", f"there is no product {order.product}")
    mobile = texts.read_mobile(order.mobile)
    if isinstance(mobile, Refused):
        return mobile
    wrong = _complaint(order, product)
    if wrong is not None:
        return wrong
    start = order.valid_from
    if start is None:
        start = max(work.now, product.terms.valid_from or 0)
    end = order.valid_until or validity_end(central, product, work.now)
    if not start < end:
        return Refused("bad_validity", "the voucher would be over before it begins")
    paid = order.shares * product.terms.price_fen if order.paid_fen is None else order.paid_fen
    return Draft(order, product, mobile, paid, start, end, _home(order, product))


def _complaint(order: NewOrder, product: Product) -> Refused | None:
    shares, external = order.shares, order.external
    checks = (
        (1 <= shares <= SHARES_MAX, "bad_count", f"the shares must be 1 to {SHARES_MAX}"),
        (
            order.home is None or order.home in product.outlets,
            "bad_home",
            "the home outlet must be one of the product's outlets",
        ),
        (
            external is None or 1 <= len(external) <= EXTERNAL_CHARS_MAX,
            "bad_order",
            f"an order id has 1 to {EXTERNAL_CHARS_MAX} characters",
        ),
        (
            external is None or not isinstance(texts.read_name(external, "order"), Refused),
            "bad_order",
            "an order id must hold no control characters",
        ),
        (
            order.paid_fen is None or 0 <= order.paid_fen <= PAID_FEN_MAX,
            "bad_price",
            "what was paid must not be negative or absurd",
        ),
        (
            0 <= order.used_before <= shares and 0 <= order.generation_before <= order.used_before,
            "bad_count",
            "shares used before must lie within the shares",
        ),
    )
    return next((Refused(reason, words) for good, reason, words in checks if not good), None)


def validity_end(central: Central, product: Product, now: int) -> int:
    """When a voucher issued now ends (EV-018): after the last local day, exclusive (decision 8)."""
    terms = product.terms
    if terms.valid_to is not None:
        return terms.valid_to
    assert terms.valid_days is not None, "a product has an end or a number of days"
    day = times.local_date(now, central.zone) + timedelta(days=terms.valid_days + 1)
    return times.day_start(day, central.zone)


def _home(order: NewOrder, product: Product) -> int | None:
    if order.home is not None:
        return order.home
    return product.outlets[0] if len(product.outlets) == 1 else None


def draw(central: Central, work: Work, shares: Sequence[int]) -> list[Drawn]:
    """A secret for each voucher of that many shares; all their codes are free and distinct."""
    mine: set[str] = set()
    drawn = [_candidate(central, count, mine) for count in shares]
    while found := ledger.taken(work, [code for one in drawn for code in one.codes]):
        drawn = [
            _candidate(central, count, mine) if found.intersection(one.codes) else one
            for count, one in zip(shares, drawn, strict=True)
        ]
    return drawn


def _candidate(central: Central, shares: int, mine: set[str]) -> Drawn:
    """A secret whose codes 0..H look like no mobile (decision 14) and are not among `mine`."""
    last = codes.horizon(shares)
    while True:
        secret = central.random(SECRET_BYTES)
        found: list[str] = []
        for generation in range(last + 1):
            code = codes.derive(secret, generation)
            if codes.looks_like_mobile(code) or code in mine or code in found:
                break
            found.append(code)
        else:
            mine.update(found)
            return Drawn(secret, tuple(found))


def compose(central: Central, draft: Draft, drawn: Drawn, now: int) -> Voucher:
    """The voucher of a draft, with new ids."""
    order = draft.order
    return Voucher(
        voucher=new_id(central, now),
        order_id=new_id(central, now),
        product=draft.product.product,
        bucket=draft.product.bucket,
        secret=drawn.secret,
        horizon=len(drawn.codes) - 1,
        shares=order.shares,
        used=order.used_before,
        used_before=order.used_before,
        generation=order.generation_before,
        generation_before=order.generation_before,
        refunded_shares=0,
        state="live",
        valid_from=draft.valid_from,
        valid_until=draft.valid_until,
        home=draft.home,
        last4=draft.mobile[-4:],
        paid_fen=draft.paid_fen,
        issued_at=now,
        version=1,
    )


def insert(work: Work, issued: Sequence[New]) -> None:
    """Store orders with their vouchers, in the buckets where their products are now."""
    buckets = catalogue.buckets_of(work, {new.voucher.product for new in issued})
    work.connection.execute(
        schema.orders.insert(),
        [
            {
                "merchant": work.merchant,
                "order_id": new.voucher.order_id,
                "external": new.draft.order.external,
                "fingerprint": new.draft.order.fingerprint,
                "product": new.voucher.product,
                "voucher": new.voucher.voucher,
                "mobile": new.draft.mobile,
                "shares": new.voucher.shares,
                "paid_fen": new.voucher.paid_fen,
                "origin": new.draft.order.origin,
                "created_at": new.voucher.issued_at,
            }
            for new in issued
        ],
    )
    ledger.insert(
        work,
        [(replace(new.voucher, bucket=buckets[new.voucher.product]), new.codes) for new in issued],
    )


def signed_qr(central: Central, voucher: Voucher, ring: Keyring) -> str:
    """The signed QR of the voucher's current code (design, section 6)."""
    return qr.encode(
        qr.VoucherQr(
            kid=ring.sign_kid,
            merchant=central.merchant,
            voucher=voucher.voucher,
            code=voucher.code,
            shares=voucher.shares,
            generation=voucher.generation,
            product=voucher.product,
            not_before_s=voucher.valid_from // 1000,
            expiry_s=voucher.valid_until // 1000,
            home=voucher.home,
            issued_s=voucher.issued_at // 1000,
            tag=qr.last4_tag(ring.tags[ring.tag_kid], voucher.voucher, voucher.last4),
        ),
        ring.sign,
    )


def new_id(central: Central, now: int) -> str:
    """A new UUIDv7."""
    return ids.uuid7(now, central.random(ids.UUID_RANDOM_BYTES))


def _issued(central: Central, voucher: Voucher, ring: Keyring) -> Issued:
    return Issued(
        order=voucher.order_id,
        voucher=voucher.voucher,
        code=voucher.code,
        last4=voucher.last4,
        shares=voucher.shares,
        qr=signed_qr(central, voucher, ring),
    )
