"""What head office does to an order that the counter must see the effect of.

Responsible for: refunds with their freeze (decisions 4 to 6), extending (EV-039), the receiving
mobile (EV-038). Not responsible for: paying money out. Invariants: a refund freezes before it
pays; what was redeemed before the freeze stands, and the refund pays only what is left; a refund
happens once per order; validity never gets shorter.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import select, update

from central import booking, catalogue, claims, issuing, keys, ledger, schema, sealing, texts
from central.catalogue import NewProduct
from central.database import retried
from central.errors import Refused
from central.ledger import Voucher
from central.service import Central, Work
from vouchers import times
from vouchers.money import amount_fen, round_half_up

MANUAL_DAYS: Final = 5
"""EV-056: the seller's days to answer a refund request before the system refunds."""

_PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class Order:
    """An order with its voucher."""

    order_id: str
    external: str | None
    mobile: str
    voucher: Voucher


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund: `state` is requested, withdrawn or paid; money in fen; `due_at` ms UTC."""

    order_id: str
    voucher: str
    state: str
    shares: int
    amount_fen: int
    due_at: int


def find(work: Work, ref: str, *, lock: bool = False) -> Order | Refused:
    """An order by its id, or by its id in the shop system. `lock` before changing its voucher."""
    table = schema.orders
    mine = table.c.merchant == work.merchant
    for column in (table.c.order_id, table.c.external):
        row = work.connection.execute(select(table).where(mine, column == ref)).one_or_none()
        if row is not None:
            voucher = ledger.find_all(work, [row.voucher], lock=lock)[row.voucher]
            return Order(row.order_id, row.external, row.mobile, voucher)
    return Refused("unknown_order", f"there is no order {ref[:64]!r}")


def refund_amount(voucher: Voucher, shares: int, terms: NewProduct) -> int:
    """What the buyer gets for `shares` unused shares (decision 6, EV-055)."""
    ratio = terms.refund_ratio
    gross = round_half_up(shares * voucher.paid_fen * ratio, voucher.shares * _PERCENT)
    fee = terms.refund_fee_fen if terms.fee_bearer == "buyer" else 0
    paid_for_them = amount_fen(voucher.paid_fen, voucher.shares, voucher.used, shares)
    return min(max(0, gross - fee), paid_for_them)


@retried
def request_refund(central: Central, ref: str) -> Refund | Refused:
    """Freeze what is left, at once (decision 4). The job pays it when it is due."""
    with central.write() as work:
        order = find(work, ref, lock=True)
        if isinstance(order, Refused):
            return order
        no = _not_refundable(order.voucher, "live")
        if no is not None:
            return no
        return _freeze(central, work, order.voucher)


@retried
def withdraw_refund(central: Central, ref: str) -> Refund | Refused:
    """Unfreeze: the buyer withdrew or the seller refused (decision 4)."""
    with central.write() as work:
        order = find(work, ref, lock=True)
        if isinstance(order, Refused):
            return order
        if order.voucher.state != "refunding":
            return Refused("not_refunding", "no refund of this order is in progress")
        after = ledger.change(work, order.voucher, state="live")
        sealing.enqueue(work, [after])
        row = _open_request(work, after)
        _close(work, row, state="withdrawn", shares=0, amount=0)
        return Refund(after.order_id, after.voucher, "withdrawn", 0, 0, row.due_at)


@retried
def pay_refund(central: Central, ref: str) -> Refund | Refused:
    """Refund what is left and void it. Paying again is refused (it happened already)."""
    with central.write() as work:
        order = find(work, ref, lock=True)
        if isinstance(order, Refused):
            return order
        return pay(central, work, order.voucher)


def pay(central: Central, work: Work, voucher: Voucher) -> Refund | Refused:
    """`pay_refund` inside a transaction that has locked the voucher, for the job."""
    no = _not_refundable(voucher, "live", "refunding")
    if no is not None:
        return no
    if claims.held_shares(work, voucher.voucher):
        return Refused("in_progress", "a counter is redeeming this order now; try again shortly")
    if voucher.state == "live":
        _freeze(central, work, voucher)
        voucher = ledger.find_all(work, [voucher.voucher])[voucher.voucher]
    shares = voucher.left
    terms = catalogue.products(work)[voucher.product].terms
    amount = refund_amount(voucher, shares, terms)
    after = ledger.change(
        work, voucher, state="refunded", refunded_shares=voucher.refunded_shares + shares
    )
    row = _open_request(work, after)
    _close(work, row, state="paid", shares=shares, amount=amount)
    return Refund(after.order_id, after.voucher, "paid", shares, amount, row.due_at)


def _not_refundable(voucher: Voucher, *states: str) -> Refused | None:
    if voucher.state not in states:
        words = {
            "refunded": "the order has been refunded already",
            "refunding": "a refund of this order is in progress already",
        }.get(voucher.state, f"the voucher is {voucher.state}")
        return Refused(str(voucher.state), words)
    if voucher.left == 0 and voucher.state == "live":
        return Refused("used_up", "nothing is left to refund")
    return None


def _freeze(central: Central, work: Work, voucher: Voucher) -> Refund:
    terms = catalogue.products(work)[voucher.product].terms
    # Decision 5: an automatic refund is due as soon as the job runs; EV-056: else after 5 days.
    due = work.now if terms.auto_refund else work.now + MANUAL_DAYS * times.DAY_MS
    ledger.change(work, voucher, state="refunding")
    work.connection.execute(
        schema.refunds.insert().values(
            merchant=work.merchant,
            refund=issuing.new_id(central, work.now),
            order_id=voucher.order_id,
            voucher=voucher.voucher,
            state="requested",
            requested_at=work.now,
            due_at=due,
        )
    )
    amount = refund_amount(voucher, voucher.left, terms)
    return Refund(voucher.order_id, voucher.voucher, "requested", voucher.left, amount, due)


def _open_request(work: Work, voucher: Voucher) -> Any:
    table = schema.refunds
    return work.connection.execute(
        select(table).where(
            table.c.merchant == work.merchant,
            table.c.order_id == voucher.order_id,
            table.c.state == "requested",
        )
    ).one()


def _close(work: Work, row: Any, *, state: str, shares: int, amount: int) -> None:
    table = schema.refunds
    work.connection.execute(
        update(table)
        .where(table.c.merchant == work.merchant, table.c.refund == row.refund)
        .values(state=state, shares=shares, amount_fen=amount, settled_at=work.now)
    )


@retried
def pay_due_refunds(central: Central, limit: int = 100) -> int:
    """The job of decision 5 and EV-056: pay the requests that are due. Answers how many."""
    table = schema.refunds
    with central.write() as work:
        due = work.connection.execute(
            select(table.c.voucher)
            .where(
                table.c.merchant == work.merchant,
                table.c.state == "requested",
                table.c.due_at <= work.now,
            )
            .order_by(table.c.due_at)
            .limit(limit)
        ).scalars()
        found = ledger.find_all(work, list(due), lock=True)
        paid = [pay(central, work, voucher) for voucher in found.values()]
    return sum(isinstance(refund, Refund) for refund in paid)


@retried
def extend(central: Central, ref: str, until: date) -> Order | Refused:
    """Make an order's validity end after the day `until` (EV-039, decision 8); never shorten."""
    end = times.day_start(until + timedelta(days=1), central.zone)
    with central.write() as work:
        order = find(work, ref, lock=True)
        if isinstance(order, Refused):
            return order
        voucher = order.voucher
        if voucher.state != "live":
            return Refused(str(voucher.state), f"the order is {voucher.state}; nothing to extend")
        if end <= voucher.valid_until:
            return Refused(
                "not_longer",
                "the order is already valid until "
                f"{times.format_utc(voucher.valid_until)}; validity can only be extended",
            )
        after = ledger.change(work, voucher, valid_until=end)
        if after.retired:
            sealing.enqueue(work, [ledger.revive(work, after)])
        booking.rebook(work, [voucher.voucher])
        return _again(work, order)


