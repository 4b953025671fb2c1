"""What happened here, and what a person still has to deal with (EV-050)."""

from sync import messages
from terminal import history
from terminal.counter import ShopCounter
from terminal.outcomes import Delivery
from terminal.syncing import JournalOfTerminal
from tests.terminal.asking import redeem, reverse
from tests.terminal.shop import Shop
from vouchers import ids
from vouchers.booking import FLAG_RELATED


def verdict(serial: str, word: str = "accepted", **more: object) -> messages.Verdict:
    said: dict[str, object] = {"seq": 1, "serial": serial, "verdict": word, **more}
    return messages.Verdict(**said)  # type: ignore[arg-type]


def test_ev_050_three_redemptions_and_a_reversal_are_four_rows(
    shop: Shop, counter: ShopCounter
) -> None:
    """EV-050: newest first, with count, time, clerk, product, and which one was undone."""
    done = [redeem(counter, shop.issue(2)) for _ in range(3)]
    shop.clock.pass_ms(5_000)
    undone = reverse(counter, done[1].serial)
    rows = counter.history(40)
    assert [row.kind for row in rows] == ["reversed", "redeemed", "redeemed", "redeemed"]
    assert rows[0].serial == undone.serial and rows[0].at == rows[1].at + 5_000
    assert [row.reversed_by for row in rows] == [None, None, undone.serial, None]
    assert [row.reversible for row in rows] == [False, True, False, True]
    assert {(row.product_name, row.clerk, row.shares) for row in rows} == {
        ("Bread 1 面包", "li", 1)
    }
    assert [row.slip for row in rows] == ["queued"] * 4
    assert len(counter.history(2)) == 2


def test_a_row_says_where_its_entry_is(shop: Shop, counter: ShopCounter) -> None:
    """Waiting, then acknowledged, then in need of a person by central's verdict."""
    done = [redeem(counter, shop.issue()) for _ in range(2)]
    port = JournalOfTerminal(counter)
    assert {row.delivery for row in counter.history(9)} == {Delivery.WAITING}
    with counter.parts.journal.transaction() as connection:
        counter.parts.journal.advance(connection, "acknowledged", 1, 1)
    found = {row.serial: row.delivery for row in counter.history(9)}
    assert found == {
        done[0].serial: Delivery.ACKNOWLEDGED,
        done[1].serial: Delivery.WAITING,
    }
    port.store_verdicts(1, [verdict(done[0].serial, "over_redeemed", excess=1)])
    row = counter.history(9)[1]
    assert (row.delivery, row.verdict) == (Delivery.ATTENTION, "over_redeemed")


def test_after_a_fork_the_word_on_the_other_entry_is_not_this_one_s(
    shop: Shop, counter: ShopCounter
) -> None:
    """Both bear one number; what head office booked of this disk has the hash in its serial."""
    done = redeem(counter, shop.issue())
    port = JournalOfTerminal(counter)
    own = ids.branch_serial("T1", 1, 1, done.head)
    port.store_verdicts(1, [verdict(done.serial, "late"), verdict(own)])
    assert [row.verdict for row in counter.history(9)] == ["accepted"]
    port.store_verdicts(1, [verdict(own, "over_redeemed", excess=1)])
    assert [row.verdict for row in counter.history(9)] == ["over_redeemed"]
    assert {notice.serial for notice in counter.status().notices} == {done.serial, own}


def test_a_reversal_s_verdict_is_on_its_own_row(shop: Shop, counter: ShopCounter) -> None:
    """Central's word on a reversal stands beside the reversal, not the redemption."""
    done = redeem(counter, shop.issue())
    undone = reverse(counter, done.serial)
    JournalOfTerminal(counter).store_verdicts(1, [verdict(undone.serial, "reversal_late")])
    rows = counter.history(9)
    assert [(row.verdict, row.delivery) for row in rows] == [
        ("reversal_late", Delivery.ATTENTION),
        (None, Delivery.WAITING),
    ]


def test_a_verdict_stays_until_a_person_settled_it(shop: Shop, counter: ShopCounter) -> None:
    """Only central's `settled` takes a verdict off the counter; dismissing does not."""
    done = redeem(counter, shop.issue())
    port = JournalOfTerminal(counter)
    port.store_verdicts(1, [verdict(done.serial, "over_redeemed", excess=2, others=("T2_1_1",))])
    (notice,) = counter.status().notices
    assert (notice.kind, notice.serial) == ("verdict", done.serial)
    assert notice.detail == {
        "verdict": "over_redeemed",
        "excess": 2,
        "others": ["T2_1_1"],
        "flags": [],
    }
    counter.dismiss(notice)
    assert counter.status().notices == (notice,)
    port.store_verdicts(1, [verdict(done.serial, "over_redeemed", settled="loss")])
    assert counter.status().notices == ()


def test_the_other_counter_is_told_too(shop: Shop, counter: ShopCounter) -> None:
    """An accepted entry that is related to an over-redemption is a notice; a plain one is not."""
    done = [redeem(counter, shop.issue()) for _ in range(2)]
    JournalOfTerminal(counter).store_verdicts(
        1, [verdict(done[0].serial), verdict(done[1].serial, flags=(FLAG_RELATED,))]
    )
    assert [notice.serial for notice in counter.status().notices] == [done[1].serial]


def test_a_notice_is_left_once_and_can_be_read_away(counter: ShopCounter) -> None:
    """The same finding twice is one notice; after it was read it may come again."""
    for _ in range(2):
        history.note(counter.parts, "message", None, {"text": "shop closes at 6"})
    (notice,) = counter.status().notices
    counter.dismiss(notice)
    assert counter.status().notices == ()
    history.note(counter.parts, "message", None, {"text": "shop closes at 6"})
    assert counter.status().notices == (notice,)


def test_more_than_a_person_can_work_through_is_cut(counter: ShopCounter) -> None:
    """Fifty notices are shown, the oldest first."""
    for number in range(history.NOTICES_MAX + 5):
        history.note(counter.parts, "message", None, {"text": str(number)})
    found = counter.status().notices
    assert len(found) == history.NOTICES_MAX and found[0].detail == {"text": "0"}
