"""Several processes on one data directory: one holds it, the others queue, none is sent away."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from terminal.datadir import DataDir, hold
from tests.drivers.waiting import until
from tests.journeys.world import PATIENCE_S, ROOT, Process
from tests.terminal.shop import Sample
from tests.terminal.shop_till import ShopTill

AT_ONCE = 20


@pytest.fixture
def till(tmp_path: Path) -> ShopTill:
    return ShopTill(tmp_path / "till")


def spawn(till: ShopTill, *words: str) -> subprocess.Popen[str]:
    """A command that runs beside others."""
    return subprocess.Popen(
        [sys.executable, "-m", "hexiao", *words, "--json", "--config", str(till.config)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def together(till: ShopTill, samples: list[Sample], *more: str) -> list[dict[str, object]]:
    """Redeem all of these at the same time; their answers."""
    asked = [spawn(till, "redeem", each.code(), each.last4, *more) for each in samples]
    answers = []
    for process in asked:
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, out + err
        answers.append(json.loads(out))
    return answers


def each_once(till: ShopTill, answers: list[dict[str, object]]) -> None:
    """Every answer is an entry of its own, and there are no others."""
    serials = sorted(str(answer["serial"]) for answer in answers)
    assert serials == till.journalled() and len(set(serials)) == AT_ONCE
    assert till.verify() >= AT_ONCE


def test_twenty_commands_through_the_holder(till: ShopTill) -> None:
    """They queue at the holder; all are done."""
    samples = [till.issue() for _ in range(AT_ONCE)]
    with till.running():
        each_once(till, together(till, samples))


def test_twenty_commands_without_a_holder(till: ShopTill) -> None:
    """They take the directory one after the other; all are done."""
    each_once(till, together(till, [till.issue() for _ in range(AT_ONCE)]))


@pytest.mark.parametrize("held", [True, False])
def test_one_request_from_many_processes_books_once(till: ShopTill, held: bool) -> None:
    """AX-02: the same request sent ten times at once is one redemption and nine repetitions."""
    sample = till.issue(3)
    with till.running() if held else nullcontext():
        answers = together(till, [sample] * 10, "--request", "one")
    assert {answer["serial"] for answer in answers} == set(till.journalled())
    assert sorted(bool(answer["repeated"]) for answer in answers) == [False] + [True] * 9
    assert {answer["left"] for answer in answers} == {2}


def test_killed_holder_leaves_nothing_in_the_way(till: ShopTill) -> None:
    """Its socket and lock file are still there; the next command works at once, alone."""
    sample = till.issue(3)
    holder = Process("run", "--config", str(till.config))
    holder.until("is running")
    first = till.redeem(sample.code(), sample.last4)
    holder.stop(signal.SIGKILL)
    assert (till.data / "control.sock").exists()
    second = till.redeem(sample.code(1), sample.last4)
    assert till.journalled() == [first["serial"], second["serial"]]
    with till.running():
        assert till.redeem(sample.code(2), sample.last4)["left"] == 0


def test_second_holder_is_told_who_the_first_is(till: ShopTill) -> None:
    """Exit 3, `busy`, and the process to look for."""
    with till.running() as holder:
        done = till.run("run", "--wait", "0", "--json")
    assert (done.status, done.row["reason"]) == (3, "busy")
    assert str(holder.process.pid) in done.row["message"]


def test_directory_held_without_an_answer(till: ShopTill) -> None:
    """A holder that serves nothing is waited for as long as asked, then named."""
    sample = till.issue()
    with hold(DataDir.at(till.data), wait_s=0):
        done = till.run("redeem", sample.code(), sample.last4, "--wait", "0.1", "--json")
        assert (done.status, done.row["reason"]) == (3, "busy") and "holds" in done.row["message"]
        waiting = spawn(till, "redeem", sample.code(), sample.last4, "--wait", "30")
    out, _ = waiting.communicate(timeout=PATIENCE_S)
    assert (waiting.returncode, json.loads(out)["ok"]) == (0, True)


def test_asker_that_goes_away_does_not_stop_its_command(till: ShopTill) -> None:
    """What the holder has taken it carries out, and the request finds the answer later."""
    sample = till.issue()
    with till.running():
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(till.data / "control.sock"))
            asked = ["redeem", sample.code(), sample.last4, "--request", "gone", "--json"]
            link.sendall(json.dumps({"argv": asked, "lines": []}).encode() + b"\n")
        until(lambda: len(till.journalled()) == 1, PATIENCE_S)
        again = till.redeem(sample.code(), sample.last4, 1, "--request", "gone")
    assert again["repeated"] is True


@pytest.mark.parametrize(
    "noise", [b"\n", b"{}\n", b"\xff\xfe\x00\n", b'{"argv": 1, "lines": []}\n', b"x" * 70_000]
)
def test_noise_on_the_socket_harms_nobody(till: ShopTill, noise: bytes) -> None:
    """The holder closes the connection and goes on."""
    with till.running():
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(PATIENCE_S)
            link.connect(str(till.data / "control.sock"))
            link.sendall(noise)
            link.shutdown(socket.SHUT_WR)
            assert link.recv(100) == b""
        assert till.ask("journal", "verify")["ok"]


def test_directory_and_socket_are_private(till: ShopTill) -> None:
    """0700 and 0600, whatever the umask."""
    with till.running():
        assert stat.S_IMODE(till.data.stat().st_mode) == 0o700
        for path in set(till.data.iterdir()) - set(till.data.glob("replica.db*")):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    """AF_UNIX paths are short; the data directory's need not be."""
    till = ShopTill(tmp_path / ("long" * 25) / "till")
    sample = till.issue()
    with till.running():
        assert not (till.data / "control.sock").exists()
        assert till.redeem(sample.code(), sample.last4)["ok"]
        assert till.run("run", "--wait", "0").status == 3
