"""Power cuts, replayed: every redemption that was said as done is there in any state of the disk.

The calls of a real till are recorded by strace; then states are built in which what was not flushed
is missing, torn or out of order, and the product opens each. Unlike kill -9 this proves durability.
The control is the same till with synchronous=NORMAL, which must lose redemptions.
"""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import trace
from tests.crash.power import Disk, Moment
from tests.crash.till import ROOT, Till

REDEMPTIONS = 60
"""Enough that the write-ahead log is moved into the journal and begun again in between."""


@pytest.fixture(scope="module", autouse=True)
def recorder() -> None:
    """Skip with a reason where nothing can be recorded."""
    if trace.tool() is None:
        pytest.skip("strace is not installed")
    tried = subprocess.run(["strace", "-f", "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip("strace may not watch processes here")


class Recorded:
    """A till, what its disk held before, and all that it did to it."""

    def __init__(self, folder: Path, *, unsafe: bool) -> None:
        folder.mkdir()
        self.till = Till(folder, REDEMPTIONS)
        self.root = self.till.shop.root
        before = {path.name: path.read_bytes() for path in self.root.iterdir()}
        command = self.till.command(unsafe=unsafe)
        self.steps = trace.record(command, self.root, folder / "calls", ROOT)
        self.touched = {step.file for step in self.steps if isinstance(step, trace.Change)}
        self.before = {name: data for name, data in before.items() if name in self.touched}
        said = [step for step in self.steps if isinstance(step, trace.Said)]
        assert len(said) == REDEMPTIONS + 2, said

    def faults(self, rng: random.Random, count: int) -> Iterator[str | None]:
        """What is wrong after a power cut, for `count` cuts spread over the whole run."""
        cuts = sorted(rng.choices(range(len(self.steps)), k=count))
        moment, at = Moment(self.before), 0
        for number, cut in enumerate(cuts):
            for step in self.steps[at:cut]:
                moment.pass_by(step)
            at = max(at, cut)
            kinds = (moment.nothing_loose, moment.everything, lambda: moment.some(rng))
            self._put(kinds[number % 3]())
            yield self.till.fault(moment.said)

    def _put(self, disk: Disk) -> None:
        for path in self.root.iterdir():
            if path.name in self.touched or path.name.endswith(("-wal", "-shm")):
                path.unlink()
        for name, content in disk.files().items():
            (self.root / name).write_bytes(content)


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A till as it is."""
    folder = tmp_path_factory.mktemp("cut")
    yield Recorded(folder / "safe", unsafe=False)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def unsafe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """The control: the same with synchronous=NORMAL."""
    folder = tmp_path_factory.mktemp("cut")
    yield Recorded(folder / "unsafe", unsafe=True)
    shutil.rmtree(folder)


def test_nothing_that_was_said_is_lost(safe: Recorded, rng: random.Random) -> None:
    """120 power cuts; each state opens, holds what was said, and at most one entry more."""
    faults = [fault for fault in safe.faults(rng, 120) if fault is not None]
    assert not faults, faults


def test_the_log_was_begun_again_in_between(safe: Recorded) -> None:
    """The run covers what is most delicate: moving the log into the file, and writing over it."""
    writes = [step for step in safe.steps if isinstance(step, trace.Write)]
    log = [step.offset for step in writes if step.file == "journal.db-wal" and step.offset > 0]
    assert any(later < earlier for earlier, later in itertools.pairwise(log))
    said = [index for index, step in enumerate(safe.steps) if isinstance(step, trace.Said)]
    moved = [
        index
        for index, step in enumerate(safe.steps)
        if isinstance(step, trace.Write) and step.file == "journal.db"
    ]
    assert any(said[1] < index < said[-2] for index in moved), "the log was never moved"


def test_control_without_flushing_it_is_lost(unsafe: Recorded, rng: random.Random) -> None:
    """The same cuts find losses in a till that does not flush: this test can fail."""
    faults = [fault for fault in unsafe.faults(rng, 60) if fault is not None]
    assert len(faults) >= 10, f"only {len(faults)} of 60 cuts lost anything"
    assert any("lost" in fault for fault in faults), faults


@pytest.mark.soak
def test_five_thousand_power_cuts(safe: Recorded, rng: random.Random) -> None:
    """The long form."""
    faults = [fault for fault in safe.faults(rng, 5_000) if fault is not None]
    assert not faults, faults[:5]
