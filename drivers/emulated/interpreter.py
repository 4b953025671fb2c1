"""What an emulated printer does with each byte it works through.

Responsible for: the part of ESC/POS that receipt programs use, read byte by byte, so that a command
cut off in the middle swallows what follows as a real printer would. Not responsible for: the wire,
the buffer, time, faults and real-time commands (`machine`).

Written from the manuals, not from our encoder, and judged by programs that we did not write: an
interpreter that only knew what our encoder sends would prove nothing. Unknown commands print
nothing and are counted in `unknown`.
"""

from collections.abc import Callable, Generator

from drivers.emulated.code128 import decode_set_data
from drivers.emulated.macro import Macro
from drivers.emulated.paper import Cell, CodeRow, CutRow, DotsRow, GapRow, Paper, Row, TextRow

Program = Generator[None, int, None]
ESC, FS, GS, DLE, LF = 0x1B, 0x1C, 0x1D, 0x10, 0x0A
_ALIGN = {0: "left", 1: "center", 2: "right", 48: "left", 49: "center", 50: "right"}
_COLUMN_DOTS = 12
_ROW_DOTS = 24  # image rows that take the time of one line
# Commands that only need their parameters eaten: how many bytes follow.
_ESC_IGNORED = {0x20: 1, 0x21: 1, 0x33: 1, 0x32: 0, 0x4D: 1, 0x47: 1, 0x52: 1, 0x63: 2, 0x56: 1}
_ESC_IGNORED |= {0x74: 1, 0x7B: 1, 0x72: 1, 0x3D: 1, 0x69: 0, 0x6D: 0}
_FS_IGNORED = {0x53: 2, 0x57: 1, 0x43: 1}
_GS_IGNORED = {0x42: 1, 0x4C: 2, 0x57: 2, 0x50: 2, 0x66: 1, 0x62: 1}


