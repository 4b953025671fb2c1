"""What a program did to its files, as the system saw it: recorded by strace, read back as steps.

Responsible for: running a command under strace and turning its calls into writes, flushes and what
it said on its standard output. Not responsible for: what a power cut makes of them. Invariants:
steps are in the order in which the calls returned; only files inside the watched folder count; a
call that is not understood is an error, never passed over.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CALLS = (
    "openat,open,creat,write,pwrite64,pwritev,writev,lseek,fsync,fdatasync,sync_file_range,"
    "ftruncate,truncate,fallocate,unlink,unlinkat,rename,renameat,renameat2"
)


@dataclass(frozen=True)
class Write:
    """Bytes that were handed to the system."""

    file: str
    offset: int
    data: bytes


@dataclass(frozen=True)
class Resize:
    """A file was cut or grown to a size."""

    file: str
    size: int


@dataclass(frozen=True)
class Remove:
    """A file's name went away."""

    file: str


@dataclass(frozen=True)
class Make:
    """A file got its name."""

    file: str


@dataclass(frozen=True)
class Flush:
    """What was written to a file before is on the disk once this returned."""

    file: str


@dataclass(frozen=True)
class FlushNames:
    """Names that files got or lost before are on the disk once this returned."""


@dataclass(frozen=True)
class Said:
    """A line on standard output: what somebody has seen as done."""

    line: str


Change = Write | Resize | Make | Remove
Step = Change | Flush | FlushNames | Said


def tool() -> str | None:
    """The recorder, or None where it is not installed."""
    return shutil.which("strace")


def record(command: Sequence[str], folder: Path, out: Path, cwd: Path) -> list[Step]:
    """Run a command to its end and answer what it did to the files of `folder`."""
    strace = ["strace", "-f", "-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-o", str(out)]
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    done = subprocess.run([*strace, *command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    return list(_Reader(folder.resolve(), sizes).steps(_whole_lines(out)))


def _whole_lines(out: Path) -> Iterator[str]:
    """Calls, joined where another thread's call stands between their beginning and their end."""
    begun: dict[str, str] = {}
    with out.open(encoding="ascii") as lines:
        for line in lines:
            pid, _, rest = line.rstrip("\n").partition(" ")
            rest = rest.strip()
            if rest.endswith("<unfinished ...>"):
                begun[pid] = rest.removesuffix("<unfinished ...>").rstrip()
            elif rest.startswith("<... "):
                yield begun.pop(pid) + rest.split(" resumed>", 1)[1]
            elif "(" in rest and not rest.startswith(("---", "+++")):
                yield rest


_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+|\?)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FD = re.compile(r"^(\d+)<((?:\\x[0-9a-f]{2}|[^>])*)>")


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


class _Reader:
    def __init__(self, folder: Path, sizes: dict[str, int]) -> None:
        self._folder, self._sizes = folder, sizes
        self._appends: set[str] = set()

    def steps(self, calls: Iterator[str]) -> Iterator[Step]:
        for call in calls:
            found = _CALL.match(call)
            assert found is not None, call[:200]
            name, arguments, result = found.groups()
            if result in ("?", "-1"):
                continue
            yield from self._step(name, arguments, int(result))

    def _step(self, name: str, arguments: str, result: int) -> Iterator[Step]:
        if name in ("openat", "open", "creat"):
            yield from self._opened(arguments)
            return
        if name.startswith(("unlink", "rename")):
            yield from self._renamed(name, arguments)
            return
        handle = _FD.match(arguments)
        assert handle is not None, arguments[:200]
        number, path = handle[1], _path(handle[2])
        file = self._inside(path)
        if name in ("fsync", "fdatasync") and Path(path) == self._folder:
            yield FlushNames()
        elif name == "write" and number == "1":
            text = _bytes("".join(_TEXT.findall(arguments)))[:result].decode()
            yield from (Said(line) for line in text.splitlines())
        elif file is not None:
            yield from self._on_file(name, file, arguments, result)

    def _on_file(self, name: str, file: str, arguments: str, result: int) -> Iterator[Step]:
        if name in ("fsync", "fdatasync"):
            yield Flush(file)
        elif name == "ftruncate":
            size = int(arguments.rsplit(",", 1)[1])
            self._sizes[file] = size
            yield Resize(file, size)
        elif name in ("write", "pwrite64"):
            data = _bytes("".join(_TEXT.findall(arguments)))[:result]
            offset = self._sizes.get(file, 0)
            if name == "pwrite64":
                offset = int(arguments.rsplit(",", 1)[1])
            else:
                assert file in self._appends, f"a write to {file} whose place is not known"
            self._sizes[file] = max(self._sizes.get(file, 0), offset + len(data))
            yield Write(file, offset, data)
        else:
            assert name == "lseek", f"{name} on {file} is not understood"

    def _opened(self, arguments: str) -> Iterator[Step]:
        text = _TEXT.search(arguments)
        assert text is not None, arguments[:200]
        file = self._inside(_bytes(text[1]).decode())
        if file is None:
            return
        if "O_APPEND" in arguments:
            self._appends.add(file)
        if "O_CREAT" in arguments and file not in self._sizes:
            self._sizes[file] = 0
            yield Make(file)
        if "O_TRUNC" in arguments:
            self._sizes[file] = 0
            yield Resize(file, 0)

    def _renamed(self, name: str, arguments: str) -> Iterator[Step]:
        files = [self._inside(_bytes(text).decode()) for text in _TEXT.findall(arguments)]
        if not any(files):
            return
        assert name.startswith("unlink"), f"{name} of {files} is not understood"
        (file,) = files
        assert file is not None
        del self._sizes[file]
        yield Remove(file)

    def _inside(self, path: str) -> str | None:
        """The name of a file in the folder."""
        where = Path(path)
        return where.name if where.parent == self._folder else None


def _path(text: str) -> str:
    return _bytes(text).decode() if text.startswith("\\x") else text
