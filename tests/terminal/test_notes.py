"""A clerk's note on a reversal: beside the journal, up to head office, deletable from both ends."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from sync.errors import Refused
from sync.notes import Note
from terminal import notes
from tests.terminal.service import LAST4, Central, Paired, opened, pair, run

NOTE = "顾客改变主意 “changed” \\ 🙂"


def reversed_with(till: Paired, voucher: dict[str, Any], note: str) -> str:
    """Redeemed and undone with that note; the serial of the reversal."""
    seen = till.counter.look_up(voucher["code"], LAST4)
    done = till.counter.redeem(seen.handle, 1, clerk="li", request=voucher["code"])  # type: ignore[union-attr]
    undone = till.counter.reverse(done.serial, reason_code="other", clerk="li", note=note)  # type: ignore[union-attr]
    return str(undone.serial)  # type: ignore[union-attr]


def noted(central: Central, serial: str) -> str | None:
    rows = map(json.loads, run(central.config, "report", "reversals").splitlines())
    (row,) = [row for row in rows if row["serial"] == serial]
    return row["note"]  # type: ignore[no-any-return]


def kept(till: Paired) -> list[Any]:
    return till.counter.parts.journal.connection.execute("SELECT * FROM note").fetchall()


def test_it_stands_beside_the_reversal_and_in_no_entry(central: Central, tmp_path: Path) -> None:
    """As it was written, once; nothing of it is in the journal that goes up."""
    with opened(pair(central, tmp_path / "data")) as till:
        till.worker.once()
        serial = reversed_with(till, central.issue(), NOTE)
        assert till.worker.once().error is None
        assert noted(central, serial) == NOTE and kept(till) == [(serial, NOTE, 1)]
        bodies = [one.body for one in till.counter.parts.journal.entries(1, 0, 99)]
        assert not any("顾客" in body or "\\u" in body for body in bodies)


def test_it_is_deleted_from_either_end(central: Central, tmp_path: Path) -> None:
    """At the counter: gone at head office with the next contact. There: gone here, and for good."""
    with opened(pair(central, tmp_path / "data")) as till:
        till.worker.once()
        here = reversed_with(till, central.issue(), "here")
        there = reversed_with(till, central.issue(), "there")
        till.worker.once()
        assert till.counter.exclusive(lambda parts: notes.delete(parts, here))
        assert not till.counter.exclusive(lambda parts: notes.delete(parts, here))
        central.run("note", "delete", there)
        till.worker.once()
        assert (noted(central, here), noted(central, there)) == (None, None)
        assert kept(till) == [(there, "there", 1)]
        # A terminal whose disk was put back sends it again, and is told.
        with till.counter.parts.journal.transaction() as connection:
            connection.execute("UPDATE note SET sent = 0")
        till.worker.once()
        assert kept(till) == [] and noted(central, there) is None


def test_a_terminal_writes_on_its_own_entries_only(central: Central, tmp_path: Path) -> None:
    """Another's serial, or none at all, is refused; so is a note that is too long."""
    with opened(pair(central, tmp_path / "data")) as till:
        with pytest.raises(Refused) as no:
            till.worker._central.send_notes([Note(serial="OTHER_1_00000001", note="x")])
        assert (no.value.problem.status, no.value.reason) == (403, "not_this_terminal")
        with pytest.raises(Refused) as long:
            serial = f"{till.posid}_1_00000001"
            till.worker._central.send_notes([Note(serial=serial, note="x" * 81)])
        assert long.value.problem.status == 400
    unsigned = httpx.post(f"{central.url}/v1/notes", content=b"{}")
    assert unsigned.status_code == 401
