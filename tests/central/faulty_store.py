"""Below the service's database: a disk that fails at COMMIT, a server that is lost during one.

Responsible for: making COMMIT raise for real, on either engine. Not responsible for: what the
service does about it. Invariants: nothing is faked but the error: what SQLite wrote before a failed
flush is in its files, what PostgreSQL committed before it was cut off is committed; unless a fault
is wanted, everything is passed on.
"""

from __future__ import annotations

import _sqlite3
import contextlib
import ctypes
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from ctypes import c_int, c_int64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from sqlalchemy import make_url


class Store(Protocol):
    """What a test does to a database. `how`: one of the faults below."""

    def fail(self, how: str) -> None:
        """Every COMMIT fails from now on."""

    def heal(self) -> None:
        """None does."""

    @property
    def failed(self) -> int:
        """How many have."""


# --- SQLite: the virtual file system of the very library that the service uses -------------------

DISK_FAULTS = {"sync": 1034, "synced": 1034, "write": 778, "full": 13}
"""SQLITE_IOERR_FSYNC before or after the flush, SQLITE_IOERR_WRITE, SQLITE_FULL."""

_XOPEN = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_XWRITE = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_XSYNC = ctypes.CFUNCTYPE(c_int, c_void_p, c_int)

_VFS_WORDS, _VFS_NAME, _VFS_OPEN = 21, 3, 5
"""Words of `sqlite3_vfs` of version 3, and where its name and its xOpen stand."""
_METHODS_WORDS, _WRITE, _SYNC = 19, 3, 5
"""Words of `sqlite3_io_methods` of version 3, and where xWrite and xSync stand."""
_IS_WAL = 0x80000


class FaultyDisk:
    """Fails what is written to write-ahead logs that are opened while it is registered."""

    def __init__(self) -> None:
        self._how, self._count = "", 0
        self.seen: Callable[[], None] = lambda: None
        """Called at each failure, before anybody can write again."""
        self._tables: dict[int, ctypes.Array[c_void_p]] = {}
        self._kept: list[object] = []  # ctypes must not let these go while SQLite has them
        self._library = library()
        base = self._library.sqlite3_vfs_find(None)
        self._base = (c_void_p * _VFS_WORDS).from_address(base)
        self._vfs = (c_void_p * _VFS_WORDS)(*self._base)
        self._name = ctypes.create_string_buffer(b"faulty")
        self._vfs[_VFS_NAME] = ctypes.cast(self._name, c_void_p)
        self._open = _XOPEN(self._base[_VFS_OPEN])
        self._opening = _XOPEN(self._xopen)
        self._vfs[_VFS_OPEN] = ctypes.cast(self._opening, c_void_p)

    def register(self) -> None:
        """What is opened from now on is on this disk."""
        assert self._library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1) == 0

    def unregister(self) -> None:
        """What is opened from now on is not."""
        self._library.sqlite3_vfs_unregister(ctypes.byref(self._vfs))

    @property
    def failed(self) -> int:
        return self._count

    def fail(self, how: str) -> None:
        self._how, self._count = how, 0

    def heal(self) -> None:
        self._how = ""

    def _xopen(self, _vfs: int, name: int | None, file: int, flags: int, out: int | None) -> int:
        # All pointers as they came: SQLite keeps the name, and has more words behind its end.
        result: int = self._open(ctypes.addressof(self._base), name, file, flags, out)
        if result == 0 and flags & _IS_WAL:
            slot = c_void_p.from_address(file)
            assert slot.value is not None
            slot.value = ctypes.addressof(self._methods(slot.value))
        return result

    def _methods(self, original: int) -> ctypes.Array[c_void_p]:
        """The same methods with ours for writing and flushing; made once for each kind of file."""
        if original not in self._tables:
            table = (c_void_p * _METHODS_WORDS)(*(c_void_p * _METHODS_WORDS).from_address(original))
            write, sync = _XWRITE(table[_WRITE]), _XSYNC(table[_SYNC])
            ours = (
                _XWRITE(lambda *args: self._refused("write", "full") or write(*args)),
                _XSYNC(lambda *args: self._synced(lambda: int(sync(*args)))),
            )
            self._kept += [write, sync, *ours]
            table[_WRITE] = ctypes.cast(ours[0], c_void_p)
            table[_SYNC] = ctypes.cast(ours[1], c_void_p)
            self._tables[original] = table
        return self._tables[original]

    def _synced(self, sync: Callable[[], int]) -> int:
        return self._refused("sync") or sync() or self._refused("synced")

    def _refused(self, *how: str) -> int:
        if self._how not in how:
            return 0
        self._count += 1
        self.seen()
        return DISK_FAULTS[self._how]


