"""Print jobs: what is to be on paper, written in the transaction of what it tells of.

Responsible for: the facts of a slip, queueing it, its states, and forgetting the successor code
when its slip is settled. Not responsible for: wording, layout or the printer. Invariants: a job
goes back to `queued` only where no byte of it left; a reprint is a new job with a higher copy
number (AX-19); the successor code is overwritten once the slip is confirmed or abandoned.
"""

from typing import Final

import apsw
from msgspec import Struct

from terminal import slip_facts
from terminal.journal import Stored
from terminal.journal_schema import entry_id
from terminal.parts import Parts
from terminal.slip_facts import SlipFacts
from vouchers import entries, ids
from vouchers.entries import Entry, Kind, Redemption, Reversal

OPEN: Final = ("queued", "printing", "unknown")
"""States in which a job waits for something: for paper, its end, or a person."""

SETTLED: Final = ("printed", "unconfirmed", "abandoned")
"""States in which the successor code is no longer needed."""


class Job(Struct, frozen=True):
    """One print job; `code` is the successor code while it is still needed."""

    job: int
    serial: str
    copy: int
    state: str
    facts: SlipFacts
    code: str | None
    created_at: int


class Context(Struct, frozen=True):
    """What a slip says beside its entry: the entry's hash, and what the replica knows."""

    head: str
    product_name: str
    slip_text: str | None
    valid_until: int


def facts_of(parts: Parts, entry: Entry, head: str) -> SlipFacts:
    """What the slip of a `redeemed` or `reversed` entry, whose hash is `head`, says."""
    if entry.kind is Kind.REVERSED:
        undone = entries.read_reversal(entry)
        product = _product_of(parts, undone.reverses)
        return facts_in(parts, entry, undone, _context(parts, head, product, undone.voucher))
    done = entries.read_redemption(entry)
    return facts_in(parts, entry, done, _context(parts, head, done.product, done.voucher))


def facts_in(
    parts: Parts, entry: Entry, said: Redemption | Reversal, context: Context
) -> SlipFacts:
    """The same, where what the entry says and its context are at hand."""
    return SlipFacts(
        kind="reversed" if isinstance(said, Reversal) else "redeemed",
        serial=said.serial,
        posid=entry.posid,
        outlet_name=parts.identity.outlet_name,
        merchant_name=parts.identity.merchant_name,
        clerk=entry.clerk,
        product_name=context.product_name,
        shares=said.shares,
        left=said.left,
        at=entry.at,
        valid_until=context.valid_until,
        mode="lone" if isinstance(said, Reversal) else said.mode,
        head=context.head,
        time_zone=parts.identity.time_zone,
        slip_text=context.slip_text,
        successor=not isinstance(said, Reversal) and said.successor,
        reverses=said.reverses if isinstance(said, Reversal) else None,
    )


def _context(parts: Parts, head: str, product: int, voucher: str) -> Context:
    """What the replica still knows."""
    known, state = parts.known_product(product), parts.known_state(voucher)
    return Context(
        head,
        f"#{product}" if known is None else known.name,
        None if known is None else known.slip_text,
        0 if state is None else state.standing.valid_until,
    )


def _product_of(parts: Parts, serial: str) -> int:
    named = ids.parse_serial(serial)
    assert named is not None
    stored = parts.journal.entry(named.epoch, named.seq)
    return entries.read_redemption(entries.read_entry(stored.body)).product


def queue(
    connection: apsw.Connection,
    cause: Stored,
    facts: SlipFacts,
    code: str | None,
    now: int,
    copy: int = 1,
) -> None:
    """Write a print job inside the transaction of the entry that is its cause.

    `now` in milliseconds UTC.
    """
    job = entry_id(cause.epoch, cause.seq)
    text = slip_facts.to_json(facts)
    connection.execute(_QUEUE, (job, facts.serial, copy, text, code, now, now))


def next_queued(connection: apsw.Connection) -> Job | None:
    """The oldest job that waits for paper."""
    return _job(
        connection.execute(
            f"SELECT {_COLUMNS} FROM print_job WHERE {_OPEN} AND state = 'queued'"
            " ORDER BY id LIMIT 1"
        ).fetchone()
    )


def by_id(connection: apsw.Connection, job: int) -> Job:
    """One job; it must exist."""
    found = _job(
        connection.execute(f"SELECT {_COLUMNS} FROM print_job WHERE id = ?", (job,)).fetchone()
    )
    assert found is not None, f"no print job {job}"
    return found


