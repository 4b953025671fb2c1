"""The shop's logo on slips: from a picture file to the paper of the emulated printer."""

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image as pictures
from PIL import ImageChops, ImageDraw

from config.loader import Loaded
from config.schema import Printer, Receipt, Settings
from drivers.escpos.preview import preview_png, preview_text
from drivers.escpos.profile import PrinterProfile
from terminal import sample_slip
from terminal.errors import Misconfigured
from terminal.logo import ROWS_MAX, read_logo
from terminal.slips import compose
from terminal.station import style
from tests.drivers.pictures_of_slips import CODE, facts

Box = tuple[int, int, int, int]


def draw(path: Path, size: tuple[int, int], box: Box, mode: str = "L") -> Path:
    picture = pictures.new(mode, size, "white" if mode == "L" else (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse(box, fill="black")
    picture.save(path)
    return path


def loaded(folder: Path, logo: str) -> Loaded:
    settings = Settings(receipt=Receipt(logo=logo), printer=Printer(profile="generic-58-gb18030"))
    return Loaded(settings, folder / "hexiao.toml", folder)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_white_edges_are_cut_and_what_is_see_through_is_white(tmp_path: Path, mode: str) -> None:
    """A small mark on a large sheet is as large as its ink."""
    logo = read_logo(draw(tmp_path / "logo.png", (900, 900), (100, 300, 163, 331), mode), 384)
    assert (logo.width, len(logo.rows)) == (64, 32 * 8)


@pytest.mark.parametrize(
    ("box", "width", "rows"),
    [((0, 0, 999, 99), 384, 38), ((0, 0, 99, 999), 24, ROWS_MAX), ((0, 0, 383, 99), 384, 100)],
)
def test_it_fits_the_paper(tmp_path: Path, box: Box, width: int, rows: int) -> None:
    """Too wide or too high is made smaller, in proportion; what fits stays as it is."""
    logo = read_logo(draw(tmp_path / "logo.png", (1000, 1000), box), 384)
    assert logo.width == width
    assert len(logo.rows) // ((width + 7) // 8) == rows


def test_it_is_the_picture(tmp_path: Path) -> None:
    """Dot by dot on the paper, in the middle, above everything but the marks."""
    path = draw(tmp_path / "logo.png", (200, 80), (0, 0, 199, 79))
    shop = style(loaded(tmp_path, "logo.png"))
    slip = compose(facts(), CODE, 2, shop)
    profile = PrinterProfile()
    first, second = preview_text(slip, profile).splitlines()[:2]
    assert "REPRINT" in first and second == "[image 200x24]"
    preview_png(sample_slip.compose(shop, profile), profile, tmp_path / "paper.png")
    with pictures.open(tmp_path / "paper.png") as paper, pictures.open(path) as picture:
        left = (paper.width - 200) // 2
        printed = paper.convert("L").crop((left, 16, left + 200, 16 + 80))
        wanted = picture.convert("L").point(lambda value: 0 if value < 128 else 255)
        assert ImageChops.difference(printed, wanted).getbbox() is None


def png_head(width: int, height: int) -> bytes:
    """The head of a picture that would fill the memory of a till."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + check + b"\x00\x00\x00\x08IDAT"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"no picture", "cannot be read"),
        (png_head(60_000, 60_000), "is no picture that can be used"),
        (b"x" * 5_000_001, "too large"),
    ],
    ids=["missing", "text", "enormous", "heavy"],
)
def test_a_file_that_is_no_logo_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    """When the till starts, not when a customer waits."""
    if content is not None:
        (tmp_path / "logo.png").write_bytes(content)
    with pytest.raises(Misconfigured, match=said) as caught:
        style(loaded(tmp_path, "logo.png"))
    assert str(tmp_path / "logo.png") in str(caught.value)


def test_a_white_picture_is_no_logo(tmp_path: Path) -> None:
    """It would print as white paper."""
    pictures.new("L", (50, 50), 200).save(tmp_path / "logo.png")
    with pytest.raises(Misconfigured, match="nothing black"):
        style(loaded(tmp_path, "logo.png"))
