"""Orders in bulk, from CSV or JSON lines.

Responsible for: reading a file row by row, issuing what is good, keeping what is refused with the
reason. Not responsible for: sealing (queued; the job does it). Invariants: an order id is imported
once, the same row again is only counted; a row that differs from what was imported under its id is
refused; a bad row never stops the file; what is refused is written with its line number.
"""

import csv
import hashlib
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, TextIO

from sqlalchemy import select

from central import cards, catalogue, issuing, ledger, schema, sealing, texts
from central.errors import Misconfigured, OutOfService, Refused
from central.issuing import Draft, New, NewOrder
from central.service import Central, Work
from vouchers import times

PORTION: Final = 500
"""Rows in one transaction: a second at most, so that counters are served in between."""

LINE_CHARS_MAX: Final = 10_000
"""A row has under 200 characters; a longer line is another kind of file."""

COLUMNS: Final = (
    "order",
    "product",
    "phone",
    "shares",
    "paid_fen",
    "home",
    "valid_from",
    "valid_until",
    "used",
    "id_card",
)
"""`order`, `product` and `phone` are needed; days are inclusive; `used` were spent elsewhere;
`id_card` is the buyer's ID number or its MD5, and opens the voucher too (EV-032)."""

_NEEDED: Final = frozenset(("order", "product", "phone"))
_CARD: Final = "id_card"
_WITHHELD: Final = "withheld"
_LOOKS_LIKE_CARD: Final = re.compile(r"(?<!\w)(\d{17}[\dXx]|[0-9A-Fa-f]{32})(?!\w)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the file: its number, its values as text or numbers, or why it is unreadable."""

    number: int
    values: Mapping[str, object]
    wrong: Refused | None = None


@dataclass(slots=True)
class Imported:
    """What became of a file."""

    imported: int = 0
    repeated: int = 0
    refused: int = 0
    refused_file: str | None = None
    reasons: dict[str, int] = field(default_factory=dict)


Progress = Callable[[int, int], None]
"""Called with the bytes read and the bytes in all."""


def run(
    central: Central, path: Path, refused_path: Path, *, progress: Progress = lambda *_: None
) -> Imported:
    """Import a file. Raises Misconfigured when it is no such file, OutOfService for the disk."""
    result = Imported()
    try:
        with path.open("rb") as raw, _Refusals(refused_path, result) as refusals:
            size = path.stat().st_size
            # Bytes that are no UTF-8 become lone surrogates, which every check of a text refuses.
            file = io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline="")
            rest = _lines(file, path.name)
            while portion := list(itertools.islice(rest, PORTION)):
                _import(central, portion, result, refusals)
                progress(min(size, raw.tell()), size)
    except OSError as error:
        raise OutOfService(f"{error.filename or path}: {error.strerror or error}") from error
    return result


class _Refusals:
    """The file of refused rows, made when the first one comes. 0600: it holds phone numbers."""

    def __init__(self, path: Path, result: Imported) -> None:
        self._path = path
        self._result = result
        self._file: TextIO | None = None

    def __enter__(self) -> "_Refusals":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, line: Line, why: Refused) -> None:
        if self._file is None:
            self._path.touch(mode=0o600)
            self._file = self._path.open("w", encoding="utf-8", errors="backslashreplace")
            self._result.refused_file = str(self._path)
        row = {
            "line": line.number,
            "reason": why.reason,
            "message": why.message,
            "row": _without_card(line.values),
        }
        self._file.write(json.dumps(row) + "\n")
        self._result.refused += 1
        self._result.reasons[why.reason] = self._result.reasons.get(why.reason, 0) + 1


def _without_card(values: Mapping[str, object]) -> dict[str, object]:
    """A row as it may be kept: the line number finds the ID number in the file that was given."""
    kept = {name: _WITHHELD if name == _CARD else value for name, value in values.items()}
    if "text" in kept:  # a row that is none: what looks like an ID number may be one
        kept["text"] = _LOOKS_LIKE_CARD.sub(_WITHHELD, str(kept["text"]))
    return kept


def _lines(file: TextIO, name: str) -> Iterator[Line]:
    """The rows of either format; JSON lines begin with `{`."""
    first = file.readline(LINE_CHARS_MAX)
    if first.lstrip().startswith("{"):
        return _json_lines(itertools.chain([first], _bounded(file)))
    return _csv_lines(first, file, name)


def _bounded(file: TextIO) -> Iterator[str]:
    while line := file.readline(LINE_CHARS_MAX):
        yield line


def _json_lines(lines: Iterator[str]) -> Iterator[Line]:
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            values = json.loads(text)
            wrong = None if isinstance(values, dict) else _unreadable("not a JSON object")
        except (ValueError, RecursionError):
            values, wrong = {}, _unreadable("not a JSON object")
        yield Line(number, values if wrong is None else {"text": text[:200]}, wrong)


def _csv_lines(first: str, file: TextIO, name: str) -> Iterator[Line]:
    header = [part.strip() for part in next(csv.reader([first]), [])] if "\0" not in first else []
    missing = _NEEDED - set(header)
    if missing:
        raise Misconfigured(
            f"{name}: the first line must name the columns; missing: {', '.join(sorted(missing))}. "
            f"Known columns: {', '.join(COLUMNS)}"
        )
    for number, text in enumerate(_bounded(file), start=2):
        if not text.strip():
            continue
        try:
            parts = next(csv.reader([text], strict=True))
        except (csv.Error, StopIteration):
            yield Line(number, {"text": text[:200]}, _unreadable("not a row of CSV"))
            continue
        if len(parts) != len(header):
            wrong = _unreadable(f"{len(parts)} values where the header names {len(header)}")
            yield Line(number, {"text": text[:200]}, wrong)
            continue
        yield Line(number, dict(zip(header, parts, strict=True)))


