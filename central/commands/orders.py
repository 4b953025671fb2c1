"""Commands about orders: issue, refund, extend, change-mobile, forget-card, import."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from central import cards, issuing, orders, reports, texts
from central import imports as bulk
from central.commands.context import Context
from central.errors import Refused
from central.orders import Order, Refund
from central.output import REFUSED
from vouchers import times


def issue(context: Context, args: argparse.Namespace) -> int:
    """One order with its voucher."""
    card = None if args.id_card is None else _card(args.id_card)
    if isinstance(card, Refused):
        return context.output.refuse(card)
    order = issuing.NewOrder(
        product=args.product,
        mobile=args.phone,
        shares=args.shares,
        home=args.home,
        external=args.order_ref,
        paid_fen=args.paid_fen,
        id_card=card,
    )
    with context.central() as central:
        issued = issuing.issue(central, order)
    if isinstance(issued, Refused):
        return context.output.refuse(issued)
    words = (
        f"order {issued.order}\ncode {issued.code}  last4 {issued.last4}  {issued.shares} shares"
    )
    return context.output.say(asdict(issued), words)


def refund(context: Context, args: argparse.Namespace) -> int:
    """Refund what is left, freeze it, or unfreeze it."""
    run = orders.pay_refund
    if args.request:
        run = orders.request_refund
    elif args.withdraw:
        run = orders.withdraw_refund
    with context.central() as central:
        found = run(central, args.order)
    if isinstance(found, Refused):
        return context.output.refuse(found)
    return context.output.say(_refund(found), f"refund {found.state}: {found.amount_fen} fen")


def _refund(found: Refund) -> dict[str, object]:
    return {
        "ok": True,
        "order": found.order_id,
        "voucher": found.voucher,
        "state": found.state,
        "shares": found.shares,
        "amount_fen": found.amount_fen,
        "due_at": times.format_utc(found.due_at),
    }


def extend(context: Context, args: argparse.Namespace) -> int:
    """Make an order's validity longer."""
    day = texts.read_day(args.until)
    if isinstance(day, Refused):
        return context.output.refuse(day)
    with context.central() as central:
        return _order(context, orders.extend(central, args.order, day))


def change_mobile(context: Context, args: argparse.Namespace) -> int:
    """Send a voucher to another mobile."""
    with context.central() as central:
        return _order(context, orders.change_mobile(central, args.order, args.number))


def forget_card(context: Context, args: argparse.Namespace) -> int:
    """A person's ID card opens nothing any more."""
    card = _card(args.number)
    if isinstance(card, Refused):
        return context.output.refuse(card)
    with context.central() as central:
        rows = cards.forget(central, card)
    return context.output.say({"ok": True, "rows": rows}, f"{rows} rows of this card forgotten")


def _card(given: str) -> str | Refused:
    """An ID number or its MD5; `-` reads it from standard input, so that no list of processes or
    history of a shell has it.
    """
    return texts.read_card(sys.stdin.readline() if given == "-" else given)


def _order(context: Context, order: Order | Refused) -> int:
    if isinstance(order, Refused):
        return context.output.refuse(order)
    until = times.format_utc(order.voucher.valid_until)
    values = {
        "ok": True,
        "order": order.order_id,
        "voucher": order.voucher.voucher,
        "last4": order.voucher.last4,
        "valid_until": until,
    }
    return context.output.say(values, f"order {order.order_id}: valid until {until}")


def import_orders(context: Context, args: argparse.Namespace) -> int:
    """Orders in bulk."""
    path = Path(args.file)
    refused = Path(args.refused) if args.refused else path.with_name(path.name + ".refused.jsonl")
    with context.central() as central:
        result = bulk.run(central, path, refused, progress=context.output.progress)
        with central.read() as work:
            waiting = next(reports.sealing_state(work))["waiting_current"]
    good = result.refused == 0
    words = (
        f"imported {result.imported}, already there {result.repeated}, refused {result.refused}"
        + (f" (see {result.refused_file})" if result.refused_file else "")
        + f"; {waiting} codes wait to be sealed (`serve` does it, or `hexiao central jobs run`)"
    )
    context.output.say({"ok": good, **asdict(result), "waiting": waiting}, words)
    return 0 if good else REFUSED
