"""What was kept apart at a fork, as people look at it.

Responsible for: naming branches, reading their entries as the chain that they are, saying of each
whether it could be booked. Not responsible for: keeping them (`forks`), the reports
(`branch_reports`) or what a person decides (`deciding`). Invariants: an entry can be booked only
where its chain goes back to what central holds, it can be read, and a good signature of the
terminal's key stands for it, by the same reading as for any upload (`arriving`).
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import select

from central import arriving, schema
from central.arriving import Line, Upload
from central.booked import QUARANTINED
from central.quick import Redeemed
from central.service import Work
from vouchers import entries, ids
from vouchers.booking import Verdict
from vouchers.entries import Redemption, Reversal, Totals

_NAME: Final = re.compile(r"([A-Za-z0-9]{1,32})_([1-9]\d{0,8})_b([1-9]\d{0,8})", re.ASCII)

WAITING: Final = "waiting"
BOOKED: Final = "booked"
DISMISSED: Final = "dismissed"

UNREADABLE: Final = "unreadable"
UNSIGNED: Final = "unsigned"
UNJOINED: Final = "unjoined"
"""Why an entry cannot be booked: unknown is what it says, who says it, or what came before it."""


@dataclass(frozen=True, slots=True)
class Name:
    """Which branch: the chain `branch` (from 1) of a terminal's epoch. As a text `POS1_1_b2`."""

    posid: str
    epoch: int
    branch: int

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.posid}_{self.epoch}_b{self.branch}"


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry that was kept apart. `line` is what it says, as the next of its chain.

    `obstacle` says why it cannot be booked, None if it can; `state` what was decided; `means` has
    the serials of the entries of its chain by the numbers that they bear on their slips.
    """

    row: Any
    line: Line
    obstacle: str | None
    means: Mapping[str, str]

    @property
    def name(self) -> Name:
        """Its branch."""
        return Name(self.row.posid, self.row.epoch, self.row.branch)

    @property
    def serial(self) -> str:
        """Its own serial, which is no other entry's."""
        return ids.branch_serial(self.row.posid, self.row.epoch, self.row.seq, self.row.hash)

    @property
    def state(self) -> str:
        """`waiting`, `booked` or `dismissed`."""
        return self.row.way or WAITING

    @property
    def moved(self) -> Redemption | Reversal | Redeemed | None:
        """The shares that it moves; None if it moves none, or cannot be read."""
        return None if self.line.said is None else self.line.said.moved


@dataclass(frozen=True, slots=True)
class _Root:
    """Where a branch leaves what central holds, in the shape of a stream for `arriving`."""

    epoch: int
    seq: int
    head: str
    totals: str
    public_key: bytes
    revoked_seq: None = None


_Key = tuple[int, str]
"""A sequence and a hash."""


def parse_name(text: str) -> Name | None:
    """Read the name of a branch; None when the text is not one."""
    found = _NAME.fullmatch(text)
    return None if found is None else Name(found[1], int(found[2]), int(found[3]))


def read(work: Work, stream: Any) -> list[Kept]:
    """All that was kept apart of a stream, by branch and number."""
    rows = _rows(work, stream)
    by_key: dict[_Key, Any] = {(row.seq, row.hash): row for row in rows}
    by_branch: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        by_branch[row.branch].append(row)
    found: dict[_Key, Kept] = {}
    for mine in by_branch.values():
        for kept in _chain(work, stream, [*_before(by_key, mine[0]), *mine]):
            key = kept.row.seq, kept.row.hash
            # A branch that leaves this one further on may be what stands for its beginning.
            if key not in found or found[key].obstacle == UNSIGNED:
                found[key] = kept
    return [found[row.seq, row.hash] for row in rows]


