"""Sample data for `hexiao demo`: a small merchant, and vouchers of every kind at its first outlet.

Responsible for: making it once and topping it up. Not responsible for: starting anything.
Invariant: what it lists is so at this moment by central's books; a terminal that has not synced may
know more.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import select

from central import catalogue, issuing, ledger, orders, schema
from central.catalogue import NewProduct, Product
from central.errors import Refused
from central.issuing import NewOrder
from central.ledger import Voucher
from central.service import Central
from vouchers import times
from vouchers.id_card import upstream_hash

SINGLES: Final = 16
MULTIS: Final = 6
ID_CARD: Final = "11010519491231002X"
"""A published example, no person's number."""
_ORIGIN: Final = "demo:"
_HOME: Final = 1
_AWAY: Final = 2
_WEEK: Final = (1, 2, 3, 4, 5, 6, 7)
_DAYS: Final = "一二三四五六日"


@dataclass(frozen=True, slots=True)
class Sample:
    """A voucher to show: what to present, and how many shares it still stands for."""

    code: str
    last4: str
    shares: int
    product: int


@dataclass(frozen=True, slots=True)
class Refusable:
    """A voucher that is refused at the first outlet, and why."""

    code: str
    last4: str
    reason: str


@dataclass(frozen=True, slots=True)
class Samples:
    """All of it; `online_only` is redeemable while central is in reach."""

    vouchers: tuple[Sample, ...]
    refused: tuple[Refusable, ...]
    online_only: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of refused sample: how to make one, when one still is one, and its code."""

    reason: str
    make: Callable[[], NewOrder]
    still: Callable[[Voucher], bool]
    then: Callable[[str], object] = lambda order: None  # noqa: ARG005
    generation: int | None = None


def seed(central: Central) -> Samples:
    """Make what is missing, and list it."""
    _outlets(central)
    shop = _Shop(central)
    singles = shop.top_up("single", SINGLES, shop.coffee(1), _unused)
    multis = [
        shop.top_up(f"multi{shares}", 1, shop.coffee(shares), _spendable)[0]
        for shares in (3, 4, 5, 6, 8, 10)
    ]
    shop.top_up("id_card", 1, shop.by_card(), _spendable)
    online = shop.top_up("online_only", 1, shop.online(), _unused)
    refused = tuple(shop.refusable(kind) for kind in shop.refused_kinds())
    return Samples(
        vouchers=tuple(map(_sample, singles + multis)),
        refused=refused,
        online_only=tuple(map(_sample, online)),
    )


def _outlets(central: Central) -> None:
    with central.read() as work:
        there = len(catalogue.outlets(work))
    for name in ("东门店 East Gate", "西门店 West Gate")[there:]:
        catalogue.add_outlet(central, name)


def _unused(voucher: Voucher) -> bool:
    return voucher.state == "live" and voucher.used == 0


def _spendable(voucher: Voucher) -> bool:
    return voucher.state == "live" and voucher.left >= 3


def _sample(voucher: Voucher) -> Sample:
    return Sample(voucher.code, voucher.last4, voucher.left, voucher.product)


class _Shop:
    """The sample merchant; products are found by their name."""

    def __init__(self, central: Central) -> None:
        self._central = central
        self._now = central.clock()
        both, plain = (_HOME, _AWAY), NewProduct(name="", price_fen=0, outlets=(_HOME,))
        self._single = self._product(
            replace(plain, name="美式咖啡 Americano", price_fen=2800, outlets=both)
        )
        self._away = self._product(
            replace(plain, name="西门套餐 West Gate lunch", price_fen=6800, outlets=(_AWAY,))
        )
        self._online = self._product(
            replace(plain, name="联网专享 Online only", price_fen=9900, online_only=True)
        )
        today = times.weekday(self._now, central.zone)
        self._weekday = self._product(
            replace(
                plain,
                name=f"周{_DAYS[today - 1]}不可用 Not on day {today}",
                price_fen=3900,
                weekdays=tuple(day for day in _WEEK if day != today),
            )
        )

    def coffee(self, shares: int) -> NewOrder:
        """An order that its home outlet redeems, also alone."""
        return NewOrder(self._single.product, "", shares=shares, home=_HOME)

    def by_card(self) -> NewOrder:
        """An order that an ID card opens, for who tries the emulated reader."""
        return replace(self.coffee(6), id_card=upstream_hash(ID_CARD))

    def online(self) -> NewOrder:
        """An order of the product that needs central's word."""
        return NewOrder(self._online.product, "")

    def refused_kinds(self) -> tuple[_Kind, ...]:
        """One kind for each reason that a new counter can meet."""
        day, now = times.DAY_MS, self._now
        coffee = self.coffee(2)
        past = replace(coffee, valid_from=now - 40 * day, valid_until=now - 10 * day)
        future = replace(coffee, valid_from=now + 30 * day, valid_until=now + 60 * day)
        ask = orders.request_refund
        return (
            _Kind("expired", lambda: past, lambda v: _unused(v) and v.valid_until <= now),
            _Kind("not_yet_valid", lambda: future, lambda v: v.valid_from > now + day),
            _Kind("wrong_outlet", lambda: NewOrder(self._away.product, ""), _unused),
            _Kind(
                "wrong_weekday",
                lambda: NewOrder(self._weekday.product, ""),
                lambda v: _unused(v) and v.product == self._weekday.product,
            ),
            _Kind(
                "refunding",
                lambda: coffee,
                lambda v: v.state == "refunding",
                then=lambda order: ask(self._central, order),
            ),
            _Kind(
                "refunded",
                lambda: coffee,
                lambda v: v.state == "refunded",
                then=lambda order: orders.pay_refund(self._central, order),
            ),
            _Kind("used_up", lambda: replace(coffee, used_before=2), lambda v: v.left == 0),
            _Kind(
                "replaced",
                lambda: replace(coffee, shares=3, used_before=1, generation_before=1),
                lambda v: v.state == "live" and v.generation >= 1,
                generation=0,
            ),
        )

    def refusable(self, kind: _Kind) -> Refusable:
        """A sample of a kind, made if there is none left."""
        found = self.top_up(kind.reason, 1, kind.make(), kind.still, kind.then)[0]
        code = found.code if kind.generation is None else found.code_of(kind.generation)
        return Refusable(code, found.last4, kind.reason)

    def top_up(
        self,
        name: str,
        count: int,
        order: NewOrder,
        still: Callable[[Voucher], bool],
        then: Callable[[str], object] = lambda order: None,  # noqa: ARG005
    ) -> list[Voucher]:
        """At least `count` vouchers of a kind; as many new ones as are missing."""
        origin = _ORIGIN + name
        have = [voucher for voucher in self._of(origin) if still(voucher)]
        for _ in range(count - len(have)):
            mobile = f"138{int.from_bytes(self._central.random(4), 'big') % 10**8:08d}"
            issued = issuing.issue(self._central, replace(order, mobile=mobile, origin=origin))
            assert not isinstance(issued, Refused), issued
            then(issued.order)
        return [voucher for voucher in self._of(origin) if still(voucher)][:count]

    def _of(self, origin: str) -> list[Voucher]:
        table = schema.orders
        with self._central.read() as work:
            ids = work.connection.execute(
                select(table.c.voucher)
                .where(table.c.merchant == work.merchant, table.c.origin == origin)
                .order_by(table.c.created_at, table.c.voucher)
            ).scalars()
            wanted = list(ids)
            found = ledger.find_all(work, wanted)
        return [found[voucher] for voucher in wanted]

    def _product(self, new: NewProduct) -> Product:
        with self._central.read() as work:
            for product in catalogue.products(work).values():
                if product.terms.name == new.name:
                    return product
        made = catalogue.add_product(self._central, new)
        assert not isinstance(made, Refused), made
        return made
