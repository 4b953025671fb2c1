"""The command line itself: wrong use, wrong settings, outages, and one holder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.loader import load
from terminal import cli
from terminal.datadir import hold
from terminal.errors import OutcomeUnknown
from terminal.place import Place
from tests.terminal.shop import Shop

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but our own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEXIAO_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["lookup"],
        ["lookup", "1"],
        ["redeem", "1", "2", "--shares", "x"],
        ["redeem", "1", "2", "--shares", "99999999999999999999"],
        ["redeem", "1", "2", "--request", "a b"],
        ["redeem", "1", "2", "--request", "x" * 65],
        ["redeem", "1", "2", "--clerk", "李"],
        ["reverse", "1", "--reason-code", "because"],
        ["lookup", "1", "2", "--wait", "soon"],
        ["lookup", "1", "2", "--wait", "-1"],
        ["lookup", "1", "2", "--wait", "nan"],
        ["journal"],
        ["journal", "export", "--since", "-1"],
        ["journal", "rescue"],
    ],
)
def test_wrong_use_exits_2_with_the_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Words that do not fit say how they should; nothing goes to standard output."""
    assert cli.main(words) == 2
    said = capsys.readouterr()
    assert said.out == "" and "usage:" in said.err


def test_wrong_settings_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong settings file is named with its key, as words or as JSON."""
    (tmp_path / "hexiao.toml").write_text("[disk]\nmin_free_mb = -1\n")
    assert cli.main(["lookup", "1", "2"]) == 2
    assert "$.disk.min_free_mb" in capsys.readouterr().err
    assert cli.main(["lookup", "1", "2", "--json"]) == 2
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["reason"]) == (False, "out_of_service")


def test_a_machine_without_a_terminal_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing was enrolled, every command says what to do first."""
    for words in (["lookup", "1", "2"], ["journal", "list"], ["sync"], ["run"]):
        assert cli.main(words) == 2
        assert "hexiao enrol" in capsys.readouterr().err


def test_a_holder_that_does_not_answer_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """When somebody holds the data and serves no socket, `busy` exits 3 with the pid."""
    Shop(tmp_path / "data")
    with hold(Place(load(None)).data, wait_s=0):
        for words in (["lookup", "1", "2"], ["run"]):
            assert cli.main([*words, "--wait", "0.06", "--json"]) == 3
            said = json.loads(capsys.readouterr().out)
            assert said["reason"] == "busy" and str(os.getpid()) in said["message"]


def test_an_unusable_data_directory_exits_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file in the directory's place is out of service, by name."""
    (tmp_path / "data").write_text("")
    assert cli.main(["lookup", "1", "2", "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert said["reason"] == "out_of_service" and "data" in said["message"]


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (OutcomeUnknown("the commit failed"), 3, "outcome_unknown"),
        (PermissionError(13, "Permission denied", "x.db"), 3, "out_of_service"),
        (ConnectionError("the terminal ended"), 3, "out_of_service"),
    ],
)
def test_every_outage_has_its_word(
    error: Exception,
    status: int,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever fails below, the answer is a status and a machine's word, never a traceback."""

    def fails(*_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_alone", fails)
    assert cli.main(["lookup", "1", "2", "--json"]) == status
    assert json.loads(capsys.readouterr().out)["reason"] == reason


def test_an_interrupted_command_exits_3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is no traceback."""

    def stopped(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_alone", stopped)
    assert cli.main(["lookup", "1", "2"]) == 3


def test_a_reader_that_went_away_is_no_traceback(tmp_path: Path) -> None:
    """Output into a closed pipe ends quietly with status 3."""
    Shop(tmp_path / "data")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "hexiao", "journal", "export"]
    try:
        done = subprocess.run(
            command,
            stdout=writing,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
    finally:
        os.close(writing)
    assert done.returncode == 3 and b"Traceback" not in done.stderr


def test_python_without_assertions_is_refused() -> None:
    """The assertions guard money: with -O the program does not run."""
    command = [sys.executable, "-O", "-m", "hexiao", "lookup", "1", "2"]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, check=False)
    assert done.returncode == 2 and b"python -O" in done.stderr


def test_a_passphrase_is_asked_at_the_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The question goes to the terminal, not to standard output."""
    monkeypatch.setattr("getpass.getpass", lambda prompt: f"{prompt}x")
    assert cli.ask_passphrase() == "passphrase of this terminal: x"


def test_lines_of_standard_input_are_read_only_where_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command without `-` leaves standard input alone."""
    Shop(tmp_path / "data")

    class Untouched:
        def readline(self) -> str:
            raise AssertionError("standard input was read")

    monkeypatch.setattr("sys.stdin", Untouched())
    assert cli.main(["lookup", "1", "2"]) == 1
    assert "malformed" in capsys.readouterr().err
