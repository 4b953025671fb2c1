"""From a slip to blocks of bytes for one printer.

Responsible for: wrapping and aligning by the width on paper, choosing native or raster, sizes of
codes, and cutting the document into blocks that can be confirmed one by one. Not responsible for:
what the document says, or sending. Pure but for the drawing that `raster` does.

Invariants: a block sets its own state, so that it prints the same whatever came before; no block
is larger than the profile's window unless a single command is; a line never depends on the printer
wrapping it; a character the printer lacks makes its line a raster line; nothing is ever `?`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from drivers.escpos import encode, raster
from drivers.escpos.charset import char_columns, clean, columns
from drivers.escpos.charset import encode as encode_text
from drivers.escpos.encode import SIZES
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Code128, Columns, Cut, Feed, Image, Line, Qr, Rule, Slip

CONFIRM_BYTES = 16  # what a confirmation request adds to a block
BLOCK_BYTES = 480  # aim: two blocks of text under way in the smallest common window
BLOCK_MS = 250  # and no block so long on a slow wire that the power can fail and be back meanwhile
BARCODE_DOTS_HIGH = 72
BAND_ROWS = 24
_LINE_PITCH = 30  # dots from one text line to the next


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes that are sent and confirmed together. `lines` is how many lines of paper they take."""

    data: bytes
    lines: int


