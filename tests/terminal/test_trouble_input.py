"""Whatever is typed, scanned or set: words, never a traceback, never a command on paper."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from terminal import cli
from tests.drivers.waiting import until
from tests.journeys.world import PATIENCE_S, hexiao_process
from tests.terminal.shop_till import ShopTill
from vouchers.reasons import Reason

SETTINGS = {
    "not_toml": b"[paths\ndata = 1",
    "not_text": b"\xff\xfe\x00p\x00a",
    "a_picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "unknown_table": b"[printers]\nport = 1\n",
    "unknown_name": b'[printer]\nprot = "x"\n',
    "wrong_type": b"[printer]\nport = 9\n",
    "wrong_choice": b'[kiosk]\nlanguage = "fr"\n',
    "out_of_range": b"[disk]\nmin_free_mb = -1\n",
    "table_for_value": b'[paths.data]\nx = "y"\n',
    "twice": b"[disk]\nmin_free_mb = 1\n[disk]\nmin_free_mb = 2\n",
    "zero_byte": b'[paths]\ndata = "a\\u0000b"\n',
    "far_too_long": b'[printer]\nport = "' + b"x" * 3000 + b'"\n',
    "huge": b"#" * (2 << 20),
    "deep": b"x = " + b"[" * 20_000,
    "clerk_with_escape": b'[kiosk]\nclerk = "\\u001b[2J"\n',
}

USABLE = {
    "empty": b"",
    "comments": b"# nothing\n",
    "byte_order_mark": b"\xef\xbb\xbf[kiosk]\nlanguage = 'en'\n",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_broken_settings_are_named(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 and one line that names the file; the same as JSON."""
    path = tmp_path / "hexiao.toml"
    path.write_bytes(SETTINGS[name])
    assert cli.main(["lookup", "1", "2", "--config", str(path)]) == 2
    said = capsys.readouterr()
    assert (said.out == "" and "hexiao.toml" in said.err) or "data" in said.err, said
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said.err), repr(said.err)
    assert len(said.err) < 1000
    assert cli.main(["lookup", "1", "2", "--json", "--config", str(path)]) == 2
    row = json.loads(capsys.readouterr().out)
    assert (row["ok"], row["reason"]) == (False, "out_of_service") and row["message"]


@pytest.mark.parametrize("name", USABLE)
def test_usable_settings_are_used(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty file, comments and an editor's mark are no reason to stop."""
    path = tmp_path / "hexiao.toml"
    path.write_bytes(USABLE[name])
    assert cli.main(["lookup", "1", "2", "--config", str(path)]) == 2
    assert "hexiao enrol" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["nowhere.toml", ".", "a/b/c.toml", "x" * 300])
def test_settings_that_are_not_there(
    tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that was asked for and cannot be read is said, not passed over."""
    assert cli.main(["run", "--config", str(tmp_path / where)]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "settings",
    [
        {"printer": {"port": "emulated://printer", "profile": "no-such"}},
        {"printer": {"port": "emulated://printer", "profile": "../../etc/passwd"}},
        {"printer": {"port": "emulated://printer", "profile": ""}},
        {"paths": {"data": "hexiao.toml"}},
        {"paths": {"data": "hexiao.toml/below"}},
    ],
)
def test_settings_that_cannot_work(
    tmp_path: Path, settings: dict[str, dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Well-formed, and yet nothing to work with: exit 2 or 3, in words."""
    till = ShopTill(tmp_path / "till", **settings)
    code = ["redeem", "11111111111", "1234", "--config", str(till.config)]
    assert cli.main(code) in (2, 3)
    assert len(capsys.readouterr().err.strip()) > 20


@pytest.mark.parametrize(
    "port", ["/dev/null", "/nowhere/at/all", "socket://127.0.0.1:1", "no://such", "x" * 150, "."]
)
def test_printer_that_cannot_be_opened_stops_nothing(tmp_path: Path, port: str) -> None:
    """The redemption stands; the slip waits."""
    till = ShopTill(tmp_path / "till", printer={"port": port, "profile": "emulated"})
    sample = till.issue()
    with till.running():
        assert till.redeem(sample.code(), sample.last4)["left"] == 0
        assert till.run("doctor", "--json").rows


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory) -> ShopTill:
    """One till for all that changes nothing."""
    return ShopTill(tmp_path_factory.mktemp("till") / "T1")


SCANS = {
    "long": "7" * 4096,
    "longer": "A" * 70_000,
    "emoji": "🍞🧾👩‍🍳" * 20,
    "control": "".join(map(chr, range(1, 32))),
    "escape": "\x1b[2J\x1b]0;owned\x07",
    "markup": "[bold red]x[/] <script>alert(1)</script> %s {0} ${HOME}",
    "lone_surrogate": "\udc80\udcff",
    "right_to_left": "\u202e12345678901",
    "other_digits": "１２３４５６７８９０１",
    "arabic_digits": "٠١٢٣٤٥٦٧٨٩٠",
    "negative": "-12345678901",
    "spaces": "   \t  ",
    "link": "https://example.com/?code=" + "%00" * 50,
    "bad_qr": "HX1:" + "A" * 300,
    "sql": "1' OR '1'='1",
}


