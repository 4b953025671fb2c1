"""How long a start takes: the kiosk until it can be scanned at, beside a bare Textual program.

Responsible for: starting both in pseudo-terminals of their own, turn about, and seeing when a
known text appears. Not responsible for: what the kiosk does. Invariants: every start of the kiosk
finds the same files, as a clean stop leaves them; what was started is ended.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Final

from terminal import bench_shop, bench_window
from terminal.bench_rows import Goal, Row, Skipped, turn_about
from terminal.bench_shop import Stock
from terminal.bench_window import NotShownError, window
from terminal.datadir import DataDir
from terminal.words import Language, say

WHAT: Final = "kiosk start to ready-to-scan"
BARE_TEXT: Final = "Ready and waiting"
BARE: Final = f"""
from textual.app import App
from textual.widgets import Static

class Bare(App):
    def compose(self):
        yield Static("{BARE_TEXT}")

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


@dataclass(frozen=True, slots=True)
class Effort:
    """How often both are started, and how many vouchers the kiosk finds."""

    starts: int
    rows: int


def kiosk_start(effort: Effort) -> Row | Skipped:
    """From spawning the process to the text of the idle screen in its terminal."""
    why = impossible()
    if why is not None:
        return Skipped(WHAT, why)
    with TemporaryDirectory(prefix="hexiao-bench-") as directory:
        root = Path(directory)
        seeded = _seed(root / "seeded", effort.rows)
        compiled = root / "compiled"
        turns = (lambda: _kiosk(seeded, root / "run", compiled), lambda: _bare(compiled))
        try:
            turn_about(turns, rounds=1, each=1)  # the first start also compiles
            kiosk, bare = turn_about(turns, rounds=effort.starts, each=1)
        except (NotShownError, OSError) as error:
            return Skipped(WHAT, str(error))
    return Row(
        what=f"{WHAT}, {effort.rows:,} vouchers",
        bare_is="a bare Textual program to its first paint",
        measured=kiosk,
        bare=bare,
        ratio=kiosk.p50 / bare.p50,
        goal=Goal(1.5),
    )


def impossible() -> str | None:
    """Why no kiosk can be shown to a bench here, if so."""
    if bench_window.pty is None:
        return "this system has no pseudo-terminals"
    return "Textual is not installed" if find_spec("textual") is None else None


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
    return _time_to(BARE_TEXT, ["-c", BARE], compiled)


def _time_to(text: str, words: Sequence[str], compiled: Path) -> int:
    """Nanoseconds from spawning Python with these words to this text. Raises NotShownError."""
    began = perf_counter_ns()
    with window(words, compiled) as shown:
        shown.until(text)
        return perf_counter_ns() - began
