"""What happened here, newest first, and what a person still has to deal with.

Responsible for: the rows of the history (EV-050) and the notices, read from the journal. Not
responsible for: changing anything but a notice's `dismissed` mark. Invariant: a verdict other than
accepted stays a notice until central says that a person settled it.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from terminal import slip_jobs
from terminal.journal_schema import REVERSAL_OF
from terminal.outcomes import Delivery, Notice, TapeRow
from terminal.parts import Parts
from vouchers import entries, fields, ids
from vouchers.booking import FLAG_RELATED, Verdict
from vouchers.entries import Entry, Kind
from vouchers.times import MINUTE_MS

NOTICES_MAX: Final = 50
"""More than this a person works through at head office, not at the counter."""


def rows(parts: Parts, limit: int) -> Sequence[TapeRow]:
    """The last redemptions and reversals, newest first."""
    found = parts.journal.connection.execute(
        f"SELECT e.body, r.epoch, r.seq FROM entry e LEFT JOIN entry r ON r.id = {REVERSAL_OF}"
        " WHERE e.kind IN ('redeemed', 'reversed') ORDER BY e.id DESC LIMIT ?",
        (limit,),
    ).fetchall()
    return [_row(parts, str(body), undone) for body, *undone in found]


def notices(parts: Parts) -> tuple[Notice, ...]:
    """What needs a person, oldest first."""
    return (*_own_notices(parts), *_unknown_slips(parts), *_verdicts(parts))[:NOTICES_MAX]


def dismiss(parts: Parts, notice: Notice) -> None:
    """A person has read a notice that needs nothing else."""
    with parts.journal.transaction() as connection:
        connection.execute(
            "UPDATE notice SET dismissed = 1 WHERE kind = ? AND serial IS ? AND detail = ?",
            (notice.kind, notice.serial, json.dumps(notice.detail)),
        )


def note(parts: Parts, kind: str, serial: str | None, detail: dict[str, object]) -> None:
    """Leave a notice for the next person at the counter, once."""
    text = json.dumps(detail)
    with parts.journal.transaction() as connection:
        connection.execute(
            "INSERT INTO notice (kind, serial, detail) SELECT ?, ?, ? WHERE NOT EXISTS (SELECT 1"
            " FROM notice WHERE kind = ? AND serial IS ? AND detail = ? AND NOT dismissed)",
            (kind, serial, text, kind, serial, text),
        )


def _row(parts: Parts, body: str, undone: list[Any]) -> TapeRow:
    """A row of the history; `undone` says by which epoch and sequence number, if at all."""
    entry = entries.read_entry(body)
    serial = ids.serial(entry.posid, entry.epoch, entry.seq)
    reversed_by = None if undone[0] is None else ids.serial(entry.posid, *undone)
    verdict = _verdict_on(parts, entry, entries.entry_hash(body))
    job = slip_jobs.latest(parts.journal.connection, serial)
    return TapeRow(
        serial=serial,
        kind=str(entry.kind),
        at=entry.at,
        product_name=_product_name(parts, entry),
        shares=fields.whole(entry.data, "shares"),
        left=fields.whole(entry.data, "left"),
        clerk=entry.clerk,
        reversed_by=reversed_by,
        reversible=_reversible(parts, entry, reversed_by),
        slip="none" if job is None else job.state,
        delivery=_delivery(parts, entry, verdict),
        verdict=verdict,
    )


def _verdict_on(parts: Parts, entry: Entry, digest: str) -> str | None:
    """Central's word on an entry. After a fork its number is also that of another one; where it was
    booked as what was kept apart, that word is this entry's.
    """
    name = entry.posid, entry.epoch, entry.seq
    row = parts.journal.connection.execute(
        "SELECT verdict FROM verdict WHERE serial IN (?, ?) ORDER BY length(serial) DESC LIMIT 1",
        (ids.serial(*name), ids.branch_serial(*name, digest)),
    ).fetchone()
    return None if row is None else str(row[0])


def _product_name(parts: Parts, entry: Entry) -> str:
    source = entry
    if entry.kind is Kind.REVERSED:
        named = ids.parse_serial(fields.word(entry.data, "reverses"))
        assert named is not None
        source = entries.read_entry(parts.journal.entry(named.epoch, named.seq).body)
    product = fields.whole(source.data, "product")
    known = parts.known_product(product)
    return f"#{product}" if known is None else known.name


def _reversible(parts: Parts, entry: Entry, reversed_by: str | None) -> bool:
    if entry.kind is not Kind.REDEEMED or reversed_by is not None:
        return False
    age = parts.clock.estimate().now - entry.at
    return age < parts.policy.reversal.clerk_minutes * MINUTE_MS


def _delivery(parts: Parts, entry: Entry, verdict: str | None) -> Delivery:
    if verdict not in (None, str(Verdict.ACCEPTED)):
        return Delivery.ATTENTION
    acknowledged = parts.journal.watermark("acknowledged")
    here = (entry.epoch, entry.seq)
    return Delivery.ACKNOWLEDGED if here <= acknowledged else Delivery.WAITING


def _own_notices(parts: Parts) -> list[Notice]:
    found = parts.journal.connection.execute(
        "SELECT kind, serial, detail FROM notice WHERE NOT dismissed ORDER BY id LIMIT ?",
        (NOTICES_MAX,),
    )
    return [Notice(kind, serial, json.loads(detail)) for kind, serial, detail in found]


def _unknown_slips(parts: Parts) -> list[Notice]:
    jobs = slip_jobs.in_state(parts.journal.connection, "unknown")
    return [
        Notice("slip_unknown", job.serial, {"product": job.facts.product_name, "copy": job.copy})
        for job in jobs
    ]


def _verdicts(parts: Parts) -> list[Notice]:
    found = parts.journal.connection.execute(
        "SELECT serial, verdict, flags, excess, others FROM verdict"
        " WHERE settled IS NULL AND (verdict != ? OR flags LIKE ?) ORDER BY serial LIMIT ?",
        (str(Verdict.ACCEPTED), f'%"{FLAG_RELATED}"%', NOTICES_MAX),
    )
    return [
        Notice(
            "verdict",
            serial,
            {
                "verdict": verdict,
                "excess": excess,
                "others": json.loads(others),
                "flags": json.loads(flags),
            },
        )
        for serial, verdict, flags, excess, others in found
    ]
