"""Many rows in one statement: the fastest way each engine has to add and change a set.

Responsible for: COPY and UPDATE FROM unnest on PostgreSQL, one prepared statement on SQLite. With
`database` the only module that knows the dialects apart. Not responsible for: what rows say, or
locks. Invariants: all happens in the transaction of the connection; an error comes out as
SQLAlchemy's own kind, as from any other statement; all rows name the same columns.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

Rows = Sequence[Mapping[str, object]]


def insert(connection: Connection, table: Table, rows: Rows) -> None:
    """Add rows."""
    if not rows:
        return
    names = list(rows[0])
    values = [tuple(row[name] for name in names) for row in rows]
    columns = ", ".join(_quoted(connection, names))
    if connection.dialect.name == "postgresql":
        _copy(connection, f"COPY {table.name} ({columns}) FROM STDIN", values)
        return
    marks = ", ".join("?" * len(names))
    connection.exec_driver_sql(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", values)


def update(connection: Connection, table: Table, keys: Sequence[str], rows: Rows) -> None:
    """Change the rows with these keys (names of columns) to the other values. Each row exists."""
    if not rows:
        return
    names = [name for name in rows[0] if name not in keys]
    if connection.dialect.name == "postgresql":
        _update_from(connection, table, keys, [*keys, *names], rows)
        return
    sets = ", ".join(f"{name} = ?" for name in _quoted(connection, names))
    where = " AND ".join(f"{name} = ?" for name in _quoted(connection, keys))
    connection.exec_driver_sql(
        f"UPDATE {table.name} SET {sets} WHERE {where}",
        [tuple(row[name] for name in (*names, *keys)) for row in rows],
    )


def _quoted(connection: Connection, names: Sequence[str]) -> list[str]:
    return [connection.dialect.identifier_preparer.quote(name) for name in names]


def _copy(connection: Connection, statement: str, values: Sequence[tuple[object, ...]]) -> None:
    import psycopg  # only where the engine is PostgreSQL

    raw = connection.connection.driver_connection
    assert raw is not None
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            for row in values:
                copy.write_row(row)
    except psycopg.Error as error:
        raise DBAPIError.instance(
            statement, None, error, psycopg.Error, dialect=connection.dialect
        ) from error


def _update_from(
    connection: Connection, table: Table, keys: Sequence[str], names: Sequence[str], rows: Rows
) -> None:
    quoted = dict(zip(names, _quoted(connection, names), strict=True))
    kinds = [table.c[name].type.compile(connection.dialect) for name in names]
    arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
    sets = ", ".join(f"{quoted[name]} = new.{quoted[name]}" for name in names if name not in keys)
    where = " AND ".join(f"t.{quoted[name]} = new.{quoted[name]}" for name in keys)
    connection.exec_driver_sql(
        f"UPDATE {table.name} AS t SET {sets} "
        f"FROM unnest({arrays}) AS new({', '.join(quoted.values())}) WHERE {where}",
        tuple([row[name] for row in rows] for name in names),
    )
