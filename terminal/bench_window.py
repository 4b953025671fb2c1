"""A program in a terminal window, as a bench sees it.

Responsible for: starting a program in a pseudo-terminal of its own, answering what a terminal
answers, typing, waiting for words, and how much memory it holds. Not responsible for: what the
program is. Invariant: what was started is ended.
"""

import os
import select
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns
from types import ModuleType
from typing import Final

pty: ModuleType | None
try:
    import fcntl
    import pty
    import termios
    import tty
except ImportError:  # Windows has no pseudo-terminals of this kind
    pty = None

_ROWS, _COLUMNS = 24, 80
_GIVE_UP_NS: Final = 60 * 10**9
_END_S: Final = 10.0
_TAIL: Final = 400
_READ_BYTES: Final = 65_536

_CURSOR_ASKED: Final = b"\x1b[6n"
_CURSOR_IS: Final = b"\x1b[1;3R"
"""The kiosk writes one wide character and asks where the cursor is: in the third column."""


class NotShownError(Exception):
    """A program ended, or showed nothing in time; `str()` says which and what it wrote last."""


class Window:
    """One program and its terminal."""

    def __init__(self, terminal: int, process: "subprocess.Popen[bytes]") -> None:
        self._terminal, self._process = terminal, process
        self._seen = b""

    def until(self, text: str) -> None:
        """Read until this was written; what came before it is forgotten. Raises NotShownError."""
        wanted, give_up = text.encode(), perf_counter_ns() + _GIVE_UP_NS
        while wanted not in self._seen:
            if self._process.poll() is not None or perf_counter_ns() > give_up:
                tail = self._seen[-_TAIL:].decode(errors="replace")
                raise NotShownError(f"{text!r} did not appear; last written: {tail!r}")
            self._read()
        self._seen = self._seen.partition(wanted)[2]

    def type(self, keys: bytes) -> None:
        """Strike keys; what was written before is forgotten."""
        while select.select([self._terminal], [], [], 0)[0]:
            self._read()
        self._seen = b""
        os.write(self._terminal, keys)

    def ended(self) -> None:
        """Wait until the program ended by itself. Raises NotShownError when it does not."""
        try:
            while self._process.poll() is None and select.select([self._terminal], [], [], 0.1):
                self._read()
        except OSError:  # nobody holds the other side any more
            pass
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired as error:
            raise NotShownError("the program does not end") from error

    def resident_bytes(self) -> int:
        """What the program holds of the machine's memory. Raises OSError where nobody tells."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    def _read(self) -> None:
        if not select.select([self._terminal], [], [], 0.1)[0]:
            return
        data = os.read(self._terminal, _READ_BYTES)
        if _CURSOR_ASKED in data:
            os.write(self._terminal, _CURSOR_IS)
        self._seen += data


@contextmanager
def window(words: Sequence[str], compiled: Path) -> Iterator[Window]:
    """Start Python with these words; its compiled modules are kept in `compiled`."""
    with (
        _terminal() as (ours, theirs),
        subprocess.Popen(
            [sys.executable, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=_environment(compiled),
            start_new_session=True,
        ) as process,
    ):
        try:
            yield Window(ours, process)
        finally:
            process.kill()


@contextmanager
def line() -> Iterator[tuple[int, str]]:
    """A serial line: our end, and the name of the port at the other."""
    assert pty is not None
    ours, theirs = pty.openpty()
    try:
        tty.setraw(theirs)
        yield ours, os.ttyname(theirs)
    finally:
        os.close(theirs)
        os.close(ours)


@contextmanager
def _terminal() -> Iterator[tuple[int, int]]:
    assert pty is not None
    ours, theirs = pty.openpty()
    try:
        size = struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0)
        fcntl.ioctl(ours, termios.TIOCSWINSZ, size)
        yield ours, theirs
    finally:
        os.close(theirs)
        os.close(ours)


def _environment(compiled: Path) -> dict[str, str]:
    """An installed program is compiled; a checkout, or a setting of this machine, may not be."""
    mine = {"TERM": "xterm-256color", "PYTHONUTF8": "1", "PYTHONPYCACHEPREFIX": str(compiled)}
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return inherited | mine
