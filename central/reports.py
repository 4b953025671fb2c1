"""What was booked, as rows for people and programs (EV-050, EV-061 to EV-065).

Responsible for: the rows of each report, with the names of design section 5. Not responsible for:
printing them. Invariants: a report reads one moment; it shows what is stored and judges nothing.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from sqlalchemy import Select, func, select

from central import cards, catalogue, ledger, notes, schema, sealing, wipes
from central.booked import QUARANTINED
from central.ledger import Voucher
from central.service import Work
from sync.messages import Report
from vouchers import times
from vouchers.booking import FLAG_RELATED, Verdict
from vouchers.entries import Kind

SILENT_HOURS: Final = 24
"""A terminal counts as silent when nothing came from it for so long; a shop opens daily."""

REPORTED: Final = tuple(field.name for field in msgspec.structs.fields(Report))
"""What a terminal says of itself."""

_PORTION: Final = 1_000

Row = dict[str, object]


def redemptions(work: Work) -> Iterator[Row]:
    """Every redemption, in the order in which they came; `reversed` says that it was undone."""
    undone = _undone(work)
    for row in _booked(work, Kind.REDEEMED):
        yield _redemption(row) | {"reversed": row.serial in undone}


def reversals(work: Work) -> Iterator[Row]:
    """Every reversal, in the order in which they came, with what the clerk noted."""
    said = notes.all_of(work)
    for row in _booked(work, Kind.REVERSED):
        yield _redemption(row) | {"reverses": row.reverses, "note": said.get(row.serial)}


def conflicts(work: Work) -> Iterator[Row]:
    """The entries that need a person: a verdict other than accepted, or related to one.

    `settled` is how a person closed it, null while it is open.
    """
    undone = _undone(work)
    for row in _booked(work, None):
        flags = json.loads(row.flags)
        if row.verdict != Verdict.ACCEPTED or FLAG_RELATED in flags:
            yield _redemption(row) | {
                "reversed": row.serial in undone,
                "kind": row.kind,
                "settled": row.settled,
            }


def _booked(work: Work, kind: Kind | None) -> Iterator[Any]:
    table, voucher = schema.bookings, schema.vouchers
    query: Select[Any] = (
        select(table, voucher.c.order_id, voucher.c.product)
        .outerjoin(
            voucher,
            (voucher.c.merchant == table.c.merchant) & (voucher.c.voucher == table.c.voucher),
        )
        .where(table.c.merchant == work.merchant)
        .order_by(table.c.received_at, table.c.posid, table.c.epoch, table.c.seq)
        .execution_options(yield_per=_PORTION)
    )
    if kind is not None:
        query = query.where(table.c.kind == str(kind))
    yield from work.connection.execute(query)


def _undone(work: Work) -> set[str]:
    table = schema.bookings
    return set(
        work.connection.execute(
            select(table.c.reverses).where(
                table.c.merchant == work.merchant,
                table.c.kind == str(Kind.REVERSED),
                table.c.verdict == str(Verdict.ACCEPTED),
            )
        ).scalars()
    )


def _redemption(row: Any) -> Row:
    return {
        "serial": row.serial,
        "posid": row.posid,
        "outlet": row.outlet,
        "clerk": row.clerk,
        "voucher": None if row.kind == QUARANTINED else row.voucher,
        "order": row.order_id,
        "product": row.product,
        "shares": row.shares,
        "amount_fen": row.amount_fen,
        "at": times.format_utc(row.at),
        "received_at": times.format_utc(row.received_at),
        "mode": row.mode,
        "credential": row.credential,
        "verdict": row.verdict,
        "flags": json.loads(row.flags),
        "excess": row.excess,
        "others": json.loads(row.others),
    }


def orders(work: Work) -> Iterator[Row]:
    """Every order with its state (decision 9, EV-062)."""
    table, voucher = schema.orders, schema.vouchers
    products = catalogue.products(work)
    rows = work.connection.execute(
        select(voucher, table.c.external, table.c.created_at)
        .join(
            table,
            (table.c.merchant == voucher.c.merchant) & (table.c.order_id == voucher.c.order_id),
        )
        .where(voucher.c.merchant == work.merchant)
        .order_by(table.c.created_at, table.c.order_id)
        .execution_options(yield_per=_PORTION)
    )
    for row in rows:
        found = ledger.read_row(row)
        yield {
            "order": found.order_id,
            "external": row.external,
            "voucher": found.voucher,
            "product": found.product,
            "product_name": products[found.product].terms.name,
            "state": order_state(found, work.now),
            "voucher_state": found.state,
            "shares": found.shares,
            "used": found.used,
            "refunded": found.refunded_shares,
            "left": found.left,
            "paid_fen": found.paid_fen,
            "home": found.home,
            "valid_from": times.format_utc(found.valid_from),
            "valid_until": times.format_utc(found.valid_until),
            "created_at": times.format_utc(row.created_at),
        }


def order_state(voucher: Voucher, now: int) -> str:
    """`used`, `unavailable` or `available` (decision 9, EV-062), in this order."""
    if voucher.used >= voucher.shares:
        return "used"
    over = now >= voucher.valid_until
    return "unavailable" if over or voucher.state != "live" else "available"


def products(work: Work) -> Iterator[Row]:
    """Shares per product (EV-061): `unredeemed` are unexpired and not redeemed."""
    table = schema.vouchers
    found = catalogue.products(work)
    sums: dict[int, dict[str, int]] = {
        product: dict.fromkeys(("sold", "redeemed", "refunded", "expired", "unredeemed"), 0)
        for product in found
    }
    over = (table.c.valid_until <= work.now).label("over")
    rows = work.connection.execute(
        select(
            table.c.product,
            over,
            func.sum(table.c.shares).label("shares"),
            func.sum(table.c.used).label("used"),
            func.sum(table.c.refunded_shares).label("refunded"),
        )
        .where(table.c.merchant == work.merchant)
        .group_by(table.c.product, over)
    )
    for row in rows:
        total = sums[row.product]
        left = max(0, int(row.shares) - int(row.used) - int(row.refunded))
        total["sold"] += int(row.shares)
        total["redeemed"] += int(row.used)
        total["refunded"] += int(row.refunded)
        total["expired" if row.over else "unredeemed"] += left
    for product, total in sums.items():
        yield {"product": product, "name": found[product].terms.name, **total}


def sealing_state(work: Work) -> Iterator[Row]:
    """How far sealing is, in one row."""
    found = sealing.report(work)
    yield {
        "sealed": found.sealed,
        "waiting_current": found.waiting_current,
        "waiting_next": found.waiting_next,
        "waiting_cards": cards.waiting(work),
        "sealed_through": times.format_utc(found.sealed_through),
    }


def terminals(work: Work, *, silent_hours: int = SILENT_HOURS) -> Iterator[Row]:
    """The fleet: every terminal with what central last heard of it.

    `silent_since` is when it was last heard, where that is longer ago than `silent_hours`. What it
    said of itself is as of `reported_at`, null where it never said. `verified_to` is the last of
    the entries up to `up_to` that the background check has seen.
    """
    table, stream, mark = schema.terminals, schema.streams, schema.verified
    rows = work.connection.execute(
        select(table, stream.c.seq, stream.c.entered_at, mark.c.seq.label("verified_to"))
        .join(
            stream,
            (stream.c.merchant == table.c.merchant)
            & (stream.c.posid == table.c.posid)
            & (stream.c.epoch == table.c.epoch),
        )
        .outerjoin(
            mark,
            (mark.c.merchant == table.c.merchant)
            & (mark.c.posid == table.c.posid)
            & (mark.c.epoch == table.c.epoch),
        )
        .where(table.c.merchant == work.merchant)
        .order_by(table.c.posid)
    )
    for row in rows:
        about = json.loads(row.about) if row.about else {}
        said = about.get("report") or {}
        seen = max(row.seen_at, row.entered_at)
        silent = work.now - seen > silent_hours * times.HOUR_MS
        yield {
            "posid": row.posid,
            "outlet": row.outlet,
            "epoch": row.epoch,
            "state": row.state,
            "up_to": row.seq,
            "verified_to": row.verified_to or 0,
            "enrolled_at": times.format_utc(row.enrolled_at),
            "seen_at": times.format_utc(seen),
            "silent_since": times.format_utc(seen) if silent else None,
            "version": about.get("version"),
            "reported_at": _moment(about.get("reported_at") if said else None),
            **{name: said.get(name) for name in REPORTED},
            "revoked_at": _moment(row.revoked_at),
            "wipe_at": _moment(row.wipe_at),
            "wiped_at": _moment(wipes.heard_at(row)),
        }


def _moment(at: int | None) -> str | None:
    return None if at is None else times.format_utc(at)


def alarms(work: Work) -> Iterator[Row]:
    """Every alarm, oldest first."""
    table = schema.alarms
    rows = work.connection.execute(
        select(table).where(table.c.merchant == work.merchant).order_by(table.c.at, table.c.alarm)
    )
    for row in rows:
        yield {
            "at": times.format_utc(row.at),
            "kind": row.kind,
            "posid": row.posid,
            "detail": row.detail,
        }
