"""The end of a rescued journal that no signature stands for is in nobody's way, and not lost."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from central import branch_reports, import_journal, reports
from central.errors import Refused as No
from central.import_journal import Rescued
from central.service import Central
from tests.central.conftest import Pair, issue
from tests.central.till import Till
from vouchers import ids

Change = Callable[[str], str]


def with_(**changes: object) -> Change:
    """A line of an export, with other values."""
    return lambda line: json.dumps(json.loads(line) | changes) + "\n"


def another_body(line: str) -> str:
    """A bit of the body fell over."""
    return line.replace("lone", "lonf", 1)


WRONG = ids.b64u(bytes(64))
DAMAGES: dict[str, Change] = {
    "no signature": with_(sig=None),
    "a wrong signature": with_(sig=WRONG),
    "half a signature": with_(sig=WRONG[:50] + "!"),
    "another body": another_body,
}


def written(till: Till, file: Path, damage: Change, first: int) -> Path:
    """The till's export, its entries from `first` on damaged."""
    head, *lines = till.export().splitlines(keepends=True)
    lines[first - 1 :] = [damage(line) for line in lines[first - 1 :]]
    file.write_text(head + "".join(lines), encoding="utf-8")
    return file


def booked(central: Central) -> dict[object, object]:
    with central.read() as work:
        return {row["serial"]: row["verdict"] for row in reports.redemptions(work)}


def apart(central: Central) -> list[tuple[object, object, object]]:
    with central.read() as work:
        return [
            (row["on_slip"], row["obstacle"], row["voucher"])
            for row in branch_reports.entry_rows(work)
        ]


def kinds(central: Central) -> list[object]:
    with central.read() as work:
        return [row["kind"] for row in reports.alarms(work)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_end_does_not_stop_the_living_terminal(
    central: Central, pair: Pair, tmp_path: Path, damage: str
) -> None:
    """Its own word comes later and goes on where the believed part ends."""
    vouchers = [issue(central) for _ in range(4)]
    till = pair("POS1")
    serials = [till.redeem(voucher) for voucher in vouchers[:3]]
    file = written(till, tmp_path / "rescued.jsonl", DAMAGES[damage], 2)
    for added in (1, 0):
        done = import_journal.run(central, file)
        assert done == Rescued("POS1", 1, read=3, added=added, up_to=1, apart=2)
    assert booked(central) == {serials[0]: "accepted"}
    assert [row[:2] for row in apart(central)] == [(serial, "unsigned") for serial in serials[1:]]
    assert kinds(central) == ["bad_signature"]

    serials.append(till.redeem(vouchers[3]))
    till.hello()
    assert json.loads(till.push().ack)["up_to"] == 4
    assert booked(central) == dict.fromkeys(serials, "accepted")
    assert kinds(central) == ["bad_signature"]
    # What is the stream's now is not kept apart any more; what had been changed still is.
    left = [] if damage != "another body" else serials[1:3]
    assert [row[0] for row in apart(central)] == left
    again = import_journal.run(central, file)
    assert isinstance(again, Rescued) and again.apart == len(left)


def test_nothing_signed_at_all(central: Central, pair: Pair, tmp_path: Path) -> None:
    """All of it is kept apart, once; a better copy of the disk brings it."""
    voucher = issue(central)
    till = pair("POS1")
    serial = till.redeem(voucher)
    file = written(till, tmp_path / "rescued.jsonl", DAMAGES["no signature"], 1)
    assert import_journal.run(central, file) == Rescued("POS1", 1, 1, 0, 0, apart=1)
    assert apart(central) == [(serial, "unsigned", voucher.voucher)] and not booked(central)
    better = written(till, tmp_path / "better.jsonl", str, 1)
    assert import_journal.run(central, better) == Rescued("POS1", 1, 1, 1, 1)
    assert booked(central) == {serial: "accepted"} and not apart(central)


def test_a_file_that_was_cut_off(central: Central, pair: Pair, tmp_path: Path) -> None:
    """In the middle of a line, and with rubbish in place of one: the rest is taken."""
    vouchers = [issue(central) for _ in range(4)]
    till = pair("POS1")
    serials = [till.redeem(voucher) for voucher in vouchers]
    head, *lines = till.export().splitlines(keepends=True)
    lines[2:] = ["rubbish\n", with_(sig=None)(lines[3]), lines[3][:99]]
    file = tmp_path / "rescued.jsonl"
    file.write_text(head + "".join(lines), encoding="utf-8")
    done = import_journal.run(central, file)
    assert done == Rescued("POS1", 1, read=3, added=2, up_to=2, apart=1, unreadable=2)
    assert booked(central) == dict.fromkeys(serials[:2], "accepted")
    assert [row[:2] for row in apart(central)] == [(serials[3], "unjoined")]
    till.push()
    assert booked(central) == dict.fromkeys(serials, "accepted") and not apart(central)


def test_the_end_of_a_branch_is_kept_with_it(central: Central, pair: Pair, tmp_path: Path) -> None:
    """A copied disk whose file is damaged at its end as well."""
    vouchers = [issue(central) for _ in range(4)]
    till = pair("POS1")
    clone = till.clone()
    till.redeem(vouchers[0])
    till.push()
    serials = [clone.redeem(voucher) for voucher in vouchers[1:]]
    file = written(clone, tmp_path / "rescued.jsonl", DAMAGES["a wrong signature"], 3)
    for _ in range(2):
        no = import_journal.run(central, file)
        assert isinstance(no, No) and no.reason == "fork"
    assert [row[:2] for row in apart(central)] == list(
        zip(serials, (None, None, "unsigned"), strict=True)
    )


def test_entries_that_were_kept_apart_make_no_fork(
    central: Central, pair: Pair, tmp_path: Path
) -> None:
    """An upload that goes on from one of them is told where the gap begins."""
    vouchers = [issue(central) for _ in range(4)]
    till = pair("POS1")
    for voucher in vouchers:
        till.redeem(voucher)
    import_journal.run(
        central, written(till, tmp_path / "rescued.jsonl", DAMAGES["no signature"], 3)
    )
    rescued = tmp_path / "more.jsonl"
    head, *lines = till.export().splitlines(keepends=True)
    rescued.write_text(head + lines[3], encoding="utf-8")
    no = import_journal.run(central, rescued)
    assert isinstance(no, No) and (no.reason, "entry 3 " in no.message) == ("gap", True)
    assert json.loads(till.push(2).ack)["up_to"] == 4
