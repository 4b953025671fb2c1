"""The redeem use case on real files: what the counter may give, and what it writes down."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.replica_schema import SEALED_PUT, sealed_row
from terminal.counter import ShopCounter
from terminal.outcomes import Redeemed, View
from tests.terminal.shop import HERE, NOW, THERE, Shop, close
from vouchers import codes, entries, sealed
from vouchers.reasons import Reason, Refusal
from vouchers.sealed import Record
from vouchers.times import DAY_MS, HOUR_MS


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "data")


@pytest.fixture
def counter(shop: Shop) -> Iterator[ShopCounter]:
    opened = shop.open(has_printer=True)
    yield opened
    close(opened)


def view(counter: ShopCounter, code: str, last4: str) -> View:
    found = counter.look_up(code, last4)
    assert isinstance(found, View), found
    return found


def redeem(counter: ShopCounter, code: str, last4: str, shares: int = 1) -> Redeemed:
    seen = view(counter, code, last4)
    done = counter.redeem(seen.handle, shares, clerk="li", request=f"r-{hash((code, shares))}")
    assert isinstance(done, Redeemed), done
    return done


def reason(answer: object) -> Reason:
    if isinstance(answer, View):
        answer = answer.refusal
    assert isinstance(answer, Refusal), answer
    return answer.reason


def test_ev049_partial_redemption_voids_the_code_and_moves_the_rest(
    shop: Shop, counter: ShopCounter
) -> None:
    """Redeem 2 of 5: the old code is dead at once and the successor redeems the other 3."""
    sample = shop.issue(5)
    done = redeem(counter, sample.code(), sample.last4, 2)
    assert (done.left, done.successor_code, done.mode) == (3, sample.code(1), "lone")
    assert reason(counter.look_up(sample.code(), sample.last4)) is Reason.REPLACED
    rest = redeem(counter, sample.code(1), sample.last4, 3)
    assert (rest.left, rest.successor_code) == (0, None)
    assert reason(counter.look_up(sample.code(1), sample.last4)) is Reason.USED_UP


def test_ev049_successor_opens_though_central_never_sealed_it(
    shop: Shop, counter: ShopCounter
) -> None:
    """The terminal seals the successor's row itself, so no network is needed in between."""
    sample = shop.issue(5, rows=(0,))
    redeem(counter, sample.code(), sample.last4, 1)
    redeem(counter, sample.code(1), sample.last4, 1)
    assert view(counter, sample.code(2), sample.last4).left == 3


def test_entry_says_what_the_contract_names(shop: Shop, counter: ShopCounter) -> None:
    """The entry carries the fields of the contract, a serial of its own and no credential."""
    sample = shop.issue(3)
    done = redeem(counter, sample.code(), sample.last4, 2)
    stored = counter.parts.journal.entry(1, counter.parts.journal.head().seq)
    entry = entries.read_entry(stored.body)
    said = entries.read_redemption(entry)
    assert (entry.posid, entry.clerk, said.serial) == ("T1", "li", done.serial)
    assert (said.shares, said.left, said.successor, said.evidence) == (2, 1, True, "row")
    assert said.amount_fen == 2000 and entry.totals.shares == 2
    assert done.head == stored.hash
    for secret in (sample.code(), sample.code(1)):
        assert secret not in stored.body


def test_same_request_gives_the_first_result(shop: Shop, counter: ShopCounter) -> None:
    """AX-02: a request sent twice books once and answers the first result with `repeated`."""
    sample = shop.issue(5)
    first = counter.redeem_presented(
        sample.code(), sample.last4, 2, clerk="li", request="q1", slip=False
    )
    again = counter.redeem_presented(
        sample.code(), sample.last4, 2, clerk="li", request="q1", slip=False
    )
    assert isinstance(first, Redeemed) and isinstance(again, Redeemed)
    assert again.repeated and not first.repeated
    assert (again.serial, again.left, again.successor_code, again.head) == (
        first.serial,
        first.left,
        first.successor_code,
        first.head,
    )


def test_decision_13_miss_is_charged_and_locks_code_then_terminal(
    shop: Shop, counter: ShopCounter
) -> None:
    """Five misses lock one code for 15 minutes, twenty the terminal; time frees both."""
    sample = shop.issue()
    for _ in range(5):
        assert reason(counter.look_up(sample.code(), "9999")) is Reason.UNKNOWN_OR_WRONG
    assert reason(counter.look_up(sample.code(), sample.last4)) is Reason.LOCKED
    shop.clock.pass_ms(15 * 60_000)
    assert view(counter, sample.code(), sample.last4).left == 1
    others = [shop.issue() for _ in range(20)]
    for other in others:
        assert reason(counter.look_up(other.code(), "9999")) is Reason.UNKNOWN_OR_WRONG
    assert reason(counter.look_up(sample.code(), sample.last4)) is Reason.LOCKED
    assert counter.status().locked_until is not None


