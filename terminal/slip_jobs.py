"""Print jobs: what is to be on paper, written in the transaction of what it tells of.

Responsible for: the facts of a slip, queueing it, its states, and forgetting the successor code
when its slip is settled. Not responsible for: wording, layout or the printer. Invariants: a job
never goes back to `queued`; a reprint is a new job with a higher copy number (AX-19); the
successor code is overwritten once the slip is confirmed or abandoned.
"""

from dataclasses import dataclass

import apsw

from terminal import slip_facts
from terminal.parts import Parts
from terminal.slip_facts import SlipFacts
from vouchers import entries, ids
from vouchers.entries import Entry, Kind

SETTLED = ("printed", "unconfirmed", "abandoned")
"""States in which the successor code is no longer needed."""


@dataclass(frozen=True, slots=True)
class Job:
    """One print job; `code` is the successor code while it is still needed."""

    job: int
    serial: str
    copy: int
    state: str
    facts: SlipFacts
    code: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class _Said:
    """What the entry's own data says, for either kind."""

    voucher: str
    product: int
    left: int
    mode: str = "lone"
    successor: bool = False
    reverses: str | None = None


def facts_of(parts: Parts, entry: Entry, head: str, *, valid_until: int | None = None) -> SlipFacts:
    """What the slip of a `redeemed` or `reversed` entry, whose hash is `head`, says.

    `valid_until` is given while the voucher is open; later only the replica may still know it.
    """
    said = _said(parts, entry)
    known = parts.known_product(said.product)
    if valid_until is None:
        state = parts.known_state(said.voucher)
        valid_until = 0 if state is None else state.standing.valid_until
    return SlipFacts(
        kind="redeemed" if said.reverses is None else "reversed",
        serial=ids.serial(entry.posid, entry.epoch, entry.seq),
        posid=entry.posid,
        outlet_name=parts.identity.outlet_name,
        merchant_name=parts.identity.merchant_name,
        clerk=entry.clerk,
        product_name=f"#{said.product}" if known is None else known.name,
        shares=entries.whole(entry.data, "shares"),
        left=said.left,
        at=entry.at,
        valid_until=valid_until,
        mode=said.mode,
        head=head,
        time_zone=parts.identity.time_zone,
        slip_text=None if known is None else known.slip_text,
        successor=said.successor,
        reverses=said.reverses,
    )


def _said(parts: Parts, entry: Entry) -> _Said:
    if entry.kind is Kind.REVERSED:
        undone = entries.read_reversal(entry)
        product = _product_of(parts, undone.reverses)
        return _Said(undone.voucher, product, undone.left, reverses=undone.reverses)
    done = entries.read_redemption(entry)
    return _Said(done.voucher, done.product, done.left, done.mode, done.successor)


def _product_of(parts: Parts, serial: str) -> int:
    named = ids.parse_serial(serial)
    assert named is not None
    stored = parts.journal.entry(named.epoch, named.seq)
    return entries.read_redemption(entries.read_entry(stored.body)).product


def queue(
    connection: apsw.Connection, facts: SlipFacts, code: str | None, now: int, copy: int = 1
) -> None:
    """Write a print job inside an open transaction. `now` in milliseconds UTC."""
    connection.execute(
        "INSERT INTO print_job (serial, copy, state, facts, successor_code, created_at, changed_at)"
        " VALUES (?, ?, 'queued', ?, ?, ?, ?)",
        (facts.serial, copy, slip_facts.to_json(facts), code, now, now),
    )


def next_queued(connection: apsw.Connection) -> Job | None:
    """The oldest job that waits for paper."""
    return _job(
        connection.execute(
            f"SELECT {_COLUMNS} FROM print_job WHERE state = 'queued' ORDER BY id LIMIT 1"
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
    """All jobs in a state, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM print_job WHERE state = ? ORDER BY id", (state,)
    )
    return [job for job in map(_job, rows) if job is not None]


def latest(connection: apsw.Connection, serial: str) -> Job | None:
    """The last copy of a slip."""
    return _job(
        connection.execute(
            f"SELECT {_COLUMNS} FROM print_job WHERE serial = ? ORDER BY id DESC LIMIT 1",
            (serial,),
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
        parts.journal.append(writing, Kind.REPRINTED, {"serial": serial, "copy": copy}, stamp)
        if before is not None and before.state in ("queued", "unknown", "failed"):
            set_state(writing, before.job, "abandoned", estimate.now, "reprinted")
        queue(writing, facts, code, estimate.now, copy)
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
        "SELECT kind FROM entry WHERE epoch = ? AND seq = ?", (named.epoch, named.seq)
    ).fetchone()
    if row is None or row[0] not in (Kind.REDEEMED, Kind.REVERSED):
        return None
    stored = parts.journal.entry(named.epoch, named.seq)
    return facts_of(parts, entries.read_entry(stored.body), stored.hash)


_COLUMNS = "id, serial, copy, state, facts, successor_code, created_at"


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
