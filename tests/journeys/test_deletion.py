"""What still works when a package is not there at all (design, section 2).

Goal: the parts really stand alone, in use, not only when they are imported. Method: a fresh
process in which the package cannot be imported, as if its folder had been deleted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.terminal.shop import NOW, Shop

ROOT = Path(__file__).resolve().parents[2]

DELETED = """
import json, sys
from pathlib import Path
given = json.loads(sys.argv[1])

class Deleted:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in given["without"]:
            raise ModuleNotFoundError(f"{name} is deleted in this test", name=name)

sys.meta_path.insert(0, Deleted())
"""

# Opens the terminal, redeems two shares, waits for the slip on paper, redeems the rest.
REDEEM_AND_PRINT = """
import threading
from drivers.emulated import register
from drivers.escpos.profile import PrinterProfile
from terminal import assembly
from terminal.assembly import Options
from terminal.clock import Reading
from terminal.counter import ShopCounter
from terminal.datadir import DataDir
from terminal.printing import PrintWorker
from terminal.slips import SlipStyle
from vouchers.ids import uuid7

class Clock:
    def read(self):
        return Reading(given["now"], "boot-1", 1_000)

parts = assembly.open_checked(DataDir.at(Path(given["data"])), Options(), clock=Clock())
counter = ShopCounter(parts, has_printer=True)
bench = register()
worker = PrintWorker(counter, "emulated://printer?name=till&baud=0", PrinterProfile(),
                     style=SlipStyle(language="both"), backlog_minutes=15)
changed = threading.Event()
worker.on_change = changed.set
counter.on_entry = worker.wake
worker.start()
first = counter.look_up(given["code"], given["last4"])
redeemed = counter.redeem(first.handle, 2, clerk="", request=uuid7(given["now"], bytes(10)))
assert changed.wait(20), "no slip came out"
rest = counter.look_up(redeemed.successor_code, given["last4"])
done = counter.redeem(rest.handle, 1, clerk="", request=uuid7(given["now"], b"1" * 10), slip=False)
worker.stop()
counter.close()
assembly.close(parts)
print(json.dumps({
    "serials": [redeemed.serial, done.serial], "left": [redeemed.left, done.left],
    "paper": bench.printer("till").paper_text(), "modules": sorted(sys.modules),
}))
"""

# Judges a voucher that two tills redeemed offline, with central's own modules loaded.
JUDGE = """
import importlib
for name in given["modules"]:
    importlib.import_module(name)
from vouchers.booking import Use, VoucherFacts, book
from vouchers.entries import Kind
facts = VoucherFacts(1, 0, 0, 10, frozenset({1}), 1)
redeemed = Kind.REDEEMED
uses = [Use(till + "_1_00000001", redeemed, till, 1, 1, 0, 5, n) for n, till in enumerate("AB")]
print(json.dumps([str(one.verdict) for one in book(facts, uses).judgements]))
"""


def run(script: str, without: tuple[str, ...], **given: object) -> Any:
    """Run a script in a process that lacks some packages; what it prints, as JSON."""
    result = subprocess.run(
        [sys.executable, "-c", DELETED + script, json.dumps({"without": without} | given)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_without_sync_the_terminal_redeems_and_prints(tmp_path: Path) -> None:
    """EV-047, EV-049: no sync, no central, no screen, no HTTP; the slip still comes out."""
    shop = Shop(tmp_path / "till")
    sample = shop.issue(3)
    shop.database.close()
    answer = run(
        REDEEM_AND_PRINT,
        ("sync", "central", "textual", "httpx", "litestar", "sqlalchemy"),
        data=str(tmp_path / "till"),
        code=sample.code(),
        last4=sample.last4,
        now=NOW,
    )
    first, second = answer["serials"]
    assert int(second[-8:]) == int(first[-8:]) + 1
    assert answer["left"] == [1, 0]
    paper = answer["paper"]
    assert first in paper
    assert sample.last4 not in paper.split()
    code = sample.code(1)
    assert code in paper.replace(" ", "").replace("-", "")


def test_without_terminal_and_drivers_central_judges() -> None:
    """The rules are the same on both sides, and central needs nothing of the counter."""
    modules = [
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        for path in sorted((ROOT / "central").rglob("*.py"))
        if path.stem not in {"__init__", "__main__", "env"}
    ]
    gone = ("terminal", "drivers", "textual", "serial")
    assert run(JUDGE, gone, modules=modules) == ["accepted", "over_redeemed"]
