"""Text that may be shown: cleaned, measured in cells, cut and wrapped.

Responsible for: making any text from outside harmless (product names, outlets, error messages,
scans) and fitting it into cells. Not responsible for: wording, markup (there is none).
Invariants: what `safe_text` returns holds no control, format or private character, nothing whose
width is ambiguous between terminals, and only characters of one or two cells; nothing here raises.
"""

import unicodedata
from typing import Final

_AMBIGUOUS: Final = {
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "…": "...",
    "—": "-",
    "–": "-",
    "·": ".",
    "•": ".",
    "×": "x",
    "÷": "/",
    "°": " ",
    "±": "+-",
    "★": "*",
    "☆": "*",
    "●": "*",
    "○": "o",
    "→": "->",
    "←": "<-",
}
"""Characters with two widths in the world, and what is written instead (kiosk notes, B8)."""

_CLOSING: Final = frozenset("，。、；：！？）】》」』,.;:!?)]}%")
_OPENING: Final = frozenset("（【《「『([{")


def safe_text(text: object, length_max: int = 200) -> str:
    """One line of harmless text, at most `length_max` characters; empty becomes `?`."""
    plain = unicodedata.normalize("NFC", str(text)[: length_max * 4])
    clean = "".join(_clean(character) for character in plain)
    return " ".join(clean.split())[:length_max] or "?"


def cells(text: str) -> int:
    """The width of a text in terminal cells."""
    return sum(_width(character) for character in text)


def cut(text: str, width: int) -> str:
    """At most `width` cells of a text; `..` marks that something is missing."""
    if cells(text) <= width:
        return text
    if width < 3:
        return _head(text, max(0, width))
    return _head(text, width - 2) + ".."


def pad(text: str, width: int) -> str:
    """Exactly `width` cells, text at the left."""
    short = cut(text, width)
    return short + " " * (width - cells(short))


def pad_left(text: str, width: int) -> str:
    """Exactly `width` cells, text at the right."""
    short = cut(text, width)
    return " " * (width - cells(short)) + short


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells. No line begins with a closing mark or splits a word."""
    lines: list[str] = []
    line = ""
    for piece in _pieces(text, max(2, width)):
        if cells(line) + cells(piece.rstrip()) > width and line.strip():
            lines.append(line.rstrip())
            line = ""
        line += piece if line else piece.lstrip()
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def spaced(digits: str) -> str:
    """A code in groups that can be read aloud: `921 0000 0024`."""
    head = len(digits) % 4 or 4
    groups = [digits[:head], *(digits[i : i + 4] for i in range(head, len(digits), 4))]
    return " ".join(group for group in groups if group)


def _clean(character: str) -> str:
    if character in _AMBIGUOUS:
        return _AMBIGUOUS[character]
    kind = unicodedata.category(character)
    if kind in ("Cc", "Zl", "Zp", "Zs"):
        return " "
    if kind[0] in "CM" or kind in ("So", "Sk"):
        return ""
    if unicodedata.east_asian_width(character) != "A":
        return character
    base = unicodedata.normalize("NFKD", character)[0]
    return base if base.isascii() else "?"


def _width(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _head(text: str, width: int) -> str:
    used = 0
    for index, character in enumerate(text):
        used += _width(character)
        if used > width:
            return text[:index]
    return text


def _pieces(text: str, width: int) -> list[str]:
    """What must stay together: words, wide characters, marks with their neighbours."""
    pieces: list[str] = []
    glue = False
    for character in text:
        wide = _width(character) == 2
        previous = pieces[-1] if pieces else ""
        word_goes_on = not wide and previous and _width(previous[-1]) == 1 and previous[-1] != " "
        joins = glue or character in _CLOSING or character == " " or word_goes_on
        if pieces and joins and cells(previous.rstrip()) < width - 1:
            pieces[-1] += character
        else:
            pieces.append(character)
        glue = character in _OPENING
    return pieces
