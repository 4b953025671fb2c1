"""What a document says, without a printer in it.

Responsible for: the frozen blocks that a slip is made of, and their JSON, so that whoever owns the
print job can journal exactly what will be printed. Pure. Not responsible for: widths, fonts, bytes
(`layout` does that for the printer at hand), or what belongs on a slip.

Invariants: `from_json(to_json(slip)) == slip`; `from_json` accepts nothing else (ValueError); text
may hold anything, it is cleaned when it is laid out.
"""

import base64
import binascii
import json
from dataclasses import dataclass, fields

ALIGNS = ("left", "center", "right")
SIZES = ("normal", "wide", "tall", "big")
BLOCKS_MAX = 500
TEXT_CHARS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph; it wraps. `size` is `normal`, `wide`, `tall` or `big`."""

    text: str
    align: str = "left"
    size: str = "normal"
    bold: bool = False
    underline: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """Two texts on one line, pushed to the edges; on two lines when they do not fit."""

    left: str
    right: str
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the paper."""


@dataclass(frozen=True, slots=True)
class Qr:
    """A QR code, centred, with an optional caption under it."""

    payload: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Code128:
    """A Code 128 symbol, centred, with its text under it. As text where it does not fit."""

    payload: str


@dataclass(frozen=True, slots=True)
class Feed:
    """Empty lines."""

    lines: int = 1


@dataclass(frozen=True, slots=True)
class Cut:
    """The end of a document: the paper is cut, or fed past the tear bar."""


@dataclass(frozen=True, slots=True)
class Image:
    """Black dots, centred: rows of `width` dots packed eight to a byte, most significant first."""

    width: int
    rows: bytes


Block = Line | Columns | Rule | Qr | Code128 | Feed | Cut | Image
_KINDS: dict[str, type[Block]] = {
    "line": Line,
    "columns": Columns,
    "rule": Rule,
    "qr": Qr,
    "code128": Code128,
    "feed": Feed,
    "cut": Cut,
    "image": Image,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class Slip:
    """One document, top to bottom."""

    blocks: tuple[Block, ...]


def reprint(slip: Slip, copy: int) -> Slip:
    """The same slip marked as a copy (AX-19). `copy` counts from 2: the first is the original."""
    assert copy >= 2
    mark = Line(f"补打 REPRINT #{copy}", align="center", size="tall", bold=True)
    return Slip((mark, *slip.blocks))


def to_json(slip: Slip) -> str:
    """One line of JSON; defaults are left out."""
    blocks = [_block_out(block) for block in slip.blocks]
    return json.dumps({"blocks": blocks, "v": 1}, ensure_ascii=False, separators=(",", ":"))


def from_json(text: str) -> Slip:
    """The slip in a JSON text. Raises ValueError for anything that `to_json` would not write."""
    document = json.loads(text)
    if not isinstance(document, dict) or set(document) != {"blocks", "v"} or document["v"] != 1:
        raise ValueError("not a slip of version 1")
    blocks = document["blocks"]
    if not isinstance(blocks, list) or len(blocks) > BLOCKS_MAX:
        raise ValueError("a slip has a list of at most 500 blocks")
    return Slip(tuple(block_from(block) for block in blocks))


def _block_out(block: Block) -> dict[str, object]:
    out: dict[str, object] = {"t": _NAMES[type(block)]}
    for field in fields(block):
        value = getattr(block, field.name)
        if value != field.default:
            out[field.name] = base64.b64encode(value).decode() if field.type is bytes else value
    return out


def block_from(document: object) -> Block:
    """One block from its JSON object. Raises ValueError."""
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise ValueError("a block is an object")
    values = dict(document)
    kind = _KINDS.get(str(values.pop("t", None)))
    if kind is None:
        raise ValueError(f"no block is called {document.get('t')!r}")
    known = {field.name: field.type for field in fields(kind)}
    for name, value in values.items():
        wanted = known.get(name)
        if wanted is bytes:
            values[name] = _bytes_in(value)
        elif wanted is None or type(value) is not wanted:
            raise ValueError(f"{document['t']} has no {name} of that type")
    try:
        block = kind(**values)
    except TypeError as fault:
        raise ValueError(f"{document['t']} is not whole: {fault}") from None
    _check(block)
    return block


def _bytes_in(value: object) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except binascii.Error as fault:
        raise ValueError(f"not base64: {fault}") from None


def _check(block: Block) -> None:
    texts = [getattr(block, field.name) for field in fields(block) if field.type is str]
    if any(len(text) > TEXT_CHARS_MAX for text in texts):
        raise ValueError("a text of a slip has at most 2,000 characters")
    match block:
        case Line(align=align, size=size) if align not in ALIGNS or size not in SIZES:
            raise ValueError(f"no line is aligned {align} or sized {size}")
        case Feed(lines) if not 1 <= lines <= 20:
            raise ValueError("a feed is 1 to 20 lines")
        case Image(width, rows) if not 1 <= width <= 1024 or len(rows) % ((width + 7) // 8):
            raise ValueError("the rows of an image are not whole")
        case _:
            pass
