"""One entry that central cannot take: passed over real HTTP, reported on both sides, kept here."""

import json
import random
import string
from pathlib import Path
from typing import Any

import pytest

from terminal.counter import ShopCounter
from tests.terminal.service import LAST4, Central, opened, pair, run
from vouchers.entries import Kind


def append(counter: ShopCounter, text: str) -> str:
    """An entry of this length in the journal, as no counter of ours would write it; its hash."""

    def write(parts: Any) -> str:
        stamp = parts.stamp(parts.clock.estimate(), "li")
        with parts.journal.transaction() as connection:
            stored, _ = parts.journal.append(connection, Kind.STARTED, {"text": text}, stamp)
        return str(stored.hash)

    return counter.exclusive(write)


@pytest.mark.parametrize(
    "how", ["larger than a batch", "larger than is unpacked", "incompressible"]
)
def test_it_holds_up_nothing_and_is_not_lost(
    central: Central, tmp_path: Path, how: str, rng: random.Random
) -> None:
    """413 with limits, 400, and 413 before the body is read: each is isolated and set aside."""
    text = {
        "larger than a batch": lambda: "x" * (3 << 19),
        "larger than is unpacked": lambda: "x" * (9 << 20),
        "incompressible": lambda: "".join(rng.choices(string.printable[:64], k=3 << 20)),
    }[how]()
    bought = [central.issue() for _ in range(4)]
    data = pair(central, tmp_path / "data")
    with opened(data) as till:
        assert till.worker.once().error is None
        till.counter.parts.online = None
        for number, voucher in enumerate(bought):
            if number == 2:
                poison = append(till.counter, text)
            seen = till.counter.look_up(voucher["code"], LAST4)
            till.counter.redeem(seen.handle, 1, clerk="li", request=f"r{number}")  # type: ignore[union-attr]
        result = till.worker.once()
        assert (result.error, result.behind, result.poison, result.up_to) == (None, 0, None, 5)
        journal = till.counter.parts.journal
        assert journal.entry(1, 3).hash == poison and len(journal.entry(1, 3).body) > len(text)
        (notice,) = till.counter.status().notices
        serial = f"{till.posid}_1_00000003"
        assert (notice.kind, notice.serial) == ("verdict", serial)
        assert notice.detail["verdict"] == "quarantined"
    rows = [json.loads(line) for line in run(central.config, "report", "redemptions").splitlines()]
    mine = [row["verdict"] for row in rows if row["posid"] == till.posid]
    assert mine == ["accepted"] * 4
    conflicts = run(central.config, "report", "conflicts").splitlines()
    assert serial in [json.loads(line)["serial"] for line in conflicts]
    alarms = [json.loads(line) for line in run(central.config, "alarms").splitlines()]
    assert ("quarantined", till.posid) in [(row["kind"], row["posid"]) for row in alarms]