def _unreadable(why: str) -> Refused:
    return Refused("unreadable", why)


def _import(
    central: Central, portion: Sequence[Line], result: Imported, refusals: _Refusals
) -> None:
    with central.write() as work:
        known = _known(work, portion)
        products = catalogue.products(work)
        drafts: list[Draft] = []
        for line in portion:
            order = line.wrong or read_order(central, line.values)
            if isinstance(order, Refused):
                refusals.add(line, order)
                continue
            assert order.external is not None
            if known.get(order.external) == order.fingerprint:
                result.repeated += 1
                continue
            draft = _fresh(central, work, order, products, known)
            if isinstance(draft, Refused):
                refusals.add(line, draft)
                continue
            known[order.external] = order.fingerprint
            drafts.append(draft)
        if drafts:
            _store(central, work, drafts)
        result.imported += len(drafts)


def _store(central: Central, work: Work, drafts: Sequence[Draft]) -> None:
    drawn = issuing.draw(central, work, [draft.order.shares for draft in drafts])
    new = [
        New(draft, issuing.compose(central, draft, one, work.now), one.codes)
        for draft, one in zip(drafts, drawn, strict=True)
    ]
    issuing.insert(work, new)
    sealing.enqueue(work, [one.voucher for one in new])
    named = [(one.voucher, one.draft.order.id_card) for one in new]
    cards.enqueue(work, [(voucher, md5) for voucher, md5 in named if md5 is not None])


def _fresh(
    central: Central,
    work: Work,
    order: NewOrder,
    products: dict[int, catalogue.Product],
    known: Mapping[str, str | None],
) -> Draft | Refused:
    if order.external in known:
        return Refused("order_differs", "this order id was imported before with other values")
    return issuing.examine(central, work, order, products)


def _known(work: Work, portion: Sequence[Line]) -> dict[str, str | None]:
    """The fingerprints of the orders of a portion that are here already."""
    table = schema.orders
    read = [texts.read_name(str(line.values.get("order", "")), "order") for line in portion]
    names = {name for name in read if isinstance(name, str)}
    found: dict[str, str | None] = {}
    for part in ledger.parts(sorted(names)):
        rows = work.connection.execute(
            select(table.c.external, table.c.fingerprint).where(
                table.c.merchant == work.merchant, table.c.external.in_(part)
            )
        )
        found |= {row.external: row.fingerprint for row in rows}
    return found


def read_order(central: Central, values: Mapping[str, object]) -> NewOrder | Refused:
    """An order from the values of a row."""
    strange = sorted(set(values) - set(COLUMNS))
    if strange:
        return Refused("unknown_column", f"unknown column {strange[0][:40]!r}")
    texts_ = {name: str(value).strip() for name, value in values.items() if value not in (None, "")}
    for name in sorted(_NEEDED - set(texts_)):
        return Refused("missing", f"{name} is missing")
    numbers: dict[str, int] = {}
    for name in ("product", "shares", "paid_fen", "home", "used"):
        if name in texts_:
            text = texts_[name]
            if not (text.isascii() and text.isdigit() and len(text) <= 15):
                return Refused("bad_number", f"{name} must be a whole number, not {text[:20]!r}")
            numbers[name] = int(text)
    external = texts.read_name(texts_["order"], "order")
    if isinstance(external, Refused):
        return external
    window = _window(central, texts_)
    if isinstance(window, Refused):
        return window
    card = texts.read_card(texts_[_CARD]) if _CARD in texts_ else None
    if isinstance(card, Refused):
        return card
    return NewOrder(
        product=numbers["product"],
        mobile=texts_["phone"],
        shares=numbers.get("shares", 1),
        home=numbers.get("home"),
        external=external,
        paid_fen=numbers.get("paid_fen"),
        valid_from=window[0],
        valid_until=window[1],
        used_before=numbers.get("used", 0),
        origin="import",
        fingerprint=_fingerprint(texts_),
        id_card=card,
    )


def _window(central: Central, values: Mapping[str, str]) -> tuple[int | None, int | None] | Refused:
    """The validity of a row: both days inclusive, in the merchant's time zone (decision 8)."""
    found: list[int | None] = []
    for name, later in (("valid_from", 0), ("valid_until", 1)):
        text = values.get(name)
        if text is None:
            found.append(None)
            continue
        day = texts.read_day(text)
        if isinstance(day, Refused):
            return Refused(day.reason, f"{name}: {day.message}")
        found.append(times.day_start(day + timedelta(days=later), central.zone))
    return found[0], found[1]


def _fingerprint(values: Mapping[str, str]) -> str:
    """What makes two rows of one order id the same row. No phone can be read back from it.

    Of an ID number it holds only that there was one: whoever knows the rest of an order could find
    the number by trying.
    """
    told = {name: _WITHHELD if name == _CARD else value for name, value in values.items()}
    text = json.dumps(sorted(told.items()))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
