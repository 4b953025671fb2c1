"""Any text becomes harmless and fits into cells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from terminal.kiosk import blocks
from terminal.kiosk.text import cells, cut, pad, pad_left, safe_text, spaced, wrap


@given(text=st.text(max_size=200))
def test_safe_text_is_one_line_of_known_width(text: str) -> None:
    """No control, format or ambiguous character is left; rich measures it as we do."""
    safe = safe_text(text)
    assert safe and safe.isprintable() and "\n" not in safe
    assert cells(safe) == cell_len(safe)
    assert safe_text(safe) == safe


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("双人套餐（含饮料）", "双人套餐（含饮料）"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("a\u202eb\u200bc", "abc"),
        ("“咖啡” · 2×1…", '"咖啡" . 2x1...'),
        ("Café é", "Cafe e"),
        ("🍣 Sushi ★", "Sushi *"),
        ("Привет", "??????"),
        ("\r\n\t ", "?"),
        ("", "?"),
    ],
)
def test_safe_text_keeps_what_can_be_shown(raw: str, safe: str) -> None:
    """ASCII and Chinese stay as they are."""
    assert safe_text(raw) == safe


@given(text=st.text(max_size=80).map(safe_text), width=st.integers(2, 60))
def test_cut_pad_and_wrap_fit(text: str, width: int) -> None:
    """Nothing is wider than asked; wrapping loses nothing but spaces."""
    assert cells(cut(text, width)) <= width
    assert cells(pad(text, width)) == cells(pad_left(text, width)) == width
    lines = wrap(text, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_wrapping_keeps_words_and_marks_together() -> None:
    """No line begins with a comma, no Latin word is split (kiosk notes, B8)."""
    lines = wrap("请顾客打开购买成功的短信，找到券码。Hello world", 14)
    assert lines == ["请顾客打开购买", "成功的短信，找", "到券码。Hello", "world"]
    assert wrap("", 10) == [""]
    assert wrap("x" * 25, 10) == ["x" * 9, "x" * 9, "x" * 7]
    assert wrap("价格（含税）", 8) == ["价格（含", "税）"]


def test_codes_are_grouped_for_reading_aloud() -> None:
    """Groups of four from the right."""
    assert spaced("92100000022") == "921 0000 0022"
    assert spaced("123456") == "12 3456" and spaced("") == "" and spaced("12") == "12"
    assert cut("abcdef", 2) == "ab" and cut("abc", 0) == ""


def test_block_letters_are_five_rows_of_equal_width() -> None:
    """Every letter that a page uses has a shape."""
    for text in ("0123456789", "OK", "NO", "STOP", "USED", "???", "-+/", "1/5"):
        rows = blocks.bitmap(text)
        assert len(rows) == blocks.ROWS and len({len(row) for row in rows}) == 1
        assert blocks.width(text) == 2 * len(rows[0])
    assert len(blocks.bitmap("ö1")[0]) == 3
