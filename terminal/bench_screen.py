"""The kiosk at work: from a scan to what the clerk sees, and the memory that it holds.

Responsible for: scanning at a kiosk in a pseudo-terminal through a serial line, and reading what
the system says about it. Not responsible for: what the kiosk does. Invariants: what is timed ends
when the words have left the program; scans are counted by the kiosk's own books, after it ended.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Final

from drivers.statistics import Counter
from terminal import bench_shop, bench_start
from terminal.bench_rows import Amount, Goal, Row, Skipped, Timing
from terminal.bench_shop import SHARES, Presented, Stock
from terminal.bench_window import NotShownError, Window, line, window
from terminal.datadir import DataDir
from terminal.words import Language, say

SCAN: Final = "scan to verdict on the screen, light vault"
MEMORY: Final = "kiosk's resident memory"

RATES: Final = (20, 100)
"""Scans a second that must neither be lost nor merged."""

_PACE_S: Final = 0.06
"""A hand's: faster digits would be a scanner's."""

_MB: Final = 1_000_000
_GOAL_MB: Final = 120

_SETTINGS: Final = """
[paths]
data = "data"
[central]
enabled = false
[keys]
source = "file"
[kiosk]
language = "en"
sound = false
[scanner]
port = "{port}"
profile = "generic-serial"
"""


@dataclass(frozen=True, slots=True)
class Effort:
    """How many customers among how many vouchers; all of them are scanned again at each rate."""

    customers: int
    rows: int


def scan(effort: Effort) -> Row | Skipped:
    """Last byte of a scan to its question, and the fourth digit to the verdict, together."""
    if (why := bench_start.impossible()) is not None:
        return Skipped(SCAN, why)
    try:
        with _kiosk(Stock(effort.rows, effort.customers)) as kiosk:
            answered, painted = kiosk.work()
            lost = kiosk.lost()
    except (NotShownError, OSError) as error:
        return Skipped(SCAN, str(error))
    return Row(
        what=f"{SCAN}, {effort.rows:,} vouchers: p99",
        bare_is="a key to its picture in the same kiosk",
        measured=answered,
        bare=painted,
        ratio=answered.p99 / painted.p99,
        goal=Goal(4),
        more={"lost_scans": float(lost)},
        sound=lost == 0,
    )


def memory(effort: Effort) -> Amount | Skipped:
    """After some customers, beside a bare Textual program."""
    if (why := bench_start.impossible()) is not None:
        return Skipped(MEMORY, why)
    try:
        with _kiosk(Stock(effort.rows, effort.customers)) as kiosk:
            kiosk.work()
            held = kiosk.window.resident_bytes()
            with window(["-c", bench_start.BARE], kiosk.root / "compiled") as bare:
                bare.until(bench_start.BARE_TEXT)
                bare_held = bare.resident_bytes()
    except (NotShownError, OSError) as error:
        return Skipped(MEMORY, str(error))
    return Amount(
        what=f"{MEMORY}, {effort.rows:,} vouchers",
        unit="mb",
        measured=held / _MB,
        bare_is="a bare Textual program",
        bare=bare_held / _MB,
        goal=Goal(_GOAL_MB, unit="MB"),
    )


@dataclass(frozen=True, slots=True)
class _Kiosk:
    """A kiosk on show, its scanner's line, and what customers bring."""

    window: Window
    scanner: int
    presented: Sequence[Presented]
    root: Path

    def work(self) -> tuple[Timing, Timing]:
        """Every customer once, and a key after each: the times of both."""
        answered, painted = [], []
        for voucher in self.presented:
            answered.append(self._present(voucher))
            painted.append(self._key())
        return Timing(tuple(answered)), Timing(tuple(painted))

    def lost(self) -> int:
        """How many scans of two bursts the kiosk did not take, or not whole; ends the kiosk.

        Each scan is another voucher, so the last one is on the screen when all were taken; how many
        came whole is counted by the kiosk's own books.
        """
        for rate in RATES:
            self.window.type(b"")
            began = time.perf_counter()
            for number, voucher in enumerate(self.presented):
                time.sleep(max(0.0, began + number / rate - time.perf_counter()))
                os.write(self.scanner, f"{voucher.code}\r".encode())
            self.window.until(f"{self.presented[-1].code[:_SHOWN]} ****")
            self._back(b"-")
        self.window.type(_F10)
        self.window.until(_LEAVING)
        time.sleep(_ARMED_S)
        self.window.type(_F12)
        self.window.ended()
        counted = json.loads((self.root / "data" / "scanner.json").read_text("utf-8"))
        return (1 + len(RATES)) * len(self.presented) - int(counted[Counter.GOOD_SCANS])

    def _present(self, voucher: Presented) -> int:
        """Nanoseconds from the last byte of the scan, and of the last four, to their pictures."""
        self.window.type(b"")
        began = perf_counter_ns()
        os.write(self.scanner, f"{voucher.code}\r".encode())
        self.window.until(_ASKED)
        waited = perf_counter_ns() - began
        for digit in voucher.last4[:-1]:
            time.sleep(_PACE_S)
            self.window.type(digit.encode())
        time.sleep(_PACE_S)
        self.window.type(b"")
        began = perf_counter_ns()
        self.window.type(voucher.last4[-1].encode())
        self.window.until(_VERDICT)
        waited += perf_counter_ns() - began
        self._back(b"-")
        return waited

    def _key(self) -> int:
        """Nanoseconds from a key to its picture."""
        self.window.type(b"")
        began = perf_counter_ns()
        self.window.type(_F1)
        self.window.until(_HELP)
        waited = perf_counter_ns() - began
        self._back(b"\r")
        return waited

    def _back(self, key: bytes) -> None:
        time.sleep(_PACE_S)
        self.window.type(key)
        self.window.until(_READY)
        time.sleep(_PACE_S)


_READY, _ASKED = say("ready.title", Language.EN), say("last4.title", Language.EN)
_HELP: Final = say("help.title", Language.EN)
_VERDICT: Final = say("asking.title", Language.EN, shares=1, left=SHARES)
_LEAVING: Final = say("leaving.title", Language.EN)
_F1, _F10, _F12 = b"\x1bOP", b"\x1b[21~", b"\x1b[24~"
_ARMED_S: Final = 0.5
"""A question that confirms something takes no key before it could be read."""
_SHOWN: Final = 3
"""Digits of a code that the screen shows."""


@contextmanager
def _kiosk(stock: Stock) -> Iterator[_Kiosk]:
    with TemporaryDirectory(prefix="hexiao-bench-") as directory, line() as (ours, port):
        root = Path(directory)
        (root / "hexiao.toml").write_text(_SETTINGS.format(port=port), encoding="utf-8")
        data = DataDir.at(root / "data")
        presented = bench_shop.make(data, stock)
        bench_shop.close_counter(bench_shop.open_counter(data))
        words = ["-m", "hexiao", "kiosk", "--config", str(root / "hexiao.toml")]
        with window(words, root / "compiled") as shown:
            shown.until(_READY)
            yield _Kiosk(shown, ours, presented, root)
