"""A wipe ends where central takes the entries into no stream: it keeps them apart, and signs so."""

import json
import shutil
from pathlib import Path

from terminal.datadir import DataDir
from terminal.enrol import enrol
from tests.terminal.service import Central, opened, pair, run
from tests.terminal.test_revoked import files, redeem_one, terminal_of


def copied(data: DataDir, to: Path) -> DataDir:
    """The disk in a second machine."""
    shutil.copytree(data.root, to)
    return DataDir.at(to)


def listed(central: Central, *words: str) -> list[dict[str, object]]:
    return [dict(json.loads(line)) for line in run(central.config, *words).splitlines()]


def apart(central: Central, posid: str) -> set[object]:
    """The hashes of what central keeps apart of a terminal."""
    return {row["hash"] for row in listed(central, "report", "branches") if row["posid"] == posid}


def wiped_words(central: Central, posid: str) -> str:
    """The alarm of its last word."""
    rows = listed(central, "alarms")
    (row,) = [row for row in rows if (row["posid"], row["kind"]) == (posid, "wiped")]
    return str(row["detail"])


def fork(central: Central, tmp_path: Path, posid: str) -> tuple[DataDir, str]:
    """A copied disk whose redemption differs from what central has; and that entry's hash."""
    bought = [central.issue() for _ in range(2)]
    data = pair(central, tmp_path / "data", posid)
    with opened(data) as till:
        till.worker.once()
    copy = copied(data, tmp_path / "copy")
    with opened(data) as till:
        till.worker.once()
        redeem_one(till.counter, bought[0], "r0")
        assert till.worker.once().behind == 0
    with opened(copy) as till:
        till.counter.parts.online = None
        redeem_one(till.counter, bought[1], "r1")
        redeem_one(till.counter, bought[0], "r2")
        return copy, till.counter.parts.journal.head().hash


def test_a_copied_disk_is_wiped_when_its_branch_is_kept(central: Central, tmp_path: Path) -> None:
    """Its entries fit into no stream; central keeps each of them before it is destroyed."""
    copy, head = fork(central, tmp_path, "FORK1")
    with opened(copy) as till:
        result = till.worker.once()
        assert result.fence is not None and result.fence.trouble == "fork"
        central.run("revoke", "FORK1", "--wipe")
        for _ in range(3):
            till.worker.once()
            if files(copy) == {"wiped"}:
                break
    assert files(copy) == {"wiped"}
    assert head in apart(central, "FORK1")
    assert terminal_of(central, "FORK1")["wiped_at"] is not None
    assert "kept apart" in wiped_words(central, "FORK1")


def test_one_that_was_never_told_of_the_fork_is_wiped_too(central: Central, tmp_path: Path) -> None:
    """The order comes first, the fork shows while it sends what it has."""
    copy, head = fork(central, tmp_path, "FORK2")
    central.run("revoke", "FORK2", "--wipe")
    with opened(copy) as till:
        till.worker.once()
    assert files(copy) == {"wiped"} and head in apart(central, "FORK2")


def test_a_disk_that_went_back_is_wiped(central: Central, tmp_path: Path) -> None:
    """Central holds more than it has: there is nothing left to send."""
    bought = [central.issue() for _ in range(2)]
    data = pair(central, tmp_path / "data", "BACK1")
    with opened(data) as till:
        till.worker.once()
        till.counter.parts.online = None
        redeem_one(till.counter, bought[0], "r0")
    copy = copied(data, tmp_path / "copy")
    with opened(data) as till:
        till.worker.once()
        redeem_one(till.counter, bought[1], "r1")
        till.worker.once()
    central.run("revoke", "BACK1", "--wipe")
    with opened(copy) as till:
        till.worker.once()
    assert files(copy) == {"wiped"} and not apart(central, "BACK1")


def test_an_older_epoch_that_forked_holds_up_no_wipe(central: Central, tmp_path: Path) -> None:
    """The terminal was paired again after its fork, on the same disk, and goes on; then it is
    stolen. What central refused of the older epoch goes up before it is destroyed.
    """
    copy, head = fork(central, tmp_path, "FORK3")
    with opened(copy) as till:
        till.worker.once()
    enrol(copy, central.url, central.code("FORK3"), key_source="file", insecure_http=False)
    with opened(copy) as till:
        till.worker.once()
        central.run("revoke", "FORK3", "--wipe")
        for _ in range(3):
            till.worker.once()
            if files(copy) == {"wiped"}:
                break
    assert files(copy) == {"wiped"} and head in apart(central, "FORK3")
    assert "all its entries had arrived" in wiped_words(central, "FORK3")
