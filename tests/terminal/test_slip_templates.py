"""Slip templates: the shipped ones, an owner's folder, and every way in which one is refused."""

import json
from pathlib import Path

import pytest

from config.loader import Loaded
from config.schema import Receipt, Settings
from config.slip_files import template_text
from drivers.escpos.slip import Line, Qr, Slip
from terminal import commands_devices, sample_slip, slip_templates, slips, station
from terminal.arguments import parser
from terminal.desk import Io
from terminal.errors import Misconfigured
from terminal.slips import SlipStyle
from tests.terminal.test_slips import CODE, facts

LANGUAGES = ("zh", "en", "both")
KINDS = ("redeemed", "reversed")


def own(folder: Path, **edits: tuple[str, str]) -> Path:
    """A copy of the shipped templates, with one text replaced in each kind that is named."""
    folder.mkdir()
    for kind in KINDS:
        text = template_text("both", kind)
        before, after = edits.get(kind, ("", ""))
        assert before in text
        (folder / f"{kind}.toml").write_text(text.replace(before, after), encoding="utf-8")
    return folder


def lines(slip: Slip) -> list[str]:
    return [block.text for block in slip.blocks if isinstance(block, Line)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_templates_are_what_an_owner_copies(
    tmp_path: Path, language: str, kind: str
) -> None:
    """A folder copied as it is makes the same slips as no folder."""
    for each in KINDS:
        (tmp_path / f"{each}.toml").write_text(template_text(language, each), encoding="utf-8")
    said = facts(kind=kind, reverses=None if kind == "redeemed" else "T1_1_00000003")
    style = SlipStyle(language, templates=slip_templates.own(tmp_path))
    assert slips.compose(said, CODE, 1, style) == slips.compose(said, CODE, 1, SlipStyle(language))


def test_an_owner_s_own_words(tmp_path: Path) -> None:
    """`receipt.template`, relative to the settings file; the marks cannot be left out (AX-19)."""
    own(tmp_path / "mine", redeemed=("核销凭证 REDEMPTION", "谢谢光临 {clerk}"))
    loaded = Loaded(Settings(receipt=Receipt(template="mine")), None, tmp_path)
    slip = slips.compose(facts(), CODE, 2, station.style(loaded))
    assert lines(slip)[0] == "补打 REPRINT #2" and "谢谢光临 li" in lines(slip)
    assert "核销凭证 REDEMPTION" not in lines(slip)
    assert [block.payload for block in slip.blocks if isinstance(block, Qr)] == [CODE]


@pytest.mark.parametrize(
    ("kind", "before", "after", "said"),
    [
        ("redeemed", "{merchant}", "{phone}", "block 1: no value phone"),
        ("reversed", "{outlet}", "{outlet", "block 2: a brace without a name"),
        ("redeemed", 't = "rule"', 't = "banner"', "block 5"),
        ("reversed", 't = "cut"', 't = "feed"', "the last block must be a cut"),
        ("redeemed", 't = "cut"', 't = "cut"\nwhen = "valid"', "the last block must be a cut"),
        ("redeemed", "{new_code}", "{left}", "no block shows {new_code}"),
        (
            "redeemed",
            'bold = true\nwhen = "new_code"',
            'bold = true\nwhen = "new_code"\nunless = "offline"',
            "no block shows {new_code}",
        ),
        (
            "redeemed",
            'bold = true\nwhen = "new_code"',
            'bold = true\nwhen = "valid"',
            "no block shows {new_code}",
        ),
        ("redeemed", "{serial}", "", "no block shows {serial}"),
        ("reversed", "{reverses}", "", "no block shows {reverses}"),
        ("reversed", "{merchant}", "{product}" * 5, "block 1: a text of a slip"),
        ("redeemed", "[[block]]", "[[block", "not a slip template"),
    ],
)
def test_a_template_that_would_fail_a_customer_is_refused(
    tmp_path: Path, kind: str, before: str, after: str, said: str
) -> None:
    """When it is read, naming the file and the block."""
    folder = own(tmp_path / "mine", **{kind: (before, after)})
    with pytest.raises(Misconfigured) as refused:
        slip_templates.own(folder)
    assert str(refused.value).startswith(f"{folder / kind}.toml: ") and said in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), (b"\xff", "UTF-8"), (b"#" * 70_000, "too large")],
)
def test_a_file_that_is_no_template(tmp_path: Path, content: bytes | None, said: str) -> None:
    """Missing, not text, somebody else's."""
    folder = own(tmp_path / "mine")
    path = folder / "reversed.toml"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Misconfigured, match=said):
        slip_templates.own(folder)


def test_no_name_makes_a_slip_that_cannot_be_made() -> None:
    """Values longer than a slip may hold are cut; a text of many lines is not."""
    said = facts(product_name="长" * 5_000, slip_text="\n".join(["x" * 400] * 40))
    slip = slips.compose(said, CODE, 1, SlipStyle("both"))
    assert "长" * 500 in lines(slip) and lines(slip).count("x" * 400) == 40


def test_print_test_shows_the_templates(tmp_path: Path) -> None:
    """`print-test --preview FILE.txt --template DIR`: both slips with sample values."""
    folder = own(tmp_path / "mine", reversed=("撤销核销 REVERSAL", "UNDONE"))
    path, out = tmp_path / "slip.txt", list[str]()
    words = ["print-test", "--preview", str(path), "--template", str(folder), "--json"]
    loaded = Loaded(Settings(receipt=Receipt(header=("Top",))), None, tmp_path)
    assert (
        commands_devices.print_test(loaded, parser().parse_args(words), Io(out.append, out.append))
        == 0
    )
    assert json.loads(out[0])["ok"] is True
    text = path.read_text("utf-8")
    assert text.index("Top") < text.index("核销凭证") < text.index("000 0000 0000")
    assert (
        text.index("000 0000 0000") < text.index("UNDONE") < text.rindex(sample_slip._FACTS.serial)
    )
