"""Undoing a redemption of this terminal (decision 11)."""

import pytest

from terminal.counter import ShopCounter
from tests.terminal.asking import all_entries, detail, job_of, reason, redeem, reverse, view
from tests.terminal.shop import HERE, Shop
from vouchers import entries
from vouchers.entries import REVERSAL_REASONS
from vouchers.reasons import Reason
from vouchers.times import MINUTE_MS


def test_ax_05_the_same_reversal_again_is_the_same_success(
    shop: Shop, counter: ShopCounter
) -> None:
    """AX-05: twice is one entry and one slip; the second answer says `repeated`."""
    done = redeem(counter, shop.issue(2), 2)
    first, again = reverse(counter, done.serial), reverse(counter, done.serial)
    assert (first.repeated, again.repeated) == (False, True)
    assert (again.serial, again.reverses, again.left) == (first.serial, done.serial, 2)
    assert [entry.kind for entry in all_entries(counter)] == ["redeemed", "reversed"]
    count = "SELECT count(*) FROM print_job WHERE serial = ?"
    row = counter.parts.journal.connection.execute(count, (first.serial,)).fetchone()
    assert row == (1,)


def test_ax_04_a_reversal_names_the_serial_and_the_whole_count(
    shop: Shop, counter: ShopCounter
) -> None:
    """AX-04: the entry names the original serial, its shares and its amount."""
    done = redeem(counter, shop.issue(5), 3)
    undone = reverse(counter, done.serial)
    said = entries.read_reversal(all_entries(counter)[-1])
    assert (said.reverses, said.shares, said.left, said.amount_fen) == (done.serial, 3, 5, 3_000)
    assert undone.shares == 3 and said.generation == 1
    totals = counter.parts.journal.totals()
    assert (totals.reversals, totals.reversed_shares, totals.reversed_fen) == (1, 3, 3_000)
    assert (totals.redemptions, totals.shares) == (1, 3), "totals never decrease"


@pytest.mark.parametrize(
    ("passed", "undone"), [(10 * MINUTE_MS - 1, True), (10 * MINUTE_MS, False)]
)
def test_a_clerk_has_ten_minutes(
    shop: Shop, counter: ShopCounter, passed: int, undone: bool
) -> None:
    """Just inside ten minutes it is undone, after them it is late; the history says the same."""
    done = redeem(counter, shop.issue())
    shop.clock.pass_ms(passed)
    assert counter.history(1)[0].reversible is undone
    answer = counter.reverse(done.serial, reason_code="test", clerk="li")
    if undone:
        assert not hasattr(answer, "reason")
    else:
        assert reason(answer) is Reason.REVERSAL_LATE
        assert detail(answer) == {"why": "minutes", "minutes": 10}
        late = counter.reverse(done.serial, reason_code="test", clerk="wu", supervisor=True)
        assert not hasattr(late, "reason"), "a supervisor may until the shift is closed"


def test_ax_06_what_never_happened_is_told_apart(shop: Shop, counter: ShopCounter) -> None:
    """AX-06: an unknown serial, a reversal's own serial, another terminal's and noise."""
    done = redeem(counter, shop.issue())
    undone = reverse(counter, done.serial)
    for serial, wanted in (
        ("T1_1_00000077", Reason.NOTHING_TO_REVERSE),
        (undone.serial, Reason.NOTHING_TO_REVERSE),
        ("T2_1_00000001", Reason.NOT_THIS_TERMINAL),
        ("no serial", Reason.NOTHING_TO_REVERSE),
        ("", Reason.NOTHING_TO_REVERSE),
    ):
        answer = counter.reverse(serial, reason_code="test", clerk="li")
        assert reason(answer) is wanted, serial


def test_a_note_stays_out_of_the_journal(shop: Shop, counter: ShopCounter) -> None:
    """Free text lives in a table of its own, of at most 80 characters, and can be deleted."""
    done = redeem(counter, shop.issue())
    counter.reverse(done.serial, reason_code="other", clerk="li", note=f"  {'吃' * 100}")
    assert "吃" not in "".join(s.body for s in counter.parts.journal.entries(1, 0, 9))
    connection = counter.parts.journal.connection
    assert connection.execute("SELECT note FROM note").fetchone() == ("吃" * 80,)
    connection.execute("DELETE FROM note")


def test_a_pending_slip_is_still_printed_after_a_reversal(shop: Shop, counter: ShopCounter) -> None:
    """The redemption's slip waits with its new code, which stays current, and the reversal's after
    it: both say what happened."""
    sample = shop.issue(5)
    done = redeem(counter, sample, 2)
    undone = reverse(counter, done.serial)
    first, second = job_of(counter, done.serial), job_of(counter, undone.serial)
    assert (first.state, first.code) == ("queued", sample.code(1)) and first.job < second.job
    assert (second.state, second.code, second.facts.kind) == ("queued", None, "reversed")
    assert (second.facts.shares, second.facts.left, second.facts.reverses) == (2, 5, done.serial)
    assert view(counter, sample.code(1), sample.last4).left == 5


def test_reversing_the_middle_of_three(shop: Shop, counter: ShopCounter) -> None:
    """Shares return to the code that is current now, whichever redemption is undone."""
    sample = shop.issue(6, rows=(0,))
    serials = [redeem(counter, sample, 1, generation=g).serial for g in range(3)]
    assert reverse(counter, serials[1]).left == 4
    assert view(counter, sample.code(3), sample.last4).left == 4
    assert reverse(counter, serials[2]).left == 5
    assert redeem(counter, sample, 5, generation=3).left == 0


def test_a_voucher_known_by_its_qr_is_reversed_too(shop: Shop, counter: ShopCounter) -> None:
    """Without a state row the terminal's own entries say what returns; central makes the code."""
    sample = shop.issue(2, rows=(), home=HERE)
    shop.database.execute("DELETE FROM state WHERE voucher = ?", (sample.voucher,))
    seen = view(counter, shop.qr(sample), sample.last4)
    done = counter.redeem(seen.handle, 1, clerk="li", request="q")
    undone = reverse(counter, done.serial)  # type: ignore[union-attr]
    assert (undone.shares, undone.left) == (1, 2)


def test_reversing_what_central_counts_already(shop: Shop, counter: ShopCounter) -> None:
    """When the state row includes the redemption, only the reversal is added to it."""
    sample = shop.issue(5)
    done = redeem(counter, sample, 2)
    shop.database.execute(
        "UPDATE state SET used = 2, generation = 1, reflects_epoch = 1, reflects_seq = 1"
        " WHERE voucher = ?",
        (sample.voucher,),
    )
    assert reverse(counter, done.serial).left == 5
    assert view(counter, sample.code(1), sample.last4).left == 5


def test_a_reversal_needs_no_voucher_list(shop: Shop, counter: ShopCounter) -> None:
    """Decision 11: it works offline, and without a replica that can be read."""
    done = redeem(counter, shop.issue(3), 2)
    counter.parts.replica.close()
    shop.database.close()
    shop.data.replica.write_bytes(b"noise" * 3000)
    assert reverse(counter, done.serial).left == 3
    assert [row.product_name for row in counter.history(9)] == ["#1", "#1"]


def test_the_reasons_are_the_closed_list(shop: Shop, counter: ShopCounter) -> None:
    """Decision 11: six reasons and no other."""
    assert len(REVERSAL_REASONS) == 6
    done = redeem(counter, shop.issue())
    with pytest.raises(AssertionError):
        counter.reverse(done.serial, reason_code="because", clerk="li")
