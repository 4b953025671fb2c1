"""The paper that comes out of an emulated printer: as lines of text.

Responsible for: remembering, in order, every line, code, image, feed and cut that was printed, and
telling it as text. Not responsible for: understanding bytes (`interpreter`) or dots (`picture`).
Invariant: append only; what is on paper is never taken back, not by a power cut either.
"""

from dataclasses import dataclass

from drivers.emulated.code128 import decode_set_data
from drivers.escpos.charset import char_columns

CUT_TEXT = "- - - - - - 8< - - - - - -"


@dataclass(frozen=True, slots=True)
class Cell:
    """One printed character and how it looks."""

    char: str
    wider: int = 1
    taller: int = 1
    bold: bool = False
    underline: bool = False

    @property
    def columns(self) -> int:
        """How many columns of the paper it takes."""
        return char_columns(self.char) * self.wider


@dataclass(frozen=True, slots=True)
class TextRow:
    """One printed line of text."""

    cells: tuple[Cell, ...]
    align: str


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A native QR code or barcode: `kind` is `qr` or `code128`; `data` is what it holds."""

    kind: str
    data: bytes
    module: int
    height: int
    align: str


@dataclass(frozen=True, slots=True)
class DotsRow:
    """Rows of dots of an image."""

    width_bytes: int
    rows: bytes
    align: str


@dataclass(frozen=True, slots=True)
class CutRow:
    """The paper was cut here."""


@dataclass(frozen=True, slots=True)
class GapRow:
    """White paper, some dots high; too little to be a line of text."""

    dots: int


Row = TextRow | CodeRow | DotsRow | CutRow | GapRow


class Paper:
    """A roll of `columns` columns and `dots` dots."""

    def __init__(self, columns: int, dots: int) -> None:
        self.columns = columns
        self.dots = dots
        self.rows: list[Row] = []
        self._lines: list[str] = []
        self._told_rows = 0

    def text(self) -> str:
        """Everything on the paper, one line of text for each printed line."""
        return "".join(self.lines())

    def lines(self) -> list[str]:
        """The same, line by line. Rows are told once: a roll may grow for days."""
        for row in self.rows[self._told_rows :]:
            if not isinstance(row, GapRow):
                self._lines.append(self._told(row) + "\n")
        self._told_rows = len(self.rows)
        return self._lines

    def cuts(self) -> int:
        """How many times the paper was cut."""
        return sum(isinstance(row, CutRow) for row in self.rows)

    def _told(self, row: TextRow | CodeRow | DotsRow | CutRow) -> str:
        match row:
            case TextRow(cells, align):
                text = "".join(cell.char for cell in cells)
                free = self.columns - sum(cell.columns for cell in cells)
                pad = {"center": free // 2, "right": free}.get(align, 0)
                return (" " * pad + text).rstrip(" ")
            case CodeRow(kind, data):
                held = decode_set_data(data) if kind == "code128" else data
                return f"[{kind} {held.decode('utf-8', 'replace')}]"
            case DotsRow(width_bytes, rows):
                return f"[image {width_bytes * 8}x{len(rows) // width_bytes}]"
            case _:
                return CUT_TEXT
