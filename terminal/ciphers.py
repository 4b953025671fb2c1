"""The cipher of a voucher list: which one a file has, and which one a new file gets here.

Responsible for: telling both. Not responsible for: keys, or opening files. Invariant: a file is
read by the cipher that it was written with, whatever this processor would choose now.
"""

import os
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import apsw

AEGIS: Final = "aegis"
CHACHA20: Final = "chacha20"

_ROOM: Final = {64: AEGIS, 32: CHACHA20}
"""Bytes at the end of each page for nonce and tag; the engine leaves their number readable."""

_ROOM_AT: Final = 20
_NO_ROOM: Final = (apsw.CantOpenError, apsw.FullError, apsw.IOError)
_TRIED_BYTES: Final = 100_000
_TIMES: Final = 3
_FAR_BEHIND: Final = 5
"""Between a half and fifty: what else the machine does makes no difference."""


def of(path: Path) -> str:
    """The cipher of a file; where there is none yet, the one that it should get."""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(_ROOM_AT + 1)
        if len(head) > _ROOM_AT:
            return _ROOM.get(head[_ROOM_AT], AEGIS)
    return quickest()


@cache
def quickest() -> str:
    """AEGIS-256 where the processor has instructions for it, else ChaCha20.

    Tried out once, in some milliseconds: with such instructions AEGIS takes half as long, without
    them fifty times, and which of them the engine needs differs between processors.
    """
    with suppress(OSError, *_NO_ROOM), TemporaryDirectory(prefix="hexiao-") as directory:
        aegis, chacha20 = (_seconds(Path(directory), cipher) for cipher in (AEGIS, CHACHA20))
        return AEGIS if aegis < _FAR_BEHIND * chacha20 else CHACHA20
    return CHACHA20  # never slow


def _seconds(directory: Path, cipher: str) -> float:
    """How long a few pages of nothing take, under a key that nobody keeps."""
    with closing(apsw.Connection(str(directory / cipher))) as connection:
        connection.pragma("cipher", cipher)
        connection.pragma("key", f"raw:{os.urandom(32).hex()}")
        connection.pragma("journal_mode", "OFF")
        connection.pragma("synchronous", "OFF")
        connection.execute("CREATE TABLE tried (pages BLOB)")
        return min(_insert(connection) for _ in range(_TIMES))


def _insert(connection: apsw.Connection) -> float:
    began = perf_counter()
    connection.execute("INSERT INTO tried VALUES (zeroblob(?))", (_TRIED_BYTES,))
    return perf_counter() - began
