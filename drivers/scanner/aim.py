"""AIM symbology identifiers (ISO/IEC 15424): three characters `]cm` in front of the data.

Responsible for: splitting the identifier off and naming the symbology. Not responsible for: when to
split. A voucher may begin with `]`, so only a profile that says that its scanner sends identifiers
calls `split`. Source of the table: ISO/IEC 15424 as printed in scanner manuals (Datalogic KA-01477,
Zebra DS457).
"""

_BY_LETTER = {
    "A": "code39",
    "C": "code128",
    "E": "ean",
    "F": "codabar",
    "G": "code93",
    "I": "itf",
    "L": "pdf417",
    "Q": "qr",
    "X": "other",
    "d": "datamatrix",
    "e": "gs1-databar",
    "z": "aztec",
}
_EXACT = {
    "]C1": "gs1-128",
    "]E4": "ean-8",
    "]Q3": "gs1-qr",
    "]d2": "gs1-datamatrix",
}
GS1_SYMBOLOGIES = frozenset({"gs1-128", "gs1-qr", "gs1-datamatrix", "gs1-databar"})
GOODS_SYMBOLOGIES = frozenset({"ean", "ean-8"})


def split(data: bytes) -> tuple[str, bytes]:
    """The identifier and the rest; an empty identifier when the data does not begin with one."""
    if len(data) < 3 or data[:1] != b"]":
        return "", data
    letter, modifier = chr(data[1]), chr(data[2])
    plain = letter.isascii() and letter.isalpha() and modifier.isascii() and modifier.isalnum()
    return (f"]{letter}{modifier}", data[3:]) if plain else ("", data)


def symbology(identifier: str) -> str:
    """The name of the symbology of an identifier; `unknown` for none or one we do not know."""
    if not identifier:
        return "unknown"
    return _EXACT.get(identifier) or _BY_LETTER.get(identifier[1], "unknown")