def library() -> ctypes.CDLL:
    """The SQLite of the standard library, whose functions are not told to everybody."""
    try:
        found = ctypes.CDLL(_sqlite3.__file__)
        found.sqlite3_vfs_find.restype = c_void_p
    except (AttributeError, OSError) as error:
        pytest.skip(f"this Python's SQLite cannot be reached from outside: {error}")
    return found


@contextlib.contextmanager
def faulty_disk() -> Iterator[FaultyDisk]:
    """A disk for what SQLite opens inside."""
    disk = FaultyDisk()
    disk.register()
    try:
        yield disk
    finally:
        disk.heal()
        disk.unregister()


# --- PostgreSQL: the line to its server -----------------------------------------------------------

LINE_FAULTS = ("before", "after", "terminated", "waiting")
"""Cut before COMMIT arrives or after it was done; the server's process is ended before, or while
it waits for a standby: then it has committed and says so to nobody."""

_COMMIT = b"Q\0\0\0\x0bCOMMIT\0"
_WRITES = b"SET LOCAL enable_"
"""What the service says first in a transaction that writes; reading ends with a COMMIT too."""

_SOCKET = ".s.PGSQL.5432"


class FaultyServer:
    """Listens on a socket of its own and passes on what goes to the server and comes back."""

    def __init__(self, folder: str, server: str) -> None:
        self._server, self.folder = server, folder
        self._how, self._count = "", 0
        self._reaper: threading.Thread | None = None
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(Path(folder) / _SOCKET))
        self._listening.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, url: str) -> str:
        """The address of a database of the server, by this line."""
        return url.replace(_folder_of(self._server), self.folder)

    @property
    def failed(self) -> int:
        return self._count

    def fail(self, how: str) -> None:
        self._how, self._count = how, 0
        if how == "waiting":
            self._wait_for("nobody")
            self._reaper = threading.Thread(target=self._reap, daemon=True)
            self._reaper.start()

    def heal(self) -> None:
        self._how = ""
        if self._reaper is not None:
            self._reaper.join()
            self._reaper = None
            self._wait_for("")

    def close(self) -> None:
        """Take the line away."""
        self.heal()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(str(Path(_folder_of(self._server)) / _SOCKET))
            line = _Line(near, far)
            threading.Thread(target=line.carry, args=(self._there, line), daemon=True).start()
            threading.Thread(target=line.carry, args=(_back, line), daemon=True).start()

    def _there(self, line: _Line) -> None:
        while piece := line.near.recv(65_536):
            line.writes |= _WRITES in piece
            how = self._how if piece == _COMMIT and line.writes else ""
            line.writes &= piece != _COMMIT
            if how:
                self._count += 1
            if how == "before":
                return
            line.swallows = how == "after"
            if how == "terminated":
                self._end(line.pid)
            line.far.sendall(piece)

    def _end(self, pid: int) -> None:
        """End the server's process of a connection, and see it gone."""
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
            there = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
            while connection.execute(there, (pid,)).fetchone():
                pass

    def _reap(self) -> None:
        """End whoever has committed and waits for a standby before it says so."""
        reap = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        with psycopg.connect(self._server, autocommit=True) as connection:
            while self._how:
                connection.execute(reap)

    def _wait_for(self, standby: str) -> None:
        """Have every COMMIT wait for a standby of this name, or for none."""
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{standby}'".encode())
            connection.execute("SELECT pg_reload_conf()")
            while connection.execute("SHOW synchronous_standby_names").fetchone() != (standby,):
                pass


@dataclass(slots=True)
class _Line:
    """One connection. `pid`: the process that serves it."""

    near: socket.socket
    far: socket.socket
    pid: int = 0
    writes: bool = False
    swallows: bool = False

    def carry(self, way: Callable[[_Line], None], line: _Line) -> None:
        """Pass on until either end is gone; then both are."""
        with contextlib.suppress(OSError):
            way(line)
        for end in (self.near, self.far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _back(line: _Line) -> None:
    while piece := line.far.recv(65_536):
        at = -1 if line.pid else piece.find(b"K\0\0\0\x0c")
        if at >= 0:
            line.pid = int.from_bytes(piece[at + 5 : at + 9], "big")
        if line.swallows:  # done, and told to nobody
            return
        line.near.sendall(piece)


def _folder_of(url: str) -> str:
    folder = make_url(url).query["host"]
    assert isinstance(folder, str)
    return folder


@contextlib.contextmanager
def faulty_server(server: str) -> Iterator[FaultyServer]:
    """A line to a server that listens on a socket of this machine."""
    with tempfile.TemporaryDirectory(prefix="pg") as folder:  # its path must stay short
        line = FaultyServer(folder, server)
        try:
            yield line
        finally:
            line.close()
