"""A COMMIT of the service that raises has an unknown outcome: no till is told more than is true.

Nobody hears an acknowledgement or a grant of something that is not stored; what a till sends again
is booked once, whichever way it went; and the service goes on by itself, without a restart.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, select

from central import cli, schema
from central.service import Central, open_central
from sync.errors import SyncError
from sync.messages import ClaimRequest
from tests.central.conftest import Pair, issue, served
from tests.central.faulty_store import (
    DISK_FAULTS,
    LINE_FAULTS,
    FaultyDisk,
    FaultyServer,
    faulty_disk,
    faulty_server,
)
from tests.central.till import Till
from vouchers import ids

Store = FaultyDisk | FaultyServer


@pytest.fixture
def store(engine: str, request: pytest.FixtureRequest) -> Iterator[Store]:
    """What the database lies on, with faults on demand."""
    if engine == "sqlite":
        with faulty_disk() as disk:
            yield disk
    else:
        with faulty_server(request.getfixturevalue("server")) as line:
            yield line


@pytest.fixture
def database_url(database_url: str, store: Store) -> str:
    """The database, by way of it."""
    return database_url if isinstance(store, FaultyDisk) else store.url(database_url)


@pytest.fixture(params=range(4))
def how(request: pytest.FixtureRequest, engine: str) -> str:
    """A fault that this engine can have."""
    faults = tuple(DISK_FAULTS) if engine == "sqlite" else LINE_FAULTS
    return faults[request.param]


def held(central: Central, till: Till) -> int:
    """Entries of a till that are stored."""
    table = schema.entries
    with central.read() as work:
        rows = work.connection.execute(
            select(table.c.body).where(table.c.posid == till.posid).order_by(table.c.seq)
        )
        stored = [bytes(row.body).decode() for row in rows]
    assert stored == till.bodies[: len(stored)]
    return len(stored)


def check(central: Central, *tills: Till) -> None:
    """Everything is stored and booked once, and accepted; the shares say the same."""
    for till in tills:
        assert held(central, till) == len(till.bodies)
    with central.read() as work:
        verdicts = work.connection.execute(select(schema.bookings.c.verdict)).scalars().all()
        used = work.connection.execute(select(schema.vouchers.c.used)).scalars().all()
    assert set(verdicts) == {"accepted"} and set(used) <= {0, 1}
    assert len(verdicts) == sum(used) == sum(len(till.bodies) for till in tills)


@pytest.mark.parametrize("count", [1, 30], ids=["grouped", "batch"])
def test_an_upload(central: Central, pair: Pair, store: Store, how: str, count: int) -> None:
    """Refused for now, in words that a till waits at; sent again, it is acknowledged."""
    till = pair("POS1")
    for _ in range(count):
        till.redeem(issue(central))
    store.fail(how)
    with pytest.raises(SyncError) as unknown:
        till.push()
    assert "out_of_service" in str(unknown.value) and store.failed
    store.heal()
    stored = held(central, till)
    assert stored == (count if how in ("after", "waiting") else 0)
    answer = till.push()
    assert len(answer.verdicts) == count
    check(central, till)


def test_uploads_that_share_a_transaction(
    central: Central, pair: Pair, store: Store, how: str
) -> None:
    """None of them hears that it was stored; each is acknowledged once it is."""
    tills = [pair(f"POS{number}") for number in range(1, 7)]
    for till in tills:
        till.redeem(issue(central))
    heard: list[str] = []

    def push(till: Till) -> None:
        try:
            till.push()
        except SyncError as error:
            heard.append(str(error))
        else:
            heard.append("acknowledged")

    store.fail(how)
    together(tills, push)
    assert len(heard) == 6 and "acknowledged" not in heard
    store.heal()
    heard.clear()
    together(tills, push)
    assert heard == ["acknowledged"] * 6
    check(central, *tills)


def together(tills: list[Till], act: object) -> None:
    """All of them at the same time."""
    assert callable(act)
    threads = [threading.Thread(target=act, args=(till,)) for till in tills]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_a_claim(central: Central, pair: Pair, store: Store, how: str) -> None:
    """No grant is heard of a claim that may not be kept; asked again it is one claim, not two."""
    till, other = pair("POS1"), pair("POS2")
    issued = issue(central)
    asked = ClaimRequest(
        claim=ids.uuid7(till.clock(), bytes(10)),
        row_key=till.row_key(issued.code, issued.last4),
        voucher=issued.voucher,
        generation=0,
        shares=1,
    )
    store.fail(how)
    with pytest.raises(SyncError):
        till.http.claim(asked, budget_ms=20_000)
    store.heal()
    assert till.http.claim(asked, budget_ms=20_000).granted
    rival = ClaimRequest(
        claim=ids.uuid7(other.clock(), bytes([1] * 10)),
        row_key=asked.row_key,
        voucher=issued.voucher,
        generation=0,
        shares=1,
    )
    refused = other.http.claim(rival, budget_ms=20_000)
    assert (refused.granted, refused.reason) == (False, "in_progress")
    with central.read() as work:
        assert len(work.connection.execute(select(schema.claims)).all()) == 1


def test_a_command(
    central: Central, store: Store, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever typed it hears that it may have been done; by the order's own id it is safe."""
    command = ["issue", "--product", "1", "--phone", "13800001234", "--order-ref", "A-1"]
    where = ["--database", central.database.url, "--json"]
    store.fail(how)
    assert cli.main([*command, *where]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["reason"]) == (False, "outcome_unknown")
    assert "look before you do it again" in told["message"]
    store.heal()
    assert cli.main([*command, *where]) == (1 if how in ("after", "waiting") else 0)
    with central.read() as work:
        assert len(work.connection.execute(select(schema.orders)).all()) == 1


def test_the_machine_dies_after_it(
    central: Central, pair: Pair, store: Store, tmp_path: Path
) -> None:
    """Then the restart may find what the failed COMMIT had written: it is booked once all the same.

    What a till was told before the failure is there in any case.
    """
    if not isinstance(store, FaultyDisk):
        pytest.skip("what a server finds after its restart is PostgreSQL's own promise")
    database = Path(str(make_url(central.database.url).database))
    found: list[Path] = []

    def die() -> None:
        found.append(tmp_path / f"found{len(found)}")
        found[-1].mkdir()
        for part in (database.name, f"{database.name}-wal"):  # not -shm: it was memory
            shutil.copy(database.with_name(part), found[-1] / part)

    till = pair("POS1")
    till.redeem(issue(central))
    assert len(till.push().verdicts) == 1
    till.redeem(issue(central))
    store.seen = die
    store.fail("sync")
    with pytest.raises(SyncError):
        till.push()
    store.heal()
    assert held(central, till) == 1, "the service itself believes that it failed"
    # A job may have failed as well, before or after: whatever is found, it ends well.
    known = {restarted(till, folder / database.name) for folder in found}
    assert 2 in known and known <= {1, 2}, "what was written counts after a restart"


def restarted(till: Till, path: Path) -> int:
    """Entries that a restart on these files finds; then the till sends again."""
    again = open_central(f"sqlite:///{path}")
    try:
        found = held(again, till)
        with served(again) as url:
            other = till.at(url)
            assert len(other.push().verdicts) == 2
            other.http.close()
        check(again, till)
    finally:
        again.database.close()
    return found
