"""Slips to blocks: wrapping, columns, raster lines, bands, the window, sizes on the wire."""

import itertools

import pytest

from drivers.escpos import encode
from drivers.escpos.charset import columns
from drivers.escpos.layout import CONFIRM_BYTES, lay_out, wrap
from drivers.escpos.preview import bytes_on_the_wire, preview_png, preview_text
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.raster import Dots, code128_dots, font_found, qr_dots, text_dots
from drivers.escpos.slip import (
    Block,
    Code128,
    Columns,
    Cut,
    Feed,
    Image,
    Line,
    Qr,
    Rule,
    Slip,
    from_json,
    reprint,
    to_json,
)

PARTIAL = Slip(
    (
        Line("示范景区 Demo Park", align="center", size="big", bold=True),
        Line("东门店 East Gate", align="center"),
        Line("核销成功 REDEEMED", align="center", size="tall", bold=True),
        Rule(),
        Line("双人咖啡套餐 Coffee for two"),
        Columns("核销份数 Redeemed", "2"),
        Columns("剩余份数 Left", "3", bold=True),
        Columns("有效期至 Valid until", "2027-06-30"),
        Rule(),
        Line("新券码 New code (旧码已作废)", align="center"),
        Line("123 4567 8901", align="center", size="big", bold=True),
        Qr("12345678901"),
        Code128("12345678901"),
        Rule(),
        Columns("流水号 Serial", "T1_1_00000042"),
        Columns("时间 Time", "2026-11-22 10:31:07"),
        Columns("机具 POS", "T1"),
        Columns("操作员 Clerk", "王小喆"),
        Columns("校验 Check", "9f2c4e6a8b0d1f23"),
        Line("请于有效期内使用，过期作废。", underline=True),
        Line("Thank you for your visit. 谢谢惠顾", align="right"),
        Feed(1),
        Cut(),
    )
)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [""]),
        ("hello wonderful world", ["hello", "wonderful", "world"]),
        ("abcdefghijklm", ["abcdefghij", "klm"]),
        ("一二三四五六", ["一二三四五", "六"]),
        ("a一二三四五", ["a一二三四", "五"]),
        ("12345 一二三四", ["12345 一二", "三四"]),
        ("abcdefghij ", ["abcdefghij"]),
        ("abcdefghij  k", ["abcdefghij", "k"]),
        ("   abc", ["   abc"]),
        ("ab   cdefghijk", ["ab", "cdefghijk"]),
        ("ab cd 一二三四", ["ab cd 一二", "三四"]),
    ],
)
def test_wrap(text: str, rows: list[str]) -> None:
    """Words at spaces, Hanzi anywhere, long words cut, leading spaces kept."""
    assert wrap(text, 10) == rows


def test_wrap_loses_nothing() -> None:
    """Whatever the width, every character but spaces is there, and no row is too wide."""
    text = "新券码 New code (旧码已作废) 123-4567-8901 supercalifragilistic 一二三"
    for width in range(2, 40):
        rows = wrap(text, width)
        assert all(columns(row) <= width for row in rows)
        assert "".join(rows).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("profile", [PrinterProfile(), PrinterProfile(columns=48, dots=576)])
def test_columns_reach_both_edges(profile: PrinterProfile) -> None:
    """Left and right meet the edges; on two lines when they do not fit; Hanzi count double."""
    slip = Slip((Columns("优惠券", "20.00"), Columns("一二三四五六七八九十一二三", "长" * 12)))
    first, *rest = preview_text(slip, profile).splitlines()
    assert columns(first) == profile.columns and first.startswith("优惠券")
    if profile.columns == 32:
        assert len(rest) == 2 and columns(rest[1]) == 32
    else:
        assert rest[0].endswith("长") is (columns(rest[0]) == 48)


def test_a_rare_character_makes_its_line_a_picture() -> None:
    """Never a question mark: the line is drawn, the others stay text."""
    slip = Slip((Line("王小喆"), Line("😀 ok", size="big"), Line("龦", align="center")))
    text = preview_text(slip, PrinterProfile(charset="gb2312"))
    assert text.splitlines()[0].startswith("[image") and "?" not in text
    assert preview_text(Slip((Line("王小喆"),)), PrinterProfile()) == "王小喆\n"
    assert preview_text(Slip((Line("abc"),)), PrinterProfile(text="raster")).startswith("[image")


def test_the_slip_for_58_mm_is_small() -> None:
    """At most 1,000 bytes on the wire on the text path, confirmations included."""
    size = bytes_on_the_wire(PARTIAL, PrinterProfile(cut="partial"))
    assert size <= 1_000, size


