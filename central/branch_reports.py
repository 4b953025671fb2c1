"""The reports on what was kept apart at forks.

Responsible for: one row for each branch, each entry of one that moved shares, each decision. Not
responsible for: reading the chains (`branches`). Invariants: a report reads one moment; nothing of
a branch is ever left out, whatever was decided.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import select

from central import branches, bulk, schema
from central.branches import BOOKED, DISMISSED, WAITING, Kept, Name
from central.quick import Redeemed
from central.service import Work
from vouchers import ids, times
from vouchers.entries import Redemption, Reversal


def entry_rows(work: Work) -> Iterator[dict[str, object]]:
    """The redemptions and reversals of every branch, and what cannot be read, by number."""
    for stream in branches.streams(work):
        found = [
            kept
            for kept in branches.read(work, stream)
            if kept.moved is not None or kept.line.said is None
        ]
        uses = _uses(work, found)
        verdicts = _verdicts(work, found)
        for kept in found:
            yield _entry_row(stream, kept, uses, verdicts)


def _uses(work: Work, found: Sequence[Kept]) -> Mapping[str, Sequence[str]]:
    """The serials of all that was booked, by voucher."""
    vouchers = {kept.moved.voucher for kept in found if kept.moved is not None}
    names = "voucher", "serial"
    rows = bulk.select_in(
        work.connection, schema.bookings, names, work.merchant, ("voucher", vouchers)
    )
    uses: dict[str, list[str]] = defaultdict(list)
    for voucher, serial in sorted(rows):
        uses[voucher].append(serial)
    return uses


def _verdicts(work: Work, found: Collection[Kept]) -> Mapping[str, str]:
    """The verdicts on what was booked, by serial."""
    serials = {kept.serial for kept in found}
    names = "serial", "verdict"
    rows = bulk.select_in(
        work.connection, schema.bookings, names, work.merchant, ("serial", serials)
    )
    return dict(rows)


def _entry_row(
    stream: Any, kept: Kept, uses: Mapping[str, Sequence[str]], verdicts: Mapping[str, str]
) -> dict[str, object]:
    row, said, moved = kept.row, kept.line.said, kept.moved
    same = [] if moved is None else uses.get(moved.voucher, ())
    return {
        "serial": kept.serial,
        "on_slip": ids.serial(row.posid, row.epoch, row.seq),
        "branch": str(kept.name),
        "posid": row.posid,
        "outlet": stream.outlet,
        "hash": row.hash,
        "kind": None if said is None else str(said.kind),
        "clerk": None if said is None else said.clerk,
        "at": None if said is None else _moment(said.at),
        "received_at": _moment(row.received_at),
        **{name: getattr(moved, name, None) for name in _MOVED},
        "same_voucher": [serial for serial in same if serial != kept.serial],
        "obstacle": kept.obstacle,
        "state": kept.state,
        "verdict": verdicts.get(kept.serial),
        "decided_at": _moment(row.decided_at),
        "decided_by": row.decided_by,
        "reason": row.reason,
    }


_MOVED: Final = ("voucher", "shares", "amount_fen", "reverses")


def summaries(work: Work) -> Iterator[dict[str, object]]:
    """Every branch in one row: how much there is of it, and what waits for a person."""
    for stream in branches.streams(work):
        found: dict[int, list[Kept]] = defaultdict(list)
        for kept in branches.read(work, stream):
            found[kept.row.branch].append(kept)
        for mine in found.values():
            yield _summary(stream, mine)


def _summary(stream: Any, mine: Sequence[Kept]) -> dict[str, object]:
    redeemed = [kept.moved for kept in mine if isinstance(kept.moved, Redemption | Redeemed)]
    said = [kept.line.said for kept in mine if kept.line.said is not None]
    states = [kept.state for kept in mine]
    return {
        "branch": str(mine[0].name),
        "posid": stream.posid,
        "outlet": stream.outlet,
        "first": mine[0].row.seq,
        "last": mine[-1].row.seq,
        "redemptions": len(redeemed),
        "shares": sum(moved.shares for moved in redeemed),
        "amount_fen": sum(moved.amount_fen for moved in redeemed),
        "reversals": sum(isinstance(kept.moved, Reversal) for kept in mine),
        "clerks": sorted({one.clerk for one in said}),
        "from_at": _moment(min((one.at for one in said), default=None)),
        "to_at": _moment(max((one.at for one in said), default=None)),
        "received_at": _moment(max(kept.row.received_at for kept in mine)),
        **{state: states.count(state) for state in (WAITING, BOOKED, DISMISSED)},
        "obstacles": sum(kept.obstacle is not None for kept in mine),
    }


def decisions(work: Work) -> Iterator[dict[str, object]]:
    """What was decided on branches, oldest first; also what another decision replaced since."""
    table = schema.decisions
    rows = work.connection.execute(
        select(table)
        .where(table.c.merchant == work.merchant)
        .order_by(table.c.at, table.c.posid, table.c.epoch, table.c.decision)
    )
    for row in rows:
        yield {
            "branch": str(Name(row.posid, row.epoch, row.branch)),
            "decision": row.way,
            "entries": row.entries,
            "up_to": row.up_to,
            "decided_at": _moment(row.at),
            "decided_by": row.decided_by,
            "reason": row.reason,
        }


def _moment(at: int | None) -> str | None:
    return None if at is None else times.format_utc(at)
