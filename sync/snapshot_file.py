"""A snapshot on its way to disk.

Responsible for: writing what arrives beside its final name, continuing an earlier part, checking
size and SHA-256, and giving the whole file its name. Not responsible for: the network, opening the
file, or making it durable: whoever puts it to use writes all of it anew first, encrypted.
Invariant: a file that is named here is whole and verified; what did not verify is gone, and so is
what the disk would not take. After a loss of power it is fetched again, whatever lies under the
name.
"""

import hashlib
import re
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from sync.errors import Garbled

_OK: Final = 200
_PARTIAL: Final = 206
_RANGE: Final = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)", re.ASCII)
_READ_BYTES: Final = 1 << 20


def part_of(path: Path) -> Path:
    """Where a file is written before it has its name."""
    return path.with_name(path.name + ".part")


class Download:
    """One try. `have` is what an earlier one left: ask for the rest with a Range."""

    def __init__(self, path: Path, *, sha256: str, size: int) -> None:
        self._path = path
        self._part = part_of(path)
        self._sha256 = sha256
        self._size = size
        self._hash = hashlib.sha256()
        self._file: IO[bytes] | None = None
        self.have = 0

    def __enter__(self) -> Self:
        self._file = self._part.open("ab+")
        self._file.seek(0)
        while chunk := self._file.read(_READ_BYTES):
            self._hash.update(chunk)
        self.have = self._file.tell()
        if self.have >= self._size:
            # Whole but never verified, or of another file: begin again.
            self._restart()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open().close()
        if isinstance(error, OSError):
            # The disk is full or failing: what is here must not take the room of the journal.
            self._part.unlink(missing_ok=True)

    def begin(self, status: int, content_range: str) -> None:
        """Central answered. Raises `Garbled` where the answer is no part of this file."""
        if status == _OK:
            self._restart()
            return
        found = _RANGE.fullmatch(content_range)
        if status != _PARTIAL or found is None or int(found[1]) != self.have:
            raise Garbled(f"an answer {status} {content_range[:50]!r} to a download")

    def write(self, chunk: bytes) -> None:
        """Take some bytes. Raises `Garbled` when they are more than the manifest says."""
        if self.have + len(chunk) > self._size:
            self._restart()
            raise Garbled(f"a snapshot of more than {self._size} bytes")
        self._open().write(chunk)
        self._hash.update(chunk)
        self.have += len(chunk)

    def finish(self) -> None:
        """Verify and name the file. Raises `Garbled` and forgets what does not verify."""
        if self.have < self._size:
            raise Garbled(f"a snapshot ends at {self.have} of {self._size} bytes")
        if self._hash.hexdigest() != self._sha256:
            self._restart()
            raise Garbled("a snapshot has another hash than its manifest says")
        self._open().flush()
        self._part.replace(self._path)

    def _open(self) -> IO[bytes]:
        assert self._file is not None
        return self._file

    def _restart(self) -> None:
        self._open().truncate(0)
        self._hash = hashlib.sha256()
        self.have = 0
