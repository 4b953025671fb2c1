"""kill -9 at any moment: what a clerk saw as done is there once, and slips become questions.

This proves atomicity and the logic of starting again; it says nothing about a power cut, because
the system keeps what a killed process had written.
"""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import apsw
import pytest

from drivers.emulated.printer import EmulatedPrinter
from terminal import startup
from terminal.errors import OutOfService
from tests.drivers.waiting import until
from tests.terminal.shop import Shop, close
from vouchers import entries

ROOT = Path(__file__).resolve().parents[2]
PER_ROUND = 200
"""More than a till redeems before the longest of the random moments."""


class Killed:
    """A till that is killed again and again, and what it said as done."""

    def __init__(self, root: Path, rounds: int, printer: Path | None) -> None:
        self.shop = Shop(root / "data")
        samples = [self.shop.issue() for _ in range(rounds * PER_ROUND)]
        self.shop.database.close()
        self.vouchers = [sample.voucher for sample in samples]
        self.credentials = root / "credentials"
        self.credentials.write_text(json.dumps([[s.code(), s.last4] for s in samples]), "utf-8")
        self.printer = printer
        self.done: dict[int, str] = {}

    def spawn(self) -> subprocess.Popen[str]:
        """Start the till where it was stopped: the first request that has no answer yet."""
        given = {
            "data": str(self.shop.root),
            "credentials": str(self.credentials),
            "first": len(self.done),
            "printer": None if self.printer is None else str(self.printer),
        }
        command = [sys.executable, "-m", "tests.terminal.redeem_loop", json.dumps(given)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def kill(self, rng: random.Random) -> None:
        """Let it work for a random while, sometimes not even until it is open, and kill it."""
        process = self.spawn()
        assert process.stdout is not None
        if rng.random() < 0.8:
            assert process.stdout.readline() == "ready\n"
        with process:
            try:
                process.wait(timeout=rng.uniform(0.0, 0.12))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            self.hear(process.stdout.read())
        assert process.returncode == -signal.SIGKILL, process.returncode

    def hear(self, text: str) -> None:
        """Take down what was said as done; a line without its end was not said."""
        for line in re.findall(r"done (\d+ \S+)\n", text):
            index, serial = line.split()
            assert int(index) == len(self.done), "a request was answered out of turn"
            self.done[int(index)] = serial

    def check(self) -> None:
        """What the journal holds against what was said. Raises AssertionError."""
        counter = self.shop.open()
        try:
            parts = counter.parts
            assert startup.chain_fault(parts, everything=True) is None
            rows = parts.journal.connection.execute(
                "SELECT body FROM entry WHERE kind = 'redeemed' ORDER BY epoch, seq"
            )
            found = [entries.read_redemption(entries.read_entry(str(row[0]))) for row in rows]
        finally:
            close(counter)
        journalled = {each.serial: each.voucher for each in found}
        said = {serial: self.vouchers[index] for index, serial in self.done.items()}
        missing = set(said.items()) - set(journalled.items())
        assert not missing, f"lost: {sorted(missing)[:5]}"
        assert max(Counter(each.voucher for each in found).values(), default=0) <= 1, "doubled"
        assert len(found) - len(said) in (0, 1), "entries that nobody asked for"


def many(tmp_path: Path, rounds: int, rng: random.Random) -> None:
    """Kill a printing till that often."""
    printer = EmulatedPrinter()
    printer.attach_pty(tmp_path / "printer")
    try:
        killed = Killed(tmp_path, rounds, tmp_path / "printer")
        for _ in range(rounds):
            killed.kill(rng)
            killed.check()
        assert killed.done, "it was never given time to redeem anything"
        slips_are_accounted_for(killed, printer)
    finally:
        printer.stop()


def slips_are_accounted_for(killed: Killed, printer: EmulatedPrinter) -> None:
    """A printed slip is on paper once, none is there twice, and the half-known are questions."""
    counter = killed.shop.open()
    try:
        counter.exclusive(lambda parts: startup.started(parts, "test", clerk="li"))
        rows = counter.parts.journal.connection.execute("SELECT serial, state FROM print_job")
        states = {str(serial): str(state) for serial, state in rows}
        asked = {n.serial for n in counter.status().notices if n.kind == "slip_unknown"}
    finally:
        close(counter)
    on_paper = Counter(re.findall(r"T1_1_\d{8}", printer.paper_text()))
    assert set(states.values()) <= {"queued", "printed", "unconfirmed", "unknown", "abandoned"}
    assert asked == {serial for serial, state in states.items() if state == "unknown"}
    assert max(on_paper.values(), default=0) <= 1, "a slip came out twice"
    for serial, state in states.items():
        assert on_paper[serial] == 1 or state != "printed", f"{serial} is not on paper"
        assert on_paper[serial] == 0 or state != "queued", f"{serial} is on paper already"


def test_no_acknowledged_redemption_is_lost_or_doubled(tmp_path: Path, rng: random.Random) -> None:
    """Six kills at random moments, journal and paper checked each time."""
    many(tmp_path, 6, rng)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_hundred_and_fifty_kills(tmp_path: Path, rng: random.Random, part: int) -> None:
    """The same 150 times, in ten parts that each end well before the suite's time limit."""
    many(tmp_path, 15, rng)


def test_slip_that_was_under_way_is_a_question(tmp_path: Path) -> None:
    """Killed while the printer had half of it: asked after the start, the copy is marked."""
    printer = EmulatedPrinter()
    printer.attach_pty(tmp_path / "printer")
    printer.pull(paper_lines=3)
    killed = Killed(tmp_path, 1, tmp_path / "printer")
    with killed.spawn() as process:
        until(lambda: printer.machine.levers.paper_out, 20)
        process.send_signal(signal.SIGKILL)
        assert process.stdout is not None
        killed.hear(process.stdout.read())
    counter = killed.shop.open()
    counter.exclusive(lambda parts: startup.started(parts, "test", clerk="li"))
    (notice,) = [n for n in counter.status().notices if n.kind == "slip_unknown"]
    assert notice.serial == killed.done[0]
    counter.settle_slip(killed.done[0], reprint=True, clerk="li")
    assert not [n for n in counter.status().notices if n.kind == "slip_unknown"]
    rows = counter.parts.journal.connection.execute(
        "SELECT copy, state FROM print_job WHERE serial = ? ORDER BY copy", (killed.done[0],)
    ).fetchall()
    kinds = [
        str(row[0])
        for row in counter.parts.journal.connection.execute(
            "SELECT kind FROM entry WHERE kind IN ('printed_unknown', 'reprinted') ORDER BY seq"
        )
    ]
    close(counter)
    printer.stop()
    assert rows == [(1, "abandoned"), (2, "queued")]
    assert kinds == ["printed_unknown", "reprinted"]


def lose_the_log(killed: Killed) -> None:
    """What a disk does that lies about flushing: the write-ahead log is not there any more."""
    killed.shop.data.journal.with_name("journal.db-wal").unlink()


def killed_once(root: Path) -> Killed:
    """A till that was killed after ten redemptions."""
    killed = Killed(root, 1, None)
    with killed.spawn() as process:
        assert process.stdout is not None
        for _ in range(11):
            killed.hear(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        killed.hear(process.stdout.read())
    return killed


def test_control_a_lost_log_is_found_by_the_witness(tmp_path: Path) -> None:
    """The till itself refuses to go on and says from where entries are missing."""
    killed = killed_once(tmp_path)
    lose_the_log(killed)
    with pytest.raises(OutOfService, match="are missing"):
        killed.check()


def test_control_a_lost_log_is_found_by_this_check(tmp_path: Path) -> None:
    """Without the witness the check above fails: it can."""
    killed = killed_once(tmp_path)
    lose_the_log(killed)
    killed.shop.data.witness.unlink()
    with pytest.raises(AssertionError, match="lost"):
        killed.check()


def test_control_journal_not_flushed_is_refused(tmp_path: Path) -> None:
    """A journal that does not come up with FULL and EXCLUSIVE is not used (storage decision D2)."""
    shop = Shop(tmp_path / "data")
    close(shop.open())
    opened = apsw.Connection

    class Careless(opened):  # type: ignore[misc, valid-type]
        def pragma(self, name: str, *value: object, **more: object) -> object:
            if name == "synchronous" and value:
                value = ("OFF",)
            return super().pragma(name, *value, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apsw, "Connection", Careless)
        with pytest.raises(OutOfService, match="not safe to use"):
            shop.open()
