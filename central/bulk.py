"""Many rows in one statement: the fastest way each engine has to read, add and change a set.

Responsible for: COPY, UPDATE FROM unnest, probes by key, cursors of the server on PostgreSQL, one
prepared statement on SQLite; what a server does while Python goes on. With `database` the only
module that knows the dialects apart. Not responsible for: what rows say, or the order of locks.
Invariants: all happens in the transaction of the connection; an error comes out as SQLAlchemy's own
kind, as from any other statement; a row has a value for each name, in their order.
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

Row = tuple[Any, ...]
Answer = Callable[[], list[Row]]
"""What a server was asked for; the call waits for it."""

_PORTION: Final = 5_000
"""Rows in memory at a time, of those that are read to the end."""


class Conditional(NamedTuple):
    """A change in SQL that both engines know: of the row `t`, by the values `new`."""

    sets: str
    condition: str
    answer: Sequence[str]


def select_in(
    connection: Connection,
    table: Table,
    names: Sequence[str],
    merchant: int,
    where: tuple[str, Collection[str] | Collection[bytes]],
    *,
    lock: bool = False,
) -> list[Row]:
    """A merchant's rows in which the column `where[0]` is one of the values `where[1]`.

    `lock` keeps other writers away from them until commit, and takes the rows in the order of the
    column, so that two transactions that lock so never wait for each other.
    """
    column, values = where[0], sorted(set[Any](where[1]))
    if not values:
        return []
    if not _is_postgresql(connection):
        return _select_sqlite(connection, table, names, merchant, column, values)
    statement = _probes(connection, table, names, column, lock=lock)
    with _cursor(connection, statement) as cursor:
        cursor.execute(statement, (_array(table, column, values), merchant))
        return list(cursor.fetchall())


@contextmanager
def selecting_in(
    connection: Connection,
    table: Table,
    names: Sequence[str],
    merchant: int,
    where: tuple[str, Collection[str]],
) -> Iterator[Answer]:
    """`select_in`, found while the block runs, in which the connection does nothing else."""
    column, values = where[0], sorted(set(where[1]))
    if values and _is_postgresql(connection):
        statement = _probes(connection, table, names, column, lock=False)
        with _asked(connection, statement, (_array(table, column, values), merchant)) as answer:
            yield answer
    else:
        found = select_in(connection, table, names, merchant, where)
        yield lambda: found


def _probes(
    connection: Connection, table: Table, names: Sequence[str], column: str, *, lock: bool
) -> str:
    """A probe of the index for each value: to `= ANY` of many values PostgreSQL prefers all rows of
    the merchant while it knows nothing of a table. OFFSET 0 keeps it from folding the two levels.
    """
    what = f"SELECT {', '.join(_quoted(connection, names))} FROM {table.name} WHERE merchant = %s"
    one = f"{what} AND {column} = wanted.value OFFSET 0{' FOR UPDATE' if lock else ''}"
    return f"SELECT found.* FROM unnest(%s) AS wanted(value), LATERAL ({one}) AS found"


def _select_sqlite(
    connection: Connection,
    table: Table,
    names: Sequence[str],
    merchant: int,
    column: str,
    values: Sequence[Any],
) -> list[Row]:
    what = f"SELECT {', '.join(_quoted(connection, names))} FROM {table.name}"
    statement = f"{what} WHERE merchant = ? AND {column} IN"
    if isinstance(values[0], bytes):
        rows = connection.exec_driver_sql(
            f"{statement} ({', '.join('?' * len(values))})", (merchant, *values)
        )
    else:
        rows = connection.exec_driver_sql(
            f"{statement} (SELECT value FROM json_each(?))", (merchant, json.dumps(values))
        )
    return [tuple(row) for row in rows]


def read_in_order(
    connection: Connection,
    table: Table,
    names: Sequence[str],
    merchant: int,
    by: str,
    where: str = "TRUE",
) -> Iterator[list[Row]]:
    """All rows of a merchant under a condition, sorted by a column, some thousands at a time.

    As the driver gives them, which costs a fifth of SQLAlchemy's rows. To be read to the end.
    """
    quoted, (order,) = _quoted(connection, names), _quoted(connection, [by])
    what = f"SELECT {', '.join(quoted)} FROM {table.name} WHERE merchant = "
    rest = f" AND {where} ORDER BY {order}"
    if not _is_postgresql(connection):
        raw: Any = connection.connection.driver_connection
        found = raw.execute(f"{what}?{rest}", (merchant,))
        while portion := found.fetchmany(_PORTION):
            yield portion
        return
    statement = f"{what}%s{rest}"
    # An index by a key that is noise leads to a page of its own for each row. That is believed to
    # be cheap, because a cursor might not be read to its end and the table might be in memory.
    connection.exec_driver_sql("SET LOCAL enable_indexscan = off")
    with _cursor(connection, statement, name="in_order") as cursor:
        cursor.execute(statement, (merchant,))
        while portion := cursor.fetchmany(_PORTION):
            yield portion
    connection.exec_driver_sql("SET LOCAL enable_indexscan TO DEFAULT")


class Ready(NamedTuple):
    """Rows in the form in which an engine takes them, and how."""

    statement: str
    rows: list[Row] | bytes


def insert(connection: Connection, table: Table, names: Sequence[str], rows: Sequence[Row]) -> None:
    """Add rows."""
    with inserting(connection, ready(connection, table, names, rows)):
        pass


def ready(
    connection: Connection, table: Table, names: Sequence[str], rows: Sequence[Row]
) -> Ready | None:
    """Put rows into the form for `inserting`; None for no rows."""
    if not rows:
        return None
    columns = ", ".join(_quoted(connection, names))
    if _is_postgresql(connection):
        from central import packing

        kinds = [table.c[name].type for name in names]
        packed = packing.copy_rows(kinds, list(zip(*rows, strict=True)))
        return Ready(f"COPY {table.name} ({columns}) FROM STDIN (FORMAT BINARY)", packed)
    marks = ", ".join("?" * len(names))
    return Ready(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", list(rows))


@contextmanager
def inserting(connection: Connection, new: Ready | None) -> Iterator[None]:
    """Add rows while the block runs, in which the connection does nothing else."""
    if new is None:
        yield
    elif isinstance(new.rows, bytes):
        with _cursor(connection, new.statement) as cursor, cursor.copy(new.statement) as copy:
            copy.write(new.rows)
            yield
    else:
        connection.exec_driver_sql(new.statement, new.rows)
        yield


@contextmanager
def meanwhile(connection: Connection) -> Iterator[None]:
    """Only send what `insert_new`, `delete` and `update` are to change while the block runs.

    They are done one after the other, and known to be done at its end. No other statements in it.
    """
    if not _is_postgresql(connection):
        yield
        return
    with _driver(connection, "several changes") as raw, raw.pipeline():
        yield


def insert_new(
    connection: Connection,
    table: Table,
    names: Sequence[str],
    rows: Sequence[Row],
    unless: Table | None = None,
) -> None:
    """Add the rows whose key is neither in the table yet nor, by the same columns, in `unless`."""
    if not rows:
        return
    columns = ", ".join(_quoted(connection, names))
    where = "TRUE"
    if unless is not None:
        same = " AND ".join(f"o.{key.name} = new.{key.name}" for key in table.primary_key)
        # The OFFSET as in `select_in`: one probe for each row, and no join with the whole table.
        where = f"NOT EXISTS (SELECT 1 FROM {unless.name} AS o WHERE {same} LIMIT 1 OFFSET 0)"
    statement = (
        f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {_source(connection, names)} "
        f"WHERE {where} ON CONFLICT DO NOTHING"
    )
    _run(connection, statement, table, names, rows)


def delete(connection: Connection, table: Table, names: Sequence[str], rows: Sequence[Row]) -> None:
    """Take away the rows that have these values in the columns `names`, as far as there are any."""
    if not rows:
        return
    quoted = _quoted(connection, names)
    if _is_postgresql(connection):
        where = " AND ".join(f"t.{name} = new.{name}" for name in quoted)
        source = f"USING {_source(connection, names)}"
        _run(
            connection, f"DELETE FROM {table.name} AS t {source} WHERE {where}", table, names, rows
        )
        return
    where = " AND ".join(f"{name} = ?" for name in quoted)
    _run(connection, f"DELETE FROM {table.name} WHERE {where}", table, names, rows)


def update(
    connection: Connection, table: Table, keys: int, names: Sequence[str], rows: Sequence[Row]
) -> None:
    """Change the rows whose first `keys` columns are these, if there are any, to other values."""
    if not rows:
        return
    quoted = _quoted(connection, names)
    sets = ", ".join(f"{name} = new.{name}" for name in quoted[keys:])
    where = " AND ".join(f"t.{name} = new.{name}" for name in quoted[:keys])
    source = _source(connection, names)
    statement = f"UPDATE {table.name} AS t SET {sets} FROM {source} WHERE {where}"
    _run(connection, statement, table, names, rows)


@contextmanager
def updating_if(
    connection: Connection,
    table: Table,
    keys: int,
    names: Sequence[str],
    rows: Sequence[Row],
    *,
    how: Conditional,
) -> Iterator[Answer | None]:
    """Change those rows whose first `keys` columns are these, by an expression, under a condition.

    It happens while the block runs, in which the connection does nothing else. Answers the columns
    `how.answer` of each row that was changed. None stands for all: on SQLite nothing can have
    happened to a row since it was read in the same transaction.
    """
    source = _source(connection, names)
    where = " AND ".join(f"t.{name} = new.{name}" for name in _quoted(connection, names)[:keys])
    statement = (
        f"UPDATE {table.name} AS t SET {how.sets} FROM {source} WHERE {where} AND {how.condition}"
    )
    if not _is_postgresql(connection):
        _run(connection, statement, table, names, rows)
        yield None
        return
    statement += f" RETURNING {', '.join(f't.{name}' for name in how.answer)}"
    with _asked(connection, statement, _arrays(table, names, rows)) as answer:
        yield answer


def _source(connection: Connection, names: Sequence[str]) -> str:
    """The rows of a statement under the name `new`."""
    quoted = _quoted(connection, names)
    if _is_postgresql(connection):
        return f"unnest({', '.join(['%s'] * len(names))}) AS new({', '.join(quoted)})"
    return f"(SELECT {', '.join(f'? AS {name}' for name in quoted)}) AS new"


def _run(
    connection: Connection,
    statement: str,
    table: Table,
    names: Sequence[str],
    rows: Sequence[Row],
) -> None:
    if not _is_postgresql(connection):
        connection.exec_driver_sql(statement, list(rows))
        return
    with _cursor(connection, statement) as cursor:
        cursor.execute(statement, _arrays(table, names, rows))


def _is_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _quoted(connection: Connection, names: Sequence[str]) -> list[str]:
    return [connection.dialect.identifier_preparer.quote(name) for name in names]


def _array(table: Table, name: str, values: Sequence[Any]) -> bytes:
    from central import packing  # only where the engine is PostgreSQL

    return packing.array(table.c[name].type, values)


def _arrays(table: Table, names: Sequence[str], rows: Sequence[Row]) -> list[bytes]:
    columns = zip(*rows, strict=True)
    return [_array(table, name, values) for name, values in zip(names, columns, strict=True)]


@contextmanager
def _asked(connection: Connection, statement: str, values: Sequence[Any]) -> Iterator[Answer]:
    with (
        _driver(connection, statement) as raw,
        raw.pipeline(),
        raw.cursor(binary=True) as cursor,
    ):
        cursor.execute(statement, values)
        yield cursor.fetchall


@contextmanager
def _cursor(connection: Connection, statement: str, name: str = "") -> Iterator[Any]:
    """A cursor of the driver itself, on PostgreSQL: rows as tuples, values in binary form.

    With a name it is the server's, and rows come as they are asked for.
    """
    with _driver(connection, statement) as raw, raw.cursor(name, binary=True) as cursor:
        yield cursor


@contextmanager
def _driver(connection: Connection, statement: str) -> Iterator[Any]:
    """The driver's own connection, on PostgreSQL; its errors come out as SQLAlchemy's."""
    import psycopg

    raw = connection.connection.driver_connection
    assert raw is not None
    try:
        yield raw
    except psycopg.Error as error:
        raise DBAPIError.instance(
            statement, None, error, psycopg.Error, dialect=connection.dialect
        ) from error
