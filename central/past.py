"""How often this database was put back from a backup, and what its lost past may have given out.

Responsible for: numbers that begin anew after a restore, so that none is given twice. Not
responsible for: the restore (`restoring`). Invariant: what was numbered between a backup and its
restore is remembered elsewhere (at terminals, on slips) and never means something else here.
"""

from typing import Final

from sqlalchemy import Column, ColumnElement, bindparam, select, update

from central import bulk, schema
from central.service import Work
from vouchers import times

_MARK: Final = "restored"
"""The counter of the last restore: its minute, counted from when the merchant was made.

A time and not a count of restores, because a backup may be from before an earlier restore.
"""

_AT_FIRST: Final = 100
"""In its first minutes a service may pair and make keys more often than once a minute."""

_AT: Final = "restored_at"
"""The counter that keeps when that was said, ms UTC."""

_CHANGES: Final = 1_000_000_000
"""More than there are changes of verdict, of bucket or of policy between two restores."""

_VALUE: Final = select(schema.counters.c.value).where(
    schema.counters.c.merchant == bindparam("merchant"),
    schema.counters.c.name == bindparam("name"),
)


def restored_at(work: Work) -> int:
    """When this database was put back, as its operator said; ms UTC, 0 if never."""
    return _value(work, _AT)


def next_name(work: Work, last: int) -> int:
    """The next epoch of a terminal, or signing key, after `last`: none that may exist already.

    Nobody pairs one terminal, or makes keys, more often than once a minute for long.
    """
    return max(last, _value(work, _MARK)) + 1


def first_change(work: Work) -> int:
    """Where a counter of changes begins."""
    return _value(work, _MARK) * _CHANGES


def after(work: Work, column: Column[int]) -> ColumnElement[int]:
    """A number of changes, moved behind all that may have been heard in the lost past."""
    return column % _CHANGES + first_change(work)


def forgotten(work: Work) -> None:
    """Note that this database was put back now."""
    table, merchant = schema.counters, schema.merchants
    made = work.connection.execute(
        select(merchant.c.created_at).where(merchant.c.merchant == work.merchant)
    ).scalar_one()
    minutes = (work.now - int(made)) // times.MINUTE_MS
    mark = max(_value(work, _MARK) + 1, minutes + _AT_FIRST)
    names = ("merchant", "name", "value")
    rows = [(work.merchant, _MARK, 0), (work.merchant, _AT, 0)]
    bulk.insert_new(work.connection, table, names, rows)
    for name, value in ((_MARK, mark), (_AT, work.now)):
        work.connection.execute(
            update(table)
            .where(table.c.merchant == work.merchant, table.c.name == name)
            .values(value=value)
        )


def _value(work: Work, name: str) -> int:
    asked = {"merchant": work.merchant, "name": name}
    return int(work.connection.execute(_VALUE, asked).scalar() or 0)
