"""Columns and tables as both engines take them.

Responsible for: the types, and what every table has. Not responsible for: the tables (`schema`).
Invariants: the merchant is the first column of every primary key; whole numbers have eight bytes.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

METADATA: Final = MetaData()

_INTEGER: Final = BigInteger().with_variant(Integer(), "sqlite")


def key_of(name: str, kind: str = "integer") -> Column[Any]:
    """A part of the primary key: `integer`, `text` or `bytes`."""
    return Column(name, _TYPES[kind], primary_key=True, autoincrement=False, nullable=False)


def whole(name: str, *, optional: bool = False) -> Column[Any]:
    """A whole number."""
    return Column(name, _INTEGER, nullable=optional)


def words(name: str, *, optional: bool = False) -> Column[Any]:
    """A text."""
    return Column(name, Text(), nullable=optional)


def octets(name: str, *, optional: bool = False) -> Column[Any]:
    """Bytes."""
    return Column(name, LargeBinary(), nullable=optional)


_TYPES: Final[dict[str, TypeEngine[Any]]] = {
    "integer": _INTEGER,
    "text": Text(),
    "bytes": LargeBinary(),
}


def table(name: str, *items: Any, **options: Any) -> Table:
    """A table of the merchant."""
    key = key_of("merchant")
    return Table(
        name, METADATA, key, *items, sqlite_with_rowid=False, sqlite_strict=True, **options
    )
