"""Orders in bulk: idempotent by order id, and every bad row named instead of stopping the file."""

import json
import stat
from pathlib import Path

import pytest

from central import imports, ledger, reports, sealing
from central.errors import Misconfigured
from central.imports import Imported
from central.service import Central

HEADER = "order,product,phone,shares,valid_until,used\n"


def run(central: Central, tmp_path: Path, text: str | bytes, name: str = "orders.csv") -> Imported:
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return imports.run(central, file, tmp_path / "refused.jsonl")


def refused(tmp_path: Path) -> dict[int, str]:
    lines = (tmp_path / "refused.jsonl").read_text("utf-8").splitlines()
    return {row["line"]: row["reason"] for row in map(json.loads, lines)}


def test_a_file_is_imported_once(central: Central, tmp_path: Path) -> None:
    rows = "".join(f"A{n},1,138000{n:05d},{1 + n % 3},,\n" for n in range(1_200))
    first = run(central, tmp_path, HEADER + rows)
    assert (first.imported, first.repeated, first.refused) == (1_200, 0, 0)
    assert first.refused_file is None and not (tmp_path / "refused.jsonl").exists()
    again = run(central, tmp_path, HEADER + rows + "A1200,1,13800001234,1,,\n")
    assert (again.imported, again.repeated, again.refused) == (1, 1_200, 0)
    with central.read() as work:
        assert len(list(reports.orders(work))) == 1_201
        state = next(reports.sealing_state(work))
        through = sealing.sealed_through(work)
        assert through < work.now
    assert (state["waiting_current"], state["waiting_next"]) == (1_201, 800)
    while sealing.run(central, limit=500):
        pass
    with central.read() as work:
        assert sealing.report(work).sealed == 2_001
        assert sealing.sealed_through(work) == work.now


def test_json_lines_and_migrated_vouchers(central: Central, tmp_path: Path) -> None:
    text = (
        '{"order": "B1", "product": 1, "phone": "13800001234", "shares": 3, "used": 1}\n'
        '\n{"order": "B2", "product": "1", "phone": "+86 138 0000 1234", "home": 2}\n'
    )
    done = run(central, tmp_path, text, "orders.jsonl")
    assert (done.imported, done.refused) == (2, 0)
    with central.read() as work:
        by_external = {row["external"]: row for row in reports.orders(work)}
        found = ledger.find(work, str(by_external["B1"]["voucher"]))
    assert found is not None and (found.used, found.used_before, found.left) == (1, 1, 2)
    assert (by_external["B2"]["home"], by_external["B1"]["home"]) == (2, None)


def test_every_bad_row_is_named_with_its_line(central: Central, tmp_path: Path) -> None:
    """Emoji, control bytes, markup, wrong numbers, broken quotes: a reason each, no traceback."""
    rows = [
        ("C1,1,13800001234,1,,", None),
        ("C1,1,13800009999,1,,", "order_differs"),
        ("C2,9,13800001234,1,,", "unknown_product"),
        ("C3,1,12345,1,,", "bad_mobile"),
        ("C4,1,13800001234,zwei,,", "bad_number"),
        ("C5,1,13800001234,0,,", "bad_count"),
        ("C6,1,13800001234,1,2024-13-01,", "bad_date"),
        ("C7,1,13800001234,1,2001-01-01,", "bad_validity"),
        ("C8,1,13800001234", "unreadable"),
        (",1,13800001234,1,,", "missing"),
        ("C9\x1b[2J,1,13800001234,1,,", "bad_name"),
        ("C10,1,13800001234,1,,2", "bad_count"),
        ('"C11,1,13800001234,1,,', "unreadable"),
        ("C12\x00,1,13800001234,1,,", "bad_name"),
        ("x" * 65 + ",1,13800001234,1,,", "bad_order"),
        ("[b]券🎉[/b],1,13800001234,1,,", None),
        ("C1,1,13800001234,1,,", "repeated"),
    ]
    done = run(central, tmp_path, HEADER + "\n".join(row for row, _ in rows) + "\n")
    expected = {
        number: why
        for number, (_, why) in enumerate(rows, start=2)
        if why not in (None, "repeated")
    }
    assert refused(tmp_path) == expected
    assert (done.imported, done.repeated, done.refused) == (2, 1, len(expected))
    assert stat.S_IMODE((tmp_path / "refused.jsonl").stat().st_mode) == 0o600


def test_bytes_that_are_no_text_are_refused_row_by_row(central: Central, tmp_path: Path) -> None:
    text = HEADER.encode() + b"\xff\xfe\x80,1,13800001234,1,,\nD1,1,13800001234,1,,\n"
    done = run(central, tmp_path, text)
    assert (done.imported, done.refused) == (1, 1)
    assert refused(tmp_path) == {2: "bad_name"}
    lines = b'{"order": "E1"\n[1]\n{"order": "\\ud800", "product": 1, "phone": "13800001234"}\n'
    done = run(central, tmp_path, lines + b'{"oder": 1}\n' + b"{" * 20_000, "bad.jsonl")
    assert done.imported == 0 and done.refused >= 4


@pytest.mark.parametrize("text", [b"", b"\x00\x01\x02", b"name,age\nli,7\n", b"PK\x03\x04zip"])
def test_another_kind_of_file_is_refused_whole(
    central: Central, tmp_path: Path, text: bytes
) -> None:
    with pytest.raises(Misconfigured) as no:
        run(central, tmp_path, text)
    assert "missing" in str(no.value)