class Interpreter:
    """Feed it one byte at a time; it prints on the paper and queues answers."""

    def __init__(
        self, paper: Paper, charset: str, answers: frozenset[str], macro: Macro | None = None
    ) -> None:
        self.paper = paper
        self._macro = macro or Macro()
        self._to_run = b""
        self.four_bytes = charset == "gb18030"
        self._answers = answers
        self.asb_on = self.asb_asked = False
        self.lines = 0
        """Lines printed in all; the machine takes their time from it."""
        self.replies = bytearray()
        self.drawer_kicks = 0
        self.pause_ms = 0
        """Waiting that a macro asked for, in all; the machine takes the time."""
        self.unknown = 0
        self._reset_state()
        self._program = self._run()
        next(self._program)

    def byte(self, value: int) -> None:
        """Work through one byte, and what it makes the macro run."""
        self._macro.record(value)
        self._program.send(value)
        run, self._to_run = self._to_run, b""
        for stored in run:
            self._program.send(stored)

    def _reset_state(self) -> None:
        self._cells: list[Cell] = []
        self._align, self._wider, self._taller = "left", 1, 1
        self._bold = self._underline = False
        self._kanji = True
        self._qr_module, self._qr_data = 3, b""
        self._bar_module, self._bar_height, self._bar_text = 3, 162, 0

    # The stream

    def _run(self) -> Program:
        commands: dict[int, Callable[[], Program]] = {
            ESC: self._esc, FS: self._fs, GS: self._gs, DLE: self._dle
        }  # fmt: skip
        while True:
            byte = yield
            if byte in commands:
                yield from commands[byte]()
            elif byte == LF:
                self._flush()
            elif byte >= 0x20:
                yield from self._char(byte)

    def _many(self, count: int) -> Generator[None, int, bytes]:
        data = bytearray()
        for _ in range(count):
            data.append((yield))
        return bytes(data)

    def _char(self, first: int) -> Program:
        if not self._kanji or first < 0x81:
            self._put(bytes([first]).decode("cp437"))
            return
        pair = bytes([first, (yield)])
        if self.four_bytes and 0x30 <= pair[1] <= 0x39:
            pair += yield from self._many(2)
        try:
            self._put(pair.decode("gb18030"))
        except UnicodeDecodeError:
            self._put("□")

    def _put(self, char: str) -> None:
        cell = Cell(char, self._wider, self._taller, self._bold, self._underline)
        if sum(have.columns for have in self._cells) + cell.columns > self.paper.columns:
            self._flush()
        self._cells.append(cell)

    def _flush(self) -> None:
        row = TextRow(tuple(self._cells), self._align)
        self._cells = []
        self._print(row, max((cell.taller for cell in row.cells), default=1))

    def _print(self, row: Row, lines: int) -> None:
        self.paper.rows.append(row)
        self.lines += lines

    # ESC

    def _esc(self) -> Program:
        name = yield
        if name == 0x40:
            self._reset_state()
            self.asb_on = False  # as some clones do: hosts must not rely on it surviving
            if "macro_lost" in self._answers:  # against the manuals: hosts must find out
                self._macro.clear()
        elif name in _ESC_IGNORED:
            yield from self._many(_ESC_IGNORED[name])
        elif name == 0x70:
            yield from self._many(3)
            self.drawer_kicks += 1
        elif name == 0x44:
            yield from self._until_nul()
        elif name in (0x24, 0x5C):
            low, high = yield from self._many(2)
            self._position(low + 256 * high, relative=name == 0x5C)
        else:
            yield from self._esc_with_value(name)

    def _esc_with_value(self, name: int) -> Program:
        if name not in (0x61, 0x45, 0x2D, 0x64, 0x4A):
            self.unknown += 1
            return
        value = yield
        if name == 0x61:
            self._align = _ALIGN.get(value, self._align)
        elif name == 0x45:
            self._bold = bool(value & 1)
        elif name == 0x2D:
            self._underline = bool(value & 3)
        elif name == 0x64:
            self._feed(value)
        else:
            self._feed_dots(value)

    def _position(self, dots: int, *, relative: bool) -> None:
        """Move to the right on the line; printing over what is there already is not emulated."""
        used = sum(cell.columns for cell in self._cells)
        free = dots // _COLUMN_DOTS - (0 if relative else used)
        for _ in range(min(free, self.paper.columns - used)):
            self._cells.append(Cell(" "))

    def _feed_dots(self, dots: int) -> None:
        if self._cells:
            self._flush()
        elif dots:
            self._print(GapRow(dots), 0)

    def _feed(self, count: int) -> None:
        if self._cells:
            self._flush()
            count -= 1
        for _ in range(count):
            self._print(TextRow((), "left"), 1)

    # FS

    def _fs(self) -> Program:
        name = yield
        if name == 0x26:
            self._kanji = True
        elif name == 0x2E:
            self._kanji = False
        elif name in (0x2D, 0x21):
            value = yield
            if name == 0x2D:
                self._underline = bool(value & 3)
        elif name in _FS_IGNORED:
            yield from self._many(_FS_IGNORED[name])
        elif name == 0x28:
            yield from self._counted()
        else:
            self.unknown += 1

    def _counted(self) -> Generator[None, int, bytes]:
        """`fn pL pH data`: the name of the group, then a length, then as many bytes."""
        group = yield
        low, high = yield from self._many(2)
        data = yield from self._many(low + 256 * high)
        return bytes([group]) + data

    # GS

    def _gs(self) -> Program:
        name = yield
        if name in _GS_IGNORED:
            yield from self._many(_GS_IGNORED[name])
        elif name == 0x28:
            self._group((yield from self._counted()))
        elif name == 0x76:
            yield from self._image()
        elif name == 0x6B:
            yield from self._barcode()
        elif name == 0x56:
            yield from self._cut()
        elif name == 0x3A and "macro" in self._answers:
            self._macro.toggle()
        elif name == 0x5E and "macro" in self._answers:
            self._run_macro(*(yield from self._many(3)))
        elif name in (0x21, 0x61, 0x72, 0x49, 0x68, 0x77, 0x48):
            self._gs_with_value(name, (yield))
        else:
            self.unknown += 1

    def _run_macro(self, times: int, wait: int, mode: int) -> None:
        if mode & 1:  # each time at the press of a button: not emulated
            self.unknown += 1
            return
        self._to_run = self._macro.execute(times)
        self.pause_ms += len(self._to_run) and times * wait * 100

    @property
    def _mute(self) -> bool:
        """Some printers may answer nothing while a macro is defined; the manuals do not say."""
        return self._macro.defining and "macro_mute" in self._answers

    def _gs_with_value(self, name: int, value: int) -> None:
        if name == 0x21:
            self._wider, self._taller = (value >> 4 & 7) + 1, (value & 7) + 1
        elif name == 0x61:
            self.asb_on = self.asb_asked = bool(value & 0x0F) and "asb" in self._answers
        elif name == 0x72 and "gs_r" in self._answers and not self._mute:
            self.replies.append(0)
        elif name == 0x49 and "gs_i" in self._answers:
            text = {66: b"HEXIAO", 67: b"EMULATED", 69: b"GB18030"}.get(value, b"")
            self.replies += b"\x5f" + text + b"\x00"
        elif name == 0x68:
            self._bar_height = value
        elif name == 0x77:
            self._bar_module = value
        elif name == 0x48:
            self._bar_text = value & 3

    def _group(self, data: bytes) -> None:
        group, body = data[:1], data[1:]
        if group == b"H" and body[:2] == b"00" and "gs_h" in self._answers:
            self.replies += b"\x37\x22" + body[2:6] + b"\x00"
        elif group == b"k" and body[:1] == b"1":
            self._qr(body[1:2], body[2:])
        elif group not in (b"H", b"D", b"A", b"E", b"K"):
            self.unknown += 1

    def _qr(self, function: bytes, body: bytes) -> None:
        if function == b"C":
            self._qr_module = body[0]
        elif function == b"P":
            self._qr_data = body[1:]
        elif function == b"Q" and self._qr_data:
            module = self._qr_module
            lines = -(-(len(self._qr_data) // 4 + 25) * module // _ROW_DOTS)
            self._print(CodeRow("qr", self._qr_data, module, module, self._align), lines)

    def _image(self) -> Program:
        yield from self._many(2)  # "0" and the mode; double size is not emulated
        low, high, rows_low, rows_high = yield from self._many(4)
        width, count = low + 256 * high, rows_low + 256 * rows_high
        rows = yield from self._many(width * count)
        if rows:
            self._print(DotsRow(width, rows, self._align), -(-count // _ROW_DOTS))

    def _barcode(self) -> Program:
        kind = yield
        if kind <= 6:
            data = yield from self._until_nul()
        else:
            length = yield
            data = yield from self._many(length)
        if kind != 0x49:
            self.unknown += 1
            return
        lines = -(-self._bar_height // _ROW_DOTS)
        row = CodeRow("code128", data, self._bar_module, self._bar_height, self._align)
        self._print(row, lines)
        if self._bar_text:
            cells = tuple(Cell(char) for char in decode_set_data(data).decode("latin-1"))
            self._print(TextRow(cells, self._align), 1)

    def _until_nul(self) -> Generator[None, int, bytes]:
        data = bytearray()
        while byte := (yield):
            data.append(byte)
        return bytes(data)

    def _cut(self) -> Program:
        mode = yield
        if mode in (65, 66):
            yield
        self._feed(0)
        self._print(CutRow(), 1)

    # DLE: real-time commands act at reception; here their bytes are only passed over

    def _dle(self) -> Program:
        name = yield
        if name in (0x04, 0x05):
            yield
        elif name == 0x14:
            yield from self._many(3)
