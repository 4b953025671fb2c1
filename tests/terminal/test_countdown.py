"""What is left of the owner's numbers, shown before it bites, never more than the rules allow."""

from pathlib import Path

import pytest

from terminal import countdown
from terminal.countdown import Countdown
from tests.terminal.asking import reason, redeem, view
from tests.terminal.shop import NOW, Shop, close
from vouchers import times
from vouchers.policy import ByPlace, Offline, Policy
from vouchers.reasons import Reason
from vouchers.times import HOUR_MS


def shop_with(root: Path, **numbers: object) -> Countdown:
    """The countdown of a terminal that redeemed one share of 10.00."""
    shop = Shop(root / "near", policy=Policy(offline=Offline(**numbers)))  # type: ignore[arg-type]
    counter = shop.open()
    redeem(counter, shop.issue())
    found = countdown.of(counter.parts)
    close(counter)
    return found


@pytest.mark.parametrize(
    ("numbers", "due"),
    [
        ({}, Countdown()),
        ({"max_redemptions": ByPlace(home=21, elsewhere=1)}, Countdown(redemptions=20)),
        ({"max_redemptions": ByPlace(home=22, elsewhere=1)}, Countdown()),
        ({"max_hours": ByPlace(home=12, elsewhere=1)}, Countdown(hours=12)),
        ({"max_hours": ByPlace(home=13, elsewhere=1)}, Countdown()),
        ({"max_replica_age_hours": 3}, Countdown(hours=3)),
        ({"max_value_fen": 1_100}, Countdown(value_fen=100)),
        ({"max_value_fen": 1_112}, Countdown()),
        ({"max_value_fen": 1_000}, Countdown(value_fen=0)),
    ],
)
def test_each_number_shows_when_it_is_near(
    tmp_path: Path, numbers: dict[str, object], due: Countdown
) -> None:
    """Twenty redemptions, twelve hours, a tenth of the value."""
    assert shop_with(tmp_path, **numbers) == due


def test_the_hours_run_out_when_the_rules_refuse(shop: Shop) -> None:
    """Up to the last moment one hour is left; then nothing may be redeemed, and 0 is shown."""
    counter = shop.open()
    shop.set_meta("fresh_at", times.format_utc(NOW))
    sample = shop.issue()
    shop.clock.pass_ms(72 * HOUR_MS)
    assert countdown.of(counter.parts) == Countdown(hours=0)
    assert view(counter, sample.code(), sample.last4).refusal is None
    shop.clock.pass_ms(1)
    assert countdown.of(counter.parts) == Countdown(redemptions=0)
    assert reason(view(counter, sample.code(), sample.last4)) is Reason.OFFLINE_LIMIT
    close(counter)
