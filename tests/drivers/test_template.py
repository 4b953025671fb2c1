"""Slip templates: data that an owner edits, checked when read, filled with values as data."""

import pytest

from drivers.errors import Misconfigured
from drivers.escpos.preview import preview_template
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Columns, Cut, Line, Slip
from drivers.escpos.template import fill, read_template

NARROW = PrinterProfile(cut="partial")
NAMES = {"shop", "left", "slip_text", "code"}
TEXT = """
[[block]]
t = "line"
text = "欢迎 {shop}"
align = "center"
bold = true

[[block]]
t = "columns"
left = "剩余 Left"
right = "{left}"
when = "left"

[[block]]
t = "line"
text = "全部用完 All used"
unless = "left"

[[block]]
t = "line"
text = "{slip_text}"
when = "slip_text"

[[block]]
t = "cut"
"""


def test_filling() -> None:
    """Values where their names stand; blocks by condition; lines of a value become lines."""
    template = read_template(TEXT, NAMES)
    values = {"shop": "{left} Café", "left": "3", "slip_text": "one\ntwo"}
    assert fill(template, values) == Slip(
        (
            Line("欢迎 {left} Café", align="center", bold=True),
            Columns("剩余 Left", "3"),
            Line("one"),
            Line("two"),
            Cut(),
        )
    )
    assert fill(template, {}).blocks[1:] == (Line("全部用完 All used"), Cut())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[block", "not a slip template"),
        ("x = 1", "not a slip template"),
        ("block = 3", "list"),
        ("block = [3]", "list"),
        ('[[block]]\nt = "line"\ntext = "{phone}"', "no value phone"),
        ('[[block]]\nt = "line"\ntext = "a"\nwhen = "phone"', "no value phone"),
        ('[[block]]\nt = "line"\ntext = "{left.__class__}"', "a brace without a name"),
        ('[[block]]\nt = "line"\ntext = "}"', "a brace without a name"),
        ('[[block]]\nt = "banner"', "block 1"),
        ('[[block]]\nt = "line"\ntext = "a"\nsize = "huge"', "block 1"),
        ('[[block]]\nt = "feed"\nlines = 99', "block 1"),
        ('[[block]]\nt = "line"\ntext = "a"\nsize = "huge"\nunless = "left"', "block 1"),
        ('[[block]]\nt = "line"\ntext = "' + "{left}" * 5 + '"', "2,000"),
    ],
)
def test_wrong_templates_are_found_when_they_are_read(text: str, said: str) -> None:
    """The block and the fault are named; nothing is evaluated."""
    with pytest.raises(Misconfigured, match=said):
        read_template(text, NAMES)


def test_a_value_that_does_not_fit_is_told() -> None:
    """A text that is too long for a slip."""
    template = read_template(TEXT, NAMES)
    with pytest.raises(Misconfigured, match="2,000"):
        fill(template, {"shop": "x" * 3_000})


def test_a_long_value_of_short_lines() -> None:
    """Each line of a value has the limit of a line, not the value."""
    template = read_template(TEXT, NAMES)
    values = {"slip_text": "\n".join(["x" * 400] * 10)}
    assert fill(template, values).blocks[2:-1] == (Line("x" * 400),) * 10


def test_a_template_is_previewed() -> None:
    """On the emulated printer, with sample values."""
    shown = preview_template(TEXT, {"shop": "店", "left": "", "slip_text": "", "code": ""}, NARROW)
    assert shown.splitlines()[0].strip() == "欢迎 店" and "全部用完 All used" in shown
