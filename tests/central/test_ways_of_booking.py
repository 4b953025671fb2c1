"""Booking without locks and booking with them come to the same, on every engine, in any company.

Goal: whatever arrives, the ledger does not show which way it went: contested or not, alone or in a
group, PostgreSQL or SQLite. Method: the same random history into two databases, by two ways, and
every table compared after every step. Out of scope: transactions at the same time (`test_races`).
"""

import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs
from sqlalchemy import select, update

from central import (
    bench_ground,
    booking,
    catalogue,
    claims,
    ingest,
    orders,
    schema,
    setup,
    verdicts,
)
from central.arriving import Upload
from central.catalogue import NewProduct
from central.ingest import Held
from central.issuing import Issued
from central.service import Central
from tests.central.conftest import issue
from vouchers import entries, ids, times
from vouchers.entries import Entry, Kind, Totals

NOW = 1_800_000_000_000
DAY = times.DAY_MS
TABLES = (
    "entries",
    "branches",
    "decisions",
    "bookings",
    "vouchers",
    "streams",
    "counters",
    "feed",
    "feed_heads",
    "claims",
    "sealing",
    "alarms",
    "refunds",
)
Step = Callable[[Central], object]
Pair = tuple[Central, Central]


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@dataclass
class Counter:
    """A terminal as its journal: writes what no real one would, too."""

    posid: str
    outlet: int
    key: Ed25519PrivateKey
    bodies: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    sent: int = 0
    undone: dict[str, object] | None = None

    def add(self, at: int, kind: Kind, data: dict[str, object], **changes: Any) -> None:
        seq = len(self.bodies) + 1
        data = {"serial": ids.serial(self.posid, 1, seq)} | data
        self.totals = self.totals.after(kind, data)
        entry = Entry(
            1, self.posid, 1, seq, self.heads[-1], at, "boot", seq, "ok", "li", "os", None,
            kind, data, self.totals,
        )  # fmt: skip
        self.put(entries.compose(structs.replace(entry, **changes)))

    def put(self, body: str) -> None:
        self.bodies.append(body)
        self.heads.append(entries.entry_hash(body))

    def upload(self, first: int, *, forged: bool = False) -> Upload:
        self.sent = len(self.bodies)
        sig = bytes(64) if forged else entries.sign_entry(self.bodies[-1], self.key)
        return Upload(
            self.posid, 1, first, self.heads[first - 1], self.bodies[first - 1 :], {self.sent: sig}
        )


