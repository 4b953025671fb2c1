"""What the commands of the central service write.

Responsible for: JSON lines on standard output with `--json`, plain words without it, messages on
standard error, and the exit status of each kind of ending. Not responsible for: what is said.
Invariants: with `--json` standard output holds one JSON object per line and nothing else; control
characters of stored texts never reach a screen.
"""

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from central.errors import Refused

DONE: Final = 0
REFUSED: Final = 1
WRONG: Final = 2
OUT_OF_SERVICE: Final = 3


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command writes. `as_json` is `--json`."""

    as_json: bool

    def say(self, values: Mapping[str, object], words: str) -> int:
        """One result: an object, or a sentence. Answers exit status 0."""
        if self.as_json:
            _write(json.dumps(values, ensure_ascii=False))
        else:
            _write(_plain(words))
        return DONE

    def rows(self, rows: Iterable[Mapping[str, object]]) -> int:
        """A report: an object per line, or columns under their names."""
        if self.as_json:
            for row in rows:
                _write(json.dumps(row, ensure_ascii=False))
        else:
            _table(list(rows))
        return DONE

    def refuse(self, refused: Refused, status: int = REFUSED) -> int:
        """A refusal; answers its exit status."""
        if self.as_json:
            no = {"ok": False, "reason": refused.reason, "message": refused.message}
            _write(json.dumps(no, ensure_ascii=False))
        self.note(refused.message)
        return status

    def note(self, words: str) -> None:
        """A message for people."""
        sys.stderr.write(_plain(words) + "\n")
        sys.stderr.flush()

    def progress(self, done: int, total: int) -> None:
        """A bar on standard error, where that is a screen."""
        if sys.stderr.isatty():
            part = done / total if total else 1.0
            bar = "#" * int(part * 30)
            end = "\n" if done >= total else ""
            sys.stderr.write(f"\r[{bar:<30}] {part:4.0%}{end}")
            sys.stderr.flush()


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _plain(text: str) -> str:
    """A text with its control characters taken out, line ends kept."""
    return "".join(
        sign if sign == "\n" or unicodedata.category(sign) not in ("Cc", "Cs") else "\ufffd"
        for sign in text
    )


def _table(rows: list[Mapping[str, object]]) -> None:
    if not rows:
        sys.stderr.write("nothing\n")
        return
    names = list(rows[0])
    cells = [names] + [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(_width(line[i]) for line in cells) for i in range(len(names))]
    for line in cells:
        padded = (
            cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)
        )
        _write("  ".join(padded).rstrip())


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ",".join(_plain(str(part)) for part in value) or "-"
    return _plain(str(value))


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)
