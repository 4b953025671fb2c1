"""Redeeming by ID card at the counter: a card names a person's vouchers, not one code (EV-032)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from terminal.counter import ShopCounter
from terminal.outcomes import Redeemed, View
from terminal.parts import Claimed, FoundRow
from terminal.redeem import CARD_CHOICES_MAX
from tests.terminal.asking import all_entries, detail, job_of, reason, redeem, reverse, view
from tests.terminal.shop import HERE, NOW, THERE, Shop, close
from vouchers import sealed
from vouchers.entries import Kind
from vouchers.policy import Policy
from vouchers.policy import Replica as PolicyOfReplica
from vouchers.reasons import Reason
from vouchers.sealed import Record
from vouchers.standing import Standing, VoucherState
from vouchers.times import DAY_MS

NUMBER = "11010519491231002X"  # a published example, not a person's
OTHER = "440524188001010014"  # another one


def views(counter: ShopCounter, number: str = NUMBER) -> Sequence[View]:
    """The card opens something."""
    found = counter.look_up_card(number)
    assert isinstance(found, list), found
    return found


def by_card(counter: ShopCounter, shares: int = 1, *, number: str = NUMBER) -> Redeemed:
    """Redeem the first voucher that the card opens."""
    (first, *_) = views(counter, number)
    asked = f"c-{first.voucher}-{first.generation}-{first.left}"
    done = counter.redeem(first.handle, shares, clerk="li", request=asked)
    assert isinstance(done, Redeemed), done
    return done


def test_a_part_and_then_the_rest_by_the_same_card(shop: Shop, counter: ShopCounter) -> None:
    """EV-049: without a network, at once; the old code is void, and no new one is made here."""
    sample = shop.issue(3)
    shop.link_card(NUMBER, sample)
    first = by_card(counter)
    assert (first.left, first.successor_code, first.mode) == (2, None, "lone")
    assert reason(counter.look_up(sample.code(), sample.last4)) is Reason.REPLACED
    second, third = by_card(counter), by_card(counter)
    assert (second.left, third.left) == (1, 0)
    assert (first.code_follows, third.code_follows) == (True, False)
    assert reason(views(counter)[0]) is Reason.USED_UP
    done = [entry.data for entry in all_entries(counter) if entry.kind is Kind.REDEEMED]
    assert [(one["credential"], one["evidence"]) for one in done] == [("id_card", "row")] * 3
    assert [(one["generation"], one["left"], one["successor"]) for one in done] == [
        (0, 2, False),
        (1, 1, False),
        (2, 0, False),
    ]
    assert not job_of(counter, first.serial).facts.successor


def test_rows_of_other_outlets_are_missing_in_between(shop: Shop, counter: ShopCounter) -> None:
    """A till of the scope `outlet` has the person's second and fifth voucher, and finds them."""
    samples = [shop.issue() for _ in range(5)]
    shop.link_card(NUMBER, *samples)
    person = sealed.stretch_id_card(NUMBER, shop.vault)
    for index in (0, 2, 3):
        key = sealed.id_row(person, index).row_key
        shop.database.execute("DELETE FROM sealed WHERE k = ?", (key,))
    assert reason(counter.look_up_card(NUMBER)) is Reason.UNKNOWN_OR_WRONG
    counter.parts.policy = Policy(replica=PolicyOfReplica(scope="outlet"))
    assert [one.voucher for one in views(counter)] == [samples[1].voucher, samples[4].voucher]


def test_card_and_code_share_one_voucher(shop: Shop, counter: ShopCounter) -> None:
    """By code, the rest has a code; by card the newest generation is presented, not an old one."""
    sample = shop.issue(4)
    shop.link_card(NUMBER, sample)
    assert redeem(counter, sample).successor_code == sample.code(1)
    assert views(counter)[0].generation == 1
    assert by_card(counter).left == 2
    assert reason(counter.look_up(sample.code(1), sample.last4)) is Reason.REPLACED


