"""Central's database put back from a backup, as docs/operations.md says: nothing is booked twice,
what the backup did not have comes again from the tills, and they take a new voucher list.
"""

from __future__ import annotations

import contextlib
import random
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from tests import postgresql
from tests.journeys import world as worlds
from tests.journeys.world import ROOT, Till, Voucher, World


def backup(world: World, to: Path) -> None:
    """A copy of the database of a running service, the way `sqlite3 … .backup` makes it."""
    with (
        contextlib.closing(sqlite3.connect(world.root / "central.db")) as source,
        contextlib.closing(sqlite3.connect(to)) as target,
    ):
        source.backup(target)


def put_back(world: World, copy: Path) -> None:
    """Stop the service and let the copy take the place of its database."""
    world.stop()
    for old in world.root.glob("central.db*"):
        old.unlink()
    copy.rename(world.root / "central.db")


def redeemed(till: Till, voucher: Voucher, shares: int = 1) -> str:
    """Redeem and send; the serial."""
    serial = str(till.redeem(voucher.code, voucher.last4, shares)["serial"])
    assert till.ask("sync")["behind"] == 0
    return serial


def test_what_came_after_the_backup_comes_again(world: World, till: Till, tmp_path: Path) -> None:
    """Two tills, redemptions before and after the backup: each booked once in the end."""
    other = world.tills["T3"]
    world.start()
    first, second, third = world.sell(2, 3, 1)
    for one in (till, other):
        one.ask("sync")
    serials = [redeemed(till, first)]
    backup(world, tmp_path / "copy.db")
    serials += [redeemed(till, second, 2), redeemed(other, third)]
    assert {row["serial"] for row in world.booked()} == set(serials)

    put_back(world, tmp_path / "copy.db")
    assert [row["serial"] for row in world.booked()] == serials[:1]
    assert world.tell("restored")["ok"] is True
    world.start()
    for one in (till, other):
        assert one.ask("sync")["behind"] == 0

    booked = world.booked()
    assert sorted(row["serial"] for row in booked) == sorted(serials)
    assert {row["verdict"] for row in booked} == {"accepted"}
    assert other.refused("redeem", third.code, third.last4) == "used_up"
    assert till.verify() == len(till.run("journal", "list", "--json").rows)
    # And on it goes: the other till knows what the first one redeemed after the backup.
    assert other.refused("redeem", second.code, second.last4) == "replaced"
    assert world.central("alarms").rows == []


def test_a_restore_that_nobody_said_is_noticed(world: World, till: Till, tmp_path: Path) -> None:
    """Without `hexiao central restored`: the next till that speaks proves it, and people are told
    which command is missing. What it redeemed comes again all the same.
    """
    world.start()
    first, second = world.sell(1, 1)
    till.ask("sync")
    backup(world, tmp_path / "copy.db")
    serials = [redeemed(till, one) for one in (first, second)]
    put_back(world, tmp_path / "copy.db")
    world.start()
    assert till.ask("sync")["behind"] == 0
    assert sorted(row["serial"] for row in world.booked()) == sorted(serials)
    listed = world.central("alarms")
    assert {row["kind"] for row in listed.rows} == {"ahead"}
    for done in (listed, world.central("terminals")):
        assert done.status == 0 and "`hexiao central restored`" in done.err
    assert world.tell("restored")["ok"] is True
    assert till.ask("sync")["behind"] == 0
    assert world.central("terminals").err == ""
    assert len(world.central("alarms").rows) == len(listed.rows)


def test_a_till_that_was_paired_since_the_backup(world: World, till: Till, tmp_path: Path) -> None:
    """Paired again as the document says: it gets an epoch that it never had, and goes on; what it
    had redeemed under the epoch that was in the backup comes again.
    """
    world.start()
    first, second, third, fourth = world.sell(1, 1, 1, 1)
    till.ask("sync")
    serials = [redeemed(till, first)]
    backup(world, tmp_path / "copy.db")
    serials.append(redeemed(till, second))
    assert world.enrol("T1")["epoch"] == 2
    lost = redeemed(till, third)
    put_back(world, tmp_path / "copy.db")
    assert world.tell("restored")["ok"] is True
    world.start()
    assert world.enrol("T1")["epoch"] > 2
    serials.append(redeemed(till, fourth))
    assert sorted(row["serial"] for row in world.booked()) == sorted(serials)
    assert lost in [row["data"]["serial"] for row in till.entries()]
    assert world.central("alarms").rows == []
    assert till.verify() == len(till.run("journal", "list", "--json").rows)


