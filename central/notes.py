"""Clerks' notes on their reversals, as they came beside the journal.

Responsible for: keeping, changing and deleting them. Not responsible for: showing them (`reports`).
Invariants: a note belongs to the terminal whose serial it names; one that was deleted here never
comes back, whatever a terminal sends again.
"""

from collections.abc import Sequence

from sqlalchemy import select, update

from central import schema
from central.database import retried
from central.errors import Refused
from central.service import Central, Work
from sync.notes import Note
from vouchers import ids


@retried
def take(central: Central, posid: str, sent: Sequence[Note]) -> tuple[str, ...] | Refused:
    """Keep the notes of a terminal; answers the serials whose note was deleted here."""
    for note in sent:
        named = ids.parse_serial(note.serial)
        if named is None or named.posid != posid:
            return Refused("not_this_terminal", "a terminal sends notes on its own entries only")
    table = schema.notes
    with central.write() as work:
        known = {
            row.serial: row.note
            for row in work.connection.execute(
                select(table.c.serial, table.c.note).where(
                    table.c.merchant == work.merchant,
                    table.c.serial.in_([note.serial for note in sent]),
                )
            )
        }
        for note in sent:
            _keep(work, posid, note, known=note.serial in known, gone=known.get(note.serial) == "")
    return tuple(note.serial for note in sent if known.get(note.serial) == "")


def _keep(work: Work, posid: str, note: Note, *, known: bool, gone: bool) -> None:
    table = schema.notes
    # What people wrote is kept as text of one line; no engine of ours keeps a NUL.
    text = " ".join(note.note.replace("\0", "").split())
    if gone:
        return
    if not known:
        work.connection.execute(
            table.insert().values(
                merchant=work.merchant, serial=note.serial, posid=posid, note=text, at=work.now
            )
        )
    else:
        _write(work, note.serial, text)


@retried
def delete(central: Central, serial: str) -> Refused | None:
    """Take a note away for good; the terminal does so too when it next sends it."""
    table = schema.notes
    with central.write() as work:
        found = work.connection.execute(
            select(table.c.note).where(
                table.c.merchant == work.merchant, table.c.serial == serial, table.c.note != ""
            )
        ).scalar()
        if found is None:
            return Refused("unknown_serial", f"there is no note on {serial[:100]!r}")
        _write(work, serial, "")
    return None


def _write(work: Work, serial: str, text: str) -> None:
    table = schema.notes
    work.connection.execute(
        update(table)
        .where(table.c.merchant == work.merchant, table.c.serial == serial)
        .values(note=text, at=work.now)
    )


def all_of(work: Work) -> dict[str, str]:
    """Every note by the serial of its entry."""
    table = schema.notes
    rows = work.connection.execute(
        select(table.c.serial, table.c.note).where(
            table.c.merchant == work.merchant, table.c.note != ""
        )
    )
    return {row.serial: row.note for row in rows}