@dataclass
class World:
    """One history, to be told to several services."""

    rng: random.Random
    clock: Clock
    counters: list[Counter]
    vouchers: list[Issued] = field(default_factory=list)
    claims: list[str] = field(default_factory=list)

    def fill(self, counter: Counter) -> None:
        rng = self.rng
        if counter.undone is not None:
            counter.add(self.clock.now, Kind.REDEEMED, self.redemption() | counter.undone)
            counter.undone = None
        for _ in range(rng.randint(1, 9)):
            what = rng.random()
            if what < 0.75:
                counter.add(self.moment(), Kind.REDEEMED, self.redemption(), **self.changes())
            elif what < 0.9:
                counter.add(self.moment(), Kind.REVERSED, self.reversal(counter))
            elif what < 0.96:
                counter.add(self.clock.now, Kind.STARTED, {"note": "ö€🎉"})
            else:
                counter.put('{"kind":"redeemed","not":"ours"}')
        if rng.random() < 0.3:
            # What the next batch begins with is undone before it has arrived.
            counter.undone = {"voucher": rng.choice(self.vouchers).voucher, "shares": 1}
            due = ids.serial(counter.posid, 1, len(counter.bodies) + 2)
            undo = self.reversal(counter) | counter.undone | {"reverses": due}
            counter.add(self.clock.now, Kind.REVERSED, undo)

    def moment(self) -> int:
        edges = (-40 * DAY, -DAY, 20 * DAY, 20 * DAY + 300_000)
        return self.clock.now + (self.rng.choice(edges) if self.rng.random() < 0.2 else 0)

    def changes(self) -> dict[str, Any]:
        odd = self.rng.random()
        if odd < 0.05:
            return {"clock": "suspect", "clerk": "l\0i" * 40}
        return {"totals": Totals(99)} if odd < 0.07 else {}

    def redemption(self) -> dict[str, object]:
        rng = self.rng
        voucher = rng.choice(self.vouchers).voucher
        left = rng.randint(0, 3)
        return {
            "request": None,
            "claim": rng.choice(self.claims) if self.claims and rng.random() < 0.2 else None,
            "voucher": voucher if rng.random() < 0.95 else ids.uuid7(NOW, bytes(10)),
            "generation": rng.randint(0, 4),
            "shares": rng.choice((1, 1, 1, 2, 3)),
            "left": left,
            "successor": left > 0 and rng.random() < 0.8,
            "credential": rng.choice(entries.CREDENTIALS),
            "evidence": rng.choice(entries.EVIDENCES),
            "mode": rng.choice(entries.MODES),
            "product": 1,
            "amount_fen": rng.randint(0, 999),
            "replica_version": None,
        }

    def reversal(self, counter: Counter) -> dict[str, object]:
        rng = self.rng
        of = rng.choice(self.counters) if rng.random() < 0.2 else counter
        seq = rng.randint(1, len(of.bodies) + 3)
        voucher = rng.choice(self.vouchers).voucher
        shares = 1
        if rng.random() < 0.8 and seq <= len(of.bodies) and '"redeemed"' in of.bodies[seq - 1]:
            voucher, shares = _redeemed(of.bodies[seq - 1], voucher)
        return {
            "reverses": ids.serial(of.posid, 1, seq),
            "voucher": voucher,
            "generation": rng.randint(0, 4),
            "shares": shares,
            "left": 1,
            "amount_fen": rng.randint(0, 999),
            "reason_code": "mistake",
        }

    def plain_uploads(self) -> list[Upload]:
        """A few counters send what nobody contests, as most batches are."""
        for counter in self.counters:
            for _ in range(self.rng.randint(1, 3)):
                plain = {
                    "shares": 1,
                    "claim": None,
                    "voucher": self.rng.choice(self.vouchers).voucher,
                }
                counter.add(self.clock.now, Kind.REDEEMED, self.redemption() | plain)
        return [counter.upload(counter.sent + 1) for counter in self.counters]

    def uploads(self) -> list[Upload]:
        """A few counters send, each from where it stopped, from before, or from too far."""
        rng, found = self.rng, list[Upload]()
        for counter in rng.sample(self.counters, rng.randint(1, len(self.counters))):
            if rng.random() < 0.9 or not counter.bodies:
                self.fill(counter)
            first = counter.sent + 1 if rng.random() < 0.8 else rng.randint(1, counter.sent + 1)
            first = min(first, len(counter.bodies))
            found.append(counter.upload(first, forged=rng.random() < 0.04))
            if rng.random() < 0.04:
                found[-1] = dataclasses.replace(found[-1], first=found[-1].first + 2)
                counter.sent = 0
            elif rng.random() < 0.02:
                found[-1] = dataclasses.replace(found[-1], prev="0" * 64)
        return found

    def office(self) -> Step:
        """Something that head office does in between."""
        rng = self.rng
        order = rng.choice(self.vouchers).order
        serial = ids.serial(rng.choice(self.counters).posid, 1, rng.randint(1, 20))
        return rng.choice(
            (
                lambda central: orders.pay_refund(central, order),
                lambda central: orders.request_refund(central, order),
                lambda central: orders.withdraw_refund(central, order),
                lambda central: orders.extend(central, order, date(2027, 4, 1)),
                lambda central: verdicts.settle(central, serial, "loss"),
                lambda central: _close_statement(central, serial),
            )
        )


def _redeemed(body: str, otherwise: str) -> tuple[str, int]:
    try:
        found = entries.read_redemption(entries.read_entry(body))
    except entries.EntryError:
        return otherwise, 1
    return found.voucher, found.shares


def _close_statement(central: Central, serial: str) -> None:
    """Payout statements are still to come; their one trace here is this column."""
    table = schema.bookings
    with central.write() as work:
        reversed_ = select(table.c.reverses).where(table.c.reverses.is_not(None))
        work.connection.execute(
            update(table)
            .where(table.c.serial == serial, table.c.serial.not_in(reversed_))
            .values(statement=1)
        )


def make(url: str, clock: Clock, counters: Sequence[Counter]) -> Central:
    """A service of which everything follows from the history it is told."""
    noise = random.Random(7)
    made = setup.init(url, setup.NewMerchant("same", "Asia/Shanghai", "light"), noise.randbytes)
    assert isinstance(made, Central)
    made = dataclasses.replace(made, clock=clock, random=noise.randbytes)
    for name in ("East", "West", "North"):
        catalogue.add_outlet(made, name)
    catalogue.add_product(made, NewProduct("Bread", 5000, (1, 2)))
    catalogue.add_product(made, NewProduct("Tea", 5000, (1, 2, 3)))
    for counter in counters:
        public = counter.key.public_key().public_bytes_raw()
        bench_ground.open_stream(made, counter.posid, counter.outlet, public, counter.heads[0])
    return made


def a_world(rng: random.Random) -> World:
    counters = []
    for n in range(3):
        key = Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)
        counters.append(Counter(f"POS{n}", n + 1, key, heads=[f"{n}" * 64]))
    return World(rng, Clock(), counters)


def issue_to(world: World, *services: Central, plain: bool = False) -> None:
    rng = world.rng
    world.vouchers.clear()
    for n in range(7):
        shares = 12 if plain else rng.randint(1, 9)
        used = 0 if plain else min(rng.choice((0, 0, 2)), shares - 1)
        order: dict[str, object] = {
            "product": 2 if plain else rng.choice((1, 2)),
            "shares": shares,
            "home": rng.choice((None, 1, 2)),
            "paid_fen": None if plain else rng.choice((None, 1_000, 10_007)),
            "used_before": used,
            "generation_before": used,
            "valid_from": world.clock.now - 30 * DAY,
            "valid_until": world.clock.now + 20 * DAY,
        }
        issued = [issue(central, **order) for central in services]
        assert len({one.voucher for one in issued}) == 1, n
        world.vouchers.append(issued[0])