def test_a_backup_is_as_secret_as_the_database(world: World, tmp_path: Path) -> None:
    """It holds the keys: whoever has it can make codes, which is why the document says so."""
    backup(world, tmp_path / "copy.db")
    assert (world.root / "central.db").stat().st_mode & 0o077 == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        (count,) = copy.execute("SELECT count(*) FROM keys WHERE length(secret) > 0").fetchone()
    assert count > 0


def as_documented(url: str, folder: Path, *programs: str) -> None:
    """Run the commands of docs/operations.md that begin with one of these programs, as they stand
    there; only the server and the folder are the test's.
    """
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    lines = re.findall(rf"^(?:{'|'.join(programs)}) .*$", text, re.MULTILINE)
    assert [line.split()[0] for line in lines] == list(programs), lines
    for line in lines:
        words = [_here(word, url) for word in line.split()]
        program = str(postgresql.programs() / words[0])
        done = subprocess.run([program, *words[1:]], cwd=folder, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b""), (line, done)


def _here(word: str, server: str) -> str:
    """A word of the document with the database it names on the test's own server."""
    found = re.fullmatch(r"(.*)postgresql://hexiao@db/(\w+)", word)
    return word if found is None else found[1] + postgresql.named(server, found[2])


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A PostgreSQL server."""
    with postgresql.running() as url:
        yield url


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """An empty database under the name that the document uses; `restored` does not exist."""
    postgresql.execute(server, "CREATE DATABASE hexiao")
    yield postgresql.named(server, "hexiao")
    for statement in GONE:
        postgresql.execute(server, statement)


GONE: tuple[LiteralString, ...] = (
    "DROP DATABASE IF EXISTS hexiao WITH (FORCE)",
    "DROP DATABASE IF EXISTS restored WITH (FORCE)",
)


def test_postgresql_is_dumped_lost_and_restored_into_a_new_database(
    tmp_path: Path, rng: random.Random, server: str, database: str
) -> None:
    """pg_dump while the service runs, more redemptions, the database gone: the tills bring back
    what the dump lacked, and what was sold since is named instead of being booked as sound.
    """
    world = worlds.prepare(tmp_path / "world", rng, database)
    with contextlib.closing(world):
        till, other = world.tills["T1"], world.tills["T3"]
        world.start()
        first, second, third = world.sell(2, 3, 1)
        for one in (till, other):
            one.ask("sync")
        serials = [redeemed(till, first)]
        as_documented(server, tmp_path, "pg_dump")
        serials += [redeemed(till, second, 2), redeemed(other, third)]
        (late,) = world.sell(1)
        other.ask("sync")
        unknown = redeemed(other, late)
        assert sorted(row["serial"] for row in world.booked()) == sorted([*serials, unknown])

        world.stop()
        postgresql.execute(server, GONE[0])
        assert world.central("report", "redemptions").status == 3
        as_documented(server, tmp_path, "createdb", "pg_restore")
        world.use(postgresql.named(server, "restored"))
        assert [row["serial"] for row in world.booked()] == serials[:1]
        assert world.tell("restored")["ok"] is True
        world.start()
        for one in (till, other):
            assert one.ask("sync")["behind"] == 0

        verdicts = {row["serial"]: row["verdict"] for row in world.booked()}
        assert verdicts == dict.fromkeys(serials, "accepted") | {unknown: "unknown_voucher"}
        left = {row["order"]: row["used"] for row in world.central("report", "orders").rows}
        assert left == {first.order: 1, second.order: 2, third.order: 1}
        assert other.refused("redeem", third.code, third.last4) == "used_up"
        assert other.refused("redeem", second.code, second.last4) == "replaced"
        (sold,) = world.sell(1)
        till.ask("sync")
        redeemed(till, sold)
        assert [row["kind"] for row in world.central("alarms").rows] == []
        assert till.verify() == len(till.run("journal", "list", "--json").rows)


def test_a_dump_that_is_cut_off_restores_nothing(
    tmp_path: Path, server: str, database: str
) -> None:
    """The document's command ends with an error and leaves no half of a database."""
    postgresql.execute(database, "CREATE TABLE x AS SELECT generate_series(1, 999) AS y")
    as_documented(server, tmp_path, "pg_dump")
    dump = tmp_path / "central.dump"
    dump.write_bytes(dump.read_bytes()[:-100])
    with pytest.raises(AssertionError, match="pg_restore: error"):
        as_documented(server, tmp_path, "createdb", "pg_restore")
    with psycopg.connect(postgresql.named(server, "restored")) as connection:
        found = connection.execute("SELECT FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert found == []
