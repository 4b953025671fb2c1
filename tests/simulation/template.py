"""A merchant made ready once per process: worlds begin as copies of its files.

Responsible for: a central with two outlets, two products and some vouchers, and four enrolled
terminals that have pulled them, all through the product's own doors. Not responsible for: what a
world does with them. The keys come from a fixed seed, so that a world is the same in every process.
"""

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from central import catalogue, issuing, setup
from central import enrol as desk
from central.catalogue import NewProduct, Product
from central.enrol import Pairing
from central.issuing import Issued, NewOrder
from central.service import Central
from terminal.enrol import Enrolled, enrol
from tests.simulation.network import Network, Weather, Wire, watch
from tests.simulation.seams import TillClock, Time, paired_by, seams
from tests.simulation.service import Caller, Service
from tests.simulation.till import Till

TILLS: Final = {"T1": 1, "T2": 1, "T3": 2, "T4": 2}
"""POSIDs and their outlets."""

OFFLINE_TOO, ONLINE_ONLY = 1, 2
"""Products, both good at both outlets; the second never without central's word."""

MOBILES: Final = ("13800001111", "13800002222", "13900003333")

PRICE_FEN: Final = {OFFLINE_TOO: 3333, ONLINE_ONLY: 100}


@dataclass(frozen=True)
class Ready:
    """A voucher that was sold before the world begins; every terminal has pulled it."""

    order: NewOrder
    issued: Issued


@dataclass(frozen=True)
class Template:
    """The files, and the one engine that all worlds of this process share."""

    root: Path
    central: Central
    sold: tuple[Ready, ...]

    @property
    def database(self) -> Path:
        """Where the central of the world that runs now lies."""
        return self.root / "central.db"

    def lay_out(
        self, world: Path, posids: Iterable[str], rng: random.Random, time: Time
    ) -> Central:
        """Put fresh copies in place and answer the world's central."""
        self.central.database.close()
        shutil.copyfile(self.root / "ready" / "central.db", self.database)
        shutil.rmtree(world, ignore_errors=True)
        for posid in posids:
            shutil.copytree(self.root / "ready" / posid, world / posid)
        return replace(self.central, clock=time.read, random=rng.randbytes, spool=world / "spool")

    def back_up_central(self, to: Path) -> None:
        """Copy central's database while it runs, as `.backup` of SQLite's shell does."""
        with (
            contextlib.closing(sqlite3.connect(self.database)) as running,
            contextlib.closing(sqlite3.connect(to)) as copy,
        ):
            running.backup(copy)

    def put_central_back(self, saved: Path) -> None:
        """Put a copy in the place of central's database; no request may be under way."""
        self.central.database.close()
        for end in ("-wal", "-shm"):
            self.database.with_name(self.database.name + end).unlink(missing_ok=True)
        shutil.copyfile(saved, self.database)


def pair(till: Till, central: Central) -> Enrolled:
    """Pair a terminal, or pair it anew, as its installer does."""
    made = desk.make_code(central, till.outlet, till.posid)
    assert isinstance(made, Pairing), made
    wire = Wire(till.network, till.name, Caller(till.posid, 0), lambda: True)
    with paired_by(lambda _terms, _signer: wire):
        return enrol(
            till.data, "http://127.0.0.1", made.code, key_source="file", insecure_http=True
        )


def make(root: Path) -> Template:
    """Make everything below `root`, an empty directory."""
    rng, time = random.Random(0), Time()
    with seams(rng, time):
        central = _central(root, rng, time)
        sold = tuple(_sell(central, order) for order in _orders())
        network = Network(Service(central), rng, Weather())
        for posid, outlet in TILLS.items():
            till = Till(posid, posid, outlet, root / "ready" / posid, TillClock(time), network)
            pair(till, central)
            till.start(rng.randbytes(10))
            result = till.round()
            assert result.error is None, result
            till.end()
        central.database.close()
        shutil.copyfile(root / "central.db", root / "ready" / "central.db")
    watch(central.database.engine)
    return Template(root, central, sold)


def _orders() -> Iterator[NewOrder]:
    """Every home with one to four shares, and some that nobody redeems alone."""
    for home in (1, 1, 2, None):
        for shares in (1, 2, 3, 4):
            yield NewOrder(product=OFFLINE_TOO, mobile=MOBILES[0], shares=shares, home=home)
    for shares in (1, 3):
        yield NewOrder(product=ONLINE_ONLY, mobile=MOBILES[0], shares=shares)


def _sell(central: Central, order: NewOrder) -> Ready:
    issued = issuing.issue(central, order)
    assert isinstance(issued, Issued), issued
    return Ready(order, issued)


def _central(root: Path, rng: random.Random, time: Time) -> Central:
    merchant = setup.NewMerchant("模拟 Simulated", "Asia/Shanghai", "light")
    made = setup.init(f"sqlite:///{root}/central.db", merchant, rng.randbytes)
    assert isinstance(made, Central), made
    central = replace(made, clock=time.read, random=rng.randbytes, spool=root / "spool")
    for name in ("East", "West"):
        catalogue.add_outlet(central, name)
    for product in (
        NewProduct("Bread", PRICE_FEN[OFFLINE_TOO], (1, 2), auto_refund=True),
        NewProduct("Ticket", PRICE_FEN[ONLINE_ONLY], (1, 2), online_only=True),
    ):
        assert isinstance(catalogue.add_product(central, product), Product)
    return central
