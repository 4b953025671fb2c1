"""Commands about outlets and products."""

import argparse
from datetime import timedelta
from typing import Final

from central import catalogue, moving, texts
from central.catalogue import NewProduct, Product
from central.commands.context import Context
from central.errors import Refused
from central.service import Central
from vouchers import times

DEFAULT_DAYS: Final = 365
"""Validity of a product that names none: a year from issue."""


def outlet_add(context: Context, args: argparse.Namespace) -> int:
    """Open an outlet."""
    with context.central() as central:
        made = catalogue.add_outlet(central, args.name)
    if isinstance(made, Refused):
        return context.output.refuse(made)
    return context.output.say(
        {"ok": True, "outlet": made.outlet, "id": made.outlet, "name": made.name},
        f"outlet {made.outlet}: {made.name}",
    )


def outlet_list(context: Context, _args: argparse.Namespace) -> int:
    """All outlets."""
    with context.central() as central, central.read() as work:
        return context.output.rows(
            {"outlet": found.outlet, "id": found.outlet, "name": found.name}
            for found in catalogue.outlets(work)
        )


def product_add(context: Context, args: argparse.Namespace) -> int:
    """Publish a product."""
    with context.central() as central:
        new = _new_product(central, args)
        made = new if isinstance(new, Refused) else catalogue.add_product(central, new)
        if isinstance(made, Refused):
            return context.output.refuse(made)
        values = {"ok": True, **_product(central, made)}
    return context.output.say(values, f"product {made.product}: {made.terms.name}")


def _new_product(central: Central, args: argparse.Namespace) -> NewProduct | Refused:
    weekdays = texts.read_weekdays(args.weekdays)
    if isinstance(weekdays, Refused):
        return weekdays
    start = _day(central, args.valid_from, 0)
    end = _day(central, args.valid_to, 1)
    for found in (start, end):
        if isinstance(found, Refused):
            return found
    if end is not None and args.valid_days is not None:
        return Refused("bad_validity", "give --valid-days or --valid-to, not both")
    days = args.valid_days if args.valid_days is not None else DEFAULT_DAYS
    return NewProduct(
        name=args.name,
        price_fen=args.price_fen,
        outlets=tuple(args.outlet),
        weekdays=() if len(weekdays) == 7 else weekdays,
        online_only=args.online_only,
        valid_from=start if isinstance(start, int) else None,
        valid_to=end if isinstance(end, int) else None,
        valid_days=None if end is not None else days,
        refund_ratio=args.refund_ratio,
        refund_fee_fen=args.refund_fee_fen,
        fee_bearer=args.fee_bearer,
        auto_refund=args.auto_refund,
        slip_text=args.slip_text,
    )


def _day(central: Central, text: str | None, later: int) -> int | Refused | None:
    """The start of a day, `later` days after the one named, in the merchant's time zone."""
    if text is None:
        return None
    day = texts.read_day(text)
    if isinstance(day, Refused):
        return day
    return times.day_start(day + timedelta(days=later), central.zone)


def product_outlets(context: Context, args: argparse.Namespace) -> int:
    """Make a product good at other outlets, with the vouchers sold of it."""
    with context.central() as central:
        made = moving.change_outlets(central, args.product, args.outlet)
        if isinstance(made, Refused):
            return context.output.refuse(made)
        values = {"ok": True, **_product(central, made.product), "moved": made.vouchers}
    where = ", ".join(map(str, made.product.outlets))
    words = f"product {args.product} is good at {where}; vouchers moved: {made.vouchers}"
    return context.output.say(values, words)


def product_list(context: Context, _args: argparse.Namespace) -> int:
    """All products."""
    with context.central() as central, central.read() as work:
        found = list(catalogue.products(work).values())
        return context.output.rows(_product(central, product) for product in found)


def _product(central: Central, product: Product) -> dict[str, object]:
    terms = product.terms
    last = None if terms.valid_to is None else times.local_date(terms.valid_to - 1, central.zone)
    return {
        "product": product.product,
        "id": product.product,
        "name": terms.name,
        "price_fen": terms.price_fen,
        "outlets": list(product.outlets),
        "weekdays": list(terms.weekdays),
        "online_only": terms.online_only,
        "valid_days": terms.valid_days,
        "valid_to": None if last is None else last.isoformat(),
        "refund_ratio": terms.refund_ratio,
    }
