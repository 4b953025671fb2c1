"""`hexiao` as programs see it: exit statuses, one JSON object per line, exact names (design, 5)."""

import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from config.loader import load
from terminal import arguments, assembly, cli, commands, commands_run, slip_jobs
from terminal.assembly import Options
from terminal.control import ControlServer
from terminal.place import Place
from terminal.station import Station
from tests.terminal.shop import HERE, THERE, Sample, Shop
from vouchers import times
from vouchers.entries import REVERSAL_REASONS
from vouchers.times import DAY_MS

SETTINGS = """
[paths]
data = "data"
[printer]
port = "{printer}"
profile = "emulated"
[kiosk]
language = "en"
clerk = "li"
[disk]
min_free_mb = 0
"""


class Till:
    """A shop that is open today, and its command line."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.shop = Shop(root / "data")
        self.now = time.time_ns() // 1_000_000
        for name in ("fresh_at", "sealed_through"):
            self.shop.set_meta(name, times.format_utc(self.now))
        self.config = root / "hexiao.toml"
        self._capsys = capsys
        self.settings()

    def settings(self, printer: str = "") -> None:
        self.config.write_text(SETTINGS.format(printer=printer))

    def issue(self, shares: int = 1, **more: Any) -> Sample:
        valid = (self.now - DAY_MS, self.now + DAY_MS)
        return self.shop.issue(shares, **({"valid": valid} | more))

    def run(self, *words: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        self._capsys.readouterr()
        status = cli.main([*words, "--config", str(self.config)])
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def json(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Exit status and the one object."""
        status, out, err = self.run(*words, "--json")
        (line,) = out.splitlines()
        assert err == "" or err.count("\n") < 9
        return status, json.loads(line)

    def redeem(self, sample: Sample, shares: int = 1, *more: str) -> dict[str, Any]:
        words = ("redeem", sample.code(), sample.last4, "--shares", str(shares), *more)
        status, said = self.json(*words)
        assert status == 0, said
        return said


