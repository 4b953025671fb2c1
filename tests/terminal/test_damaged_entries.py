"""Entries whose bytes changed on this disk: no fork, nobody stopped, and said on both sides."""

import json
from pathlib import Path

import apsw
import pytest

from terminal.counter import ShopCounter
from terminal.datadir import DataDir
from terminal.enrol import enrol
from terminal.errors import OutOfService
from terminal.parts import Parts
from tests.terminal.service import Central, Paired, opened, pair, run
from tests.terminal.test_revoked import redeem_one


def fall_over(counter: ShopCounter, seq: int, column: str) -> None:
    """A bit of an entry changes, beneath everything that guards it."""

    def change(parts: Parts) -> None:
        connection: apsw.Connection = parts.journal.connection
        (found,) = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE name = 'entry_never_changes'"
        )
        connection.execute("DROP TRIGGER entry_never_changes")
        (row,) = connection.execute(f"SELECT {column} FROM entry WHERE seq = ?", (seq,))
        bad = row[0].replace("lone", "lonf", 1) if column == "body" else bytes(64)
        assert bad != row[0]
        connection.execute(f"UPDATE entry SET {column} = ? WHERE seq = ?", (bad, seq))
        connection.execute(found[0])

    counter.exclusive(change)


def redeemed(till: Paired, central: Central, count: int) -> None:
    """As many redemptions, not sent."""
    bought = [central.issue() for _ in range(count)]
    till.worker.once()
    till.counter.parts.online = None
    for number, voucher in enumerate(bought):
        redeem_one(till.counter, voucher, f"r{number}")


def verdicts(central: Central, posid: str) -> dict[str, str]:
    rows = [json.loads(line) for line in run(central.config, "report", "conflicts").splitlines()]
    rows += [json.loads(line) for line in run(central.config, "report", "redemptions").splitlines()]
    return {row["serial"][-1]: row["verdict"] for row in rows if row["posid"] == posid}


def alarms(central: Central, posid: str) -> list[str]:
    rows = [json.loads(line) for line in run(central.config, "alarms").splitlines()]
    return [row["kind"] for row in rows if row["posid"] == posid]


@pytest.mark.parametrize("seq", [1, 2, 3])
def test_a_changed_body_is_set_aside_and_stops_nobody(
    central: Central, tmp_path: Path, seq: int
) -> None:
    """First, middle or last of a batch: central takes its hash, the rest is booked, and the till
    goes on. At the next start it says that its journal is damaged; on an empty disk it goes on.
    """
    data = pair(central, tmp_path / "data")
    with opened(data) as till:
        posid = till.posid
        redeemed(till, central, 3)
        fall_over(till.counter, seq, "body")
        result = till.worker.once()
        assert (result.error, result.behind, result.fence) == (None, 0, None)
        assert verdicts(central, posid) == {
            str(n): "quarantined" if n == seq else "accepted" for n in (1, 2, 3)
        }
        assert alarms(central, posid) == ["quarantined"]
        (notice,) = till.counter.status().notices
        assert (notice.serial or "")[-1] == str(seq)
        last = central.issue()
        till.worker.once()
        redeem_one(till.counter, last, "r9")
        assert till.worker.once().behind == 0
        assert verdicts(central, posid)["4"] == "accepted"
    with pytest.raises(OutOfService, match="move the data directory aside"), opened(data):
        pass
    fresh = DataDir.at(tmp_path / "fresh")
    enrol(fresh, central.url, central.code(posid), key_source="file", insecure_http=False)
    with opened(fresh) as till:
        voucher = central.issue()
        till.worker.once()
        redeem_one(till.counter, voucher, "r10")
        assert till.worker.once().behind == 0
    assert alarms(central, posid) == ["quarantined"]


def test_a_damaged_signature_heals_with_the_next_one(central: Central, tmp_path: Path) -> None:
    """The last of a batch stands for nothing; what comes later does, and no fork is seen."""
    with opened(pair(central, tmp_path / "data")) as till:
        redeemed(till, central, 2)
        fall_over(till.counter, 2, "sig")
        result = till.worker.once()
        assert (result.behind, result.fence) == (0, None)
        assert set(verdicts(central, till.posid).values()) == {"bad_signature"}
        assert alarms(central, till.posid) == ["bad_signature"]
        last = central.issue()
        till.worker.once()
        redeem_one(till.counter, last, "r9")
        assert till.worker.once().behind == 0
        run(central.config, "jobs", "run", "signatures")
        assert verdicts(central, till.posid) == {
            "1": "accepted",
            "2": "bad_signature",
            "3": "accepted",
        }
