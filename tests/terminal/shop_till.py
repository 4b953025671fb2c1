"""A till with files of its own on the real clock, for commands in processes of their own.

Responsible for: making it and what it may redeem. Not responsible for: central; there is none.
"""

from __future__ import annotations

import json
from pathlib import Path

from terminal.clock import SystemClock
from tests.journeys.world import Till
from tests.terminal.shop import Sample, Shop
from vouchers import times
from vouchers.times import DAY_MS


class ShopTill(Till):
    """A till (settings, commands, devices) and the shop that fills its replica."""

    def __init__(self, root: Path, **settings: dict[str, object]) -> None:
        super().__init__(root)
        root.mkdir(parents=True, exist_ok=True)
        self.now = SystemClock().read().wall_ms
        self.shop = Shop(self.data)
        self.shop.set_meta("fresh_at", times.format_utc(self.now))
        self.settings(**settings)

    def issue(self, shares: int = 1, product: int = 1) -> Sample:
        """A voucher that is valid now."""
        valid = (self.now - DAY_MS, self.now + 30 * DAY_MS)
        return self.shop.issue(shares, product=product, valid=valid)

    def journalled(self) -> list[str]:
        """The serials of all redemptions, in order."""
        done = self.run("journal", "list", "--kind", "redeemed", "--json")
        assert done.status == 0, done
        return [json.loads(line)["serial"] for line in done.out.splitlines()]