@pytest.mark.parametrize("name", SCANS)
def test_scans_that_are_none(till: ShopTill, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused by a reason of the contract, free of charge, with nothing of it in the answer."""
    for words in (["lookup"], ["redeem"]):
        argv = [*words, "--json", "--config", str(till.config), "--", SCANS[name], "1234"]
        assert cli.main(argv) == 1
        row = json.loads(capsys.readouterr().out)
        assert row["reason"] in set(Reason) and row["message"]
        assert SCANS[name] not in row["message"] or len(SCANS[name].strip()) < 2
    assert till.ask("journal", "verify")["entries"] == 0


@pytest.mark.parametrize("last4", ["", "12", "12345", "abcd", "１２３", "🍞", "\x1b[2J", "-123"])
def test_last_four_that_are_none(
    till: ShopTill, last4: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same for the digits."""
    code = till.issue().code()
    assert cli.main(["lookup", "--json", "--config", str(till.config), "--", code, last4]) == 1
    assert json.loads(capsys.readouterr().out)["reason"] == "malformed"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["redeem"],
        ["redeem", "1"],
        ["redeem", "1", "2", "--shares", "x" * 500],
        ["redeem", "1", "2", "--shares", "9" * 5000],
        ["redeem", "1", "2", "--request", "a b"],
        ["redeem", "1", "2", "--clerk", "\x1b[31mboss"],
        ["redeem", "1", "2", "--wait", "nan"],
        ["journal"],
        ["journal", "export", "--since", "-5"],
        ["reverse", "S", "--reason-code", "because"],
        ["verify-journal", "nowhere"],
    ],
)
def test_wrong_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, the usage and what is wrong; no escape code reaches the screen."""
    assert cli.main(words) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err and "\x1b" not in said.err


@pytest.mark.parametrize(
    "serial", ["", "T1", "T1_1_1", "T1_1_00000099", "T9_1_00000001", "🍞" * 50]
)
def test_serials_that_are_none(
    till: ShopTill, serial: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reversal of nothing says so."""
    assert cli.main(["reverse", "--json", "--config", str(till.config), "--", serial]) == 1
    reason = json.loads(capsys.readouterr().out)["reason"]
    assert reason in {"nothing_to_reverse", "not_this_terminal"}


def test_bytes_that_are_no_text(till: ShopTill) -> None:
    """On standard input and on the command line, where a system lets them through."""
    for stdin, code in ((b"\xff\xfe\x00\r\n1234\n", "-"), (b"1234\n", "\udcff\udcfe\udc80")):
        words = ("lookup", "--json", "--config", str(till.config), code, "-")
        done = hexiao_process(*words, stdin=stdin)
        assert done.status == 1 and done.row["reason"] == "malformed", done


def test_chinese_words_where_the_locale_has_none(tmp_path: Path) -> None:
    """A message in Chinese on a console that knows ASCII only is no traceback."""
    till = ShopTill(tmp_path / "till", kiosk={"language": "zh"})
    sample = till.issue()
    words = ("lookup", sample.code(), sample.last4, "--config", str(till.config))
    done = hexiao_process(*words, LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.status == 0, done


EVIL = (
    "\x1b@[bold]\x1bp\x00\x19\xfa 面包\x1dV\x00\x10\x14\x01\x00\x01<b>"
    "\r\n\x0c\x1b[31m🍞\x9b2J\u202e"
)
"""Initialise, drawer, cut, buzz, form feed, colours, C1, right-to-left, in one product name."""


def test_names_command_nothing(tmp_path: Path) -> None:
    """AX-14, AX-16: on paper, on the screen and in JSON a name is text, whatever is in it."""
    till = ShopTill(tmp_path / "till", printer={"port": str(tmp_path / "till" / "printer")})
    printer = till.printer()
    till.shop.product(3, outlets=[1], name=EVIL)
    till.shop.database.execute("UPDATE product SET slip_text = ? WHERE id = 3", (EVIL * 2,))
    sample, second = till.issue(3, product=3), till.issue(1, product=3)
    with till.running():
        done = till.redeem(sample.code(), sample.last4, 2)
        until(lambda: "Serial" in printer.paper_text() or done["serial"] in printer.paper_text())
        until(lambda: printer.machine.next_ms() is None, PATIENCE_S)
    heard = bytes(printer.machine.count.heard)
    assert printer.machine.count.drawer_kicks == 0
    for command in (b"\x1bp", b"\x1dV\x00", b"\x10\x14", b"\x1b[", b"\x9b2J"):
        assert command not in heard, command
    assert "面包" in printer.paper_text() and printer.machine.paper.cuts() <= 1
    plain = till.run("lookup", sample.code(1), sample.last4)
    redeemed = till.run("redeem", second.code(), second.last4, "--no-print")
    for said in (plain, redeemed):
        assert said.status == 0, said
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said.out), repr(said.out)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_note_and_reason_stay_out_of_the_journal(tmp_path: Path) -> None:
    """A note may hold anything of 80 characters; it is in no entry and on no slip."""
    till = ShopTill(tmp_path / "till")
    sample = till.issue()
    done = till.redeem(sample.code(), sample.last4)
    note = ("\x1b[2J 13800001234 🍞" * 20)[:80]
    assert till.ask("reverse", done["serial"], "--note", note)["ok"]
    assert "13800001234" not in till.run("journal", "export").out
