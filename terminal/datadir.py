"""The data directory: what lies where, and who holds it.

Responsible for: the names of its files, its mode 0700, and the lock that lets one process hold it
(design, section 5, "One holder"). Not responsible for: the contents of any file.
Invariant: while a `Holder` is open no other process can open one on the same directory.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from msgspec import Struct

from terminal.errors import HeldElsewhere, OutOfService

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: designed for, see docs/installer.md
    fcntl = None

_POLL_S = 0.02


class DataDir(Struct, frozen=True):
    """The files of one terminal."""

    root: Path
    witness: Path

    @classmethod
    def at(cls, root: Path, witness: Path | None = None) -> "DataDir":
        """The data directory at `root`, its witness there too unless given."""
        return cls(root, witness or root / "witness")

    @property
    def journal(self) -> Path:
        """The journal: small, precious, encrypted."""
        return self.root / "journal.db"

    @property
    def replica(self) -> Path:
        """What central told us: big, disposable, encrypted."""
        return self.root / "replica.db"

    @property
    def identity(self) -> Path:
        """Who this terminal is, sealed under the database key."""
        return self.root / "identity"

    @property
    def key_source(self) -> Path:
        """Where the database key comes from, in the clear."""
        return self.root / "key.json"

    @property
    def recovery(self) -> Path:
        """The database key, sealed to central's recovery key."""
        return self.root / "journal.recovery"

    @property
    def printer_statistics(self) -> Path:
        """What the printer has done over its life, in the clear; the till does without."""
        return self.root / "printer.json"

    @property
    def lock(self) -> Path:
        """The lock file; it holds the holder's pid."""
        return self.root / "lock"

    def ensure(self) -> None:
        """Make the directory, private to its owner. Raises OutOfService."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root.chmod(0o700)
        except OSError as error:
            raise OutOfService(
                f"the data directory {self.root} cannot be made: {error.strerror}"
            ) from error

    def free_bytes(self) -> int:
        """Bytes free for us on the disk of the data directory."""
        if hasattr(os, "statvfs"):
            found = os.statvfs(self.root)
            return found.f_bavail * found.f_frsize
        import shutil

        return shutil.disk_usage(self.root).free


@contextmanager
def hold(data: DataDir, *, wait_s: float) -> Iterator[None]:
    """Hold the data directory, waiting up to `wait_s`. Raises HeldElsewhere."""
    data.ensure()
    descriptor = os.open(data.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, time.monotonic() + wait_s)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, deadline: float) -> None:
    if fcntl is None:
        return
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                raise _held(descriptor) from None
            time.sleep(_POLL_S)
        else:
            return


def _held(descriptor: int) -> HeldElsewhere:
    raw = os.pread(descriptor, 20, 0)
    pid = int(raw) if raw.isdigit() else None
    who = f"process {pid}" if pid else "another process"
    return HeldElsewhere(
        f"{who} holds this terminal's data and does not answer; end it or wait for it", pid
    )
