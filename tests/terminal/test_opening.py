"""From what is presented to an opened voucher, and what each way costs."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.replica_schema import SEALED_PUT, sealed_row
from terminal.counter import ShopCounter
from terminal.parts import Claimed, FoundRow
from tests.terminal.asking import detail, reason, redeem, view
from tests.terminal.shop import HERE, NOW, THERE, Sample, Shop
from vouchers import codes, qr, sealed, times
from vouchers.reasons import Reason
from vouchers.sealed import Record
from vouchers.standing import Standing, VoucherState
from vouchers.times import DAY_MS


class OnlyLookups:
    """Central's answers to look-ups, as the online port hands them on; the network is elsewhere."""

    def __init__(self, rows: dict[bytes, FoundRow]) -> None:
        self.rows, self.asked = rows, 0

    def reachable(self) -> bool:
        return False

    def look_up(self, row_key: bytes) -> FoundRow | None:
        self.asked += 1
        return self.rows.get(row_key)

    def claim(self, claim: str, row_key: bytes, record: Record, shares: int) -> Claimed | None:
        return None


def only_central_knows(shop: Shop, shares: int = 1) -> tuple[Sample, OnlyLookups]:
    """A voucher that has neither row nor state in the replica."""
    sample = shop.issue(shares)
    shop.database.execute("DELETE FROM sealed WHERE voucher = ?", (sample.voucher,))
    shop.database.execute("DELETE FROM state WHERE voucher = ?", (sample.voucher,))
    key = sealed.stretch(sample.code(), sample.last4, shop.vault)
    record = Record(
        sample.voucher, sample.secret, 0, codes.horizon(shares), shares, 1, HERE, shares * 1000
    )
    standing = Standing(VoucherState.LIVE, 0, 0, NOW - DAY_MS, NOW + DAY_MS, HERE)
    row = FoundRow(sealed.seal(record, key, bytes(12)), standing, 0, 0)
    return sample, OnlyLookups({key.row_key: row})


@pytest.mark.parametrize(
    "wrap",
    [
        "{}",
        " {} ",
        "\t{}\r\n",
        "https://example.org/x?code={}",
        "HTTP://EXAMPLE.ORG/?a=1&yph={}#top",
    ],
)
def test_a_code_opens_however_it_is_scanned(shop: Shop, counter: ShopCounter, wrap: str) -> None:
    """Digits, digits with blanks and a link that carries them open the same voucher."""
    sample = shop.issue()
    assert view(counter, wrap.format(sample.code()), sample.last4).voucher == sample.voucher


def test_ev_045_full_width_digits_and_blanks_are_read(shop: Shop, counter: ShopCounter) -> None:
    """EV-045: what an input method makes of digits is the same code and the same four digits."""
    sample = shop.issue()
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    spaced = f"{sample.code()[:3]} {sample.code()[3:]}"
    assert view(counter, spaced.translate(wide), sample.last4.translate(wide)).left == 1


@pytest.mark.parametrize("last4", ["", "123", "12345", "abcd", "12 34 5"])
def test_four_digits_are_asked_for_before_anything_is_charged(
    shop: Shop, counter: ShopCounter, last4: str
) -> None:
    """Last four that cannot be four digits cost nothing."""
    assert reason(counter.look_up(shop.issue().code(), last4)) is Reason.MALFORMED
    assert counter.parts.journal.head().seq == 0


def test_a_qr_of_a_known_voucher_only_supplies_the_code(shop: Shop, counter: ShopCounter) -> None:
    """Where the replica has the row, the row decides: more shares, evidence `row`."""
    sample = shop.issue(3)
    seen = view(counter, shop.qr(sample), sample.last4)
    assert (seen.evidence, seen.left, seen.max_now) == ("row", 3, 3)


def test_a_forged_or_foreign_qr_is_malformed(shop: Shop, counter: ShopCounter) -> None:
    """A changed letter, another signer, an unknown key and another merchant open nothing, free."""
    sample = shop.issue(rows=())
    text = shop.qr(sample)
    changed = text[:30] + ("A" if text[30] != "A" else "B") + text[31:]
    mine, shop.central_key = shop.central_key, Ed25519PrivateKey.generate()
    forged = shop.qr(sample)
    shop.central_key = mine
    for wrong in (changed, forged, "HX1:", "HX1:" + "A" * 300):
        answer = counter.look_up(wrong, sample.last4)
        assert reason(answer) is Reason.MALFORMED and detail(answer) == {"looks_like": "qr"}
    other = qr.VoucherQr(1, 2, sample.voucher, sample.code(), 1, 0, 1, 0, 2**31, None, 1, bytes(8))
    assert reason(counter.look_up(qr.encode(other, mine), sample.last4)) is Reason.MALFORMED
    assert counter.parts.journal.head().seq == 0


def test_a_qr_without_its_tag_key_asks_central(shop: Shop, counter: ShopCounter) -> None:
    """Without the key of the tag the digits cannot be checked here, so the QR alone is nothing."""
    sample = shop.issue(rows=())
    counter.parts.identity.tag_keys.clear()
    assert reason(counter.look_up(shop.qr(sample), sample.last4)) is Reason.UNKNOWN_OR_WRONG


