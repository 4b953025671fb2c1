"""Which characters a printer has, how wide they are, and what they become on the wire.

Responsible for: cleaning text so that data can never be a command, the replacement table, and the
width of a character in columns. Pure. Not responsible for: drawing what the printer lacks.

Invariants: `clean` leaves no control character, so an encoded text holds no byte below 0x20; a
character that the printer lacks is never replaced by `?`, it makes the line a raster line. Facts
(measured): in Kanji mode ASCII takes one column and every GB code two, whatever Unicode says about
"ambiguous" widths; several common receipt signs are four bytes in GB18030, which two-byte fonts
print as junk, hence the replacements.
"""

import unicodedata
from functools import lru_cache

_REPLACED = str.maketrans(
    {
        "¥": "￥",
        "•": "·",
        "©": "(C)",
        "®": "(R)",
        "™": "TM",
        "✓": "√",
        "✔": "√",
        "ñ": "n",
        "Ñ": "N",
        "\t": " ",
        "\n": " ",
        "\r": " ",
    }
)
_IDEOGRAPHIC_SPACE = "　"


def clean(text: str) -> str:
    """Text safe to print: composed, replaced, without control, format or surrogate characters."""
    composed = unicodedata.normalize("NFC", text).translate(_REPLACED)
    return "".join(map(_kept, composed))


def _kept(char: str) -> str:
    category = unicodedata.category(char)
    if category in ("Zs", "Zl", "Zp"):
        return char if char == _IDEOGRAPHIC_SPACE else " "
    return "" if category in ("Cc", "Cf", "Cs", "Cn", "Co") else char


@lru_cache(maxsize=4096)
def code(char: str, charset: str) -> bytes | None:
    """The bytes of one clean character, or None when the printer lacks it."""
    if " " <= char <= "~":
        return char.encode("ascii")
    try:
        encoded = char.encode(charset.removesuffix("-2byte"))
    except UnicodeEncodeError:
        return None
    fits = len(encoded) == 2 or (len(encoded) == 4 and charset == "gb18030")
    return encoded if fits else None


def encode(text: str, charset: str) -> bytes | None:
    """The bytes of a clean text, or None when a character in it is lacking."""
    codes = [code(char, charset) for char in text]
    return None if None in codes else b"".join(filter(None, codes))


def columns(text: str) -> int:
    """How many columns a clean text takes on paper."""
    return sum(map(char_columns, text))


@lru_cache(maxsize=4096)
def char_columns(char: str) -> int:
    """One column for ASCII, two for what is a GB code or is drawn wide, none for a mark."""
    if " " <= char <= "~":
        return 1
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    known = code(char, "gb18030-2byte") is not None
    return 2 if known or unicodedata.east_asian_width(char) in "WFA" else 1