def test_the_generation_may_rise_while_the_clerk_decides(shop: Shop, counter: ShopCounter) -> None:
    """The rest was redeemed by its code meanwhile, elsewhere: the card is not refused for it."""
    sample = shop.issue(3)
    shop.link_card(NUMBER, sample)
    seen = views(counter)[0]
    shop.database.execute("UPDATE state SET generation = 2, used = 2, version = 2")
    done = counter.redeem(seen.handle, 1, clerk="li", request="q")
    assert isinstance(done, Redeemed) and done.left == 0
    data = all_entries(counter)[-1].data
    assert (data["generation"], data["shares"]) == (2, 1)


def test_undoing_what_a_card_redeemed(shop: Shop, counter: ShopCounter) -> None:
    """Decision 11: the shares return, and the same card redeems them again."""
    sample = shop.issue(2)
    shop.link_card(NUMBER, sample)
    done = by_card(counter)
    assert reverse(counter, done.serial).left == 2
    seen = views(counter)[0]
    assert (seen.left, seen.max_now, seen.generation) == (2, 2, 1)
    assert by_card(counter, 2).left == 0


def test_several_vouchers_the_best_first(shop: Shop, counter: ShopCounter) -> None:
    """What can be redeemed first, the soonest to expire before; then the rest, the newest first."""
    ends = (NOW + 9 * DAY_MS, NOW + 3 * DAY_MS, NOW - 1, NOW)
    made = [shop.issue(valid=(NOW - 20 * DAY_MS, end)) for end in ends]
    elsewhere = shop.issue(product=2, home=THERE)
    shop.link_card(NUMBER, *made, elsewhere)
    shop.link_card(OTHER, shop.issue())
    found = views(counter)
    order = [made[1], made[0], elsewhere, made[3], made[2]]
    assert [one.voucher for one in found] == [one.voucher for one in order]
    assert [one.refusal is None for one in found] == [True, True, True, False, False]
    assert len(views(counter, OTHER)) == 1
    assert all(entry.kind is not Kind.REFUSED for entry in all_entries(counter))


def test_what_cannot_be_redeemed_says_why(shop: Shop, counter: ShopCounter) -> None:
    """EV-032: refunded stays refunded, and a product without this outlet is good elsewhere."""
    shop.product(3, outlets=[THERE])
    shop.link_card(NUMBER, shop.issue(state="refunded"))
    shop.link_card(OTHER, shop.issue(product=3, home=THERE))
    (refunded,), (elsewhere,) = views(counter), views(counter, OTHER)
    assert reason(refunded) is Reason.REFUNDED
    assert reason(elsewhere) is Reason.WRONG_OUTLET
    assert detail(elsewhere)["outlets"] == ["西门"]
    refused = [entry.data for entry in all_entries(counter) if entry.kind is Kind.REFUSED]
    assert [(one["reason"], one["credential"]) for one in refused] == [
        ("refunded", "id_card"),
        ("wrong_outlet", "id_card"),
    ]
    assert refused[0]["voucher"] == refunded.voucher


def test_a_card_that_opens_nothing_is_a_guess(shop: Shop, counter: ShopCounter) -> None:
    """Decision 13: charged by the key of its rows; five lock the card here, and no other card."""
    shop.link_card(OTHER, shop.issue())
    for _ in range(5):
        answer = counter.look_up_card(NUMBER)
        assert reason(answer) is Reason.UNKNOWN_OR_WRONG and detail(answer) == {"why": "card"}
    assert detail(counter.look_up_card(NUMBER.lower()))["why"] == "card"
    assert reason(counter.look_up_card(NUMBER)) is Reason.LOCKED
    assert len(views(counter, OTHER)) == 1
    kinds = [entry.kind for entry in all_entries(counter)]
    assert (kinds.count(Kind.REFUSED), kinds.count(Kind.LOCKED)) == (5, 1)
    person = sealed.stretch_id_card(NUMBER, shop.vault)
    buckets = [
        row[0]
        for row in counter.parts.journal.connection.execute("SELECT bucket FROM guesses").fetchall()
    ]
    assert counter.parts.guesses.bucket(person.row_key.hex()) in buckets


