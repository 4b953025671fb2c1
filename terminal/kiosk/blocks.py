"""Big letters made of coloured cells: readable from two steps away, without any glyph.

Responsible for: the shapes. Not responsible for: colours. Invariant: a letter is five rows of three
to five pixels; a pixel is two cells wide, because a cell is twice as high as wide.
"""

from typing import Final

ROWS: Final = 5
PIXEL_CELLS: Final = 2

_SHAPES: Final = {
    "0": "###|#.#|#.#|#.#|###",
    "1": ".#.|##.|.#.|.#.|###",
    "2": "###|..#|###|#..|###",
    "3": "###|..#|###|..#|###",
    "4": "#.#|#.#|###|..#|..#",
    "5": "###|#..|###|..#|###",
    "6": "###|#..|###|#.#|###",
    "7": "###|..#|..#|.#.|.#.",
    "8": "###|#.#|###|#.#|###",
    "9": "###|#.#|###|..#|###",
    "/": "..#|..#|.#.|#..|#..",
    "?": "###|..#|.##|...|.#.",
    "-": "...|...|###|...|...",
    "+": "...|.#.|###|.#.|...",
    "D": "##.|#.#|#.#|#.#|##.",
    "E": "###|#..|##.|#..|###",
    "K": "#.#|#.#|##.|#.#|#.#",
    "N": "#..#|##.#|#.##|#..#|#..#",
    "O": "###|#.#|#.#|#.#|###",
    "P": "###|#.#|###|#..|#..",
    "S": "###|#..|###|..#|###",
    "T": "###|.#.|.#.|.#.|.#.",
    "U": "#.#|#.#|#.#|#.#|###",
}

Bitmap = tuple[tuple[bool, ...], ...]


def bitmap(text: str) -> Bitmap:
    """The pixels of a text, one empty column between letters. Unknown letters are left out."""
    shapes = [_SHAPES[letter].split("|") for letter in text if letter in _SHAPES]
    lines = (".".join(shape[row] for shape in shapes) for row in range(ROWS))
    return tuple(tuple(pixel == "#" for pixel in line) for line in lines)


def width(text: str, scale: int = 1) -> int:
    """The cells that a text takes."""
    return len(bitmap(text)[0]) * PIXEL_CELLS * scale