def test_decision_13_typing_errors_cost_nothing(shop: Shop, counter: ShopCounter) -> None:
    """A failed check digit, a mobile number or a wrong length are told apart and not charged."""
    head = counter.parts.journal.head()
    sample = shop.issue()
    wrong = sample.code()[:-1] + str((int(sample.code()[-1]) + 1) % 10)
    assert reason(counter.look_up(wrong, "1234")) is Reason.MISTYPED
    assert reason(counter.look_up("13800138000", "1234")) is Reason.MALFORMED
    assert reason(counter.look_up("12345", "1234")) is Reason.MALFORMED
    assert reason(counter.look_up(sample.code(), "12a4")) is Reason.MALFORMED
    assert counter.parts.journal.head() == head


def test_reasons_of_the_replica(shop: Shop, counter: ShopCounter) -> None:
    """Every reason that a state, a product or the calendar gives is told as itself."""
    shop.product(3, outlets=[THERE])
    shop.product(4, outlets=[HERE], weekdays=(6, 7))
    shop.product(5, outlets=[HERE], online_only=True)
    cases = {
        Reason.VOIDED: shop.issue(state="voided"),
        Reason.REFUNDED: shop.issue(state="refunded"),
        Reason.REFUNDING: shop.issue(state="refunding"),
        Reason.USED_UP: shop.issue(used=1),
        Reason.NOT_YET_VALID: shop.issue(valid=(NOW + DAY_MS, NOW + 2 * DAY_MS)),
        Reason.EXPIRED: shop.issue(valid=(NOW - 2 * DAY_MS, NOW)),
        Reason.WRONG_OUTLET: shop.issue(product=3),
        Reason.WRONG_WEEKDAY: shop.issue(product=4),
        Reason.ONLINE_ONLY: shop.issue(product=5),
    }
    for wanted, sample in cases.items():
        assert reason(counter.look_up(sample.code(), sample.last4)) is wanted
    names = counter.look_up(cases[Reason.WRONG_OUTLET].code(), cases[Reason.WRONG_OUTLET].last4)
    assert isinstance(names, View) and names.outlets[0].name == "西门"


def test_counts_are_bounded(shop: Shop, counter: ShopCounter) -> None:
    """EV-046: none, negative and too many shares are refused and nothing is booked."""
    sample = shop.issue(2)
    seen = view(counter, sample.code(), sample.last4)
    for shares, wanted in (
        (0, Reason.BAD_COUNT),
        (-1, Reason.BAD_COUNT),
        (3, Reason.NOT_ENOUGH_LEFT),
    ):
        answer = counter.redeem(seen.handle, shares, clerk="", request=f"n{shares}")
        assert reason(answer) is wanted
    assert view(counter, sample.code(), sample.last4).left == 2


def test_unhomed_voucher_has_its_allowance(shop: Shop, counter: ShopCounter) -> None:
    """Without central a voucher good at several outlets gives one share per contact."""
    sample = shop.issue(3, product=2, home=None)
    seen = view(counter, sample.code(), sample.last4)
    assert (seen.left, seen.max_now) == (3, 1)
    assert reason(counter.redeem(seen.handle, 2, clerk="", request="two")) is Reason.NEEDS_NETWORK
    redeem(counter, sample.code(), sample.last4, 1)
    assert reason(counter.look_up(sample.code(1), sample.last4)) is Reason.NEEDS_NETWORK


def test_signed_qr_needs_no_row(shop: Shop, counter: ShopCounter) -> None:
    """A QR issued after the replica was complete redeems once, without a successor."""
    sample = shop.issue(2, rows=(), home=HERE)
    shop.database.execute("DELETE FROM state WHERE voucher = ?", (sample.voucher,))
    text = shop.qr(sample)
    done = redeem(counter, text, sample.last4, 1)
    assert (done.successor_code, done.left) == (None, 1)
    assert reason(counter.look_up(text, sample.last4)) is Reason.REPLACED
    assert reason(counter.look_up(text, "0000")) is Reason.UNKNOWN_OR_WRONG


