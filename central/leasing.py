"""Work that several processes share: who takes a row of it has it to itself for a while.

Responsible for: the condition and the mark, in the column `taken_until` of a table. Not responsible
for: what the work is. Invariants: rows are taken in a short transaction of their own and worked on
in none; what a process that ended had taken is free again after `LEASE_MS`; whoever comes back
later than that must look whether its work is still wanted.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Table, func

from central import bulk
from central.service import Work
from vouchers import times

LEASE_MS: Final = times.MINUTE_MS
"""Many times what any portion of work takes."""


def is_free(work: Work, table: Table) -> Any:
    """The condition that nobody has a row."""
    return func.coalesce(table.c.taken_until, 0) <= work.now


def take(work: Work, table: Table, rows: Iterable[Sequence[Any]]) -> None:
    """Take rows by their keys, without the merchant; they should be locked and free."""
    _mark(work, table, rows, work.now + LEASE_MS)


def give_back(work: Work, table: Table, rows: Iterable[Sequence[Any]]) -> None:
    """Let others have rows that are still there."""
    _mark(work, table, rows, None)


def _mark(work: Work, table: Table, rows: Iterable[Sequence[Any]], until: int | None) -> None:
    keys = [column.name for column in table.primary_key]
    values = [(work.merchant, *row, until) for row in rows]
    bulk.update(work.connection, table, len(keys), (*keys, "taken_until"), values)