@pytest.fixture
def till(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Till:
    return Till(tmp_path, capsys)


@contextmanager
def held(till: Till) -> Iterator[Station]:
    """The same terminal as a running holder with its control socket, in this process."""
    station = Station(Place(load(str(till.config))))
    server = ControlServer(station.place.data, commands.serve(station))
    station.begin("1")
    server.start()
    try:
        yield station
    finally:
        server.stop()
        station.stop()


LOOKUP = [
    *("ok", "redeemable", "reason", "voucher", "product", "product_name", "shares", "left"),
    *("generation", "valid_from", "valid_until", "outlets", "evidence"),
]
REDEEM = [
    *("ok", "serial", "posid", "voucher", "product", "shares", "left", "successor_code"),
    *("mode", "at", "head", "repeated"),
]
REVERSE = ["ok", "serial", "reverses", "shares", "left", "repeated"]


def test_lookup_s_json(till: Till) -> None:
    """A voucher that opens exits 0 and says everything the contract names, and no more."""
    sample = till.issue(3, product=2, home=HERE)
    status, said = till.json("lookup", sample.code(), sample.last4)
    assert (status, list(said)) == (0, LOOKUP)
    assert (said["ok"], said["redeemable"], said["reason"]) == (True, True, None)
    assert (said["shares"], said["left"], said["generation"]) == (3, 3, 0)
    assert said["outlets"] == [HERE, THERE] and said["evidence"] == "row"
    assert said["valid_until"] == times.format_utc(till.now + DAY_MS)


def test_lookup_of_what_opens_but_may_not_be_redeemed(till: Till) -> None:
    """It opened, so it exits 0, with `redeemable` false and the machine's reason."""
    sample = till.issue(valid=(till.now - 2 * DAY_MS, till.now - DAY_MS))
    status, said = till.json("lookup", sample.code(), sample.last4)
    assert (status, list(said)) == (0, LOOKUP)
    assert (said["ok"], said["redeemable"], said["reason"]) == (True, False, "expired")


def test_lookup_of_what_does_not_open(till: Till) -> None:
    """A miss exits 1 with reason and message; so do mistyped codes."""
    sample = till.issue()
    wrong = sample.code()[:-1] + str((int(sample.code()[-1]) + 1) % 10)
    for code, last4, reason in (
        (sample.code(), "9999", "unknown_or_wrong"),
        (wrong, sample.last4, "mistyped"),
        ("abc", sample.last4, "malformed"),
    ):
        status, said = till.json("lookup", code, last4)
        assert (status, list(said)) == (1, ["ok", "reason", "message"])
        assert (said["ok"], said["reason"]) == (False, reason) and said["message"]


def test_redeem_s_json_and_its_repetition(till: Till) -> None:
    """AX-02: the same --request again answers the same with `repeated: true`, and books once."""
    sample = till.issue(5)
    first = till.redeem(sample, 2, "--request", "q-1", "--clerk", "wu")
    assert list(first) == REDEEM
    assert (first["ok"], first["posid"], first["shares"], first["left"]) == (True, "T1", 2, 3)
    assert (first["mode"], first["repeated"]) == ("lone", False)
    assert first["successor_code"] == sample.code(1) and len(first["head"]) == 64
    again = till.redeem(sample, 2, "--request", "q-1")
    assert again == {**first, "repeated": True}
    status, listed = till.json("journal", "list", "--request", "q-1")
    assert (status, listed["serial"], listed["clerk"]) == (0, first["serial"], "wu")
    assert (listed["hash"], listed["data"]["request"]) == (first["head"], "q-1")


@pytest.mark.parametrize(
    ("shares", "reason"), [("0", "bad_count"), ("-1", "bad_count"), ("4", "not_enough_left")]
)
def test_redeem_s_refusals(till: Till, shares: str, reason: str) -> None:
    """EV-046: a wrong count is a business refusal, exit 1, and books nothing."""
    sample = till.issue(3)
    words = ("redeem", sample.code(), sample.last4, f"--shares={shares}")
    status, said = till.json(*words)
    assert (status, list(said), said["reason"]) == (1, ["ok", "reason", "message"], reason)


def test_reverse_s_json(till: Till) -> None:
    """The reversal names both serials; repeated it says so; unknown ones exit 1."""
    done = till.redeem(till.issue(5), 2)
    status, said = till.json("reverse", done["serial"], "--reason-code", "test", "--note", "hm")
    assert (status, list(said)) == (0, REVERSE)
    assert (said["reverses"], said["shares"], said["left"]) == (done["serial"], 2, 5)
    assert till.json("reverse", done["serial"])[1] == {**said, "repeated": True}
    status, said = till.json("reverse", "T1_1_00000099")
    assert (status, said["reason"]) == (1, "nothing_to_reverse")


def test_the_words_for_people(till: Till) -> None:
    """Without --json, answers go to standard output and refusals to standard error, in words."""
    sample = till.issue(3)
    status, out, err = till.run("lookup", sample.code(), sample.last4)
    assert (status, err) == (0, "") and "Bread 1" in out
    status, out, _ = till.run("redeem", sample.code(), sample.last4, "--shares", "1")
    assert status == 0 and sample.code(1) in out
    serial = out.split()[0]
    status, out, err = till.run("lookup", sample.code(), sample.last4)
    assert status == 0 and "old code" in (out + err).lower()
    status, out, err = till.run("lookup", sample.code(), "0999")
    assert (status, out) == (1, "") and err.startswith("unknown_or_wrong: ")
    status, out, _ = till.run("reverse", serial)
    assert status == 0 and serial in out
    for words in (("journal", "list"), ("journal", "verify")):
        assert till.run(*words)[0] == 0


def test_credentials_may_come_from_standard_input(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` reads one line each, so that nothing stands in a process list."""
    sample = till.issue()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{sample.code()}\r\n{sample.last4}\n"))
    assert till.json("redeem", "-", "-")[0] == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{sample.last4}\n"))
    assert till.json("lookup", sample.code(), "-")[1]["reason"] == "used_up"


def test_the_owner_may_keep_the_command_line_from_redeeming(till: Till) -> None:
    """With `cli.redeem = deny` only the counter's screen redeems; looking up goes on."""
    till.shop.set_meta("policy", '{"version": 1, "cli": {"redeem": "deny"}}')
    sample = till.issue()
    status, said = till.json("redeem", sample.code(), sample.last4)
    assert (status, said["reason"]) == (3, "out_of_service")
    assert till.json("lookup", sample.code(), sample.last4)[0] == 0


def test_an_unknown_outcome_names_the_request(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outcome that cannot be found out exits 3 with the request to ask again with."""
    sample = till.issue()

    def no_reopening(_: object) -> None:
        raise assembly.OutOfService("journal.db cannot be opened")

    monkeypatch.setattr("terminal.journal.Journal.reopen", no_reopening)
    made = assembly.open_checked

    def with_a_failing_disk(*args: Any, **more: Any) -> Any:
        parts = made(*args, **more)
        parts.journal.connection.set_commit_hook(lambda: True)
        return parts

    monkeypatch.setattr(assembly, "open_checked", with_a_failing_disk)
    monkeypatch.setattr(Station, "stop", lambda self: assembly.close(self.counter.parts))
    status, said = till.json("redeem", sample.code(), sample.last4, "--request", "q-9")
    assert (status, said["reason"], said["request"]) == (3, "outcome_unknown", "q-9")
    assert "--request q-9" in said["message"]


# The journal


def test_journal_list_selects(till: Till) -> None:
    """By kind, by serial and by request; what is not there lists nothing and exits 0."""
    done = till.redeem(till.issue(2))
    till.json("reverse", done["serial"])
    _, out, _ = till.run("journal", "list", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["kind"] for row in rows] == ["redeemed", "reversed"]
    names = ["serial", "epoch", "seq", "kind", "at", "clerk", "data", "hash"]
    assert list(rows[0]) == names
    assert till.json("journal", "list", "--serial", done["serial"])[1] == rows[0]
    assert till.json("journal", "list", "--kind", "reversed")[1] == rows[1]
    status, out, err = till.run("journal", "list", "--serial", "T1_1_00000077")
    assert (status, out) == (0, "") and "T1_1_00000077 is not in this journal" in err
    for words in (
        ("--serial", "noise"),
        ("--serial", "T9_1_00000001"),
        ("--request", "never"),
        ("--kind", "locked"),
    ):
        assert till.run("journal", "list", *words) == (0, "", "")


def test_journal_verify_says_whether_it_holds(till: Till) -> None:
    """A whole journal exits 0 with its head; one that was changed exits 3 and names the entry."""
    done = till.redeem(till.issue())
    status, said = till.json("journal", "verify")
    assert (status, said["ok"], said["entries"], said["head"]) == (0, True, 1, done["head"])
    parts = assembly.open_parts(till.shop.data, Options())
    with parts.journal.transaction() as connection:
        parts.journal.advance(connection, "acknowledged", 1, 1)
    parts.journal.connection.execute("DROP TRIGGER entry_never_changes")
    parts.journal.connection.execute("UPDATE entry SET sig = zeroblob(64)")
    assembly.close(parts)
    status, said = till.json("journal", "verify")
    assert (status, said["reason"]) == (3, "out_of_service") and "signature" in said["message"]


def test_journal_export_goes_to_a_file_or_to_standard_output(till: Till, tmp_path: Path) -> None:
    """The same lines either way; `--since` leaves out what is known."""
    till.redeem(till.issue())
    till.redeem(till.issue())
    status, out, _ = till.run("journal", "export")
    assert status == 0 and len(out.splitlines()) == 3
    file = tmp_path / "e.jsonl"
    assert till.run("journal", "export", "--out", str(file))[0] == 0
    assert file.read_text() == out
    assert len(till.run("journal", "export", "--since", "1")[1].splitlines()) == 2
    status, _, err = till.run("journal", "export", "--out", str(tmp_path / "no" / "e.jsonl"))
    assert status == 3 and str(tmp_path / "no") in err


@pytest.mark.parametrize("epoch", ["2", "99"])
def test_journal_export_of_an_epoch_that_is_not_there(till: Till, epoch: str) -> None:
    """An epoch that this journal does not hold is wrong use, and the ones it holds are named."""
    till.redeem(till.issue())
    status, said = till.json("journal", "export", "--epoch", epoch)
    assert status == 2 and not said["ok"] and "1" in said["message"]


def test_journal_rescue_works_where_nothing_else_does(till: Till, tmp_path: Path) -> None:
    """A journal that does not hold together is copied all the same, entry by entry."""
    till.redeem(till.issue())
    till.redeem(till.issue())
    parts = assembly.open_parts(till.shop.data, Options())
    parts.journal.connection.execute("DROP TRIGGER entry_never_changes")
    parts.journal.connection.execute("UPDATE entry SET body = '{}' WHERE seq = 2")
    assembly.close(parts)
    assert till.run("journal", "list")[0] == 3
    file = tmp_path / "rescued.jsonl"
    status, said = till.json("journal", "rescue", "--out", str(file))
    assert (status, said) == (0, {"ok": True, "entries": 2})
    assert len(file.read_text().splitlines()) == 3


def test_journal_rescue_of_several_epochs(till: Till, tmp_path: Path) -> None:
    """Each epoch has a file of its own; what central acknowledged is left out."""
    till.redeem(till.issue())
    parts = assembly.open_parts(till.shop.data, Options())
    parts.journal.open_epoch(epoch=2, previous_head=None)
    assembly.close(parts)
    till.redeem(till.issue())
    file = tmp_path / "r.jsonl"
    assert till.json("journal", "rescue", "--out", str(file))[1]["entries"] == 2
    assert file.exists() and (tmp_path / "r-2.jsonl").exists()
    parts = assembly.open_parts(till.shop.data, Options())
    for epoch in (1, 2):
        parts.journal.connection.execute("INSERT INTO ack VALUES (?, 1, '', 1, x'')", (epoch,))
    assembly.close(parts)
    status, _, err = till.run("journal", "rescue", "--out", str(file))
    assert status == 0 and "nothing to rescue" in err


# One holder


def test_a_command_does_the_same_through_the_holder(till: Till) -> None:
    """While a terminal runs, its commands go through it and answer alike."""
    with held(till):
        sample = till.issue(3)
        assert list(till.json("lookup", sample.code(), sample.last4)[1]) == LOOKUP
        done = till.redeem(sample, 1)
        assert list(done) == REDEEM
        assert list(till.json("reverse", done["serial"])[1]) == REVERSE
        status, said = till.json("redeem", sample.code(1), "9999")
        assert (status, said["reason"]) == (1, "unknown_or_wrong")
        assert till.run("redeem", "x")[0] == 2


def test_a_file_is_written_where_the_asker_stands(
    till: Till, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path means the asker's directory, also when the holder stands elsewhere."""
    till.redeem(till.issue())
    asker = tmp_path / "asker"
    asker.mkdir()
    seen: list[tuple[str, ...]] = []
    with held(till):
        monkeypatch.chdir(asker)
        real = cli.control.ask

        def from_elsewhere(data: Any, asked: Any, *writers: Any) -> Any:
            seen.append(asked.argv)
            os.chdir(tmp_path)
            try:
                return real(data, asked, *writers)
            finally:
                os.chdir(asker)

        monkeypatch.setattr(cli.control, "ask", from_elsewhere)
        assert till.run("journal", "export", "--out", "e.jsonl")[0] == 0
        assert till.run("journal", "rescue", "--out", "r.jsonl")[0] == 0
    assert (asker / "e.jsonl").exists() and (asker / "r.jsonl").exists(), seen


def test_a_file_that_cannot_be_written_is_said_by_the_holder_too(
    till: Till, tmp_path: Path
) -> None:
    """An error of the disk in the holder is an answer, not a broken connection."""
    till.redeem(till.issue())
    wanted = str(tmp_path / "none" / "r.jsonl")
    alone = till.json("journal", "rescue", "--out", wanted)
    with held(till):
        running = till.json("journal", "rescue", "--out", wanted)
    assert alone[0] == running[0] == 3
    assert alone[1]["reason"] == running[1]["reason"] == "out_of_service"
    assert wanted in running[1]["message"] and wanted in alone[1]["message"]


def test_simultaneous_commands_queue(till: Till) -> None:
    """Six commands at once through one holder are six answers and one redemption."""
    with held(till) as station:
        sample = till.issue()
        handle = commands.serve(station)
        answers: list[int] = []

        def ask(number: int) -> None:
            words = ("redeem", sample.code(), sample.last4, "--json", "--no-print")
            asked = commands.Asked((*words, "--request", f"q{number}"), ())
            answers.append(handle(asked, lambda _: None, lambda _: None))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answers) == [0, 1, 1, 1, 1, 1]


# Printing and syncing on the command line


def test_a_command_that_runs_alone_prints_its_own_slip(till: Till, tmp_path: Path) -> None:
    """Also behind older slips that wait: the command ends when its own slip is on paper."""
    paper = tmp_path / "slip.txt"
    with held(till):
        older = [till.redeem(till.issue(3)) for _ in range(2)]
    till.settings(f"emulated://printer?name=alone&columns=32&paper={paper}")
    for done in older:
        parts = assembly.open_parts(till.shop.data, Options())
        slip_jobs.reprint(parts, done["serial"], "li")
        assembly.close(parts)
    done = till.redeem(till.issue(3))
    printed = paper.read_text()
    assert done["serial"] in printed and done["successor_code"] in printed
    assert till.run("reverse", done["serial"])[0] == 0
    assert "REVERSAL" in paper.read_text() or "撤销核销" in paper.read_text()
    parts = assembly.open_parts(till.shop.data, Options())
    states = parts.journal.connection.execute("SELECT DISTINCT state FROM print_job").fetchall()
    assembly.close(parts)
    assert states == [("printed",)]
    quiet = till.redeem(till.issue(), 1, "--no-print")
    assert quiet["serial"] not in paper.read_text()


def test_sync_without_a_central_is_out_of_service(till: Till) -> None:
    """A terminal that has no central says so with status 3."""
    status, said = till.json("sync", "--once")
    assert (status, said["reason"]) == (3, "out_of_service") and "enrol" in said["message"]


def test_run_holds_the_terminal_until_a_signal(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` journals its start, answers commands, and ends in order when it is told to."""
    answers: list[int] = []

    @contextmanager
    def ended() -> Iterator[Any]:
        class Waits:
            def wait(self) -> None:
                sample = till.issue()
                answers.append(
                    cli.main(["redeem", sample.code(), sample.last4, "--config", str(till.config)])
                )

        yield Waits()

    monkeypatch.setattr(commands_run, "signalled", ended)
    assert till.run("run")[0] == 0 and answers == [0]
    _, out, _ = till.run("journal", "list", "--json")
    assert [json.loads(line)["kind"] for line in out.splitlines()] == ["started", "redeemed"]


def test_an_unknown_device_profile_is_wrong_configuration(till: Till) -> None:
    """A profile that is not shipped exits 2, names itself, and lets go of the journal."""
    till.config.write_text('[paths]\ndata = "data"\n[printer]\nport = "x"\nprofile = "nope"\n')
    status, _, err = till.run("run")
    assert status == 2 and "nope" in err
    till.settings()
    assert till.run("journal", "list")[0] == 0


# Names that stand in two places


def test_the_reversal_reasons_are_one_list() -> None:
    """The command line offers what the journal knows."""
    assert tuple(arguments.REVERSAL_REASONS) == tuple(REVERSAL_REASONS)


@pytest.mark.parametrize("name", ["lookup", "redeem", "reverse", "sync", "journal", "enrol"])
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help names the arguments and exits 0."""
    run: Callable[[list[str]], int] = cli.main
    with pytest.raises(SystemExit) as caught:
        run([name, "--help"])
    assert caught.value.code == 0 and "usage: hexiao" in capsys.readouterr().out
