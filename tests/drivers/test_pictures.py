"""The pictures of slips in the documentation can be made, and each is shown."""

from pathlib import Path

import zxingcpp
from PIL import Image

from drivers.escpos.preview import bytes_on_the_wire
from tests.drivers.pictures_of_slips import CODE, NARROW, main, slips

DOCS = Path(__file__).parents[2] / "docs"


def test_every_picture_is_made_and_shown(tmp_path: Path) -> None:
    """Made from the terminal's own slips; the successor's code can be read from the picture."""
    main(tmp_path)
    shown = (DOCS / "devices.md").read_text()
    for name in slips():
        assert (DOCS / "images" / f"{name}.png").is_file() and f"images/{name}.png" in shown
        codes = [code.text for code in zxingcpp.read_barcodes(Image.open(tmp_path / f"{name}.png"))]
        without = any(kind in name for kind in ("reversal", "reprint", "shift"))
        assert codes == ([] if without else [CODE])


def test_a_real_slip_for_58_mm_is_small() -> None:
    """At most 1,000 bytes on the text path, in any language."""
    sizes = {
        name: bytes_on_the_wire(slip, profile)
        for name, (slip, profile) in slips().items()
        if profile is NARROW
    }
    assert max(sizes.values()) <= 1_000, sizes