def test_old_signed_qr_without_a_row_is_unknown(shop: Shop, counter: ShopCounter) -> None:
    """A QR older than the replica would have a row if it were good."""
    sample = shop.issue(rows=())
    answer = counter.look_up(shop.qr(sample, issued_ms=NOW - 1000), sample.last4)
    assert reason(answer) is Reason.UNKNOWN_OR_WRONG


def test_clock_set_back_a_year_revives_nothing(shop: Shop, counter: ShopCounter) -> None:
    """The floor holds: what expired stays expired, and the clock is said to be suspect."""
    sample = shop.issue(valid=(NOW - DAY_MS, NOW + HOUR_MS))
    other = shop.issue()
    shop.clock.pass_ms(2 * HOUR_MS)
    redeem(counter, other.code(), other.last4)
    shop.clock.wall_ms -= 365 * DAY_MS
    assert reason(counter.look_up(sample.code(), sample.last4)) is Reason.EXPIRED
    assert counter.status().clock == "suspect"


def test_reversal_returns_the_shares_to_the_current_code(shop: Shop, counter: ShopCounter) -> None:
    """Decision 11: the successor stays current and stands for the larger number."""
    sample = shop.issue(5)
    done = redeem(counter, sample.code(), sample.last4, 2)
    undone = counter.reverse(done.serial, reason_code="mistake", clerk="li", note="wrong size")
    assert not isinstance(undone, Refusal) and (undone.shares, undone.left) == (2, 5)
    again = counter.reverse(done.serial, reason_code="mistake", clerk="li")
    assert not isinstance(again, Refusal) and again.repeated and again.serial == undone.serial
    assert view(counter, sample.code(1), sample.last4).left == 5
    assert reason(counter.look_up(sample.code(), sample.last4)) is Reason.REPLACED


def test_reversal_of_a_used_up_voucher_revives_the_presented_code(
    shop: Shop, counter: ShopCounter
) -> None:
    """Decision 11: without a successor the code that was presented is current again."""
    sample = shop.issue(2)
    done = redeem(counter, sample.code(), sample.last4, 2)
    counter.reverse(done.serial, reason_code="test", clerk="li")
    assert view(counter, sample.code(), sample.last4).left == 2


def test_reversal_is_bounded(shop: Shop, counter: ShopCounter) -> None:
    """Ten minutes for a clerk; other terminals' and unknown serials are told apart."""
    sample = shop.issue()
    done = redeem(counter, sample.code(), sample.last4)
    shop.clock.pass_ms(10 * 60_000 + 1)
    late = counter.reverse(done.serial, reason_code="mistake", clerk="li")
    assert reason(late) is Reason.REVERSAL_LATE
    other = counter.reverse("T9_1_00000001", reason_code="mistake", clerk="li")
    assert reason(other) is Reason.NOT_THIS_TERMINAL
    nothing = counter.reverse("T1_1_00000099", reason_code="mistake", clerk="li")
    assert reason(nothing) is Reason.NOTHING_TO_REVERSE


def test_everything_is_still_there_after_a_restart(shop: Shop, counter: ShopCounter) -> None:
    """A second start finds the chain whole, the overlay and the history."""
    sample = shop.issue(5)
    done = redeem(counter, sample.code(), sample.last4, 2)
    close(counter)
    again = shop.open()
    assert view(again, sample.code(1), sample.last4).left == 3
    assert again.history(10)[0].serial == done.serial
    close(again)


def test_central_s_row_of_the_last_code_makes_further_codes(
    shop: Shop, counter: ShopCounter
) -> None:
    """Design 6: the horizon is extended through the feed; our own row does not hide that."""
    sample = shop.issue(5, horizon=1, rows=(0,))
    redeem(counter, sample.code(), sample.last4)
    last = view(counter, sample.code(1), sample.last4)
    refused = counter.redeem(last.handle, 1, clerk="li", request="r2")
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.detail["why"]) == (Reason.NEEDS_NETWORK, "horizon")
    next_secret = b"\x07" * 32
    key = sealed.stretch(sample.code(1), sample.last4, shop.vault)
    record = Record(sample.voucher, next_secret, 1, 9, 5, 1, HERE, 5000)
    row = sealed_row(key.row_key, sealed.seal(record, key, bytes(12)), sample.voucher, 1)
    shop.database.execute(SEALED_PUT, row)
    done = redeem(counter, sample.code(1), sample.last4)
    assert done.successor_code == codes.derive(next_secret, 2)
    assert view(counter, done.successor_code, sample.last4).left == 3
