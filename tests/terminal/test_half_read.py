"""A feed of which only some pages came: the line failed between them.

Goal: what the pages so far say of a voucher never closes a code that only this terminal can open.
"""

from collections.abc import Iterator

import pytest

from terminal import replica_scope
from terminal.counter import ShopCounter
from terminal.replica import Replica
from terminal.replica_writer import ReplicaWriter
from terminal.syncing import ReplicaOfTerminal
from tests.terminal.asking import reason, redeem, view
from tests.terminal.shop import NOW, Shop
from tests.terminal.test_replica_writer import one, page, product, state
from vouchers import times
from vouchers.reasons import Reason
from vouchers.times import DAY_MS


@pytest.fixture
def port(shop: Shop, counter: ShopCounter) -> Iterator[ReplicaOfTerminal]:
    writer = ReplicaWriter(shop.data.replica, shop.key)
    yield ReplicaOfTerminal(counter, writer)
    writer.close()


def test_a_code_made_here_opens_until_centrals_row_of_it_can_have_come(
    shop: Shop, counter: ShopCounter, port: ReplicaOfTerminal
) -> None:
    """Sealed at central, but in a page after the one with its state: the line may fail between."""
    sample = shop.issue(3)
    shop.set_meta("sealed_through", times.format_utc(NOW + DAY_MS))
    done = redeem(counter, sample, 1)
    shop.database.execute("DELETE FROM sealed WHERE voucher = ?", (sample.voucher,))
    reflects = {"epoch": 1, "seq": counter.parts.journal.head().seq}
    through = times.format_utc(NOW + 2 * DAY_MS)
    now = state(voucher=sample.voucher, generation=1, used=1)
    port.apply_page(0, page(product(), sealed_through=through))
    port.apply_page(1, page(now, more=True, reflects=reflects, sealed_through=through))
    port.apply_page(4, page(sealed_through=through))
    assert done.successor_code == sample.code(1)
    assert view(counter, sample.code(1), sample.last4).left == 2
    port.apply_page(1, page(at="1.a.1", to="1.a.2", reflects=reflects, sealed_through=through))
    closed = counter.look_up(sample.code(1), sample.last4)
    assert reason(closed) is Reason.UNKNOWN_OR_WRONG  # its row came under other last four digits


def test_half_a_bucket_that_is_let_go_is_half_no_more(shop: Shop, port: ReplicaOfTerminal) -> None:
    """Whoever takes away its rows takes away what was said of them."""
    replica = Replica(shop.data.replica, shop.key, "T1")
    port.apply_page(1, page(more=True))
    assert replica.half()
    replica_scope.let_go(shop.database, 1, lambda: None)
    assert not replica.half()
    replica.close()


def test_one_bucket_takes_an_earlier_promise_back_before_the_others_are_read(
    shop: Shop, port: ReplicaOfTerminal
) -> None:
    """After a start nothing is known of the others, and the line may fail before they come."""
    before, earlier = (f"2024-07-1{day}T00:00:00.000Z" for day in (1, 0))
    port.apply_page(0, page(product(), sealed_through=before))
    port.apply_page(1, page(sealed_through=before))
    port.apply_page(4, page(sealed_through=before))
    restarted = ReplicaWriter(shop.data.replica, shop.key)
    restarted.apply(4, page(state(), at="1.a.1", to="1.a.2", sealed_through=earlier))
    restarted.close()
    assert one(shop, "SELECT value FROM meta WHERE key = 'sealed_through'") == earlier
