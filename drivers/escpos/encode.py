"""ESC/POS commands as bytes.

Responsible for: every byte that is a command; text arrives already encoded by `charset`. Pure.
Not responsible for: where lines break (`layout`), or when anything is sent (`engine`).
Sources: Epson ESC/POS application programming guide; the measurements in the notes on devices.
Invariant: no function lets data decide where a command ends: lengths are counted here.
"""

from drivers.escpos.profile import PrinterProfile

INITIALISE = b"\x1b@"
KANJI_ON = b"\x1c&"
_CODE_PAGE_0 = b"\x1bt\x00"
_KANJI_SPACING_0 = b"\x1cS\x00\x00"
_PLAIN = b"\x1d!\x00\x1bE\x00\x1ba\x00"
ASB_ON = b"\x1da\x0f"
BARRIER = b"\x1dr\x01"
RUN_MACRO = b"\x1d^\x01\x00\x00"
_END_MACRO = b"\x1d^\x00\x00\x00"
_MARK_MACRO = b"\x1d:"
_RUN_MACRO_TWICE = b"\x1d^\x02\x00\x00"
RECOVER_RESUME = b"\x10\x05\x01"
REALTIME_LOCK = b"\x1d(D\x03\x00\x14\x01\x00"
ALIGNMENTS = {"left": 0, "center": 1, "right": 2}
SIZES = {"normal": (1, 1), "wide": (2, 1), "tall": (1, 2), "big": (2, 2)}
"""Name of a size: how many times wider and taller."""
QR_BYTES_MAX = 300
CODE128_CHARS_MAX = 64


def job_start(profile: PrinterProfile) -> bytes:
    """The printer in a known state, whatever was before; ESC @ also ends ASB on some clones."""
    asb = ASB_ON if "asb" in profile.status else b""
    return INITIALISE + asb


def macro_trial(profile: PrinterProfile) -> bytes:
    """Put a barrier into the macro, initialise, and run it twice: answered by two barriers or, by
    a printer that also answers while it records, three; by one if it knows no macros.

    An execution first ends what may be half a definition.
    """
    macro = _END_MACRO + _MARK_MACRO + BARRIER + _MARK_MACRO
    return macro + job_start(profile) + _RUN_MACRO_TWICE


def block_start() -> bytes:
    """The text state that every block sets for itself."""
    return KANJI_ON + _CODE_PAGE_0 + _KANJI_SPACING_0 + _PLAIN


def align(name: str) -> bytes:
    """ESC a."""
    return b"\x1ba" + bytes([ALIGNMENTS[name]])


def size(name: str, profile: PrinterProfile) -> bytes:
    """GS !, and FS ! for models whose Chinese font needs its own."""
    wider, taller = SIZES[name]
    command = b"\x1d!" + bytes([(wider - 1) << 4 | (taller - 1)])
    if profile.size_command == "fs":
        command += b"\x1c!" + bytes([(wider - 1) << 2 | (taller - 1) << 3])
    return command


def bold(*, on: bool) -> bytes:
    """ESC E."""
    return b"\x1bE" + bytes([on])


def underline(*, on: bool) -> bytes:
    """ESC - for ASCII and FS - for Hanzi: one without the other underlines half a line."""
    return b"\x1b-" + bytes([on]) + b"\x1c-" + bytes([on])


def feed(lines: int) -> bytes:
    """ESC d."""
    return b"\x1bd" + bytes([lines])


def feed_dots(dots: int) -> bytes:
    """ESC J."""
    return b"\x1bJ" + bytes([dots])


def cut(profile: PrinterProfile) -> bytes:
    """Feed to the cutter and cut; without a cutter feed past the tear bar."""
    if profile.cut == "none":
        return feed(profile.feed_lines)
    return b"\x1dV" + bytes([66 if profile.cut == "partial" else 65, 0])


