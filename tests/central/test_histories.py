"""Tills upload through a bad line to a service that is killed; then the books are checked.

Scarce vouchers, batches of any size, connections that are cut there or back, SIGKILL, and a replica
that follows the feed meanwhile. The checker knows only what the tills wrote: nothing may be lost,
doubled or altered, every share counts once, the excess is borne once, and the follower ends at the
books' state. What was cut or took too long is neither yes nor no: both are allowed, once. Three
mutants of the service show that the checker can fail.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as replaced
from sqlalchemy import Connection, select

from central import schema, service
from central.database import Database
from central.service import Central, Work
from sync import acks, signing
from sync.errors import Garbled, SyncError
from sync.transport import HttpCentral
from tests.central import till as tills
from tests.central.conftest import Pair, issue
from tests.central.faulty_line import Change, FaultyLine, cut_after, passed
from tests.central.replicas import Replica
from tests.central.till import Till
from vouchers import booking, ids
from vouchers.booking import Judgement, Use, VoucherFacts

ROOT = Path(__file__).resolve().parents[2]


class Watch:
    """What happens around the tills: nothing, but they give up after so many `tries`."""

    tries = 300

    def acknowledged(self) -> None:
        """A till was told that entries are held."""

    def failed(self) -> None:
        """A till was told nothing."""


class Follower(threading.Thread):
    """A replica that reads on, page by page, while the books change."""

    def __init__(self, central: Central, folder: Path) -> None:
        super().__init__(name="follower", daemon=True)
        self._replica = Replica(central, folder / "follower")
        self._enough = threading.Event()
        self.astray: list[str] = []
        """What central's checkpoints said against what it holds."""

    def run(self) -> None:
        """Small pages, so that it is always in the middle of something."""
        while not self._enough.wait(0.02):
            self._pull(3)

    def _pull(self, limit: int) -> None:
        try:
            self._replica.pull_all(limit)
        except AssertionError as error:
            self.astray.append(f"the follower went astray: {error}")

    def states(self) -> list[tuple[object, ...]]:
        """End, read to the end, and answer voucher, version, used and generation of each."""
        self._enough.set()
        self.join(30)
        self._pull(100)
        rows = self._replica.shown()["state"]
        return sorted((row[0], row[1], row[4], row[3]) for row in rows)


class Sender(threading.Thread):
    """Uploads one till's journal until all of it is acknowledged."""

    def __init__(self, till: Till, url: str, seed: int, watch: Watch) -> None:
        super().__init__(name=till.posid, daemon=True)
        self.till, self._left, self._watch = till, watch.tries, watch
        self._signer = signing.Signer(signing.key_id(till.posid, till.epoch), till.key)
        self._terms = replace(tills.terms(url), answer_s=3.0)
        self._rng, self._acked = random.Random(seed), 0

    @property
    def done(self) -> bool:
        """Whether all was acknowledged."""
        return self._acked == len(self.till.bodies)

    def run(self) -> None:
        """Batches of any size; what is not acknowledged is sent again, alone or with more."""
        while not self.done and self._left > 0:
            self._left -= 1
            last = min(len(self.till.bodies), self._acked + self._rng.randint(1, 7))
            try:
                self._acked = max(self._acked, self._push(last))
            except SyncError:
                self._watch.failed()
            else:
                self._watch.acknowledged()

    def _push(self, last: int) -> int:
        client = HttpCentral(self._terms, self._signer)
        try:
            batch = self.till.batch(self._acked + 1, last)
            answer = client.push(self.till.posid, self.till.epoch, batch)
        finally:
            client.close()
        key = self.till.enrolment.server_keys[0]
        ack = acks.read_ack(
            acks.Signed(answer.ack, answer.kid, answer.sig), {key.kid: ids.unb64u(key.key)}
        )
        if ack.head != self.till.heads[ack.up_to]:
            raise Garbled("an acknowledgement of another journal")
        return ack.up_to