def grant_to(world: World, *services: Central) -> None:
    """Claims of two counters, put there as they are when they have been granted."""
    for counter in world.counters[:2]:
        voucher = world.rng.choice(world.vouchers).voucher
        claim = ids.uuid7(world.clock.now, world.rng.randbytes(10))
        world.claims.append(claim)
        for central in services:
            with central.write() as work:
                work.connection.execute(
                    schema.claims.insert().values(
                        merchant=1,
                        claim=claim,
                        posid=counter.posid,
                        epoch=1,
                        voucher=voucher,
                        generation=0,
                        shares=1,
                        state=claims.GRANTED,
                        head_seq=0,
                        granted_at=work.now,
                        expires_at=work.now + 1_000,
                    )
                )


def rows(central: Central, name: str, *, but: Sequence[str] = ()) -> list[dict[str, Any]]:
    table = schema.METADATA.tables[name]
    with central.read() as work:
        found = work.connection.execute(select(table).order_by(*table.primary_key))
        return [{k: v for k, v in row._mapping.items() if k not in but} for row in found]


@pytest.fixture
def pair(database_url: str, tmp_path: Path, rng: random.Random) -> Iterator[tuple[World, Pair]]:
    """A history, and two services to tell it to: one of the engine, and one of SQLite."""
    world = a_world(rng)
    urls = (database_url, f"sqlite:///{tmp_path}/other.db")
    services = [make(url, world.clock, world.counters) for url in urls]
    yield world, (services[0], services[1])
    for central in services:
        central.database.close()


@pytest.mark.parametrize("part", range(4))
def test_hope_changes_nothing(pair: tuple[World, Pair], part: int) -> None:
    """Contested or not: the same rows in every table, to the last number."""
    world, (hopeful, careful) = pair
    hoped = 0
    for turn in range(6):
        if turn % 4 == 0:
            issue_to(world, hopeful, careful, plain=True)
            send_plain(world, hopeful, careful)
        begin_turn(world, turn, hopeful, careful)
        uploads = world.uploads()
        answers = ingest.take(hopeful, uploads, hopeful=True)
        assert answers == ingest.take(careful, uploads, hopeful=False)
        hoped += sum(len(answer.booked) for answer in answers if isinstance(answer, Held))
        for name in TABLES:
            assert rows(hopeful, name) == rows(careful, name), (turn, name)
        # Everything judged again from the stored entries alone: nothing was left out by hope.
        with hopeful.write() as work:
            booking.rebook(work, {row["voucher"] for row in rows(hopeful, "bookings")})
        for name in TABLES:
            assert rows(hopeful, name) == rows(careful, name), (turn, name)
    assert hoped > 0


def send_plain(world: World, hopeful: Central, careful: Central) -> None:
    """Batches that are booked without a lock when there is hope."""
    for _ in range(2):
        uploads = world.plain_uploads()
        answers = ingest.take(hopeful, uploads, hopeful=True)
        assert answers == ingest.take(careful, uploads, hopeful=False)
        if all(upload.first == 1 for upload in uploads):
            held = [answer for answer in answers if isinstance(answer, Held)]
            assert {row.verdict for answer in held for row in answer.booked} == {"accepted"}
        for name in TABLES:
            assert rows(hopeful, name) == rows(careful, name), name


@pytest.mark.parametrize("part", range(2))
def test_company_changes_nothing(pair: tuple[World, Pair], part: int) -> None:
    """Batches that share a transaction are judged as if each had come alone.

    Only what counts transactions differs: versions, numbers of the feed and of verdicts, and that
    generations which come and go within one are not sealed.
    """
    world, (together, alone) = pair
    counted = {
        "bookings": ("verdict_seq",),
        "vouchers": ("version",),
        "alarms": ("alarm",),
        "refunds": ("refund",),
    }
    for turn in range(6):
        begin_turn(world, turn, together, alone)
        uploads = world.uploads()
        answers = ingest.take(together, uploads, hopeful=True)
        apart = [ingest.take(alone, [one], hopeful=True)[0] for one in uploads]
        assert [without_numbers(one) for one in answers] == [without_numbers(one) for one in apart]
        for name in TABLES:
            if name not in ("counters", "feed", "feed_heads", "sealing"):
                but = counted.get(name, ())
                assert rows(together, name, but=but) == rows(alone, name, but=but), (turn, name)


def begin_turn(world: World, turn: int, *services: Central) -> None:
    """Now and then new vouchers and claims; otherwise head office has done something."""
    world.clock.now += 60_000
    if turn % 4 == 0:
        issue_to(world, *services)
        grant_to(world, *services)
    for _ in range(3):
        step = world.office()
        first, second = (step(central) for central in services)
        assert type(first) is type(second)


def without_numbers(answer: ingest.Taken) -> object:
    if not isinstance(answer, Held):
        return answer
    # A voucher moved by another's entry names its bucket here, too; that is only told earlier.
    return (answer.up_to, answer.head, answer.added, len(answer.booked))