def test_a_qr_at_another_outlet_has_the_foreign_allowance(shop: Shop, counter: ShopCounter) -> None:
    """By QR alone a voucher of another home gives one share (`foreign_shares_qr`)."""
    sample = shop.issue(3, product=2, home=THERE, rows=())
    shop.database.execute("DELETE FROM state WHERE voucher = ?", (sample.voucher,))
    seen = view(counter, shop.qr(sample), sample.last4)
    assert (seen.left, seen.max_now, seen.evidence) == (3, 1, "qr")


def test_a_row_that_only_central_has_is_asked_for(shop: Shop, counter: ShopCounter) -> None:
    """On a miss central is asked before the miss is charged, and its row opens."""
    sample, online = only_central_knows(shop)
    counter.parts.online = online
    seen = view(counter, sample.code(), sample.last4)
    assert (seen.evidence, online.asked) == ("central", 1)
    assert redeem(counter, sample).left == 0
    assert reason(counter.look_up(sample.code(), "9999")) is Reason.UNKNOWN_OR_WRONG
    assert online.asked == 3


def test_the_rest_of_a_voucher_that_only_central_knows_needs_central(
    shop: Shop, counter: ShopCounter
) -> None:
    """The successor's row is here but its voucher's state is not: without central it is refused
    with `needs_network`, and it costs no miss; with central it opens."""
    sample, online = only_central_knows(shop, 3)
    counter.parts.online = online
    done = redeem(counter, sample, 1)
    assert done.successor_code == sample.code(1)
    counter.parts.online = None
    charged = counter.parts.journal.connection.execute("SELECT count(*) FROM guesses").fetchone()
    assert reason(counter.look_up(sample.code(1), sample.last4)) is Reason.NEEDS_NETWORK
    found = counter.parts.journal.connection.execute("SELECT count(*) FROM guesses").fetchone()
    assert charged == found == (0,)
    first = next(iter(online.rows.values()))
    key = sealed.stretch(sample.code(1), sample.last4, shop.vault)
    counter.parts.online = OnlyLookups({key.row_key: first})
    row = counter.parts.journal.connection.execute(
        "SELECT record FROM entry WHERE record IS NOT NULL"
    ).fetchone()
    assert row is not None
    counter.parts.online.rows[key.row_key] = FoundRow(bytes(row[0]), first.standing, 0, 0)
    assert view(counter, sample.code(1), sample.last4).left == 2


def test_a_former_number_opens_no_code_that_was_made_here(shop: Shop, counter: ShopCounter) -> None:
    """EV-038: once central's rows of the voucher are here, ours under the former last four digits
    opens nothing; until they are, it must open, because nobody else has the code.
    """
    sample = shop.issue(3)
    done = redeem(counter, sample, 1)
    seq = counter.parts.journal.head().seq
    with shop.database:
        shop.database.execute("DELETE FROM sealed WHERE voucher = ?", (sample.voucher,))
        shop.database.execute(
            "UPDATE state SET version = 2, used = 1, generation = 1, reflects_epoch = 1,"
            " reflects_seq = ? WHERE voucher = ?",
            (seq, sample.voucher),
        )
    assert view(counter, sample.code(1), sample.last4).left == 2
    key = sealed.stretch(sample.code(1), "9876", shop.vault)
    record = Record(
        sample.voucher, sample.secret, 1, codes.horizon(3), 3, sample.product, HERE, 3000
    )
    with shop.database:
        row = sealed_row(key.row_key, sealed.seal(record, key, bytes(12)), sample.voucher, 1)
        shop.database.execute(SEALED_PUT, row)
        shop.set_meta("sealed_through", times.format_utc(NOW + DAY_MS))
    assert reason(counter.look_up(sample.code(1), sample.last4)) is Reason.UNKNOWN_OR_WRONG
    assert view(counter, sample.code(1), "9876").left == 2
    assert done.successor_code == sample.code(1)


def test_a_row_that_arrived_before_its_state_needs_central(
    shop: Shop, counter: ShopCounter
) -> None:
    """A sealed row whose state the feed has not brought yet is an answer, not a crash."""
    sample = shop.issue()
    shop.database.execute("DELETE FROM state WHERE voucher = ?", (sample.voucher,))
    assert reason(counter.look_up(sample.code(), sample.last4)) is Reason.NEEDS_NETWORK


def test_an_unknown_product_is_good_nowhere_known(shop: Shop, counter: ShopCounter) -> None:
    """A product that the replica does not know is not redeemed here."""
    sample = shop.issue(product=42)
    seen = view(counter, sample.code(), sample.last4)
    assert reason(seen) is Reason.WRONG_OUTLET
    assert (seen.product_name, seen.outlets, seen.max_now) == ("#42", (), 0)


def test_a_credential_is_checked_free_of_charge(shop: Shop, counter: ShopCounter) -> None:
    """`check_credential` says at once what cannot be one, and nothing of what can."""
    sample = shop.issue()
    assert counter.check_credential(sample.code()) is None
    assert counter.check_credential(shop.qr(sample)) is None
    assert reason(counter.check_credential("13800138000")) is Reason.MALFORMED
    assert counter.parts.journal.head().seq == 0
