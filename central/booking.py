"""Booking: what the entries of a voucher add up to, written into the ledger.

Responsible for: gathering the uses of a set of vouchers, asking `vouchers.booking`, and storing
verdicts, used shares and generations. Not responsible for: the rules of booking. Invariants: the
result depends on the stored entries alone, so booking again changes nothing; a verdict that
changes gets a new number of its terminal, so the counter hears of it.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import select, update

from central import bulk, catalogue, ledger, schema, sealing
from central.arriving import NEW
from central.ledger import Voucher
from central.service import Work
from vouchers import booking as rules
from vouchers.booking import Judgement, Use, Verdict, VoucherFacts
from vouchers.entries import Kind
from vouchers.money import amount_fen


@dataclass(frozen=True, slots=True)
class Outcome:
    """A judged row: what to store with it. `amount_fen` is the ledger's own."""

    row: Any
    judgement: Judgement
    amount_fen: int


def rebook(work: Work, voucher_ids: Collection[str]) -> None:
    """Judge all entries of these vouchers again and store what changed."""
    _judge(work, voucher_ids, ())


def book(work: Work, new: Sequence[Mapping[str, object]]) -> None:
    """Add the bookings of a batch, judged with all others of their vouchers.

    Each is written once, with its verdict. `new` names all columns but those of the verdict
    (`arriving.booking_row`).
    """
    _judge(work, {str(row["voucher"]) for row in new}, new)


def _judge(work: Work, voucher_ids: Collection[str], new: Sequence[Mapping[str, object]]) -> None:
    """Judge the bookings of these vouchers, those in store and the new ones.

    Locks are taken in one order everywhere, so that two transactions never wait for each other:
    the stream, vouchers by id, verdict counters by POSID, feed heads by bucket.
    """
    found = ledger.find_all(work, voucher_ids, lock=True)
    outlets = catalogue.buckets(work)
    outcomes: list[Outcome] = []
    changed: list[Voucher] = []
    for voucher_id, rows in sorted(_rows(work, voucher_ids, new).items()):
        voucher = found.get(voucher_id)
        if voucher is None:
            outcomes.extend(_unknown(row) for row in rows)
            continue
        judged, after = _book(voucher, rows, frozenset(outlets[voucher.own_bucket]))
        outcomes.extend(judged)
        if after != voucher:
            changed.append(replace(after, version=voucher.version + 1))
    ledger.change_all(work, changed)
    sealing.enqueue(work, changed)
    _store(work, [outcome for outcome in outcomes if _differs(outcome)])


def _rows(
    work: Work, voucher_ids: Collection[str], new: Sequence[Mapping[str, object]]
) -> dict[str, list[Any]]:
    """The bookings of each voucher, in the order in which they came."""
    table = schema.bookings
    grouped: dict[str, list[Any]] = {}
    for part in ledger.parts(sorted(voucher_ids)):
        rows = work.connection.execute(
            select(table).where(table.c.merchant == work.merchant, table.c.voucher.in_(part))
        )
        for row in rows:
            grouped.setdefault(row.voucher, []).append(row)
    for values in new:
        grouped.setdefault(str(values["voucher"]), []).append(SimpleNamespace(**values))
    for found in grouped.values():
        found.sort(key=_arrived)
    return grouped


def _arrived(row: Any) -> tuple[int, str, int, int]:
    return row.received_at, row.posid, row.epoch, row.seq


def _book(
    voucher: Voucher, rows: Sequence[Any], outlets: frozenset[int]
) -> tuple[list[Outcome], Voucher]:
    facts = VoucherFacts(
        shares=voucher.shares - voucher.used_before,
        refunded_shares=voucher.refunded_shares,
        valid_from=voucher.valid_from,
        valid_until=voucher.valid_until,
        outlets=outlets,
        home=voucher.home,
    )
    uses = [_use(row, arrival) for arrival, row in enumerate(rows)]
    booked = rules.book(facts, uses)
    amounts = _amounts(voucher, facts, [u for u in uses if u.serial not in booked.reversed])
    judged = [
        Outcome(row, judgement, amounts.get(row.serial, row.amount_fen))
        for row, judgement in zip(rows, booked.judgements, strict=True)
    ]
    after = replace(
        voucher,
        used=voucher.used_before + booked.used,
        generation=max(voucher.generation_before, booked.generation),
    )
    return judged, after


