"""Worlds in which tills hold their own outlet's vouchers only, and products move between buckets.

Goal: the promises hold, by the same auditor, while vouchers change buckets in portions of two,
central dies in the middle, and pages are lost, cut, repeated and overtaken.
Method: both products become good at a third outlet and are taken back from it, again and again;
they stay good where the tills are, so no verdict may differ. A third product is good only there,
and no till may hold it. At rest the scope is made wide again: the auditor then finds every row at
every till, which also shows that what was let go of comes back.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from central import catalogue, issuing, moving, policies
from central.catalogue import NewProduct, Outlet, Product
from central.issuing import Issued, NewOrder
from sync.policy import Policy
from tests.simulation.audit import replica_of
from tests.simulation.template import MOBILES, OFFLINE_TOO, ONLINE_ONLY, PRICE_FEN, Template
from tests.simulation.world import World

FAR = 3
"""The outlet where no till stands."""

WORLDS = 24


class MovingWorld(World):
    """A world with the scope `outlet` and products that move."""

    def _set_policy(self) -> None:
        super()._set_policy()
        self._scope("outlet")
        assert catalogue.add_outlet(self.central, "Far") == Outlet(FAR, "Far")
        cake = NewProduct("Cake", PRICE_FEN[ONLINE_ONLY], (FAR,))
        made = catalogue.add_product(self.central, cake)
        assert isinstance(made, Product)
        order = NewOrder(product=made.product, mobile=MOBILES[0], shares=2, paid_fen=200)
        issued = issuing.issue(self.central, order)
        assert isinstance(issued, Issued)
        # At the price of a product that the auditor knows; its one outlet is its home.
        self.auditor.issued(issued, replace(order, product=ONLINE_ONLY, home=FAR))
        self.far = issued.voucher

    def _scope(self, scope: str) -> None:
        changed = policies.change(self.central, [f"replica.scope={scope}"])
        assert isinstance(changed, Policy), changed

    def _choose_acts(self) -> list[tuple[int, str, Callable[[], None]]]:
        return [*super()._choose_acts(), (14, "move", self._move)]

    def _move(self) -> None:
        product = self.rng.choice((OFFLINE_TOO, ONLINE_ONLY))
        outlets = self.rng.choice(((1, 2), (1, 2, FAR)))
        made: Any = self._central(moving.change_outlets, self.central, product, outlets)
        if isinstance(made, moving.Moved) and made.vouchers:
            self.auditor.count("moved")
        self._say("moved", product, outlets, made)

    def _come_to_rest(self) -> None:
        moving.run(self.central)
        super()._come_to_rest()
        for till in self.tills:
            if till.process is not None and not till.retired:
                self._holds_nothing_of_far(till)
        self._scope("merchant")
        super()._come_to_rest()

    def _holds_nothing_of_far(self, till: Any) -> None:
        with replica_of(till) as replica:
            buckets = {row[0] for row in replica.execute("SELECT bucket FROM state")}
            found = replica.execute("SELECT 1 FROM state WHERE voucher = ?", (self.far,))
            held = list(found)
        if till.process.downlink.error is None and till.process.parts.confined_to() is not None:
            assert not held, f"{till.name} holds a voucher of another outlet"
            assert all(bucket >= 0 for bucket in buckets), f"{till.name} waits for a feed for ever"
            self.auditor.count("confined")


def test_promises_hold_while_vouchers_move(
    template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each seed is a world; a failure names it and tells what happened."""
    monkeypatch.setattr(moving, "PORTION", 2)
    happened: Counter[str] = Counter()
    for seed in range(WORLDS):
        world = MovingWorld(seed, template)
        try:
            world.run()
        except Exception:
            print(f"seed {seed}", *world.history, sep="\n")
            raise
        happened.update(world.auditor.counts)
    print(dict(happened))
    assert happened["moved"] > WORLDS // 2 and happened["confined"] > WORLDS
    assert happened["crash"] and happened["central died"]
