"""A file system that stops at once: what the till said as done is there when it is mounted again.

A real ext4 on a loop device is told to drop everything that it has not written, log included, while
a till redeems (needs root). The control is the same till with synchronous=NORMAL, which must lose.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.medium import Medium
from tests.crash.till import ROOT, Till

REDEMPTIONS = 60


@pytest.fixture
def medium(tmp_path: Path) -> Iterator[Medium]:
    """A mounted medium; skips with a reason where there can be none."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is not installed")
    try:
        made = Medium(tmp_path)
        made.mount()
    except OSError as error:
        pytest.skip(f"no file system can be mounted on a loop device here: {error}")
    yield made
    subprocess.run(["umount", "-l", str(made.mounted)], capture_output=True, check=False)


def after_shutdown(medium: Medium, folder: Path, stop_after: int, *, unsafe: bool) -> str | None:
    """Redeem on the medium, which stops after so many; answers what is wrong after that."""
    folder.mkdir()
    till = Till(folder, REDEMPTIONS)
    data = medium.mounted / "data"
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(till.shop.root, data)
    os.sync()  # what was there before is on the medium
    command = till.command(unsafe=unsafe, data=data, stop_after=stop_after)
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    said = ended.stdout.splitlines()
    assert len(said) == 1 + stop_after, (said[-3:], ended.stderr[-2_000:])
    assert ended.returncode != 0, "the till went on without its disk"
    medium.unmount()
    medium.mount()
    till.move_to(data)
    return till.fault(said)


def test_nothing_that_was_said_is_lost(medium: Medium, tmp_path: Path, rng: random.Random) -> None:
    """Three shutdowns at random moments."""
    for number in range(3):
        stop = rng.randint(1, REDEMPTIONS - 1)
        fault = after_shutdown(medium, tmp_path / str(number), stop, unsafe=False)
        assert fault is None, f"stopped after {stop}: {fault}"


def test_control_without_flushing_it_is_lost(medium: Medium, tmp_path: Path) -> None:
    """A till that does not flush loses redemptions: this test can fail.

    Twelve, because moving the log into the journal flushes, and that comes after some twenty.
    """
    fault = after_shutdown(medium, tmp_path / "unsafe", 12, unsafe=True)
    assert fault is not None and "lost" in fault, fault


@pytest.mark.soak
def test_sixty_shutdowns(medium: Medium, tmp_path: Path, rng: random.Random) -> None:
    """The long form."""
    for number in range(60):
        stop = rng.randint(1, REDEMPTIONS - 1)
        fault = after_shutdown(medium, tmp_path / str(number), stop, unsafe=False)
        assert fault is None, f"round {number}, stopped after {stop}: {fault}"
        shutil.rmtree(tmp_path / str(number))
