"""What becomes of a branch that was kept apart at a fork: a person books it or dismisses it.

Responsible for: booking its entries by the rules for any late arrival, each once, under a serial of
its own; dismissing them; keeping who decided, when and why. Not responsible for: what a branch says
(`branches`) or the verdicts (`booking`). Invariants: nothing is booked that the terminal's key does
not stand for; what was booked stays booked; what was dismissed stays listed and may be booked yet;
what arrives later waits for a decision of its own; deciding again changes nothing.
"""

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace
from sqlalchemy import func, select

from central import arriving, booking, branches, bulk, claims, ledger, policies, schema
from central.booked import Booked
from central.branches import BOOKED, DISMISSED, WAITING, Kept, Name
from central.database import retried
from central.errors import Refused
from central.forks import incarnation
from central.service import Central, Work
from vouchers.booking import Verdict
from vouchers.times import HOUR_MS

REASON_CHARS_MAX: Final = 200
BY_CHARS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person decides on: a branch, `up_to` a sequence if not all of it, who, and why."""

    branch: str
    by: str
    reason: str
    up_to: int | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided: of how many entries, and how many of the branch still wait.

    `verdicts` counts those on all that was booked of the branch. `repeated`: nothing was left to
    do.
    """

    branch: str
    decision: str
    entries: int
    waiting: int
    verdicts: Mapping[str, int]
    repeated: bool


class _OnlyLooked(Exception):
    """Ends a transaction that was only to show what would come of it."""


@retried
def book(central: Central, wanted: Wanted, *, dry_run: bool = False) -> Decided | Refused:
    """Book what waits of a branch and can be booked; `dry_run` only says what would come of it."""
    decided: Decided | Refused
    with contextlib.suppress(_OnlyLooked), central.write() as work:
        decided = _decide(work, wanted, BOOKED)
        if dry_run:
            raise _OnlyLooked
    return decided


@retried
def dismiss(central: Central, wanted: Wanted) -> Decided | Refused:
    """Leave unbooked what waits of a branch."""
    with central.write() as work:
        return _decide(work, wanted, DISMISSED)


def _decide(work: Work, wanted: Wanted, way: str) -> Decided | Refused:
    name = branches.parse_name(wanted.branch)
    by, reason = _one_line(wanted.by), _one_line(wanted.reason)
    if not 1 <= len(by) <= BY_CHARS_MAX or not 1 <= len(reason) <= REASON_CHARS_MAX:
        words = f"say who decides (1 to {BY_CHARS_MAX} characters) and why (1 to"
        return Refused("bad_reason", f"{words} {REASON_CHARS_MAX})")
    stream = None if name is None else _locked_stream(work, name)
    found = [] if stream is None else _of_branch(work, stream, name)
    if name is None or not found:
        words = "`hexiao central branch list` has the names of all"
        return Refused("unknown_branch", f"there is no branch {wanted.branch[:60]!r}; {words}")
    within = [kept for kept in found if wanted.up_to is None or kept.row.seq <= wanted.up_to]
    open_ones = [kept for kept in within if _is_open(kept, way)]
    refused = _nothing_left(within, way) if not open_ones else None
    if refused is not None:
        return refused
    if open_ones:
        if way == BOOKED:
            _book(work, stream, open_ones)
        else:
            _tell(work, open_ones)
        _keep(work, name, open_ones, way=way, by=by, reason=reason)
    waiting = sum(kept.state == WAITING for kept in found) - sum(
        kept.state == WAITING for kept in open_ones
    )
    return Decided(
        branch=str(name),
        decision=way,
        entries=len(open_ones),
        waiting=waiting,
        verdicts=_verdicts(work, name),
        repeated=not open_ones,
    )


def _one_line(text: str) -> str:
    # No engine of ours keeps a NUL in a text.
    return " ".join(text.replace("\0", "").split())


def _locked_stream(work: Work, name: Name) -> Any:
    """The stream, locked as ingest does: what arrives of it, or another who decides, waits."""
    table = schema.streams
    return work.connection.execute(
        select(table)
        .where(
            table.c.merchant == work.merchant,
            table.c.posid == name.posid,
            table.c.epoch == name.epoch,
        )
        .with_for_update()
    ).one_or_none()


def _of_branch(work: Work, stream: Any, name: Name | None) -> list[Kept]:
    return [kept for kept in branches.read(work, stream) if kept.name == name]


