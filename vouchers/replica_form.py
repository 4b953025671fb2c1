"""What every reader of a replica has to know: its version, and where a sealed row stands.

Responsible for: the number that a row key becomes, and the search for it. Not responsible for: the
tables (`sync.replica_schema`), nor for opening or reading the file. Here and not in `sync`, because
a terminal redeems from its replica also where there is no synchronisation (design, section 2).
Invariant: a key has one place, and its row stands there or at one of the fifteen behind it.
"""

import struct
from typing import Final

REPLICA_SCHEMA: Final = 3
"""The version of the tables; a terminal takes a new file where its own has another."""

SEALED_FOUND: Final = "place BETWEEN ?1 AND ?1 + 15 AND k = ?2"
"""The row of a key: ?1 is its `place_of`, ?2 the key."""

_first_of_key: Final = struct.Struct(">Q8x").unpack


def place_of(key: bytes) -> int:
    """Where the row of a key stands: the key's first 59 bits, then four for keys that share them.

    A number, so that the upper pages of the table hold hundreds of branches; in the keys' order.
    """
    first: int = _first_of_key(key)[0]
    return first >> 1 & -16
