"""How long this disk takes to make something durable (storage notes, 1.1).

Responsible for: measuring, on a small file of its own in the data directory. Not responsible for:
what is fast enough. Invariants: it takes about half a second at most; nothing is left behind.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SECONDS_MAX: Final = 0.5
ROUNDS_MAX: Final = 200
_BLOCK: Final = 4_096
_BLOCKS: Final = 16


@dataclass(frozen=True, slots=True)
class Flush:
    """Microseconds of one overwritten and flushed block: half of them, and 99 in 100, are below."""

    p50_us: int
    p99_us: int
    rounds: int


def measure(directory: Path, *, seconds: float = SECONDS_MAX, rounds: int = ROUNDS_MAX) -> Flush:
    """Overwrite and flush blocks of a file that has its size, as a commit does. Raises OSError."""
    path = directory / "flush-test"
    sync = getattr(os, "fdatasync", os.fsync)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, bytes(_BLOCK * _BLOCKS))
        os.fsync(descriptor)
        taken: list[int] = []
        ending = time.perf_counter_ns() + int(seconds * 1e9)
        while len(taken) < rounds and (not taken or time.perf_counter_ns() < ending):
            os.lseek(descriptor, len(taken) % _BLOCKS * _BLOCK, os.SEEK_SET)
            begun = time.perf_counter_ns()
            os.write(descriptor, len(taken).to_bytes(2) * (_BLOCK // 2))
            sync(descriptor)
            taken.append(time.perf_counter_ns() - begun)
    finally:
        os.close(descriptor)
        path.unlink()
    taken.sort()
    return Flush(taken[len(taken) // 2] // 1000, taken[len(taken) * 99 // 100] // 1000, len(taken))
