"""A clock that is wrong: nothing expired revives, nothing is refused for it, and it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminal import startup
from terminal.counter import ShopCounter
from terminal.outcomes import Redeemed, View
from tests.terminal.shop import NOW, Sample, Shop, close
from vouchers import entries
from vouchers.reasons import Reason
from vouchers.times import DAY_MS, HOUR_MS

YEAR_MS = 365 * DAY_MS


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


def begun(shop: Shop) -> ShopCounter:
    """Opened and started, as at the beginning of a day."""
    counter = shop.open(clerk="li")
    counter.exclusive(lambda parts: startup.started(parts, "test", clerk="li"))
    return counter


def redeem(counter: ShopCounter, sample: Sample) -> Redeemed:
    """One share."""
    done = counter.redeem_presented(
        sample.code(), sample.last4, 1, clerk="li", request=f"r{sample.code()}", slip=False
    )
    assert isinstance(done, Redeemed), done
    return done


def times_of(counter: ShopCounter) -> list[int]:
    """When the entries say they were made, in their order."""
    rows = counter.parts.journal.connection.execute("SELECT body FROM entry ORDER BY epoch, seq")
    return [entries.read_entry(str(row[0])).at for row in rows]


@pytest.mark.parametrize("reboot", [False, True])
def test_set_back_a_year(shop: Shop, reboot: bool) -> None:
    """What expired stays expired, what is good is redeemed, time in the journal never goes back."""
    gone = shop.issue(valid=(NOW - DAY_MS, NOW + HOUR_MS))
    good, other = shop.issue(), shop.issue()
    counter = begun(shop)
    shop.clock.pass_ms(2 * HOUR_MS)
    redeem(counter, good)
    shop.clock.wall_ms -= YEAR_MS
    if reboot:
        shop.clock.reboot()
        close(counter)
        counter = begun(shop)
        assert "clock" in [notice.kind for notice in counter.status().notices]
    assert counter.status().clock == "suspect"
    view = counter.look_up(gone.code(), gone.last4)
    assert isinstance(view, View) and view.refusal is not None
    assert view.refusal.reason is Reason.EXPIRED
    redeem(counter, other)
    assert times_of(counter) == sorted(times_of(counter))
    assert startup.chain_fault(counter.parts, everything=True) is None
    close(counter)


def test_set_right_again(shop: Shop) -> None:
    """A year back and forth leaves nothing behind: the clock is believed again."""
    counter = begun(shop)
    redeem(counter, shop.issue())
    shop.clock.wall_ms -= YEAR_MS
    assert counter.status().clock == "suspect"
    redeem(counter, shop.issue())
    shop.clock.wall_ms += YEAR_MS
    shop.clock.pass_ms(HOUR_MS)
    assert counter.status().clock == "ok"
    redeem(counter, shop.issue())
    assert times_of(counter)[-1] == NOW + HOUR_MS
    close(counter)


def test_set_forward_a_year_expires_nothing_by_itself(shop: Shop) -> None:
    """A till that was not off for a year is not believed that a year has passed."""
    sample = shop.issue()
    counter = begun(shop)
    redeem(counter, shop.issue())
    shop.clock.wall_ms += YEAR_MS
    assert counter.status().clock == "suspect"
    assert redeem(counter, sample).left == 0
    close(counter)
