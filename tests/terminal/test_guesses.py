"""Misses are counted before they are answered (decision 13)."""

import pytest
from msgspec.structs import replace

from terminal.counter import ShopCounter
from terminal.errors import OutcomeUnknown
from terminal.guesses import Guesses, Lock
from tests.terminal.asking import all_entries, detail, reason, view
from tests.terminal.shop import NOW, Shop, close
from vouchers.entries import Kind
from vouchers.policy import Guess
from vouchers.reasons import Reason
from vouchers.times import MINUTE_MS

CODE = "20000000004"


@pytest.fixture
def guesses(counter: ShopCounter) -> Guesses:
    return counter.parts.guesses


def charge(counter: ShopCounter, guesses: Guesses, code: str, now: int = NOW) -> Lock | None:
    with counter.parts.journal.transaction() as connection:
        return guesses.charge(connection, code, now)


def locked(counter: ShopCounter, guesses: Guesses, code: str | None, now: int) -> Lock | None:
    return guesses.locked(counter.parts.journal.connection, code, now)


def test_the_fifth_miss_locks_a_code_for_fifteen_minutes(
    counter: ShopCounter, guesses: Guesses
) -> None:
    """Decision 13: four misses lock nothing, the fifth locks for 15 minutes from then."""
    for number in range(4):
        assert charge(counter, guesses, CODE, NOW + number) is None
        assert locked(counter, guesses, CODE, NOW + number) is None
    until = NOW + 4 + 15 * MINUTE_MS
    assert charge(counter, guesses, CODE, NOW + 4) == Lock(until, terminal=False)
    assert locked(counter, guesses, CODE, until - 1) == Lock(until, terminal=False)
    assert locked(counter, guesses, CODE, until) is None
    assert charge(counter, guesses, CODE, until) is None, "counting begins anew after the lock"


def test_the_twentieth_miss_locks_the_terminal(counter: ShopCounter, guesses: Guesses) -> None:
    """Decision 13: 20 misses in 10 minutes lock everything, also codes that were never tried."""
    for number in range(19):
        assert charge(counter, guesses, f"{number}") is None
    until = NOW + 15 * MINUTE_MS
    assert charge(counter, guesses, "x") == Lock(until, terminal=True)
    assert locked(counter, guesses, "never tried", NOW) == Lock(until, terminal=True)
    assert locked(counter, guesses, None, until - 1) == Lock(until, terminal=True)
    assert locked(counter, guesses, None, until) is None


def test_slow_misses_lock_nothing(counter: ShopCounter, guesses: Guesses) -> None:
    """Misses of different codes spread over hours are a clerk's life."""
    for number in range(60):
        assert charge(counter, guesses, f"{number}", NOW + number * MINUTE_MS) is None


def test_limits_are_the_owner_s(counter: ShopCounter, guesses: Guesses) -> None:
    """The numbers of the policy are the ones that count."""
    strict = replace(guesses, limits=Guess(per_code=1, lock_minutes=2))
    assert charge(counter, strict, CODE) == Lock(NOW + 2 * MINUTE_MS, terminal=False)


def test_the_table_names_no_code(counter: ShopCounter, guesses: Guesses) -> None:
    """A bucket is two bytes of a keyed hash: another terminal's key gives another bucket."""
    charge(counter, guesses, CODE)
    rows = counter.parts.journal.connection.execute("SELECT bucket FROM guesses").fetchall()
    assert sorted(len(row[0]) for row in rows) == [0, 2]
    assert replace(guesses, device_key=b"other").bucket(CODE) != guesses.bucket(CODE)


def test_a_miss_is_durable_before_it_is_answered(shop: Shop, counter: ShopCounter) -> None:
    """A kill between charge and answer costs the guesser, not the count: it is in the file."""
    sample = shop.issue()
    seen: list[int] = []
    charging = type(counter.parts.guesses).charge

    class Watched(Guesses):
        def charge(self, connection, code, now):  # type: ignore[no-untyped-def]
            lock = charging(self, connection, code, now)
            seen.append(connection.in_transaction)
            return lock

    parts = counter.parts
    parts.guesses = Watched(parts.guesses.device_key, parts.guesses.limits)
    for _ in range(4):
        assert reason(counter.look_up(sample.code(), "9999")) is Reason.UNKNOWN_OR_WRONG
    assert seen == [True] * 4
    # The plug is pulled: what the next start reads is what the files hold.
    close(counter)
    again = shop.open()
    assert reason(again.look_up(sample.code(), "9999")) is Reason.UNKNOWN_OR_WRONG
    assert reason(again.look_up(sample.code(), sample.last4)) is Reason.LOCKED
    close(again)


def test_a_miss_whose_commit_fails_is_not_answered(shop: Shop, counter: ShopCounter) -> None:
    """When the charge cannot be written, the guesser learns nothing."""
    sample = shop.issue()
    counter.parts.journal.connection.set_commit_hook(lambda: True)
    with pytest.raises(OutcomeUnknown):
        counter.look_up(sample.code(), "9999")


def test_a_right_guess_costs_nothing(shop: Shop, counter: ShopCounter) -> None:
    """A voucher that opens writes no charge and no entry."""
    sample = shop.issue()
    view(counter, sample.code(), sample.last4)
    assert counter.parts.journal.head().seq == 0


def test_misses_and_locks_are_journalled_without_the_code(shop: Shop, counter: ShopCounter) -> None:
    """Decision 13: every miss is an entry, the lock one more, and none names code or digits."""
    sample = shop.issue()
    for _ in range(5):
        counter.look_up(sample.code(), "9876")
    kinds = [entry.kind for entry in all_entries(counter)]
    assert kinds == [Kind.REFUSED] * 5 + [Kind.LOCKED]
    refused = all_entries(counter)[0]
    assert refused.data == {"reason": "unknown_or_wrong", "credential": "code", "voucher": None}
    bodies = "".join(stored.body for stored in counter.parts.journal.entries(1, 0, 99))
    assert sample.code() not in bodies and "9876" not in bodies


def test_a_lock_says_until_when_and_what(shop: Shop, counter: ShopCounter) -> None:
    """The refusal carries the moment it ends and whether the code or the terminal is locked."""
    sample = shop.issue()
    for _ in range(5):
        counter.look_up(sample.code(), "9999")
    said = detail(counter.look_up(sample.code(), sample.last4))
    assert said == {"until": NOW + 15 * MINUTE_MS, "why": "code"}


def test_setting_the_clock_back_frees_nothing(shop: Shop, counter: ShopCounter) -> None:
    """The lock ends by the estimated clock, which does not run backwards; forward by a year is
    not believed either."""
    sample = shop.issue()
    for _ in range(5):
        counter.look_up(sample.code(), "9999")
    for jump in (-40, 400):
        shop.clock.wall_ms = NOW + jump * 24 * 60 * MINUTE_MS
        assert reason(counter.look_up(sample.code(), sample.last4)) is Reason.LOCKED


def test_a_signed_qr_with_wrong_digits_is_a_miss(shop: Shop, counter: ShopCounter) -> None:
    """The tag of a QR is no oracle: a wrong guess at the digits is charged like any other."""
    sample = shop.issue(rows=())
    text = shop.qr(sample)
    for _ in range(5):
        assert reason(counter.look_up(text, "0000")) is Reason.UNKNOWN_OR_WRONG
    assert reason(counter.look_up(text, sample.last4)) is Reason.LOCKED
    assert all_entries(counter)[0].data["credential"] == "qr"
