"""Any history of counters and head office, over the API, against a model of forty lines.

Hypothesis draws the steps: vouchers are sold, tills redeem and undo without asking anybody, upload
in pieces, repeat uploads, head office refunds. After each upload central must say what the model
says: how far it holds the journal, the shares used, and who bears which excess in all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from central import ledger, orders, schema
from central.errors import Refused
from central.issuing import Issued
from central.orders import Refund
from central.service import Central
from tests.central.conftest import Pair, issue
from tests.central.till import Till
from vouchers.ids import serial


@dataclass
class Sold:
    """The model of a voucher: what arrived at central, net."""

    issued: Issued
    shares: int
    used: int = 0
    refunded: int = 0

    @property
    def left(self) -> int:
        """Shares that may still be refunded."""
        return max(0, self.shares - self.used - self.refunded)

    @property
    def excess(self) -> int:
        """Shares that somebody bears."""
        return max(0, self.used - (self.shares - self.refunded))


@dataclass
class Counter:
    """The model of a till: the net shares of each entry, and how many of them have arrived."""

    till: Till
    effects: list[tuple[Sold, int]] = field(default_factory=list)
    arrived: int = 0


@dataclass
class Done:
    """A redemption that can be undone."""

    at: Counter
    sold: Sold
    shares: int
    serial: str


class Histories(RuleBasedStateMachine):
    """One merchant, two tills of two outlets; `central` and `pair` come from the test."""

    central: Central
    pair: Pair
    numbers = iter(range(10**9))

    vouchers = Bundle("vouchers")
    redeemed = Bundle("redeemed")

    def __init__(self) -> None:
        super().__init__()
        number = next(self.numbers)
        self.counters = [Counter(self.pair(f"M{number}x{n}", n)) for n in (1, 2)]
        self.sold: list[Sold] = []

    @rule(target=vouchers, shares=st.integers(1, 4))
    def sell(self, shares: int) -> Sold:
        """Head office issues a voucher."""
        self.sold.append(Sold(issue(self.central, shares=shares), shares))
        return self.sold[-1]

    @rule(target=redeemed, sold=vouchers, place=st.integers(0, 1), shares=st.integers(1, 3))
    def redeem(self, sold: Sold, place: int, shares: int) -> Done:
        """A till gives out shares, whatever others did: it is alone."""
        at = self.counters[place]
        entry = at.till.redeem(sold.issued, shares, left=max(0, sold.shares - shares))
        at.effects.append((sold, shares))
        return Done(at, sold, shares, entry)

    @rule(done=consumes(redeemed))
    def undo(self, done: Done) -> None:
        """The same till undoes one of its redemptions, once."""
        done.at.till.reverse(done.serial, done.sold.issued, done.shares)
        done.at.effects.append((done.sold, -done.shares))

    @rule(place=st.integers(0, 1), count=st.integers(1, 6))
    def upload(self, place: int, count: int) -> None:
        """A batch of what has not arrived yet."""
        at = self.counters[place]
        last = min(len(at.effects), at.arrived + count)
        if last == at.arrived:
            return
        answer = at.till.push(at.arrived + 1, last)
        for sold, shares in at.effects[at.arrived : last]:
            sold.used += shares
        at.arrived = last
        epoch = at.till.epoch
        said = [verdict.serial for verdict in answer.verdicts]
        first = last - len(said) + 1
        assert said == [serial(at.till.posid, epoch, seq) for seq in range(first, last + 1)]
        self.agree()

    @precondition(lambda self: any(counter.arrived for counter in self.counters))
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """A batch that arrived before comes again, from anywhere to anywhere."""
        at = data.draw(st.sampled_from([one for one in self.counters if one.arrived]))
        first = data.draw(st.integers(1, at.arrived))
        at.till.push(first, data.draw(st.integers(first, at.arrived)))
        self.agree()

    @rule(sold=vouchers)
    def refund(self, sold: Sold) -> None:
        """Head office pays back what is left, as far as it knows."""
        answer = orders.pay_refund(self.central, sold.issued.order)
        if sold.left:
            assert isinstance(answer, Refund) and answer.shares == sold.left, answer
            sold.refunded += sold.left
        else:
            assert isinstance(answer, Refused), answer
        self.agree()

    def agree(self) -> None:
        """Central's books are the model's."""
        table = schema.bookings
        with self.central.read() as work:
            for sold in self.sold:
                found = ledger.find(work, sold.issued.voucher)
                assert found is not None
                assert (found.used, found.refunded_shares) == (sold.used, sold.refunded)
                rows = work.connection.execute(
                    select(table.c.excess).where(table.c.voucher == found.voucher)
                )
                assert sum(rows.scalars()) == sold.excess
            for at in self.counters:
                held = work.connection.execute(
                    select(schema.streams.c.seq).where(schema.streams.c.posid == at.till.posid)
                )
                assert held.scalar_one() == at.arrived


def test_any_history_agrees_with_the_model(central: Central, pair: Pair) -> None:
    """Fifteen histories of up to twenty-five steps; many more in `make soak`."""
    run(central, pair, examples=15)


@pytest.mark.soak
def test_many_histories_agree_with_the_model(central: Central, pair: Pair) -> None:
    """The long form."""
    run(central, pair, examples=400)


def run(central: Central, pair: Pair, *, examples: int) -> None:
    """Draw that many histories on one service; each has vouchers and tills of its own."""
    machine = type("Machine", (Histories,), {"central": central, "pair": staticmethod(pair)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
