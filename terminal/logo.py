"""The shop's logo, from a picture file to the dots of a slip.

Responsible for: reading any picture that Pillow reads, cropping white edges, making it fit the
paper, and saying what is wrong with one that cannot be used. Not responsible for: where on a slip
it stands (`slips`). Pillow is loaded only for a shop that has one. Invariant: what comes out fits
the paper and is not blank.
"""

from pathlib import Path
from typing import Any, Final

from drivers.escpos.slip import Image
from terminal.errors import Misconfigured

FILE_BYTES_MAX: Final = 5_000_000
ROWS_MAX: Final = 240
"""30 mm of paper; at 9600 baud each 24 rows of a full width take more than a second."""

_BLACK_BELOW: Final = 128


def read_logo(path: Path, dots: int) -> Image:
    """The picture in black dots, at most `dots` wide. Raises Misconfigured."""
    from PIL import Image as pictures

    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise Misconfigured(f"{path} is too large for a logo")
        with pictures.open(path) as picture:
            black = _black(picture.convert("RGBA"), dots)
    except OSError as error:
        raise Misconfigured(f"the logo {path} cannot be read: {error.strerror or error}") from error
    except (SyntaxError, ValueError, pictures.DecompressionBombError) as error:
        raise Misconfigured(f"the logo {path} is no picture that can be used: {error}") from error
    if black is None:
        raise Misconfigured(f"the logo {path} has nothing black on it: it would print as white")
    return Image(black.width, black.tobytes())


def _black(picture: Any, dots: int) -> Any:
    """The picture as one bit a dot, ink set, or None where there is no ink."""
    from PIL import Image as pictures

    paper = pictures.new("RGBA", picture.size, "white")
    paper.alpha_composite(picture)
    grey = paper.convert("L")
    box = _ink(grey).getbbox()
    if box is None:
        return None
    drawn = grey.crop(box)
    scale = min(1.0, dots / drawn.width, ROWS_MAX / drawn.height)
    size = (max(1, int(drawn.width * scale)), max(1, int(drawn.height * scale)))
    ink = _ink(drawn.resize(size, pictures.Resampling.LANCZOS) if scale < 1 else drawn)
    return ink.convert("1") if ink.getbbox() else None


def _ink(grey: Any) -> Any:
    return grey.point(lambda value: 255 if value < _BLACK_BELOW else 0)
