"""The paper that comes out of an emulated printer: as dots.

Responsible for: drawing a `Paper` at one pixel per dot, so that foreign programs can read the codes
on it. Pillow is imported when first used. Not responsible for: what was printed.
"""

from typing import Any

from drivers.emulated.code128 import modules
from drivers.emulated.paper import CodeRow, CutRow, DotsRow, GapRow, Paper, Row, TextRow
from drivers.escpos import raster

_LINE = 30
_MARGIN = 16
_TRIES = {"left": 0, "center": 1, "right": 2}


def draw(paper: Paper, font: str = "") -> Any:
    """A Pillow image of the whole paper, with a white margin. `font` as in `raster.text_dots`."""
    from PIL import Image

    strips = [_strip(row, paper.dots, font) for row in paper.rows]
    height = sum(strip.height for strip in strips)
    image = Image.new("L", (paper.dots + 2 * _MARGIN, height + 2 * _MARGIN), 255)
    top = _MARGIN
    for strip in strips:
        image.paste(strip, (_MARGIN, top))
        top += strip.height
    return image


def _strip(row: Row, dots: int, font: str) -> Any:
    from PIL import Image

    match row:
        case GapRow(gap):
            return Image.new("L", (dots, gap), 255)
        case TextRow():
            return _text_strip(row, dots, font)
        case CodeRow():
            return _placed(_code_image(row), row.align, dots)
        case DotsRow(width_bytes, rows, align):
            return _placed(_bits(raster.Dots(width_bytes * 8, rows)), align, dots)
        case _:
            assert isinstance(row, CutRow)
            return _cut_strip(dots)


def _text_strip(row: TextRow, dots: int, font: str) -> Any:
    from PIL import Image

    taller = max((cell.taller for cell in row.cells), default=1)
    strip = Image.new("L", (dots, _LINE - raster.LINE_DOTS + raster.LINE_DOTS * taller), 255)
    used = sum(cell.columns for cell in row.cells) * raster.COLUMN_DOTS
    left = (dots - used) * _TRIES[row.align] // 2
    for cell in row.cells:
        width = cell.columns * raster.COLUMN_DOTS
        scale = (cell.wider, cell.taller)
        room = max(width, raster.COLUMN_DOTS)
        glyph = _bits(raster.text_dots(cell.char, room, scale=scale, font=font))
        if cell.bold:
            thick = glyph.copy()
            thick.paste(0, (1, 0), _inverted(glyph))
            glyph = thick
        if cell.underline:
            glyph.paste(0, (0, glyph.height - 2, glyph.width, glyph.height))
        strip.paste(glyph, (left, strip.height - glyph.height))
        left += width
    return strip


def _code_image(row: CodeRow) -> Any:
    from PIL import Image

    if row.kind == "qr":
        matrix = raster.qr_matrix(row.data)
        lines = [[dot for dot in line for _ in range(row.module)] for line in matrix]
        packed = b"".join(raster.pack_row(line) * row.module for line in lines)
        return _bits(raster.Dots(len(lines[0]), packed))
    bars = [char == "1" for char in modules(row.data) for _ in range(row.module)]
    if not bars:
        return Image.new("L", (8, 8), 255)
    return _bits(raster.Dots(len(bars), raster.pack_row(bars) * row.height))


def _bits(dots: raster.Dots) -> Any:
    from PIL import Image

    whole = Image.frombytes("1", (dots.width_bytes * 8, dots.height), dots.rows).convert("L")
    return _inverted(whole).crop((0, 0, dots.width, dots.height))


def _inverted(image: Any) -> Any:
    from PIL import ImageChops

    return ImageChops.invert(image)


def _placed(image: Any, align: str, dots: int) -> Any:
    from PIL import Image

    strip = Image.new("L", (dots, image.height), 255)
    strip.paste(image, ((dots - image.width) * _TRIES[align] // 2, 0))
    return strip


def _cut_strip(dots: int) -> Any:
    from PIL import Image, ImageDraw

    strip = Image.new("L", (dots, _LINE), 255)
    draw_on = ImageDraw.Draw(strip)
    for left in range(0, dots, 16):
        draw_on.line((left, _LINE // 2, left + 7, _LINE // 2), fill=128)
    return strip
