"""Makes the pictures of the README: `python -m tests.journeys.picture`.

Responsible for: running the real demo in a real terminal window, going to the screens worth
showing, and drawing the window's cells as SVG. Not responsible for: testing. Invariant: what is
drawn is what the program wrote; nothing is retouched.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import pyte

from tests.kiosk.terminal_window import Window

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
CELL_X, CELL_Y, BASE = 9, 20, 15
PAPER, INK = "0F1720", "D7E0EA"
NAMES = {
    "black": "000000", "red": "CD3131", "green": "0DBC79", "brown": "E5E510",
    "blue": "2472C8", "magenta": "BC3FBC", "cyan": "11A8CD", "white": "E5E5E5",
}  # fmt: skip

Style = tuple[str, str, bool]


def colour(name: str, default: str) -> str:
    """A colour of pyte, by name or as six hex digits."""
    return default if name == "default" else NAMES.get(name.removeprefix("bright"), name)


def style_of(cell: Any) -> Style:
    """Ink, paper and weight of a cell; reverse exchanges the first two."""
    ink, paper = colour(cell.fg, INK), colour(cell.bg, PAPER)
    return (paper, ink, cell.bold) if cell.reverse else (ink, paper, cell.bold)


def row_parts(screen: pyte.Screen, y: int) -> Iterator[str]:
    """The rectangles and texts of one row; each word begins at its own cell."""
    cells = [(x, screen.buffer[y][x]) for x in range(screen.columns)]
    for (ink, paper, bold), run in groupby(cells, key=lambda cell: style_of(cell[1])):
        found = list(run)
        left, width = found[0][0] * CELL_X, len(found) * CELL_X
        if paper != PAPER:
            place = f'x="{left}" y="{y * CELL_Y}" width="{width}" height="{CELL_Y}"'
            yield f'<rect {place} fill="#{paper}"/>'
        weight = ' font-weight="bold"' if bold else ""
        for blank, word in groupby(found, key=lambda cell: cell[1].data == " "):
            cells_of = list(word)
            text = escape("".join(cell.data for _, cell in cells_of))
            if not blank and text:
                place = f'x="{cells_of[0][0] * CELL_X}" y="{y * CELL_Y + BASE}"'
                length = f'textLength="{len(cells_of) * CELL_X}" lengthAdjust="spacingAndGlyphs"'
                yield f'<text {place} {length} fill="#{ink}"{weight}>{text}</text>'


def svg(screen: pyte.Screen) -> str:
    """The whole window."""
    width, height = screen.columns * CELL_X, screen.lines * CELL_Y
    parts = [part for y in range(screen.lines) for part in row_parts(screen, y)]
    fonts = "'Noto Sans Mono CJK SC','DejaVu Sans Mono',Menlo,Consolas,monospace"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}" font-family="{fonts}" font-size="15">\n'
        f'<rect width="{width}" height="{height}" fill="#{PAPER}"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def samples(folder: str, language: str) -> list[dict[str, Any]]:
    """The redeemable vouchers of a demo folder, from the demo itself."""
    command = [sys.executable, "hexiao.py", "demo", "--headless", "--json", "--dir", folder]
    command += ["--language", language]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
    found: list[dict[str, Any]] = line["vouchers"]
    return found


def by_hand(window: Window, *keys: str) -> None:
    """Press keys as slowly as a hand does; the gate takes nothing faster for typing."""
    for key in keys:
        window.type(key).quiet(0.2)


def present(window: Window, voucher: dict[str, Any]) -> None:
    """Scan a voucher and type its last four digits."""
    window.type(voucher["code"] + "\r").until("****")
    by_hand(window, *voucher["last4"])
    window.quiet(1.0)


def photograph(language: str, name: str) -> None:
    """One redemption of a few shares behind us, the next voucher opened: the screen as it is."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = [one for one in samples(folder, language) if one["shares"] > 2][:2]
        command = ["hexiao.py", "demo", "--dir", folder, "--language", language]
        with Window(command, 100, 30) as window:
            window.until("T1", 30.0)
            window.quiet(1.0)
            present(window, first)
            by_hand(window, "\x1b[24~")  # F12 confirms one share
            window.until("_1_0", 15.0)
            window.quiet(1.0)
            present(window, second)
            IMAGES.mkdir(parents=True, exist_ok=True)
            (IMAGES / name).write_text(svg(window.screen), encoding="utf-8")
            print(window.text)


if __name__ == "__main__":
    photograph("en", "kiosk.svg")
    photograph("zh", "kiosk-zh.svg")
