"""How long a start takes: the kiosk until it can be scanned at, beside a bare Textual program.

Responsible for: starting both in pseudo-terminals of their own, turn about, and seeing when a
known text appears. Not responsible for: what the kiosk does. Invariants: every start of the kiosk
finds the same files, as a clean stop leaves them; what was started is ended.
"""

import os
import select
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from types import ModuleType
from typing import Final

from terminal import bench_shop
from terminal.bench_rows import Goal, Row, Skipped, turn_about
from terminal.bench_shop import Stock
from terminal.datadir import DataDir
from terminal.words import Language, say

pty: ModuleType | None
try:
    import fcntl
    import pty
    import termios
except ImportError:  # Windows has no pseudo-terminals of this kind
    pty = None

WHAT: Final = "kiosk start to ready-to-scan"
_ROWS, _COLUMNS = 24, 80
_GIVE_UP_NS: Final = 60 * 10**9
_TAIL: Final = 400

_CURSOR_ASKED: Final = b"\x1b[6n"
_CURSOR_IS: Final = b"\x1b[1;3R"
"""The kiosk writes one wide character and asks where the cursor is: in the third column."""

_BARE_TEXT: Final = "Ready and waiting"
_BARE: Final = f"""
from textual.app import App
from textual.widgets import Static

class Bare(App):
    def compose(self):
        yield Static("{_BARE_TEXT}")

Bare().run()
"""

_SETTINGS: Final = """
[paths]
data = "data"
[central]
enabled = false
[keys]
source = "file"
[kiosk]
language = "en"
"""


class NotStartedError(Exception):
    """A program ended, or showed nothing in time; `str()` says which and what it wrote last."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How often both are started, and how many vouchers the kiosk finds."""

    starts: int
    rows: int


def kiosk_start(effort: Effort) -> Row | Skipped:
    """From spawning the process to the text of the idle screen in its terminal."""
    if pty is None:
        return Skipped(WHAT, "this system has no pseudo-terminals")
    if find_spec("textual") is None:
        return Skipped(WHAT, "Textual is not installed")
    with TemporaryDirectory(prefix="hexiao-bench-") as directory:
        root = Path(directory)
        seeded = _seed(root / "seeded", effort.rows)
        compiled = root / "compiled"
        turns = (lambda: _kiosk(seeded, root / "run", compiled), lambda: _bare(compiled))
        try:
            turn_about(turns, rounds=1, each=1)  # the first start also compiles
            kiosk, bare = turn_about(turns, rounds=effort.starts, each=1)
        except (NotStartedError, OSError) as error:
            return Skipped(WHAT, str(error))
    return Row(
        what=f"{WHAT}, {effort.rows:,} vouchers",
        bare_is="a bare Textual program to its first paint",
        measured=kiosk,
        bare=bare,
        ratio=kiosk.p50 / bare.p50,
        goal=Goal(1.5),
    )


def _seed(root: Path, rows: int) -> Path:
    """A terminal that was open once and was closed in order."""
    root.mkdir()
    (root / "hexiao.toml").write_text(_SETTINGS, encoding="utf-8")
    data = DataDir.at(root / "data")
    bench_shop.make(data, Stock(rows, 0))
    bench_shop.close_counter(bench_shop.open_counter(data))
    return root


def _kiosk(seeded: Path, run: Path, compiled: Path) -> int:
    shutil.copytree(seeded, run)
    try:
        words = ["-m", "hexiao", "kiosk", "--config", str(run / "hexiao.toml")]
        return _time_to(say("ready.title", Language.EN), words, compiled)
    finally:
        shutil.rmtree(run)


def _bare(compiled: Path) -> int:
    return _time_to(_BARE_TEXT, ["-c", _BARE], compiled)


def _environment(compiled: Path) -> dict[str, str]:
    """An installed program is compiled; a checkout, or a setting of this machine, may not be."""
    mine = {"TERM": "xterm-256color", "PYTHONUTF8": "1", "PYTHONPYCACHEPREFIX": str(compiled)}
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return inherited | mine


def _time_to(text: str, words: Sequence[str], compiled: Path) -> int:
    """Nanoseconds from spawning Python with these words to this text. Raises NotStartedError."""
    with _terminal() as (ours, theirs):
        began = perf_counter_ns()
        with subprocess.Popen(
            [sys.executable, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=_environment(compiled),
            start_new_session=True,
        ) as process:
            try:
                _await(ours, text.encode(), process)
                return perf_counter_ns() - began
            finally:
                process.kill()


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


def _await(terminal: int, text: bytes, process: "subprocess.Popen[bytes]") -> None:
    """Read until the text came, answering what a terminal answers."""
    seen, until = b"", perf_counter_ns() + _GIVE_UP_NS
    while text not in seen:
        if process.poll() is not None or perf_counter_ns() > until:
            tail = seen[-_TAIL:].decode(errors="replace")
            raise NotStartedError(f"{text.decode()!r} did not appear; last written: {tail!r}")
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        data = os.read(terminal, 65_536)
        if _CURSOR_ASKED in data:
            os.write(terminal, _CURSOR_IS)
        seen += data
