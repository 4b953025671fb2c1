"""Characters and commands: golden bytes checked against the manuals, and what must never happen."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.escpos import charset, encode
from drivers.escpos.layout import lay_out
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Code128, Columns, Cut, Line, Qr, Slip

PLAIN = PrinterProfile()


@pytest.mark.parametrize(
    ("char", "level", "expected"),
    [
        ("A", "gb2312", b"A"),
        ("优", "gb2312", b"\xd3\xc5"),
        ("喆", "gb2312", None),
        ("喆", "gbk", b"\x86\xb4"),
        ("昇", "gb2312", None),
        ("￥", "gb2312", b"\xa3\xa4"),
        ("é", "gb2312", b"\xa8\xa6"),
        ("€", "gb2312", None),
        ("€", "gbk", None),
        ("€", "gb18030-2byte", b"\xa2\xe3"),
        ("¥", "gb18030-2byte", None),
        ("¥", "gb18030", b"\x81\x30\x84\x36"),
        ("龦", "gb18030-2byte", None),
        ("😀", "gbk", None),
    ],
)
def test_charset_levels(char: str, level: str, expected: bytes | None) -> None:
    """What each level of GB holds; never a question mark."""
    assert charset.code(char, level) == expected


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("合计 ¥12.00", "合计 ￥12.00"),
        ("• © ® ™ ✓ ✔ ñ Ñ", "· (C) (R) TM √ √ n N"),
        ("a\tb\nc\r\nd", "a b c  d"),
        ("a\x1b@\x1dV\x00b\x7f\x9b", "a@Vb"),
        ("a\u200bb\ufeff\u202ec", "abc"),
        ("a\u00a0b\u3000c\u2028d", "a b\u3000c d"),
        ("e\u0301", "é"),
        ("\ud800x", "x"),
    ],
)
def test_clean(text: str, cleaned: str) -> None:
    """The map of receipt signs; no control, format or surrogate character survives."""
    assert charset.clean(text) == cleaned


def test_widths_are_those_of_the_paper() -> None:
    """ASCII one, GB two even where Unicode says ambiguous, wide characters two, marks none."""
    assert [charset.char_columns(char) for char in "A优×·…“—é\u0301😀ก"] == [
        1, 2, 2, 2, 2, 2, 2, 2, 0, 2, 1,
    ]  # fmt: skip
    assert charset.columns("优惠 A") == 6
    assert charset.encode("优😀", "gbk") is None and charset.encode("优A", "gbk") == b"\xd3\xc5A"


@given(st.text(max_size=60))
def test_no_text_becomes_a_command(text: str) -> None:
    """Whatever stands in a slip, an encoded text holds no byte below a space."""
    cleaned = charset.clean(text)
    for level in ("gb2312", "gbk", "gb18030-2byte", "gb18030"):
        for char in cleaned:
            code = charset.code(char, level)
            assert code is None or min(code) >= 0x20


@given(st.text(max_size=40), st.text(max_size=20))
def test_no_slip_holds_a_foreign_command(text: str, other: str) -> None:
    """The commands on the wire are the same whatever the text: only the encoder makes any."""
    native = PrinterProfile(charset="gb18030")
    slip = Slip((Line(text), Columns(text, other), Cut()))
    data = b"".join(block.data for block in lay_out(slip, native))
    rest = data.replace(encode.job_start(native), b"").replace(encode.block_start(), b"")
    rest = rest.replace(encode.cut(native), b"").replace(b"\n", b"")
    if not any(charset.encode(charset.clean(part), "gb18030") is None for part in (text, other)):
        assert all(byte >= 0x20 for byte in rest)


def test_golden_commands() -> None:
    """Byte for byte as the programming guide has them."""
    fs = PrinterProfile(size_command="fs")
    assert encode.job_start(PLAIN) == b"\x1b@\x1da\x0f"
    assert encode.job_start(PrinterProfile(status=())) == b"\x1b@"
    assert encode.block_start() == b"\x1c&\x1bt\x00\x1cS\x00\x00\x1d!\x00\x1bE\x00\x1ba\x00"
    assert encode.size("big", PLAIN) == b"\x1d!\x11"
    assert encode.size("wide", fs) == b"\x1d!\x10\x1c!\x04"
    assert encode.size("tall", fs) == b"\x1d!\x01\x1c!\x08"
    assert encode.underline(on=True) == b"\x1b-\x01\x1c-\x01"
    assert encode.cut(PrinterProfile(cut="partial")) == b"\x1dVB\x00"
    assert encode.cut(PrinterProfile(cut="full")) == b"\x1dVA\x00"
    assert encode.cut(PLAIN) == b"\x1bd\x04"
    assert encode.drawer(PLAIN) == b"\x1bp\x00\x32\xfa"
    assert encode.ask_confirmation(b"ab1~") == b"\x1d(H\x06\x0000ab1~"
    assert encode.ask_identity(67) == b"\x1dIC"
    assert encode.raster(b"\xff\x00", 1) == b"\x1dv0\x00\x01\x00\x02\x00\xff\x00"
    assert encode.align("right") == b"\x1ba\x02" and encode.bold(on=False) == b"\x1bE\x00"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("VCH2024000123", b"{BVCH{C\x14\x18\x00\x01\x17"),
        ("12345678901", b"{B1{C\x17\x2d\x43\x59\x01"),
        ("1234567890", b"{C\x0c\x22\x38\x4e\x5a"),
        ("12", b"{C\x0c"),
        ("1", b"{B1"),
        ("A123456B", b"{BA{C\x0c\x22\x38{BB"),
        ("A1234B", b"{BA1234B"),
        ("{x", b"{B{{x"),
        ("160401", b"{B160401"),
    ],
)
def test_code128_sets(text: str, data: bytes) -> None:
    """Set C for runs of digits worth it; pairs that spell DLE EOT fall back to set B."""
    assert encode.code128_data(text) == data


def test_code128_width() -> None:
    """Measured: set B alone does not fit 58 mm, with set C it does."""
    assert encode.code128_modules(b"{BVCH2024000123") == 178
    assert encode.code128_modules(b"{BVCH{C\x14\x18\x00\x01\x17") == 134


def test_images_hold_no_real_time_command(rng: random.Random) -> None:
    """One dot is changed wherever image data spells DLE EOT, DLE ENQ or DLE DC4."""
    for _ in range(200):
        data = bytes(rng.choice([0x10, 0x04, 0x05, 0x14, 0x01, 0x00]) for _ in range(96))
        safe = encode.defused(data)
        assert len(safe) == len(data)
        for bad in (b"\x10\x04", b"\x10\x05", b"\x10\x14"):
            assert bad not in safe
        assert sum(a != b for a, b in zip(data, safe, strict=True)) <= data.count(b"\x10")


@pytest.mark.parametrize("payload", ["", "x" * 301])
def test_a_qr_that_cannot_be_is_printed_as_text(payload: str) -> None:
    """Too long or empty: the text, not a broken symbol."""
    blocks = lay_out(Slip((Qr(payload), Line("end"))), PLAIN)
    data = b"".join(block.data for block in blocks)
    assert b"\x1d(k" not in data and data.count(b"x") == len(payload)


@pytest.mark.parametrize("payload", ["", "券码", "VCH-ABCDEFGHIJKLMNOPQRSTUVWXYZ"])
def test_a_code128_that_does_not_fit_is_printed_as_text(payload: str) -> None:
    """Not ASCII, empty, or wider than the paper at two dots a module."""
    data = b"".join(block.data for block in lay_out(Slip((Code128(payload),)), PLAIN))
    assert b"\x1dk" not in data