@retried
def change_mobile(central: Central, ref: str, mobile: str) -> Order | Refused:
    """Send the voucher to another mobile (EV-038): only the new last four digits open it."""
    number = texts.read_mobile(mobile)
    if isinstance(number, Refused):
        return number
    while True:
        with central.read() as work:
            vault = keys.load(work).vault
            order = find(work, ref)
        if isinstance(order, Refused):
            return order
        if order.voucher.state != "live":
            return Refused(
                str(order.voucher.state), f"the order is {order.voucher.state}; not changed"
            )
        moved = ledger.with_last4(order.voucher, number[-4:])
        rows = [sealing.seal(central, moved, g, vault) for g in sealing.wanted(moved)]
        with central.write() as work:
            still = ledger.find_all(work, [moved.voucher], lock=True)
            if still[moved.voucher] == order.voucher:
                _move(work, order, number, rows)
                return _again(work, order)
        # Something happened to the voucher while we stretched: look again.


def _move(work: Work, order: Order, mobile: str, rows: list[sealing.Row]) -> None:
    table = schema.orders
    work.connection.execute(
        update(table)
        .where(table.c.merchant == work.merchant, table.c.order_id == order.order_id)
        .values(mobile=mobile)
    )
    if mobile[-4:] != order.voucher.last4:
        ledger.change(work, order.voucher, last4=mobile[-4:])
        sealing.forget(work, [order.voucher.voucher])
        sealing.store(work, rows)


def _again(work: Work, order: Order) -> Order:
    found = find(work, order.order_id)
    assert isinstance(found, Order)
    return found