def _use(row: Any, arrival: int) -> Use:
    return Use(
        serial=row.serial,
        kind=Kind(row.kind),
        posid=row.posid,
        outlet=row.outlet,
        shares=row.shares,
        after=row.after,
        at=row.at,
        arrival=arrival,
        mode=row.mode,
        claimed=row.claim is not None,
        reverses=row.reverses,
        settled=row.statement is not None,
        flags=frozenset(json.loads(row.marks)),
        barred=None if row.barred is None else Verdict(row.barred),
    )


def _amounts(voucher: Voucher, facts: VoucherFacts, uses: Sequence[Use]) -> dict[str, int]:
    """The fen of each standing redemption, in booking order; together what was paid for them."""
    standing = [use for use in uses if use.kind is Kind.REDEEMED and use.barred is None]
    used, amounts = voucher.used_before, dict[str, int]()
    for use in sorted(standing, key=lambda use: rules.rank(use, facts)):
        amounts[use.serial] = amount_fen(voucher.paid_fen, voucher.shares, used, use.shares)
        used += use.shares
    return amounts


def _unknown(row: Any) -> Outcome:
    verdict = Verdict.UNKNOWN_VOUCHER if row.barred is None else Verdict(row.barred)
    flags = frozenset(json.loads(row.marks))
    return Outcome(row, Judgement(row.serial, verdict, flags), row.amount_fen)


def _columns(outcome: Outcome) -> dict[str, object]:
    judgement = outcome.judgement
    return {
        "verdict": str(judgement.verdict),
        "flags": json.dumps(sorted(judgement.flags)),
        "excess": judgement.excess,
        "others": json.dumps(list(judgement.others)),
        "amount_fen": outcome.amount_fen,
        "settled": _still_settled(outcome),
    }


def _still_settled(outcome: Outcome) -> str | None:
    """A person closed the verdict there was; another one is open again."""
    row, judgement = outcome.row, outcome.judgement
    same = (row.verdict, row.excess) == (judgement.verdict, judgement.excess)
    return str(row.settled) if same and row.settled is not None else None


def _differs(outcome: Outcome) -> bool:
    row = outcome.row
    if row.verdict_seq == NEW:
        return True
    return any(getattr(row, name) != value for name, value in _columns(outcome).items())


def _store(work: Work, outcomes: Sequence[Outcome]) -> None:
    fresh, changed = list[dict[str, object]](), list[dict[str, object]]()
    for posid in sorted({outcome.row.posid for outcome in outcomes}):
        mine = [outcome for outcome in outcomes if outcome.row.posid == posid]
        first = next_verdicts(work, posid, len(mine))
        for seq, outcome in enumerate(mine, start=first):
            values = _columns(outcome) | {"verdict_seq": seq}
            if outcome.row.verdict_seq == NEW:
                fresh.append(vars(outcome.row) | values)
            else:
                changed.append({name: getattr(outcome.row, name) for name in _KEY} | values)
    bulk.insert(work.connection, schema.bookings, fresh)
    bulk.update(work.connection, schema.bookings, _KEY, changed)


_KEY: Final = ("merchant", "posid", "epoch", "seq")


def next_verdicts(work: Work, posid: str, count: int) -> int:
    """Take `count` numbers of a terminal's changes of verdict; answers the first."""
    table = schema.counters
    last = work.connection.execute(
        update(table)
        .where(table.c.merchant == work.merchant, table.c.name == verdict_counter(posid))
        .values(value=table.c.value + count)
        .returning(table.c.value)
    ).scalar_one()
    return int(last) - count + 1


def verdict_counter(posid: str) -> str:
    """The name of the counter that numbers a terminal's changes of verdict."""
    return f"verdicts:{posid}"