def history(central: Central, made: list[Till], rng: random.Random, count: int) -> None:
    """Write `count` redemptions of scarce vouchers into each till's journal."""
    vouchers = [issue(central, shares=3) for _ in range(max(2, len(made) * count // 6))]
    for till in made:
        for _ in range(count):
            voucher = rng.choice(vouchers)
            shares = rng.randint(1, 2)
            till.redeem(voucher, shares, left=3 - shares)


def bad_line(rng: random.Random) -> tuple[Change, Change]:
    """A quarter of all connections are cut, on the way there or back."""
    if rng.random() < 0.75:
        return passed, passed
    cut = cut_after(rng.randrange(3_000))
    return (cut, passed) if rng.random() < 0.5 else (passed, cut)


def upload_all(
    central: Central,
    made: list[Till],
    line: FaultyLine,
    rng: random.Random,
    watch: Watch,
    folder: Path,
) -> list[str]:
    """Let all tills upload at once; answers what is wrong with the books then, in words."""
    follower = Follower(central, folder)
    senders = [Sender(till, line.url, rng.randrange(2**32), watch) for till in made]
    for thread in (follower, *senders):
        thread.start()
    for sender in senders:
        sender.join(120)
    found = [f"{sender.name} is not done" for sender in senders if not sender.done]
    states = follower.states()
    found += follower.astray[:1]
    with central.read() as work:
        for till in made:
            found += _entries(work, till)
        found += _shares(work, made)
        table = schema.vouchers
        columns = (table.c.voucher, table.c.version, table.c.used, table.c.generation)
        books = sorted(tuple(row) for row in work.connection.execute(select(*columns)))
    if states != books:
        found.append("the follower of the feed is not where the books are")
    return found


def _entries(work: Work, till: Till) -> Iterator[str]:
    table, bookings = schema.entries, schema.bookings
    rows = work.connection.execute(
        select(table.c.body).where(table.c.posid == till.posid).order_by(table.c.seq)
    )
    stored = [bytes(row.body).decode() for row in rows]
    if stored != till.bodies:
        yield f"{till.posid}: {len(stored)} entries stored, {len(till.bodies)} written"
    booked = work.connection.execute(select(bookings.c.seq).where(bookings.c.posid == till.posid))
    if sorted(booked.scalars()) != list(range(1, len(till.bodies) + 1)):
        yield f"{till.posid}: not every redemption is booked once"


def _shares(work: Work, made: list[Till]) -> Iterator[str]:
    written = Counter[str]()
    for till in made:
        for body in till.bodies:
            data = json.loads(body)["data"]
            written[data["voucher"]] += data["shares"]
    vouchers, bookings = schema.vouchers, schema.bookings
    for row in work.connection.execute(select(vouchers)):
        if row.used != written[row.voucher]:
            yield f"{row.voucher}: {row.used} used, {written[row.voucher]} written"
        mine = work.connection.execute(
            select(bookings).where(bookings.c.voucher == row.voucher)
        ).all()
        excess = sum(one.excess for one in mine)
        if excess != max(0, written[row.voucher] - row.shares):
            yield f"{row.voucher}: {excess} in excess of {row.shares}"
        if any((one.verdict == "over_redeemed") != (one.excess > 0) for one in mine):
            yield f"{row.voucher}: a verdict without its excess"


class Killed(Watch):
    """A service in a process of its own, killed after so many acknowledgements and started anew."""

    tries = 5_000

    def __init__(self, url: str, every: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._url, self._every = url, every
        self._lock, self._acks, self.kills = threading.Lock(), 0, 0
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hexiao", "central", "serve", "--port", str(self.port)],
            cwd=ROOT,
            env=os.environ | {"HEXIAO_CENTRAL_DATABASE": self._url},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the service did not start"

    def acknowledged(self) -> None:
        """One more; the killing happens in the thread of whoever was acknowledged."""
        with self._lock:
            self._acks += 1
            if self._acks % self._every == 0:
                self._process.send_signal(signal.SIGKILL)
                self._process.wait()
                self.kills += 1
                self._start()

    def failed(self) -> None:
        """Perhaps it is just being started: wait for that."""
        with self._lock:
            pass

    def stop(self) -> None:
        """End it for good."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def through_kills(
    central: Central, made: list[Till], rng: random.Random, folder: Path, *, count: int, every: int
) -> int:
    """One history; answers how often the service was killed."""
    history(central, made, rng, count)
    killed = Killed(central.database.url, every)
    line = FaultyLine(killed.port, drawn=lambda: bad_line(rng))
    try:
        wrong = upload_all(central, made, line, rng, killed, folder)
    finally:
        line.close()
        killed.stop()
    assert not wrong, wrong
    return killed.kills


def test_a_killed_service_and_a_bad_line(
    central: Central, pair: Pair, rng: random.Random, tmp_path: Path
) -> None:
    """Three tills, 12 redemptions each, killed in between."""
    made = [pair(f"POS{n}", 1 + n % 2) for n in range(3)]
    assert through_kills(central, made, rng, tmp_path, count=12, every=6) >= 1


@pytest.mark.soak
@pytest.mark.parametrize("number", range(4))
def test_many_kills(
    central: Central, pair: Pair, rng: random.Random, tmp_path: Path, number: int
) -> None:
    """Eight tills, 1,000 redemptions each, a kill every 200 acknowledgements."""
    made = [pair(f"POS{n}", 1 + n % 2) for n in range(8)]
    assert through_kills(central, made, rng, tmp_path, count=1_000, every=200) >= 5


Plant = Callable[[pytest.MonkeyPatch], None]


def forgets_commits(patch: pytest.MonkeyPatch) -> None:
    """Every other transaction answers as if it were committed, and is not."""
    write, turns = Database.write, itertools.count()

    @contextmanager
    def forgetful(database: Database) -> Iterator[Connection]:
        with write(database) as connection:
            yield connection
            if next(turns) % 2:
                connection.exec_driver_sql("ROLLBACK")

    patch.setattr(Database, "write", forgetful)


def tells_half(patch: pytest.MonkeyPatch) -> None:
    """The feed hears of every other change only."""
    publish, turns = service._publish, itertools.count()

    def half(work: Work) -> None:
        for change in list(work.changes):
            if change.kind == "state" and next(turns) % 2:
                del work.changes[change]
        publish(work)

    patch.setattr(service, "_publish", half)


def bears_nothing(patch: pytest.MonkeyPatch) -> None:
    """Whoever exceeds a voucher is said to have exceeded nothing."""
    judge = booking.book

    def lenient(facts: VoucherFacts, uses: list[Use]) -> booking.Booking:
        booked = judge(facts, uses)
        kept: list[Judgement] = [
            replaced(one, verdict=booking.Verdict.ACCEPTED, excess=0, others=())
            if one.verdict is booking.Verdict.OVER_REDEEMED
            else one
            for one in booked.judgements
        ]
        return replaced(booked, judgements=tuple(kept))

    patch.setattr(booking, "book", lenient)


@pytest.mark.parametrize("plant", [None, forgets_commits, tells_half, bears_nothing])
def test_the_checker_catches_what_is_broken(
    central: Central,
    url: str,
    pair: Pair,
    rng: random.Random,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    plant: Plant | None,
) -> None:
    """Three mutants of the service are caught; the service itself passes in the same way."""
    made = [pair(f"POS{n}", 1 + n % 2) for n in range(2)]
    history(central, made, rng, 15)
    if plant is not None:
        plant(monkeypatch)
    line = FaultyLine(int(url.rpartition(":")[2]), drawn=lambda: bad_line(rng))
    wrong = upload_all(central, made, line, rng, Watch(), tmp_path)
    line.close()
    assert bool(wrong) == (plant is not None), wrong