def _rows(work: Work, stream: Any) -> Sequence[Any]:
    table, decision, held = schema.branches, schema.decisions, schema.entries
    return work.connection.execute(
        select(
            table,
            decision.c.way,
            decision.c.decided_by,
            decision.c.reason,
            decision.c.at.label("decided_at"),
        )
        .outerjoin(
            decision,
            (decision.c.merchant == table.c.merchant)
            & (decision.c.posid == table.c.posid)
            & (decision.c.epoch == table.c.epoch)
            & (decision.c.decision == table.c.decision),
        )
        .where(
            table.c.merchant == work.merchant,
            table.c.posid == stream.posid,
            table.c.epoch == stream.epoch,
            # What nobody had signed for is an entry like any other once the terminal sent it.
            ~select(held.c.seq)
            .where(
                held.c.merchant == table.c.merchant,
                held.c.posid == table.c.posid,
                held.c.epoch == table.c.epoch,
                held.c.seq == table.c.seq,
                held.c.hash == table.c.hash,
            )
            .exists(),
        )
        .order_by(table.c.branch, table.c.seq)
    ).all()


def _before(by_key: Mapping[_Key, Any], row: Any) -> list[Any]:
    """The entries of other branches that a branch goes on from, oldest first."""
    path: list[Any] = []
    while (row := by_key.get((row.seq - 1, row.prev))) is not None:
        path.append(row)
    return path[::-1]


def _chain(work: Work, stream: Any, path: Sequence[Any]) -> Iterator[Kept]:
    """The entries of a path, each read as the next after the one before."""
    root = _root(work, stream, path[0])
    upload = Upload(
        posid=stream.posid,
        epoch=stream.epoch,
        first=path[0].seq,
        prev=path[0].prev,
        bodies=[bytes(row.body).decode(errors="replace") for row in path],
        signatures={row.seq: bytes(row.sig) for row in path if row.sig is not None},
        aside={row.seq: row.hash for row in path if not row.body},
    )
    joined = root is not None
    start = root or _Root(stream.epoch, path[0].seq - 1, path[0].prev, _NOTHING, stream.public_key)
    means: dict[str, str] = {}
    lines, _ = arriving.read_new(start, upload, upload.hashes(), 0)
    for row, line in zip(path, lines, strict=True):
        number = ids.serial(row.posid, row.epoch, row.seq)
        means[number] = ids.branch_serial(row.posid, row.epoch, row.seq, row.hash)
        yield Kept(row, line, _obstacle(line) if joined else UNJOINED, means)


_NOTHING: Final = json.dumps(asdict(Totals()))


def _obstacle(line: Line) -> str | None:
    if line.barred == Verdict.BAD_SIGNATURE:
        return UNSIGNED
    return UNREADABLE if line.said is None else None


def _root(work: Work, stream: Any, first: Any) -> _Root | None:
    """What central holds before the first entry of a branch; None where that is not what it names.

    Its totals are those of the last entry there that can be read.
    """
    seq = first.seq - 1
    held = _held(work, stream).where(schema.entries.c.seq == seq)
    row = work.connection.execute(held).one_or_none()
    head = stream.first_prev if seq == 0 else None if row is None else row.hash
    if head != first.prev:
        return None
    last = (
        _held(work, stream)
        .where(schema.entries.c.seq <= seq, schema.entries.c.kind != QUARANTINED)
        .order_by(schema.entries.c.seq.desc())
        .limit(1)
    )
    totals = Totals()
    for row in work.connection.execute(last):
        totals = entries.read_entry(bytes(row.body).decode()).totals
    return _Root(stream.epoch, seq, head, json.dumps(asdict(totals)), bytes(stream.public_key))


def _held(work: Work, stream: Any) -> Any:
    table = schema.entries
    return select(table.c.hash, table.c.body).where(
        table.c.merchant == work.merchant,
        table.c.posid == stream.posid,
        table.c.epoch == stream.epoch,
    )


def streams(work: Work) -> Sequence[Any]:
    """The streams of which something was kept apart."""
    table, stream = schema.branches, schema.streams
    return work.connection.execute(
        select(stream)
        .where(
            stream.c.merchant == work.merchant,
            select(table.c.seq)
            .where(
                table.c.merchant == stream.c.merchant,
                table.c.posid == stream.c.posid,
                table.c.epoch == stream.c.epoch,
            )
            .exists(),
        )
        .order_by(stream.c.posid, stream.c.epoch)
    ).all()