def test_the_number_is_nowhere(shop: Shop, counter: ShopCounter) -> None:
    """Not in the journal's file as text of any kind: neither read cards nor missed ones."""
    sample = shop.issue(2)
    shop.link_card(NUMBER, sample)
    by_card(counter)
    counter.look_up_card(OTHER)
    dumped = "\n".join(
        str(row)
        for (name,) in counter.parts.journal.connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
        for row in counter.parts.journal.connection.execute(f"SELECT * FROM {name}").fetchall()
    )
    for number in (NUMBER, OTHER):
        assert number not in dumped and number[6:14] not in dumped


def test_more_vouchers_than_anybody_chooses_among(shop: Shop, counter: ShopCounter) -> None:
    """The redeemable ones are never among those left out, and all shown can be redeemed."""
    over = [shop.issue(state="refunded") for _ in range(CARD_CHOICES_MAX + 1)]
    good = [shop.issue() for _ in range(3)]
    shop.link_card(NUMBER, *over, *good)
    found = views(counter)
    assert len(found) == CARD_CHOICES_MAX
    assert {one.voucher for one in found[:3]} == {one.voucher for one in good}
    for _ in range(8):
        other = shop.issue()
        view(counter, other.code(), other.last4)  # commands that queue meanwhile
    for seen in found[:3]:
        done = counter.redeem(seen.handle, 1, clerk="li", request=seen.voucher)
        assert isinstance(done, Redeemed)


@dataclass
class Central:
    """Central as the port shows it: it knows these rows, and grants what is claimed."""

    rows: dict[bytes, FoundRow]
    asked: list[bytes] = field(default_factory=list)
    claimed: list[bytes] = field(default_factory=list)

    def reachable(self) -> bool:
        return True

    def claim(self, claim: str, row_key: bytes, record: Record, shares: int) -> Claimed | None:
        self.claimed.append(row_key)
        return Claimed(claim, granted=True, until_mono_ms=10**9)

    def look_up(self, row_key: bytes) -> FoundRow | None:
        self.asked.append(row_key)
        return self.rows.get(row_key)


def test_bought_a_moment_ago(shop: Shop, counter: ShopCounter) -> None:
    """A card the replica knows nothing of is asked for, once; the claim names the card's row."""
    key = sealed.id_row(sealed.stretch_id_card(NUMBER, shop.vault), 0)
    sample = shop.issue(2, rows=())
    record = Record(sample.voucher, sample.secret, 0, 8, 2, 1, HERE, 2000)
    standing = Standing(VoucherState.LIVE, 0, 0, NOW - DAY_MS, NOW + DAY_MS, HERE)
    row = FoundRow(sealed.seal(record, key, bytes(12)), standing, 1, 0)
    shop.database.execute("DELETE FROM state WHERE voucher = ?", (sample.voucher,))
    central = Central({key.row_key: row})
    counter.parts.online = central
    done = by_card(counter)
    assert (done.mode, done.left) == ("online", 1)
    assert central.asked == central.claimed == [key.row_key]
    data = all_entries(counter)[-1].data
    assert (data["credential"], data["evidence"]) == ("id_card", "central")
    assert reason(counter.look_up_card(OTHER)) is Reason.UNKNOWN_OR_WRONG
    assert len(central.asked) == 2


def test_a_row_whose_state_has_not_come_yet(shop: Shop, counter: ShopCounter) -> None:
    """It did open, so it is no miss: without the network it waits, beside others it is left out."""
    early, here = shop.issue(), shop.issue()
    shop.link_card(NUMBER, early)
    shop.database.execute("DELETE FROM state WHERE voucher = ?", (early.voucher,))
    assert reason(counter.look_up_card(NUMBER)) is Reason.NEEDS_NETWORK
    shop.link_card(NUMBER, here)
    assert [one.voucher for one in views(counter)] == [here.voucher]
    assert not any(entry.kind is Kind.REFUSED for entry in all_entries(counter))


def test_away_from_home_a_card_has_the_allowance_of_a_row(shop: Shop) -> None:
    """Design, section 7: one share of a foreign voucher between two contacts."""
    counter = shop.open()
    shop.link_card(NUMBER, shop.issue(3, product=2, home=THERE))
    assert by_card(counter).left == 2
    assert reason(views(counter)[0]) is Reason.NEEDS_NETWORK
    close(counter)
