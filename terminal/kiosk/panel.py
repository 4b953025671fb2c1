"""A page put into cells: lines of spans, each with the name of a style.

Responsible for: where everything on the main panel stands, at any size. Not responsible for: what
is said (`pages`), what a style looks like (`kiosk.tcss`). Pure.
Invariants: no line is wider than asked, there are never more lines than asked, and the line that
says which keys work is always among them.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from terminal.kiosk import blocks
from terminal.kiosk.pages import Page, Row
from terminal.kiosk.text import cells, cut, pad, wrap

MARGIN: Final = 2
FIELD_CELLS: Final = 34
BIG_COLUMNS: Final = 100
BIG_ROWS: Final = 20
BIG_FROM_COLUMNS: Final = 60
GAPS_WANTED: Final = 5
"""Empty lines that a page wants, keys included; a field gives up its edges for them."""


class Style(StrEnum):
    """How a span looks; the style sheet has one rule for each."""

    PLAIN = "plain"
    STRONG = "strong"
    DIM = "dim"
    INK = "ink"
    WORD = "word"
    FIELD = "field"
    CHOSEN = "chosen"
    MARK = "mark"
    CAP = "cap"
    MAIN = "main"


class Span(Struct, frozen=True):
    """A piece of a line."""

    text: str
    style: Style = Style.PLAIN


Line = tuple[Span, ...]


def paint(page: Page, width: int, height: int) -> list[Line]:
    """A page in `width` x `height` cells: at most `height` lines of at most `width` cells."""
    inner = max(8, width - 2 * MARGIN)
    roomy = width >= BIG_COLUMNS and height >= BIG_ROWS
    said = [_one(line) for text in page.lines for line in wrap(text, inner)]
    top = [_headline(page, inner), _body(page, inner, 2 if roomy else 1)]
    field = _field(page, inner)
    if sum(map(len, top)) + len(said) + len(field) + GAPS_WANTED > height:
        field = field[1:-1]
    # What is typed stands above its explanation; a code that is told stands below its sentence.
    top += [said, field] if page.word else [field, said]
    foot = [_keys(page, inner)] if page.keys else []
    sections = [section for section in top if section]
    room = height - len(foot)
    used = sum(len(section) for section in sections)
    if page.rows:
        sections.append(_table(page.rows, inner, max(1, room - used - len(sections) - 1)))
        used += len(sections[-1])
    gaps = _gaps(len(sections), room - used, 2 if roomy else 1)
    lines: list[Line] = [()] * gaps[0]
    for section, gap in zip(sections, gaps[1:], strict=True):
        lines += section
        lines += [()] * gap
    lines = lines[: max(0, room)]
    lines += [()] * (room - len(lines))
    return [_indent(line) for line in (lines + foot)[:height]]


def _gaps(sections: int, spare: int, most: int) -> list[int]:
    """Empty lines above the first section and after each: above the first when there is most."""
    gaps = [0] * (sections + 1)
    order = [*range(1, sections + 1), 0]
    for _ in range(most):
        for place in order:
            if spare > 0:
                gaps[place] += 1
                spare -= 1
    return gaps


def _headline(page: Page, width: int) -> list[Line]:
    if not page.word:
        return [(Span(cut(page.title, width), Style.STRONG),)]
    word = Span(f" {page.word} ", Style.WORD)
    rest = cut(page.title, width - cells(word.text) - 2)
    return [(word, Span("  "), Span(rest, Style.STRONG))]


def _body(page: Page, width: int, scale: int) -> list[Line]:
    left = _picture(page, scale) if width + 2 * MARGIN >= BIG_FROM_COLUMNS else []
    left_cells = max((_cells(line) for line in left), default=0)
    if left_cells > width // 2 and page.facts and scale > 1:
        return _body(page, width, 1)
    gutter = 4 if left else 0
    right = _facts(page.facts, width - left_cells - gutter)
    offset = max(0, (len(left) - len(right)) // 2)
    right = [()] * offset + right
    lines: list[Line] = []
    for index in range(max(len(left), len(right))):
        first = left[index] if index < len(left) else ()
        second = right[index] if index < len(right) else ()
        fill = Span(" " * (left_cells + gutter - _cells(first)))
        lines.append((*first, fill, *second) if second else first)
    return lines


def _picture(page: Page, scale: int) -> list[Line]:
    if page.boxes:
        box = 6 * scale
        line: Line = tuple(
            span
            for filled in page.boxes
            for span in (Span(" " * box, Style.INK if filled else Style.FIELD), Span("  "))
        )
        return [line] * (3 * scale)
    if not page.big:
        return []
    lines: list[Line] = []
    for pixels in blocks.bitmap(page.big):
        cell = blocks.PIXEL_CELLS * scale
        spans = tuple(Span(" " * cell, Style.INK if p else Style.PLAIN) for p in pixels)
        lines += [_merged(spans)] * scale
    return lines


def _facts(facts: tuple[tuple[str, str], ...], width: int) -> list[Line]:
    label_cells = max((cells(label) for label, _ in facts), default=0)
    lines: list[Line] = []
    for number, (label, value) in enumerate(facts):
        style = Style.STRONG if number == 0 else Style.PLAIN
        parts = wrap(value, max(4, width - label_cells - 2))[:2]
        for index, part in enumerate(parts):
            head = pad(label if index == 0 else "", label_cells)
            lines.append((Span(head, Style.DIM), Span("  "), Span(part, style)))
    return lines


def _field(page: Page, width: int) -> list[Line]:
    if page.field is None:
        return []
    inside = min(width, max(FIELD_CELLS, cells(page.field) + 6))
    edge: Line = (Span(" " * inside, Style.FIELD),)
    return [edge, (Span(pad("   " + page.field, inside), Style.FIELD),), edge]


def _table(rows: tuple[Row, ...], width: int, height: int) -> list[Line]:
    chosen = next((index for index, row in enumerate(rows) if row.chosen), 0)
    start = max(0, min(chosen - height // 2, len(rows) - height))
    shown = rows[start : start + height]
    widths = column_widths([row.columns for row in rows], width)
    return [_table_line(row, widths, width) for row in shown]


def column_widths(rows: list[tuple[str, ...]], width: int) -> list[int]:
    """Widths that fit: the widest column gives way first, then the last columns are left out."""
    widths = [max(cells(row[index]) for row in rows) for index in range(len(rows[0]))]
    while len(widths) > 1 and sum(widths) + 2 * (len(widths) - 1) > width:
        over = sum(widths) + 2 * (len(widths) - 1) - width
        widest = widths.index(max(widths))
        if widths[widest] - over >= 10:
            widths[widest] -= over
        else:
            widths.pop()
    widths[0] = min(widths[0], width)
    return widths


def _table_line(row: Row, widths: list[int], width: int) -> Line:
    cut_row = zip(row.columns, widths, strict=False)
    text = "  ".join(pad(value, column) for value, column in cut_row)
    if row.chosen:
        return (Span(pad(text, width), Style.CHOSEN),)
    if not row.marked:
        return (Span(text.rstrip()),)
    return (Span(text.rstrip(), Style.MARK),)


def _keys(page: Page, width: int) -> Line:
    spans: list[Span] = []
    used = 0
    for number, (cap, label) in enumerate(page.keys):
        key, text = f" {cap} ", f" {label} "
        used += cells(key) + cells(text) + 2
        if used - 2 > width:
            break
        spans += [
            Span(key, Style.MAIN if number == 0 else Style.CAP),
            Span(text, Style.STRONG if number == 0 else Style.PLAIN),
            Span("  "),
        ]
    return tuple(spans)


def _one(text: str) -> Line:
    return (Span(text),)


def _indent(line: Line) -> Line:
    return (Span(" " * MARGIN), *line) if line else ()


def _cells(line: Line) -> int:
    return sum(cells(span.text) for span in line)


def _merged(spans: Line) -> Line:
    merged: list[Span] = []
    for span in spans:
        if merged and merged[-1].style is span.style:
            merged[-1] = Span(merged[-1].text + span.text, span.style)
        else:
            merged.append(span)
    return tuple(merged)