def drawer(profile: PrinterProfile) -> bytes:
    """ESC p: pulse lengths in units of 2 ms."""
    pulse = [min(255, profile.drawer_on_ms // 2), min(255, profile.drawer_off_ms // 2)]
    return b"\x1bp\x00" + bytes(pulse)


def qr(payload: bytes, module: int) -> bytes:
    """A native QR code, model 2, error correction M: functions 165, 167, 169, 180, 181."""
    assert 0 < len(payload) <= QR_BYTES_MAX, "the layout refuses longer payloads"
    length = (len(payload) + 3).to_bytes(2, "little")
    return (
        b"\x1d(k\x04\x001A2\x00"
        + b"\x1d(k\x03\x001C" + bytes([module])
        + b"\x1d(k\x03\x001E1"
        + b"\x1d(k" + length + b"1P0" + payload
        + b"\x1d(k\x03\x001Q0"
    )  # fmt: skip


def code128(data: bytes, *, module: int, height: int) -> bytes:
    """A native Code 128 from `code128_data`, without the printer's own caption."""
    return (
        b"\x1dh" + bytes([height]) + b"\x1dw" + bytes([module]) + b"\x1dH\x00"
        + b"\x1dk\x49" + bytes([len(data)]) + data
    )  # fmt: skip


def raster(rows: bytes, width_bytes: int) -> bytes:
    """GS v 0: rows of packed dots, made harmless by `defused`."""
    count, rest = divmod(len(rows), width_bytes)
    assert rest == 0, "rows are whole"
    head = b"\x1dv0\x00" + width_bytes.to_bytes(2, "little") + count.to_bytes(2, "little")
    # The end of an image whose beginning was lost is read as commands: none may define a macro.
    return head + defused(rows).replace(_MARK_MACRO, b"\x1d;")


def defused(data: bytes) -> bytes:
    """Image data in which one dot is changed wherever it spells a real-time command.

    `DLE EOT n`, `DLE ENQ n` and `DLE DC4` act at reception on many models, also inside an image.
    """
    for low, other in ((b"\x10\x04", b"\x10\x06"), (b"\x10\x05", b"\x10\x07")):
        data = data.replace(low, other)
    return data.replace(b"\x10\x14", b"\x10\x16")


def ask_status(number: int) -> bytes:
    """DLE EOT n: 1 printer, 2 cause of offline, 3 cause of error, 4 paper."""
    return b"\x10\x04" + bytes([number])


def ask_confirmation(identifier: bytes) -> bytes:
    """GS ( H function 48: answered with the identifier when everything before it is printed."""
    assert len(identifier) == 4 and all(0x20 <= byte <= 0x7E for byte in identifier)
    return b"\x1d(H\x06\x0000" + identifier


def ask_identity(number: int) -> bytes:
    """GS I n: 66 maker, 67 model, 69 fonts."""
    return b"\x1dI" + bytes([number])


def code128_data(text: str) -> bytes:
    """The data of GS k for a text of printable ASCII: set C for runs of digits, else set B.

    Falls back to set B alone when the pairs of digits would spell a real-time command.
    """
    mixed = _with_pairs(text)
    return mixed if defused(mixed) == mixed else b"{B" + _set_b(text)


def code128_modules(data: bytes) -> int:
    """How many modules wide the symbol is, without quiet zones."""
    symbols, index = 0, 0
    while index < len(data):
        index += 2 if data[index : index + 1] == b"{" else 1
        symbols += 1
    return 11 * (symbols + 1) + 13  # the start symbol is the first `{B` or `{C`; +1 check symbol


def _set_b(text: str) -> bytes:
    return text.encode("ascii").replace(b"{", b"{{")


def _with_pairs(text: str) -> bytes:
    out, index, current = bytearray(), 0, ""
    while index < len(text):
        run = _digits_at(text, index)
        if _worth_pairs(run, index, len(text)) or (current == "C" and run >= 2):
            if run % 2 and current != "C":  # an odd run gives its first digit to set B
                out += (b"" if current == "B" else b"{B") + text[index].encode()
                current, index, run = "B", index + 1, run - 1
            out += b"" if current == "C" else b"{C"
            current, even = "C", run - run % 2
            out += bytes(int(text[at : at + 2]) for at in range(index, index + even, 2))
            index += even
        else:
            out += (b"" if current == "B" else b"{B") + _set_b(text[index])
            current, index = "B", index + 1
    return bytes(out)


def _digits_at(text: str, index: int) -> int:
    end = index
    while end < len(text) and text[end] in "0123456789":
        end += 1
    return end - index


def _worth_pairs(run: int, index: int, length: int) -> bool:
    at_edge = index == 0 or index + run == length
    return run >= 6 or (run >= 4 and at_edge) or (run == 2 == length)
