"""`hexiao central …` as programs see it: exit statuses, one JSON object per line, exact names."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from central import cli
from central.api.serve import Service
from central.service import REVISION, Central
from sync.errors import Refused as SyncRefused
from sync.feed import FeedPage
from tests.central import till as tills
from tests.central.conftest import Pair, issue

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but our own."""
    monkeypatch.chdir(tmp_path)
    for name in ("HEXIAO_CONFIG", "HEXIAO_CENTRAL_DATABASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


class Command:
    """Runs commands in this process and reads what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.errors = ""

    def __call__(self, *words: str, status: int = 0) -> list[dict[str, Any]]:
        found = cli.main([*words, "--json"])
        out, self.errors = self._capsys.readouterr()
        assert found == status, (words, out, self.errors)
        return [json.loads(line) for line in out.splitlines()]

    def one(self, *words: str, status: int = 0) -> dict[str, Any]:
        (row,) = self(*words, status=status)
        return row


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture
def shop(run: Command) -> Command:
    """A merchant with two outlets and a product, in ./central.db."""
    run("init", "--vault-cost", "light")
    run("outlet", "add", "--name", "East")
    run("outlet", "add", "--name", "West")
    run("product", "add", "--name", "Bread", "--price-fen", "5000", "--outlet", "1", "2")
    return run


def test_the_whole_life_of_an_order(shop: Command) -> None:
    """Design 5: the shapes of the commands that the counter sees the effect of."""
    assert Path("central.db").stat().st_mode & 0o777 == 0o600
    issued = shop.one("issue", "--product", "1", "--phone", "13800001234", "--shares", "3")
    assert set(issued) == {"order", "voucher", "code", "last4", "shares", "qr"}
    assert (issued["last4"], issued["shares"]) == ("1234", 3)
    order = issued["order"]
    longer = shop.one("extend", order, "--until", "2099-12-31")
    assert longer["valid_until"] == "2099-12-31T16:00:00.000Z"
    assert shop.one("change-mobile", order, "13900005678")["last4"] == "5678"
    assert shop.one("refund", order, "--request")["state"] == "requested"
    assert shop.one("refund", order, "--withdraw")["state"] == "withdrawn"
    assert shop.one("refund", order)["amount_fen"] == 14_900
    no = shop.one("refund", order, status=1)
    assert (no["ok"], no["reason"]) == (False, "refunded") and set(no) == {
        "ok",
        "reason",
        "message",
    }
    assert no["message"] in shop.errors
    (row,) = shop("report", "orders")
    assert (row["order"], row["state"]) == (order, "unavailable")
    for report in ("redemptions", "reversals", "conflicts"):
        assert shop("report", report) == []
    assert shop.one("report", "products")["sold"] == 3
    assert shop.one("report", "sealing")["waiting_current"] == 0
    ran = [job["job"] for job in shop("jobs", "run")]
    assert ran == ["sealing", "claims", "refunds", "signatures", "moving", "compaction"]
    assert all(job["ran_at"] for job in shop("jobs", "list"))


def test_pairing_codes_and_the_fleet(shop: Command) -> None:
    code = shop.one("enrol-code", "--outlet", "1", "--posid", "POS1", "--url", "https://c.example")
    assert set(code) == {"code", "url", "expires_at"} and code["url"] == "https://c.example"
    assert shop("terminals") == [] and shop("alarms") == []
    for words, reason in (
        (("--outlet", "9", "--posid", "POS1"), "unknown_outlet"),
        (("--outlet", "1", "--posid", "POS-1"), "bad_posid"),
    ):
        assert shop.one("enrol-code", *words, status=1)["reason"] == reason


def test_products_are_listed_as_they_were_added(shop: Command) -> None:
    words = ("--price-fen", "100", "--outlet", "2", "--weekdays", "1-5", "--valid-to", "2099-07-31")
    shop("product", "add", "--name", "Tea", *words, "--refund-ratio", "80", "--online-only")
    tea = shop("product", "list")[1]
    assert tea["valid_to"] == "2099-07-31" and tea["valid_days"] is None
    assert (tea["outlets"], tea["weekdays"], tea["online_only"]) == ([2], [1, 2, 3, 4, 5], True)
    for words, reason in (
        (("--name", "X", "--price-fen", "1", "--outlet", "1", "--weekdays", "8"), "bad_weekdays"),
        (("--name", "\x1b@", "--price-fen", "1", "--outlet", "1"), "bad_name"),
        (("--name", "X", "--price-fen", "1", "--outlet", "1", "--valid-to", "x"), "bad_date"),
    ):
        assert shop.one("product", "add", *words, status=1)["reason"] == reason


def test_bulk_import_says_what_it_refused(shop: Command, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("order,product,phone\nA1,1,13800001234\nA2,9,13800001234\n", "utf-8")
    done = shop.one("import", str(file), status=1)
    assert (done["ok"], done["imported"], done["refused"], done["waiting"]) == (False, 1, 1, 1)
    assert Path(done["refused_file"]).name == "orders.csv.refused.jsonl"
    assert done["reasons"] == {"unknown_product": 1}
    assert shop.one("import", str(tmp_path / "missing.csv"), status=3)["reason"] == "out_of_service"
    (tmp_path / "photo.csv").write_bytes(bytes(range(256)))
    assert shop.one("import", str(tmp_path / "photo.csv"), status=2)["reason"] == "misconfigured"
    assert shop.one("import-journal", str(file), status=1)["reason"] == "unreadable"


def test_an_id_card_is_read_from_standard_input_too(
    shop: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that no list of processes has it; a wrong one is never repeated."""
    words = ("issue", "--product", "1", "--phone", "13800001234", "--id-card")
    number = "11010519491231002X"
    shop.one(*words, number)
    monkeypatch.setattr("sys.stdin", io.StringIO(number.lower() + "\n"))
    shop.one(*words, "-")
    wrong = shop.one(*words, number[:17] + "1", status=1)
    assert wrong["reason"] == "bad_id_card" and number[:17] not in wrong["message"]
    assert shop.one("forget-card", number[:17] + "1", status=1)["reason"] == "bad_id_card"
    assert shop.one("forget-card", number)["rows"] == 2
    assert shop.one("forget-card", number)["rows"] == 0


def test_wrong_usage_is_told_from_refusals_and_outages(
    run: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit 0 done, 1 refused, 2 wrong usage or configuration, 3 out of service."""
    assert run.one("product", "list", status=2)["reason"] == "misconfigured"
    assert cli.main(["nonsense"]) == 2
    assert cli.main(["issue", "--product", "one", "--phone", "1"]) == 2
    assert cli.main(["--help"]) == cli.main(["issue", "--help"]) == 0
    capsys.readouterr()
    for url in ("mysql://x/y", "not a url", "sqlite://"):
        assert run.one("product", "list", "--database", url, status=2)["ok"] is False
    nowhere = "postgresql://127.0.0.1:1/none"
    assert run.one("product", "list", "--database", nowhere, status=3)["ok"] is False
    (tmp_path / "text.db").write_text("this is no database, " * 100)
    broken = f"sqlite:///{tmp_path}/text.db"
    assert run.one("product", "list", "--database", broken, status=3)["ok"] is False
    (tmp_path / "bad.toml").write_text("[central]\nport = 'x'\n")
    no = run.one("product", "list", "--config", str(tmp_path / "bad.toml"), status=2)
    assert "bad.toml" in no["message"]
    bad_zone = run.one("init", "--time-zone", "Nowhere/Land", status=1)
    assert bad_zone["reason"] == "bad_time_zone"


def test_init_and_migrate_are_safe_to_repeat(shop: Command) -> None:
    assert shop.one("init", status=1)["reason"] == "exists"
    assert shop.one("migrate")["version"] == REVISION
    assert len(shop("outlet", "list")) == 2


def test_the_policy_is_changed_by_name(shop: Command) -> None:
    before = shop.one("policy", "show")
    assert (before["version"], before["offline.max_hours.home"]) == (1, 72)
    words = ("offline.max_hours.home=10", "offline.tills=primary_only")
    after = shop.one("policy", "set", *words)
    assert (after["version"], after["offline.max_hours.home"]) == (2, 10)
    assert shop.one("policy", "show")["offline.tills"] == "primary_only"
    for wrong, reason in (
        ("offline.max_hours=1", "unknown_policy"),
        ("version=9", "unknown_policy"),
        ("offline.max_hours.home=-1", "bad_policy"),
        ("offline.tills=both", "bad_policy"),
        ("nonsense", "unknown_policy"),
    ):
        assert shop.one("policy", "set", wrong, status=1)["reason"] == reason
    assert shop.one("policy", "show")["version"] == 2


def test_settings_name_the_database(run: Command, tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "hexiao.toml").write_text('[central]\ndatabase = "sqlite:///my.db"\n')
    made = run.one("init", "--vault-cost", "light", "--config", str(folder / "hexiao.toml"))
    assert made["database"] == f"sqlite:///{folder}/my.db" and (folder / "my.db").exists()


def test_a_redemption_is_reported_and_settled(central: Central, pair: Pair, run: Command) -> None:
    """Design 5: a redemption row has exactly these names; settle closes a conflict."""
    voucher = issue(central)
    till = pair("POS1")
    till.redeem(voucher)
    second = till.redeem(voucher)
    till.push()
    database = ("--database", central.database.url)
    rows = run("report", "redemptions", *database)
    names = "serial posid outlet clerk voucher order product shares amount_fen at received_at mode"
    names += " credential verdict flags excess others reversed"
    assert [list(row) for row in rows] == [names.split()] * 2
    assert [row["amount_fen"] for row in rows] == [5_000, 0]
    open_now = run("report", "conflicts", *database)
    assert {row["serial"]: row["settled"] for row in open_now} == {
        rows[0]["serial"]: None,
        second: None,
    }
    assert run.one("settle", second, "recovered", *database)["settled"] == "recovered"
    assert run.one("settle", "X_1_00000001", "loss", *database, status=1)["ok"] is False
    (terminal,) = run("terminals", *database)
    assert (terminal["posid"], terminal["up_to"], terminal["state"]) == ("POS1", 2, "active")


def test_plain_words_hold_no_control_characters(
    shop: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["product", "list"]) == 0
    assert "Bread" in capsys.readouterr().out
    assert cli.main(["refund", "\x1b[2Jnothing"]) == 1
    assert "\x1b" not in capsys.readouterr().err


def test_the_demo_seed_can_be_topped_up(run: Command, tmp_path: Path) -> None:
    """Design 5, demo: 16 with one share, 6 with three to ten, and one sample of each refusal."""
    run("init", "--vault-cost", "light")
    first = run.one("demo-seed")
    shares = [row["shares"] for row in first["vouchers"]]
    assert shares.count(1) >= 16 and sum(3 <= count <= 10 for count in shares) >= 6
    assert all(set(row) == {"code", "last4", "shares", "product"} for row in first["vouchers"])
    assert [row["reason"] for row in first["refused"]] == [
        "expired",
        "not_yet_valid",
        "wrong_outlet",
        "wrong_weekday",
        "refunding",
        "refunded",
        "used_up",
        "replaced",
    ]
    assert all(set(row) == {"code", "last4", "reason"} for row in first["refused"])
    assert run("report", "redemptions") == []
    assert run.one("demo-seed") == first
    gone = run("report", "orders")[0]["order"]
    run("refund", gone)
    again = run.one("demo-seed")
    assert len(again["vouchers"]) == len(first["vouchers"]) and again != first


class Served:
    """`hexiao central serve` as a process of its own."""

    def __init__(self, database: str, *more: str) -> None:
        command = [sys.executable, "-m", "central", "serve", "--database", database, "--json"]
        self.process = subprocess.Popen(
            [*command, *more], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = json.loads(self.process.stdout.readline())["url"]

    def end(self, number: int) -> int:
        os.kill(self.process.pid, number)
        return self.process.wait(20)


@pytest.fixture
def database(central: Central) -> Iterator[str]:
    yield central.database.url


def test_a_killed_service_goes_on_where_it_was(central: Central, database: str) -> None:
    """kill -9, start again: acknowledged entries are there once, the terminal just goes on."""
    voucher = issue(central, shares=3)
    served = Served(database, "--port", "0")
    till = tills.pair(central, served.url, "POS1")
    till.redeem(voucher)
    till.push()
    assert served.end(signal.SIGKILL) == -signal.SIGKILL
    again = Served(database, "--port", served.url.rpartition(":")[2])
    till.redeem(voucher, generation=1, left=1)
    assert json.loads(till.push().ack)["up_to"] == 2
    answer = till.http.feed(1, after="0", limit=5_000, wait_s=0)
    assert answer.reflects is not None and answer.reflects.seq == 2
    till.http.close()
    assert again.end(signal.SIGTERM) == 0


def test_waiting_terminals_are_let_go_when_the_service_ends(central: Central) -> None:
    """The service ends within seconds although a terminal holds a request for 25 s."""
    service = Service(central, "127.0.0.1", 0)
    serving = threading.Thread(target=service.run, args=(lambda _: None,))
    serving.start()
    till = tills.pair(central, service.url, "POS1")
    page = till.http.feed(0, after="0", limit=5_000, wait_s=0)
    answers: list[object] = []

    def poll() -> None:
        answers.append(till.http.feed(0, after=page.cursor, limit=10, wait_s=25))

    waiting = threading.Thread(target=poll)
    waiting.start()
    began = time.monotonic()
    while service.waiting == 0 and time.monotonic() - began < 10:
        waiting.join(0.02)
    service.stop()
    waiting.join(6)
    serving.join(6)
    assert not waiting.is_alive() and not serving.is_alive()
    assert [type(answer) for answer in answers] == [FeedPage]
    till.http.close()


def test_a_taken_port_is_an_outage(central: Central, database: str, run: Command) -> None:
    served = Served(database, "--port", "0")
    port = served.url.rpartition(":")[2]
    no = run.one("serve", "--database", database, "--port", port, status=3)
    assert port in no["message"]
    run.one("serve", "--database", database, "--port", "99999", status=2)
    assert served.end(signal.SIGINT) == 0


def test_a_bug_is_a_problem_not_a_traceback(
    central: Central, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = pair("POS1")

    def broken(*_: object, **__: object) -> None:
        raise AssertionError("planted")

    monkeypatch.setattr("central.feed.read_shared", broken)
    with pytest.raises(SyncRefused) as no:
        till.http.feed(1, after="0", limit=1, wait_s=0)
    assert (no.value.problem.status, no.value.reason) == (500, "internal")
    assert "planted" not in str(no.value)
