"""A full disk: said in words, exit 3, nothing lost, and gone on from when there is room again."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.snapshot_file import Download
from terminal.errors import TerminalError
from terminal.outcomes import Redeemed
from tests.journeys.world import Done
from tests.terminal.shop import Shop, close
from tests.terminal.shop_till import ShopTill

SIZE_MB = 24


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, small enough to fill."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this system does not let root mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int = 0) -> Path:
    """Take all space but so many bytes; answers what to delete."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC
        if leave:
            file.truncate(max(0, file.tell() - leave))
    return ballast


def told(done: Done) -> str:
    """Out of service, in words; nothing was done."""
    assert (done.status, done.row["reason"]) == (3, "out_of_service"), done
    return str(done.row["message"])


def test_almost_full_refuses_before_it_matters(small: Path) -> None:
    """The default keeps 16 MB: less is said before anything is booked, and looking up goes on."""
    till = ShopTill(small / "till")
    sample = till.issue(3)
    till.redeem(sample.code(), sample.last4)
    ballast = fill(small, leave=8 << 20)
    message = told(till.run("redeem", sample.code(1), sample.last4, "--json"))
    assert re.search(r"almost full \(\d MB left\).*free some space", message), message
    assert till.ask("lookup", sample.code(1), sample.last4)["left"] == 2
    ballast.unlink()
    assert till.redeem(sample.code(1), sample.last4)["left"] == 1
    assert till.verify() == 2


def test_quite_full_loses_nothing(small: Path) -> None:
    """With the limit off and no byte left every command says so; then it goes on."""
    till = ShopTill(small / "till", disk={"min_free_mb": 0})
    sample = till.issue(3)
    till.redeem(sample.code(), sample.last4)
    till.shop.database.close()
    ballast = fill(small)
    for words in (
        ("redeem", sample.code(1), sample.last4),
        ("lookup", sample.code(1), sample.last4),
        ("run", "--wait", "0"),
    ):
        assert told(till.run(*words, "--json"))
    assert till.run("journal", "export", "--out", str(small / "export")).status == 3
    ballast.unlink()
    assert till.verify() == 1
    assert till.redeem(sample.code(1), sample.last4)["left"] == 1
    with till.running():
        assert till.redeem(sample.code(2), sample.last4)["left"] == 0


def test_disk_fills_up_under_a_running_terminal(small: Path) -> None:
    """However little is left when it fails: what was said as done is there, the rest is not."""
    shop = Shop(small / "data")
    samples = [shop.issue() for _ in range(60)]
    counter = shop.open(has_printer=True)
    said: list[str] = []
    refused = 0
    for index, sample in enumerate(samples):
        ballast = fill(small, leave=4096 * (index % 6))
        try:
            done = counter.redeem_presented(
                sample.code(), sample.last4, 1, clerk="li", request=f"r{index}", slip=True
            )
            assert isinstance(done, Redeemed)
            said.append(done.serial)
        except TerminalError:
            refused += 1
        if index % 10 == 9:
            ballast.unlink()
    (small / "ballast").unlink(missing_ok=True)
    close(counter)
    again = shop.open(has_printer=True)
    rows = again.parts.journal.connection.execute(
        "SELECT json_extract(body, '$.data.serial') FROM entry WHERE shares > 0 ORDER BY id"
    )
    assert [str(row[0]) for row in rows] == said
    close(again)
    assert said and refused


def test_a_snapshot_that_fills_the_disk_gives_the_room_back(small: Path) -> None:
    """The journal needs that room; the next try begins anew when there is some."""
    fill(small, leave=1 << 20)
    path = small / "snapshot.db"
    with (
        pytest.raises(OSError, match="No space"),
        Download(path, sha256="0" * 64, size=8 << 20) as it,
    ):
        it.begin(200, "")
        for _ in range(128):
            it.write(bytes(1 << 16))
    assert [file.name for file in small.iterdir()] == ["ballast"]