@dataclass(frozen=True, slots=True)
class _Style:
    align: str = "left"
    size: str = "normal"
    bold: bool = False
    underline: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes that are not torn apart, the state they need, and the lines they take."""

    data: bytes
    lines: int
    style: _Style = _Style()


def lay_out(slip: Slip, profile: PrinterProfile) -> tuple[Block, ...]:
    """The blocks of a slip. The first one initialises the printer."""
    pieces = [piece for block in slip.blocks for piece in _pieces(block, profile)]
    blocks: list[Block] = []
    data, lines, style = bytearray(encode.job_start(profile) + encode.block_start()), 0, _Style()
    quick = profile.baud * BLOCK_MS // 10_000
    room = min(BLOCK_BYTES, quick, profile.window - CONFIRM_BYTES)
    for piece in pieces:
        change = _change(style, piece.style, profile)
        if lines and len(data) + len(change) + len(piece.data) > room:
            blocks.append(Block(bytes(data), lines))
            data, lines = bytearray(encode.block_start()), 0
            change = _change(_Style(), piece.style, profile)
        data += change + piece.data
        lines, style = lines + piece.lines, piece.style
    if lines:
        blocks.append(Block(bytes(data), lines))
    return tuple(blocks)


def _change(old: _Style, new: _Style, profile: PrinterProfile) -> bytes:
    out = b""
    if old.align != new.align:
        out += encode.align(new.align)
    if old.size != new.size:
        out += encode.size(new.size, profile)
    if old.bold != new.bold:
        out += encode.bold(on=new.bold)
    if old.underline != new.underline:
        out += encode.underline(on=new.underline)
    return out


def _pieces(block: object, profile: PrinterProfile) -> Iterator[_Piece]:
    match block:
        case Line(text, align, size, bold, underline):
            yield from _line(text, _Style(align, size, bold, underline), profile)
        case Columns(left, right, bold):
            yield from _columns(left, right, _Style(bold=bold), profile)
        case Rule():
            yield _Piece(b"-" * profile.columns + b"\n", 1)
        case Qr(payload, caption):
            yield from _qr(payload, caption, profile)
        case Code128(payload):
            yield from _code128(payload, profile)
        case Feed(lines):
            yield _Piece(encode.feed(lines), lines)
        case Cut():
            yield _Piece(encode.cut(profile), profile.feed_lines)
        case _:
            assert isinstance(block, Image)
            yield from _bands(raster.Dots(block.width, block.rows), profile, "center")


def _line(text: str, style: _Style, profile: PrinterProfile) -> Iterator[_Piece]:
    wider, taller = SIZES[style.size]
    for row in wrap(clean(text), profile.columns // wider):
        data = encode_text(row, profile.charset) if profile.text == "native" else None
        if data is None:
            yield from _drawn(row, style, profile)
        else:
            yield _Piece(data + b"\n", taller, style)


def _drawn(row: str, style: _Style, profile: PrinterProfile) -> Iterator[_Piece]:
    scale = SIZES[style.size]
    width = max(1, columns(row)) * raster.COLUMN_DOTS * scale[0]
    plain = raster.text_dots(row, width, scale=scale, font=profile.font)
    dots = raster.styled(plain, bold=style.bold, underline=style.underline)
    yield from _bands(dots, profile, style.align)
    gap = encode.feed_dots(_LINE_PITCH - raster.LINE_DOTS)  # white is fed, not sent
    yield _Piece(gap, 1, _Style(align=style.align))


def _columns(left: str, right: str, style: _Style, profile: PrinterProfile) -> Iterator[_Piece]:
    left, right = clean(left), clean(right)
    gap = profile.columns - columns(left) - columns(right)
    if gap >= 1:
        yield from _line(left + " " * gap + right, style, profile)
        return
    yield from _line(left, style, profile)
    for row in wrap(right, profile.columns):
        pad = " " * (profile.columns - columns(row))
        yield from _line(pad + row, style, profile)


def wrap(text: str, width: int) -> list[str]:
    """Clean text in rows of at most `width` columns, at spaces where there are any.

    Hanzi break anywhere; a word longer than a row is cut; leading spaces stay, they are layout.
    """
    rows: list[str] = []
    row, used, space = "", 0, -1
    for char in text:
        wide = char_columns(char)
        if used + wide > width:
            cut = space if space > 0 and _splits_word(row, char) else len(row)
            rows.append(row[:cut].rstrip(" ") or row[:cut])
            row = row[cut:].lstrip(" ")
            used, space = columns(row), -1
        if char == " " and rows and not row:
            continue  # a row that was broken does not go on with spaces
        if char == " " and row.strip(" "):
            space = len(row)
        row, used = row + char, used + wide
    return [*rows, row] if row or not rows else rows


def _splits_word(row: str, char: str) -> bool:
    return char != " " and row[-1] != " " and char_columns(char) == char_columns(row[-1]) == 1


def _qr(payload: str, caption: str, profile: PrinterProfile) -> Iterator[_Piece]:
    data = "".join(char for char in payload if char.isprintable()).encode()
    if not 0 < len(data) <= encode.QR_BYTES_MAX:
        yield from _line(payload, _Style(), profile)
        return
    side = len(raster.qr_matrix(data)) + 2 * raster.QR_QUIET
    module = max(1, min(profile.qr_module, profile.dots // side))
    if profile.qr == "raster":
        yield from _bands(raster.qr_dots(data, module), profile, "center")
    else:
        high = -(-side * module // _LINE_PITCH)
        code = b"\n" + encode.qr(data, module) + b"\n"  # blank lines are the quiet zone
        yield _Piece(code, high + 2, _Style(align="center"))
    if caption:
        yield from _line(caption, _Style(align="center"), profile)


def _code128(payload: str, profile: PrinterProfile) -> Iterator[_Piece]:
    text = clean(payload)
    plain = text.isascii() and 0 < len(text) <= encode.CODE128_CHARS_MAX
    module = _module(text, profile) if plain else 0
    if not module:
        yield from _line(text, _Style(align="center"), profile)
        return
    if profile.code128 == "raster":
        symbol = raster.code128_dots(text, module, BARCODE_DOTS_HIGH)
        yield from _bands(symbol, profile, "center")
    else:
        data = encode.code128_data(text)
        command = encode.code128(data, module=module, height=BARCODE_DOTS_HIGH)
        lines = -(-BARCODE_DOTS_HIGH // _LINE_PITCH) + 1
        yield _Piece(command + b"\n", lines, _Style(align="center"))
    yield from _line(text, _Style(align="center"), profile)


def _module(text: str, profile: PrinterProfile) -> int:
    """Dots per module: 3 if that fits with quiet zones, else 2, else none. 1 is not legible."""
    modules = encode.code128_modules(encode.code128_data(text)) + 2 * raster.BARCODE_QUIET
    if profile.code128 == "raster":
        modules = raster.code128_columns(text)
    return next((dots for dots in (3, 2) if modules * dots <= profile.dots), 0)


def _bands(dots: raster.Dots, profile: PrinterProfile, align: str) -> Iterator[_Piece]:
    """An image in bands that each fit the window; white on the right is not sent."""
    lock = encode.REALTIME_LOCK if profile.realtime_lock else b""
    whole = dots.width_bytes
    keep = min(_used_bytes(dots), profile.dots // 8) if align == "left" else whole
    spare = CONFIRM_BYTES + len(encode.block_start()) + len(lock) + 16
    rows = max(1, min(BAND_ROWS, (profile.window - spare) // keep))
    for top in range(0, dots.height, rows):
        band = b"".join(
            dots.rows[at * whole : at * whole + keep]
            for at in range(top, min(top + rows, dots.height))
        )
        yield _Piece(lock + encode.raster(band, keep), 1, _Style(align=align))


def _used_bytes(dots: raster.Dots) -> int:
    rows = (
        dots.rows[at : at + dots.width_bytes] for at in range(0, len(dots.rows), dots.width_bytes)
    )
    return max([1, *(len(row.rstrip(b"\x00")) for row in rows)])
