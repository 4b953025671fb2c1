"""The quick check of the chain against the whole reading.

Goal: it passes every entry that a terminal writes, and nothing that the whole reading would refuse
for its place, its predecessor, its hash or its totals. Method: a real journal, and each of its
entries changed in one way, its hash made to fit again.
"""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from terminal import chain, startup
from terminal.counter import ShopCounter
from terminal.journal import Stored
from terminal.outcomes import Redeemed, View
from tests.terminal.shop import Shop, close
from vouchers import canonical, entries
from vouchers.entries import Totals


@pytest.fixture
def written(tmp_path: Path) -> list[Stored]:
    """A start, a miss, redemptions, a reversal and a reprint."""
    shop = Shop(tmp_path / "t1")
    counter = shop.open(has_printer=True)
    startup.started(counter.parts, "1", clerk="c")
    counter.look_up("12345678901", "0000")
    serials = [redeem(counter, shop) for _ in range(3)]
    counter.reverse(serials[0], reason_code="mistake", clerk="c")
    counter.reprint(serials[1], clerk="c")
    found = list(counter.parts.journal.entries(1, 0, 100))
    assert startup.chain_fault(counter.parts) is None
    assert startup.chain_fault(counter.parts, everything=True) is None
    close(counter)
    return found


def redeem(counter: ShopCounter, shop: Shop) -> str:
    """One share of a new voucher."""
    sample = shop.issue(2)
    view = counter.look_up(sample.code(), sample.last4)
    assert isinstance(view, View)
    done = counter.redeem(view.handle, 1, clerk="c", request=f"r-{sample.voucher}")
    assert isinstance(done, Redeemed)
    return done.serial


def passed(stored: Stored, before: Stored) -> Totals | None:
    """The quick check of an entry after another."""
    totals = entries.read_entry(before.body).totals
    return chain.totals_after(stored, prev=before.hash, seq=before.seq + 1, totals=totals)


def test_every_entry_of_a_terminal_is_passed(written: list[Stored]) -> None:
    """With the totals that the whole reading finds."""
    kinds = set()
    for before, stored in pairwise(written):
        entry = entries.read_entry(stored.body)
        kinds.add(str(entry.kind))
        assert passed(stored, before) == entry.totals
    assert {"redeemed", "reversed", "reprinted"} <= kinds


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seq", 99),
        ("prev", "0" * 64),
        ("v", 2),
        ("kind", "unheard_of"),
        ("totals", {**dict.fromkeys(Totals.__slots__, 0), "shares": 7}),
        ("totals", {}),
        ("data", []),
    ],
)
def test_what_does_not_follow_is_not_passed(
    written: list[Stored], name: str, value: object
) -> None:
    """One field changed, the hash made to fit."""
    for before, stored in pairwise(written):
        body = canonical.encode({**json.loads(stored.body), name: value})
        changed = Stored(1, stored.seq, body, entries.entry_hash(body), stored.sig)
        assert passed(changed, before) is None


def test_a_body_that_is_not_its_hash_s_is_not_passed(written: list[Stored]) -> None:
    """One character changed, the hash not."""
    before, stored = written[-2:]
    changed = Stored(1, stored.seq, stored.body.replace('"ok"', '"no"'), stored.hash, stored.sig)
    assert passed(changed, before) is None
