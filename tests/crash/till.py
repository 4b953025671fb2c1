"""A till for the crash tests: its shop, what it is told to redeem, and what must be there after.

Responsible for: giving it work and judging what a data directory holds. Not responsible for: how
it was stopped.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from terminal import startup
from terminal.datadir import DataDir
from terminal.errors import TerminalError
from tests.terminal.shop import Sample, Shop, close
from vouchers import entries

ROOT = Path(__file__).resolve().parents[2]


class Till:
    """One terminal whose replica holds `count` vouchers of three shares."""

    def __init__(self, folder: Path, count: int) -> None:
        self.shop = Shop(folder / "data")
        self.samples: list[Sample] = [self.shop.issue(3) for _ in range(count)]
        self.shop.database.close()
        self._credentials = folder / "credentials"
        self._credentials.write_text(json.dumps([[s.code(), s.last4] for s in self.samples]))

    def command(
        self, *, unsafe: bool, data: Path | None = None, stop_after: int | None = None
    ) -> list[str]:
        """Redeems a share of each, in order, and says so; see `tests.terminal.redeem_loop`."""
        given = {
            "data": str(data or self.shop.root),
            "credentials": str(self._credentials),
            "first": 0,
            "printer": None,
            "unsafe": unsafe,
            "stop_after": stop_after,
        }
        return [sys.executable, "-m", "tests.terminal.redeem_loop", json.dumps(given)]

    def move_to(self, data: Path) -> None:
        """The same till on another disk."""
        self.shop.data = DataDir.at(data)

    def fault(self, said: Sequence[str]) -> str | None:
        """What is wrong with what the shop's data directory holds, after these lines were said."""
        done = [line.split() for line in said if line.startswith("done ")]
        expected = {serial: self.samples[int(index)].voucher for _, index, serial in done}
        try:
            counter = self.shop.open()
        except TerminalError as error:
            return f"it does not open: {error}"
        try:
            broken = startup.chain_fault(counter.parts, everything=True)
            if broken is not None:
                return broken
            rows = counter.parts.journal.connection.execute(
                "SELECT body FROM entry WHERE kind = 'redeemed'"
            )
            found = [entries.read_redemption(entries.read_entry(str(row[0]))) for row in rows]
        finally:
            close(counter)
        journalled = {each.serial: each.voucher for each in found}
        lost = expected.items() - journalled.items()
        if lost:
            return f"{len(lost)} lost of {len(expected)} that were said as done"
        if max(Counter(each.voucher for each in found).values(), default=0) > 1:
            return "redeemed twice"
        if len(found) - len(expected) not in (0, 1):
            return f"{len(found)} redemptions where {len(expected)} were said"
        return None
