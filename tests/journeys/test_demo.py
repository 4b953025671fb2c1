"""What `make demo` opens: the whole thing in one window, and what is left when it is closed.

Goal: a person on a fresh machine redeems a sample voucher with the keys, a slip comes out, central
has booked it once, and the ordinary commands go on with what the demo left. Method: the command
itself in a terminal window on a real pty.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.kiosk.terminal_window import Window
from tests.kiosk.test_window import pace

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = re.compile(r"(\d{3}) (\d{4}) (\d{4})  (\d{4})  (\d+) shares")
START_S = 60.0


def hexiao(*words: str) -> Any:
    """What a command prints as JSON, one value per line."""
    result = subprocess.run(
        [sys.executable, "hexiao.py", *words, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=START_S,
    )
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def redeem(window: Window, code: str, last4: str, count: str) -> str:
    """Scan a code, type the last four by hand, ask for a count and confirm; the outcome."""
    window.type(code + "\r").until("Backspace")
    for digit in last4:
        window.type(digit)
        pace(window, 0.1)
    window.until("Redeem 1 of")
    window.type(count)
    pace(window, 0.4)
    return window.type("+").until("REDEEMED")


def test_the_demo_redeems_a_sample(tmp_path: Path) -> None:
    """EV-047, EV-049: from F1's sample to paper, to central's report, to the next command."""
    folder = tmp_path / "demo"
    command = ["hexiao.py", "demo", "--dir", str(folder), "--language", "en"]
    with Window(command, 100, 30) as window:
        window.until("Scan a voucher", START_S)
        pace(window, 0.2)
        shown = window.type("\x1bOP").until(lambda text: SAMPLE.search(text) is not None)
        found = SAMPLE.search(shown)
        assert found is not None and "Sample vouchers" in shown
        code, last4, shares = "".join(found.groups()[:3]), found[4], int(found[5])
        pace(window, 0.2)
        window.type("-").until("Scan a voucher")
        pace(window, 0.2)
        redeem(window, code, last4, "2")
        window.until(lambda _: "T1_1_" in paper(folder), START_S)
        window.until(lambda _: bool(booked(folder)), START_S)
        pace(window, 0.2)
        window.type("\x1b[21~").until("Close the kiosk?")
        pace(window, 0.4)
        assert window.type("+").ended(START_S) == 0
    left = hexiao(
        "lookup", successor(paper(folder)), last4, "--config", str(folder / "hexiao.toml")
    )
    assert left[0]["left"] == shares - 2
    assert [(row["shares"], row["verdict"]) for row in booked(folder)] == [(2, "accepted")]


def test_the_demo_shows_an_id_card(tmp_path: Path) -> None:
    """EV-032: off unless it is asked for; then the sample card opens its voucher."""
    folder = tmp_path / "demo"
    command = ["hexiao.py", "demo", "--dir", str(folder), "--language", "en", "--id-card"]
    with Window(command, 120, 36) as window:
        window.until("Or lay the ID card on the reader", START_S)
        window.until("cards ready", START_S)
        (folder / "cards").write_text("lay 11010519491231002X\n")
        window.until("Redeem 1 of 6", START_S)
        pace(window, 0.4)
        window.type("+").until("REDEEMED")
        window.until(lambda _: "T1_1_" in paper(folder), START_S)
        (folder / "cards").write_text("lift\n")
        pace(window, 0.2)
        window.type("-").until("Scan a voucher")
        window.type("\x1b[21~").until("Close the kiosk?")
        pace(window, 0.4)
        assert window.type("+").ended(START_S) == 0


def booked(folder: Path) -> list[dict[str, Any]]:
    """The redemptions that the demo's central has booked."""
    settings = str(folder / "central.toml")
    rows: list[dict[str, Any]] = hexiao("central", "report", "redemptions", "--config", settings)
    return rows


def paper(folder: Path) -> str:
    """What the demo's printer has printed."""
    slip = folder / "slip.txt"
    return slip.read_text("utf-8") if slip.exists() else ""


def successor(slip: str) -> str:
    """The new code on a slip, written in groups."""
    found = re.search(r"(?<!\d)(\d{3}) (\d{4}) (\d{4})(?!\d)", slip)
    assert found is not None, slip
    return "".join(found.groups())
