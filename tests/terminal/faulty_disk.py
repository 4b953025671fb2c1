"""A disk that fails on demand, below SQLite: its own VFS with errors put in.

Responsible for: counting reads, writes, flushes and openings of databases and their logs, and
failing some of them. Not responsible for: what the terminal does about it. Invariants: nothing is
faked but the error: what was written before a failing flush is in the file, as on a real disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

_BASE = "multipleciphers-unix"
_NAME = "faulty"


class FaultyDisk:
    """Tell it which calls to `fail`, by how they begin: `sync -wal`, `write db`, or all with ``."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._from, self._until, self._what = 0, 0, ""
        self._seen = 0

    def heal(self) -> None:
        """Everything works from now on."""
        self._from = self._until = 0

    def fail(self, what: str, *, after: int = 0, times: int = 1_000_000) -> None:
        """Fail calls that begin with `what`: `after` of them pass, then `times` fail."""
        self.calls.clear()
        self._what, self._from, self._until = what, after, after + times
        self._seen = 0

    def about(self, call: str) -> None:
        """A call is about to happen. Raises apsw.IOError for one that fails."""
        self.calls.append(call)
        if not call.startswith(self._what):
            return
        self._seen += 1
        if self._from < self._seen <= self._until:
            raise apsw.IOError(f"injected: {call}")


class _File(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: object, flags: list[int]) -> None:
        text = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._disk, self._end = disk, "-wal" if text.endswith("-wal") else "db"
        disk.about(f"open {self._end}")
        super().__init__(_BASE, name, flags)  # type: ignore[arg-type]

    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.about(f"read {self._end}")
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.about(f"write {self._end}")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._disk.about(f"sync {self._end}")
        super().xSync(flags)


class _Vfs(apsw.VFS):
    def __init__(self, disk: FaultyDisk) -> None:
        self._disk = disk
        super().__init__(_NAME, _BASE, makedefault=True)

    def xOpen(self, name: object, flags: list[int]) -> _File:
        return _File(self._disk, name, flags)


@contextmanager
def faulty_disk() -> Iterator[FaultyDisk]:
    """All databases that are opened inside are on this disk."""
    disk = FaultyDisk()
    vfs = _Vfs(disk)
    try:
        yield disk
    finally:
        disk.heal()
        vfs.unregister()
