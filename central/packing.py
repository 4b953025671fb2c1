"""Values in PostgreSQL's binary form, packed by hand: several times cheaper than the driver's way.

Responsible for: arrays as parameters, and the rows of a binary COPY. With `bulk` the only module
that knows of them. Not responsible for: statements. Invariant: a column of the schema holds whole
numbers (eight bytes), text or bytes, and so does everything here.
"""

import struct
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Any, Final

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format
from sqlalchemy import BigInteger, LargeBinary
from sqlalchemy.types import TypeEngine

_NULL: Final = struct.pack(">i", -1)
_LENGTH: Final = struct.Struct(">i").pack
_NUMBER: Final = struct.Struct(">iq").pack
_ARRAY: Final = struct.Struct(">iiIii").pack
_COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END: Final = struct.pack(">h", -1)


class Numbers(bytes):
    """An int8[] in binary form."""


class Texts(bytes):
    """A text[] in binary form."""


class Blobs(bytes):
    """A bytea[] in binary form."""


class _AsItIs(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        return bytes(obj)


def _dumper(oid: int) -> type[Dumper]:
    return type("_AsItIs", (_AsItIs,), {"oid": oid})


_DUMPERS: Final = ((Numbers, _dumper(1016)), (Texts, _dumper(1009)), (Blobs, _dumper(1001)))


def teach(connection: psycopg.Connection[Any]) -> None:
    """Let a connection take arrays that were packed here."""
    for kind, dumper in _DUMPERS:
        connection.adapters.register_dumper(kind, dumper)


def array(kind: TypeEngine[Any], values: Sequence[Any]) -> Numbers | Texts | Blobs:
    """Values of a column as one parameter; `%s` in a statement takes it without a cast."""
    as_array, oid = _array_kind(kind)
    if not values:
        return as_array(struct.pack(">iiI", 0, 0, oid))
    count, has_null = len(values), int(None in values)
    # Much of a batch is the same in all rows: pack it once.
    packed = fields(kind, values[:1]) * count if _is_same(values) else fields(kind, values)
    return as_array(b"".join((_ARRAY(1, has_null, oid, count, 1), *packed)))


def _array_kind(kind: TypeEngine[Any]) -> tuple[type[Numbers] | type[Texts] | type[Blobs], int]:
    if isinstance(kind, BigInteger):
        return Numbers, 20
    return (Blobs, 17) if isinstance(kind, LargeBinary) else (Texts, 25)


def _is_same(values: Sequence[Any]) -> bool:
    """Whether all of the values are one."""
    return values.count(values[0]) == len(values)


def fields(kind: TypeEngine[Any], values: Sequence[Any]) -> list[bytes]:
    """Each value with its length before it."""
    if isinstance(kind, BigInteger):
        return [_NULL if value is None else _NUMBER(8, value) for value in values]
    if None in values:
        return [field for value in values for field in _maybe(kind, value)]
    raws = list(values) if isinstance(kind, LargeBinary) else [value.encode() for value in values]
    sizes = set(map(len, raws))
    if len(sizes) == 1:
        prefix = _LENGTH(sizes.pop())
        return [prefix + raw for raw in raws]
    return [_LENGTH(len(raw)) + raw for raw in raws]


def _maybe(kind: TypeEngine[Any], value: Any) -> list[bytes]:
    return [_NULL] if value is None else fields(kind, [value])


def copy_rows(kinds: Sequence[TypeEngine[Any]], columns: Sequence[Sequence[Any]]) -> bytes:
    """The rows of a binary COPY, from at least one value per column."""
    count = len(columns[0])
    packed, same = list[Iterable[bytes]](), struct.pack(">h", len(columns))
    for kind, values in zip(kinds, columns, strict=True):
        if _is_same(values):
            same += fields(kind, values[:1])[0]
            continue
        packed += (repeat(same, count), fields(kind, values))
        same = b""
    rows = chain.from_iterable(zip(*packed, repeat(same, count), strict=True))
    return b"".join((_COPY_HEAD, *rows, _COPY_END))
