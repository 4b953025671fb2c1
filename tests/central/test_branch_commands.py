"""`hexiao central branch …` as people and programs see it."""

import getpass
import json
from typing import Any

import pytest

from central import cli
from central.commands import branch
from central.service import Central
from sync.errors import Refused
from tests.central.conftest import Pair, issue
from tests.central.till import Till
from vouchers import ids
from vouchers.entries import Kind


@pytest.fixture
def clone(central: Central, pair: Pair) -> Till:
    """A copied disk on which one voucher was redeemed, a second time."""
    voucher, till = issue(central), pair("POS1")
    made = till.clone()
    till.redeem(voucher)
    till.push()
    made.redeem(voucher)
    made.add(Kind.STARTED, {})
    with pytest.raises(Refused):
        made.push()
    return made


class Run:
    """Runs a command on the test's database: exit status, output, errors."""

    def __init__(self, central: Central, capsys: pytest.CaptureFixture[str]) -> None:
        self._url, self._capsys = central.database.url, capsys

    def plain(self, *words: str, status: int = 0) -> tuple[str, str]:
        found = cli.main([*words, "--database", self._url])
        out, errors = self._capsys.readouterr()
        assert found == status, (words, out, errors)
        return out, errors

    def rows(self, *words: str, status: int = 0) -> list[dict[str, Any]]:
        out, _ = self.plain(*words, "--json", status=status)
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def run(central: Central, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(central, capsys)


def test_from_the_first_look_to_the_record(clone: Till, run: Run) -> None:
    """Look, try, decide, settle: the shapes that docs/commands.md names."""
    (row,) = run.rows("branch", "list")
    assert list(row) == [
        *("branch", "posid", "outlet", "first", "last", "redemptions", "shares", "amount_fen"),
        *("reversals", "clerks", "from_at", "to_at", "received_at"),
        *("waiting", "booked", "dismissed", "obstacles"),
    ]
    words = "branch", "book", row["branch"], "--reason", "slips\nseen", "--by", "王芳"
    (tried,) = run.rows(*words, "--dry-run")
    (done,) = run.rows(*words)
    assert tried == done | {"dry_run": True}
    assert done == {
        "ok": True,
        "branch": "POS1_1_b1",
        "decision": "booked",
        "entries": 2,
        "waiting": 0,
        "verdicts": {"over_redeemed": 1},
        "repeated": False,
        "dry_run": False,
    }
    (entry,) = run.rows("report", "branches")
    assert list(entry) == [
        *("serial", "on_slip", "branch", "posid", "outlet", "hash", "kind", "clerk", "at"),
        *("received_at", "voucher", "shares", "amount_fen", "reverses", "same_voucher"),
        *("obstacle", "state", "verdict", "decided_at", "decided_by", "reason"),
    ]
    assert entry["serial"] == ids.branch_serial("POS1", 1, 1, clone.heads[1])
    (decision,) = run.rows("report", "decisions")
    assert (decision["decided_by"], decision["reason"]) == ("王芳", "slips seen")
    (settled,) = run.rows("settle", entry["serial"], "loss")
    assert settled["settled"] == "loss"
    assert run.rows(*words)[0]["repeated"]


def test_in_words(clone: Till, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who decides is this account where nobody else is named."""
    monkeypatch.setenv("LOGNAME", "wang")
    looked, _ = run.plain("branch", "book", "POS1_1_b1", "--reason", "x", "--dry-run")
    assert looked == (
        "POS1_1_b1: 2 entries would be booked; booked of it: 1 over_redeemed; nothing was changed\n"
    )
    said, _ = run.plain("branch", "dismiss", "POS1_1_b1", "--reason", "x", "--up-to", "1")
    assert said == "POS1_1_b1: 1 entries dismissed; nothing of it is booked; 1 still wait\n"
    assert run.rows("report", "decisions")[0]["decided_by"] == getpass.getuser() == "wang"
    assert "POS1_1_00000001" in run.plain("report", "branches")[0]


def test_what_is_refused_and_what_is_wrong_usage(
    clone: Till, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (no,) = run.rows("branch", "book", "POS1_1_b9", "--reason", "x", status=1)
    assert (no["reason"], "branch list" in no["message"]) == ("unknown_branch", True)
    assert "--reason" in run.plain("branch", "book", "POS1_1_b1", status=2)[1]

    def nameless() -> str:
        raise OSError("no account has this number")

    monkeypatch.setattr(branch.getpass, "getuser", nameless)
    (no,) = run.rows("branch", "dismiss", "POS1_1_b1", "--reason", "x", status=1)
    assert no["reason"] == "bad_reason"
