"""Snapshots for terminals that ask: which one is offered, while another one is being built."""

import contextlib
import resource
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from central import bench_snapshot, reports, restoring, schema, snapshot
from central.errors import OutOfService
from central.service import Central
from central.snapshot import Built, Offers
from sync import signing
from tests.central import till as tills
from tests.central.conftest import Pair, issue
from tests.central.till import Till
from vouchers.replica_form import REPLICA_SCHEMA


def offered(offers: Offers) -> Built:
    found = offers.offer()
    assert found is not None
    return found


def held_back(central: Central) -> tuple[Central, threading.Event]:
    """The same service, which reads no new moment before the event."""
    may_build = threading.Event()

    def clock() -> int:
        if threading.current_thread().name == "snapshot":
            assert may_build.wait(10)
        return central.clock()

    return replace(central, clock=clock), may_build


def test_the_older_one_is_offered_while_a_new_one_is_built(central: Central) -> None:
    """Nobody waits for a build where the feed still leads on from the file there is."""
    issue(central)
    old = snapshot.current(central)
    for _ in range(3):
        issue(central)
    slow, may_build = held_back(central)
    offers = Offers(slow)
    assert [offered(offers).sha256 for _ in range(3)] == [old.sha256] * 3
    assert [t.name for t in threading.enumerate()].count("snapshot") == 1
    may_build.set()
    builder = next((t for t in threading.enumerate() if t.name == "snapshot"), None)
    if builder is not None:
        builder.join(10)
    new = offered(offers)
    assert new.sha256 != old.sha256 and new.rows == 8


def test_the_first_one_is_waited_for_not_for_ever(central: Central) -> None:
    slow, may_build = held_back(central)
    offers = Offers(slow)
    assert offers.offer(wait_s=0.01) is None
    may_build.set()
    assert offered(offers).size > 0


def test_a_file_that_the_feed_does_not_lead_on_from_is_not_offered(central: Central) -> None:
    """After a restore, and once tombstones behind it are gone."""
    for _ in range(20):
        issue(central)
    offers, first = Offers(central), snapshot.current(central)
    assert offered(offers).sha256 == first.sha256
    restoring.renew(central)
    second = offered(offers)
    assert second.sha256 != first.sha256
    issue(central)
    table = schema.feed_heads
    with central.write() as work:
        head = work.connection.execute(table.select().where(table.c.bucket == 1)).one()
        work.connection.execute(table.update().where(table.c.bucket == 1).values(floor=head.seq))
    assert offered(offers).sha256 != second.sha256


def test_a_file_of_an_earlier_program_is_not_offered(central: Central) -> None:
    """Terminals of this one do not read it; it goes when there are newer ones."""
    issue(central)
    old = snapshot.current(central)
    about = central.spool / f"{old.sha256}.json"
    about.write_text(about.read_text().replace(f'"schema":{REPLICA_SCHEMA}', '"other":1'))
    issue(central)
    new = offered(Offers(central))
    assert new.sha256 != old.sha256 and new.schema == REPLICA_SCHEMA


def test_a_disk_that_takes_no_snapshot_is_an_outage(central: Central, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    offers = Offers(replace(central, spool=in_the_way))
    with pytest.raises(OutOfService, match="cannot be written"):
        offers.offer()


def test_a_disk_that_fills_up_leaves_no_draft(central: Central) -> None:
    """No file may be longer than 20 kB: SQLite is told so by the system, in the middle."""
    issue(central)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OutOfService, match="cannot be written"):
            snapshot.current(central)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(central.spool.iterdir()) == []
    assert snapshot.current(central).rows == 2


def test_more_rows_than_are_held_at_once(central: Central) -> None:
    """Every row of the ledger stands in the file once; a portion at a time is read."""
    bench_snapshot.fill(central, 0, 2_600)
    built = snapshot.current(central)
    path = snapshot.file_of(central, built.sha256)
    assert path is not None and built.rows == 7_800
    with contextlib.closing(sqlite3.connect(path)) as file:
        rows = file.execute("SELECT k, record, voucher FROM sealed").fetchall()
        states = file.execute("SELECT voucher, valid_until FROM state").fetchall()
    table, vouchers = schema.sealed.c, schema.vouchers.c
    with central.read() as work:
        sealed = work.connection.execute(select(table.k, table.record, table.voucher)).all()
        known = work.connection.execute(select(vouchers.voucher, vouchers.valid_until)).all()
    assert rows == sorted(map(tuple, sealed)) and states == sorted(map(tuple, known))


def fetch(till: Till, target: str, **more: str) -> httpx.Response:
    headers = {"Host": till.url.removeprefix("http://")}
    message = signing.Message("GET", headers["Host"], target, headers, b"")
    signer = signing.Signer(signing.key_id(till.posid, 1), till.key)
    nonce = f"nonce-{tills.now_ms()}-{len(more)}"
    signing.sign(message, signer, created_s=tills.now_ms() // 1000, nonce=nonce)
    return httpx.get(till.url + target, headers=headers | more)


def test_a_range_of_another_file_is_the_whole_file(central: Central, pair: Pair) -> None:
    """RFC 9110: If-Range with the file's own tag continues it, with another one begins anew."""
    till = pair("POS1")
    built = snapshot.current(central)
    target, part = f"/v1/snapshots/{built.sha256}", {"Range": "bytes=100-199"}
    whole = fetch(till, target)
    mine = fetch(till, target, **part, **{"If-Range": f'"{built.sha256}"'})
    other = fetch(till, target, **part, **{"If-Range": '"0000"', "X": "2"})
    assert (mine.status_code, mine.content) == (206, whole.content[100:200])
    assert (other.status_code, len(other.content)) == (200, built.size)
    assert whole.headers["etag"] == f'"{built.sha256}"'


def test_a_replica_that_differs_is_an_alarm(central: Central, pair: Pair) -> None:
    """The terminal names the place and starts anew; a person hears of it, once an hour."""
    till = pair("POS1")
    for _ in range(2):
        till.http.manifest("1:1.abc.7")
    assert till.http.manifest("nonsense").size > 0
    with central.read() as work:
        (alarm,) = reports.alarms(work)
    assert (alarm["kind"], alarm["posid"]) == ("differs", "POS1")
    assert "1:1.abc.7" in str(alarm["detail"])
