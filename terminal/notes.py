"""Clerks' notes on their reversals: kept beside the journal, sent up, deletable.

Responsible for: the notes that still have to go up, and deleting one here and, with the next
contact, at head office. Not responsible for: writing one (`reverse` does, in its transaction).
Invariant: a note is never in an entry, on a slip or in a log.
"""

from collections.abc import Collection, Sequence
from typing import Any

from terminal.parts import Parts


def pending(parts: Parts, limit: int) -> Sequence[tuple[str, str]]:
    """Serial and note of those that central does not have as they are now; empty: deleted here."""
    found: list[Any] = parts.journal.connection.execute(
        "SELECT serial, note FROM note WHERE NOT sent ORDER BY serial LIMIT ?", (limit,)
    ).fetchall()
    return found


def sent(parts: Parts, went: Sequence[tuple[str, str]], gone: Collection[str]) -> None:
    """Central has these as they went, but `gone`, which a person deleted there."""
    with parts.journal.transaction() as connection:
        connection.executemany("UPDATE note SET sent = 1 WHERE serial = ? AND note = ?", list(went))
        connection.execute("DELETE FROM note WHERE sent AND note = ''")
        connection.executemany("DELETE FROM note WHERE serial = ?", [(one,) for one in gone])


def delete(parts: Parts, serial: str) -> bool:
    """Take a note back, here now and at head office with the next contact; whether it was there."""
    with parts.journal.transaction() as connection:
        connection.execute(
            "UPDATE note SET note = '', sent = 0 WHERE serial = ? AND note != ''", (serial,)
        )
        return connection.changes() > 0