def _is_open(kept: Kept, way: str) -> bool:
    if way == BOOKED:
        return kept.state != BOOKED and kept.obstacle is None
    return kept.state == WAITING


def _nothing_left(within: Sequence[Kept], way: str) -> Refused | None:
    """Why nothing is to be done, None where it was done before."""
    if any(kept.state == way for kept in within):
        return None
    if way == DISMISSED:
        return Refused("already_booked", "all of it was booked, and what is booked stays booked")
    why = ", ".join(sorted({kept.obstacle for kept in within if kept.obstacle is not None}))
    words = f"none of these entries can be booked ({why or 'none so early'}); they can be dismissed"
    return Refused("nothing_to_book", words)


def _book(work: Work, stream: Any, found: Sequence[Kept]) -> None:
    """Book entries as if they arrived now, after all that central has booked."""
    closed_at = _closed_at(work, stream)
    long_ms = policies.current(work).offline.max_hours.home * HOUR_MS
    arrived = max(work.now, stream.entered_at)
    rows = []
    for kept in found:
        came = kept.row.received_at
        for row in arriving.booking_rows(work.merchant, stream, [kept.line], came, long_ms):
            rows.append(_as_of_branch(row, kept, arrived, closed_at))
    claims.count(work, rows)
    booking.book(work, rows)


def _tell(work: Work, found: Sequence[Kept]) -> None:
    """Publish vouchers of which nothing is booked: the terminal that has the branch on its disk
    goes by its own entries until it hears of a voucher anew.
    """
    named = {kept.moved.voucher for kept in found if kept.moved is not None}
    vouchers = ledger.find_all(work, named, lock=True)
    after = [
        replace(vouchers[name], version=vouchers[name].version + 1) for name in sorted(vouchers)
    ]
    ledger.change_all(work, after)


def _as_of_branch(row: Booked, kept: Kept, arrived: int, closed_at: int | None) -> Booked:
    row.epoch = incarnation(kept.row.epoch, kept.row.branch)
    row.serial = kept.serial
    row.received_at = arrived
    if row.reverses is not None:
        row.reverses = kept.means.get(row.reverses, row.reverses)
    if closed_at is not None and kept.row.received_at > closed_at:
        row.barred = str(Verdict.QUARANTINED)
    return row


def _closed_at(work: Work, stream: Any) -> int | None:
    """When the terminal was closed, None if it was not; 0 where only that is known any more.

    What came later is set aside, as it is in the stream itself; `release` books it.
    """
    if stream.revoked_seq is None:
        return None
    table = schema.terminals
    at = work.connection.execute(
        select(table.c.revoked_at).where(
            table.c.merchant == work.merchant, table.c.posid == stream.posid
        )
    ).scalar()
    return 0 if at is None else int(at)


def _keep(work: Work, name: Name, found: Sequence[Kept], *, way: str, by: str, reason: str) -> None:
    """Keep the decision, and with each entry which one it was."""
    table = schema.decisions
    last = work.connection.execute(
        select(func.max(table.c.decision)).where(
            table.c.merchant == work.merchant,
            table.c.posid == name.posid,
            table.c.epoch == name.epoch,
        )
    ).scalar()
    decision = int(last or 0) + 1
    work.connection.execute(
        table.insert().values(
            merchant=work.merchant,
            posid=name.posid,
            epoch=name.epoch,
            decision=decision,
            branch=name.branch,
            way=way,
            entries=len(found),
            up_to=found[-1].row.seq,
            decided_by=by,
            reason=reason,
            at=work.now,
        )
    )
    rows = [
        (work.merchant, name.posid, name.epoch, kept.row.seq, kept.row.hash, decision)
        for kept in found
    ]
    bulk.update(work.connection, schema.branches, 5, _DECIDED, rows)


_DECIDED: Final = ("merchant", "posid", "epoch", "seq", "hash", "decision")


def _verdicts(work: Work, name: Name) -> Mapping[str, int]:
    """How many entries of a branch were booked with which verdict."""
    table = schema.bookings
    found = work.connection.execute(
        select(table.c.verdict).where(
            table.c.merchant == work.merchant,
            table.c.posid == name.posid,
            table.c.epoch == incarnation(name.epoch, name.branch),
        )
    ).scalars()
    return dict(sorted(Counter(found).items()))
