"""Dots: lines that the printer's font cannot print, QR codes and barcodes as images.

Responsible for: turning text, QR modules and Code 128 modules into packed rows of dots. Pillow,
qrcode and python-barcode are imported when first needed, so that a printer with a Chinese font
costs nothing. Not responsible for: bands and blocks (`layout`).

Invariants: whole dots per module, never scaled; a quiet zone of four modules around a QR and ten
beside a barcode; text on the printer's own grid: 12 dots a column, 24 dots high; without any font
file a character becomes a box, and `font_found` says so.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from drivers.escpos.charset import char_columns

COLUMN_DOTS = 12
LINE_DOTS = 24
QR_QUIET = 4
BARCODE_QUIET = 10
THRESHOLD = 128
_FONT_SIZE = 24
_BASELINE = 20  # Hanzi reach from the first row to the last but one, descenders are whole
_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
)
_FACES = {"NotoSansCJK-Regular.ttc": 7, "NotoSansCJK-Bold.ttc": 7, "wqy-zenhei.ttc": 1}
"""Which face of a collection: the monospaced one, whose Latin fits the 12-dot grid exactly."""


@dataclass(frozen=True, slots=True)
class Dots:
    """Rows of dots, `width` of them in a row, packed eight to a byte, most significant first."""

    width: int
    rows: bytes

    @property
    def width_bytes(self) -> int:
        """Bytes in one row."""
        return (self.width + 7) // 8

    @property
    def height(self) -> int:
        """How many rows."""
        return len(self.rows) // self.width_bytes


def font_found(font: str = "") -> str:
    """The path of the font that would be used, or empty when there is none."""
    for path in (font, *_FONTS):
        if path and Path(path).is_file():
            return path
    return ""


def text_dots(text: str, dots: int, *, scale: tuple[int, int] = (1, 1), font: str = "") -> Dots:
    """One line of clean text, `dots` wide, each character in its own cells of the grid."""
    from PIL import Image, ImageDraw

    image = Image.new("L", (dots // scale[0], LINE_DOTS), 255)
    draw = ImageDraw.Draw(image)
    face, column = _face(font_found(font)), 0
    for char in text:
        cells = char_columns(char)
        left = (column if cells else max(0, column - 1)) * COLUMN_DOTS
        _draw_char(draw, char, left, cells * COLUMN_DOTS, face)
        column += cells
    black = image.point(lambda value: 0 if value < THRESHOLD else 255)
    if scale != (1, 1):
        size = (image.width * scale[0], image.height * scale[1])
        black = black.resize(size, Image.Resampling.NEAREST)
    return _packed(black)


def _draw_char(draw: Any, char: str, left: int, width: int, face: Any) -> None:
    if face is None and not char.isascii():
        draw.rectangle((left + 1, 3, left + max(width, COLUMN_DOTS) - 2, LINE_DOTS - 4), outline=0)
        return
    draw.text((left, _BASELINE), char, fill=0, font=face or _latin(), anchor="ls")


def styled(dots: Dots, *, bold: bool, underline: bool) -> Dots:
    """Each dot doubled to the right, the last two rows black: as the printer's own font does."""
    size = dots.width_bytes
    rows = [dots.rows[at : at + size] for at in range(0, len(dots.rows), size)]
    if bold:
        rows = [_doubled(row) for row in rows]
    if underline:
        full = pack_row([True] * dots.width)
        rows = [*rows[:-2], full, full]
    return Dots(dots.width, b"".join(rows))


def _doubled(row: bytes) -> bytes:
    value = int.from_bytes(row, "big")
    return (value | value >> 1).to_bytes(len(row), "big")


@lru_cache(maxsize=4)
def _face(path: str) -> Any:
    from PIL import ImageFont

    if not path:
        return None
    return ImageFont.truetype(path, _FONT_SIZE, index=_FACES.get(Path(path).name, 0))


@lru_cache(maxsize=1)
def _latin() -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(18)


@lru_cache(maxsize=64)
def qr_matrix(payload: bytes) -> tuple[tuple[bool, ...], ...]:
    """The modules of a QR code, error correction M, without quiet zone."""
    import qrcode

    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=0)
    code.add_data(payload, optimize=0)
    code.make(fit=True)
    return tuple(tuple(bool(module) for module in row) for row in code.get_matrix())


def qr_dots(payload: bytes, module: int) -> Dots:
    """A QR code with its quiet zone."""
    matrix = qr_matrix(payload)
    side = len(matrix) + 2 * QR_QUIET
    blank = [False] * side
    edge = [False] * QR_QUIET
    rows = [blank] * QR_QUIET + [[*edge, *row, *edge] for row in matrix] + [blank] * QR_QUIET
    return _scaled(rows, module, module)


def code128_dots(text: str, module: int, height: int) -> Dots:
    """A Code 128 with its quiet zones."""
    import barcode

    modules = str(barcode.get_barcode_class("code128")(text).build()[0])
    quiet = [False] * BARCODE_QUIET
    return _scaled([[*quiet, *(char == "1" for char in modules), *quiet]], module, height)


def code128_columns(text: str) -> int:
    """How many modules `code128_dots` draws, quiet zones included."""
    return code128_dots(text, 1, 1).width


def _scaled(rows: list[list[bool]], across: int, down: int) -> Dots:
    packed = bytearray()
    for row in rows:
        packed += pack_row([dot for dot in row for _ in range(across)]) * down
    return Dots(len(rows[0]) * across, bytes(packed))


def pack_row(row: list[bool]) -> bytes:
    """One row of dots, eight to a byte, the last byte filled up with white."""
    padded = row + [False] * (-len(row) % 8)
    value = int("".join("1" if dot else "0" for dot in padded), 2)
    return value.to_bytes(len(padded) // 8, "big")


def _packed(image: Any) -> Dots:
    from PIL import ImageChops

    black = ImageChops.invert(image).convert("1")
    return Dots(image.width, black.tobytes())
