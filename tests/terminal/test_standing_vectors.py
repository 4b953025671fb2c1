"""A terminal's view of a voucher against the vectors of the second reading.

Goal: central's state row and the terminal's own later entries add up as the contract says,
whatever was reflected, acknowledged or left in an older epoch. Method: the journal's own tables,
filled with the entries of each case, asked by the terminal's own query.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import apsw
import pytest

from terminal import journal_schema
from terminal.journal_schema import ENTRY_WITH_EFFECT, Effect, entry_id
from terminal.parts import Parts
from vouchers import standing

FILE = Path(__file__).resolve().parent.parent / "vectors" / "standing.json"
CASES = json.loads(FILE.read_text("ascii"))["effective"]
VOUCHER = "0190f5a0-7c00-7abc-8def-0123456789ab"


def journal_with(own: list[list[Any]]) -> Parts:
    """The journal's tables holding a case's entries: epoch, sequence, net shares, acknowledged."""
    connection = apsw.Connection(":memory:")
    connection.execute(journal_schema.TABLES)
    for name in ("entry_leaves_no_gap", "entry_in_last_epoch"):  # the cases name what counts only
        connection.execute(f"DROP TRIGGER {name}")
    for epoch, seq, shares, acknowledged in own:
        effect = Effect(VOUCHER, 0, shares, 0, 9, 9, reverses=1 if shares < 0 else None)
        row = (entry_id(epoch, seq), "", "", "0" * 64, bytes(64), *effect)
        connection.execute(ENTRY_WITH_EFFECT, row)
        if acknowledged:
            connection.execute("INSERT INTO ack VALUES (?, ?, '', 1, x'')", (epoch, seq))
    return cast(Parts, SimpleNamespace(journal=SimpleNamespace(connection=connection)))


@pytest.mark.parametrize("case", CASES, ids=json.dumps)
def test_effective_use(case: dict[str, Any]) -> None:
    """The state row plus what it does not reflect; older epochs until acknowledged."""
    known = standing.Standing(
        state=standing.VoucherState.LIVE,
        generation=0,
        used=case["used"],
        valid_from=0,
        valid_until=1,
        home=None,
    )
    own = Parts.own_uses(journal_with(case["own"]), VOUCHER, *case["reflects"])
    assert standing.effective(known, own).used == case["effective_used"]