@pytest.mark.parametrize("window", [64, 128, 512, 1024, 4096])
@pytest.mark.parametrize("way", ["native", "raster"])
def test_no_block_is_larger_than_the_window(window: int, way: str) -> None:
    """But for a single command that is larger by itself, such as one native QR."""
    profile = PrinterProfile(window=window, qr=way, code128=way, text=way, realtime_lock=True)
    blocks = lay_out(PARTIAL, profile)
    assert all(block.lines >= 1 for block in blocks)
    least = len(encode.job_start(profile) + encode.block_start()) + CONFIRM_BYTES
    limit = max(window, least + 8 + 9 + profile.dots // 8 + 60)
    assert all(len(block.data) + CONFIRM_BYTES <= limit for block in blocks)
    if window >= 512:
        assert all(len(block.data) + CONFIRM_BYTES <= window for block in blocks)


def test_blocks_do_not_depend_on_each_other() -> None:
    """Each block sets its own state, so the paper is the same with a reset between any two."""
    profile = PrinterProfile(window=256, cut="partial")
    blocks = lay_out(PARTIAL, profile)
    assert len(blocks) > 3
    assert all(encode.block_start() in block.data[:23] for block in blocks)


def test_text_and_picture_of_a_slip(tmp_path: object) -> None:
    """The preview is what the printer would print."""
    from pathlib import Path

    text = preview_text(PARTIAL, PrinterProfile(cut="partial"))
    for part in (
        "示范景区",
        "剩余份数 Left",
        "[qr 12345678901]",
        "[code128 12345678901]",
        "王小喆",
    ):
        assert part in text
    picture = Path(str(tmp_path)) / "slip.png"
    preview_png(PARTIAL, PrinterProfile(columns=48, dots=576), picture)
    assert picture.stat().st_size > 2_000


def test_an_image_is_centred_and_cut_in_bands() -> None:
    """A logo of 64 by 60 dots: three bands of at most 24 rows."""
    slip = Slip((Image(64, b"\xff" * 8 * 60),))
    text = preview_text(slip, PrinterProfile(window=4096))
    assert text.split() == ["[image", "64x24]", "[image", "64x24]", "[image", "64x12]"]


def test_dots() -> None:
    """Whole dots, quiet zones, packed most significant first."""
    code = qr_dots(b"12345678901", 3)
    assert (code.width, code.height) == ((21 + 8) * 3,) * 2
    assert code.rows[: code.width_bytes * 12] == b"\x00" * code.width_bytes * 12
    bar = code128_dots("12345678901", 2, 5)
    assert bar.height == 5 and bar.width == (112 + 20) * 2
    assert Dots(9, b"\x80\x00\x00\x80").height == 2
    assert text_dots("A", 24).rows.strip(b"\x00") and not text_dots(" ", 24).rows.strip(b"\x00")
    assert font_found("/nowhere/at.all") == font_found()


def test_a_character_without_a_font_is_a_box(monkeypatch: pytest.MonkeyPatch) -> None:
    """No font file on the machine: a box, and it can be seen; accents stay on their letter."""
    monkeypatch.setattr("drivers.escpos.raster._FONTS", ())
    box = text_dots("优e\u0323", 48)
    assert box.rows.strip(b"\x00") and font_found() == ""


def test_json_round_trip() -> None:
    """What is journalled is what is printed."""
    everything = Slip((*PARTIAL.blocks, Image(8, b"\x01\x02")))
    assert from_json(to_json(everything)) == everything
    assert to_json(Slip((Line("a"),))) == '{"blocks":[{"t":"line","text":"a"}],"v":1}'


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"blocks":[],"v":2}',
        '{"blocks":{},"v":1}',
        '{"blocks":[],"v":1,"x":1}',
        '{"blocks":[1],"v":1}',
        '{"blocks":[{"t":"nothing"}],"v":1}',
        '{"blocks":[{"t":"line"}],"v":1}',
        '{"blocks":[{"t":"line","text":1}],"v":1}',
        '{"blocks":[{"t":"line","text":"a","bold":1}],"v":1}',
        '{"blocks":[{"t":"line","text":"a","colour":"red"}],"v":1}',
        '{"blocks":[{"t":"line","text":"a","align":"middle"}],"v":1}',
        '{"blocks":[{"t":"line","text":"a","size":"huge"}],"v":1}',
        '{"blocks":[{"t":"feed","lines":0}],"v":1}',
        '{"blocks":[{"t":"feed","lines":true}],"v":1}',
        '{"blocks":[{"t":"image","width":8,"rows":"!"}],"v":1}',
        '{"blocks":[{"t":"image","width":9,"rows":"AQ=="}],"v":1}',
        '{"blocks":[{"t":"line","text":"' + "x" * 2_001 + '"}],"v":1}',
        '{"blocks":[' + ",".join(['{"t":"cut"}'] * 501) + '],"v":1}',
    ],
)
def test_json_that_is_no_slip(text: str) -> None:
    """ValueError, never another exception."""
    with pytest.raises(ValueError):
        from_json(text)


def test_a_reprint_is_marked_and_numbered() -> None:
    """AX-19: the mark is the first thing on the paper."""
    first = preview_text(reprint(PARTIAL, 2), PrinterProfile()).splitlines()[0]
    assert first.strip() == "补打 REPRINT #2"


def test_every_kind_of_block_is_laid_out() -> None:
    """A block alone gives paper, at both widths."""
    kinds: list[Block] = [Line("a"), Columns("a", "b"), Rule(), Qr("1", "c"), Code128("12"),
                          Feed(2), Cut(), Image(8, b"\x01")]  # fmt: skip
    for block, profile in itertools.product(
        kinds, (PrinterProfile(), PrinterProfile(columns=48, dots=576, cut="full"))
    ):
        assert preview_text(Slip((block,)), profile)
    assert lay_out(Slip(()), PrinterProfile()) == ()