def in_state(connection: apsw.Connection, state: str) -> list[Job]:
    """All jobs in a state that is not the end of it, oldest first."""
    assert state in OPEN
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM print_job WHERE {_OPEN} AND state = ? ORDER BY id", (state,)
    )
    return [job for job in map(_job, rows) if job is not None]


def latest(connection: apsw.Connection, serial: str) -> Job | None:
    """The last copy of a slip."""
    named = ids.parse_serial(serial)
    first = 0 if named is None else entry_id(named.epoch, named.seq)
    return _job(
        connection.execute(
            f"SELECT {_COLUMNS} FROM print_job"
            " WHERE (id = ? AND serial = ?) OR (serial = ? AND copy > 1) ORDER BY id DESC LIMIT 1",
            (first, serial, serial),
        ).fetchone()
    )


def waits(parts: Parts, serial: str) -> bool:
    """Whether the last copy of a slip is still on its way to paper."""
    job = latest(parts.journal.connection, serial)
    return job is not None and job.state in ("queued", "printing")


def set_state(
    connection: apsw.Connection, job: int, state: str, now: int, detail: str = ""
) -> None:
    """Record what became of a job, inside an open transaction."""
    connection.execute(
        "UPDATE print_job SET state = ?, changed_at = ?, detail = ? WHERE id = ?",
        (state, now, detail, job),
    )
    if state in SETTLED:
        connection.execute("UPDATE print_job SET successor_code = NULL WHERE id = ?", (job,))


def put_back(parts: Parts, job: int) -> None:
    """No byte of a job that was about to leave did: a start from here on asks nobody about it."""
    if by_id(parts.journal.connection, job).state == "printing":
        with parts.journal.transaction() as writing:
            set_state(writing, job, "queued", parts.clock.estimate().now)


def reprint(parts: Parts, serial: str, clerk: str) -> bool:
    """Queue a marked copy of a slip (AX-19) and journal it; False when there is none to copy."""
    connection = parts.journal.connection
    before = latest(connection, serial)
    facts = before.facts if before is not None else _facts_of_serial(parts, serial)
    if facts is None:
        return False
    copy = 2 if before is None else before.copy + 1
    code = None if before is None else before.code
    estimate = parts.clock.estimate()
    stamp = parts.stamp(estimate, clerk)
    with parts.journal.transaction() as writing:
        data: dict[str, object] = {"serial": serial, "copy": copy}
        cause, _ = parts.journal.append(writing, Kind.REPRINTED, data, stamp)
        if before is not None and before.state in ("queued", "unknown", "failed"):
            set_state(writing, before.job, "abandoned", estimate.now, "reprinted")
        queue(writing, cause, facts, code, estimate.now, copy)
    parts.clock.journalled(estimate.now)
    return True


def abandon(parts: Parts, serial: str) -> None:
    """The clerk does without this slip; it stays in the history."""
    job = latest(parts.journal.connection, serial)
    if job is None or job.state in SETTLED:
        return
    with parts.journal.transaction() as writing:
        set_state(writing, job.job, "abandoned", parts.clock.estimate().now, "clerk")


def _facts_of_serial(parts: Parts, serial: str) -> SlipFacts | None:
    named = ids.parse_serial(serial)
    if named is None or named.posid != parts.identity.posid:
        return None
    row = parts.journal.connection.execute(
        "SELECT kind FROM entry WHERE id = ?", (entry_id(named.epoch, named.seq),)
    ).fetchone()
    if row is None or row[0] not in (Kind.REDEEMED, Kind.REVERSED):
        return None
    stored = parts.journal.entry(named.epoch, named.seq)
    return facts_of(parts, entries.read_entry(stored.body), stored.hash)


_COLUMNS: Final = "id, serial, copy, state, facts, successor_code, created_at"
_QUEUE: Final = (
    "INSERT INTO print_job (id, serial, copy, state, facts, successor_code, created_at, changed_at)"
    " VALUES (?, ?, ?, 'queued', ?, ?, ?, ?)"
)
_OPEN: Final = f"state IN ({', '.join(map(repr, OPEN))})"
"""Word for word the condition of the index, or SQLite would read all jobs there ever were."""


def _job(row: tuple[object, ...] | None) -> Job | None:
    if row is None:
        return None
    job, serial, copy, state, facts, code, created_at = row
    assert isinstance(job, int) and isinstance(copy, int) and isinstance(created_at, int)
    return Job(
        job=job,
        serial=str(serial),
        copy=copy,
        state=str(state),
        facts=slip_facts.from_json(str(facts)),
        code=None if code is None else str(code),
        created_at=created_at,
    )
