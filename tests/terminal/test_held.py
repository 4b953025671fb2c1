"""A voucher's next code is made once, ahead of its redemption or in it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from terminal import redeem as redeeming
from terminal.asked import Asked
from terminal.counter import ShopCounter
from terminal.held import Held
from terminal.outcomes import Redeemed
from tests.terminal.asking import view
from tests.terminal.shop import Sample, Shop
from vouchers import sealed
from vouchers.reasons import Refusal


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def held(counter: ShopCounter, sample: Sample) -> Held:
    """The voucher as the counter holds it after a look-up."""
    found = redeeming.look_up(counter.parts, sample.code(), sample.last4, clerk="li", asked=Asked())
    assert not isinstance(found, Refusal)
    return Held(*found)


def test_the_next_code_is_made_once(
    shop: Shop, counter: ShopCounter, executor: ThreadPoolExecutor
) -> None:
    """What was begun is what the redemption writes; the row opens with the next code alone."""
    sample = shop.issue(3)
    one = held(counter, sample)
    one.prepare(executor, shop.vault)
    one.prepare(executor, shop.vault)
    made = one.successor(shop.vault)
    assert one.successor(shop.vault) is made and made.code == sample.code(1)
    key = sealed.stretch(made.code, sample.last4, shop.vault)
    record = sealed.open_record(made.record, key)
    assert (made.row_key, record.generation, record.secret) == (key.row_key, 1, sample.secret)


def test_without_a_beginning_it_is_made_when_needed(
    shop: Shop, counter: ShopCounter, executor: ThreadPoolExecutor
) -> None:
    """A command redeems at once; nothing is begun of a last share, or by a till that closes."""
    at_once, whole, late = (held(counter, shop.issue(shares)) for shares in (3, 1, 3))
    whole.prepare(executor, shop.vault)
    executor.shutdown()
    late.prepare(executor, shop.vault)
    for one in (at_once, whole, late):
        first, second = one.successor(shop.vault), one.successor(shop.vault)
        assert first.code == second.code and first.record != second.record


def test_the_counter_begins_on_what_it_holds(shop: Shop, counter: ShopCounter) -> None:
    """The code that was made ahead is the one on the slip; what is not open begins nothing."""
    sample = shop.issue(3)
    seen = view(counter, sample.code(), sample.last4)
    before = set(threading.enumerate())
    counter.prepare("no such handle")
    assert set(threading.enumerate()) <= before
    counter.prepare(seen.handle)
    (begun,) = set(threading.enumerate()) - before
    assert begun.name.startswith("stretch")
    done = counter.redeem(seen.handle, 1, clerk="li", request="q")
    assert isinstance(done, Redeemed) and done.successor_code == sample.code(1)
    assert view(counter, sample.code(1), sample.last4).left == 2
