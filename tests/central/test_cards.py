"""ID cards at central: rows of a person without a gap, no number kept, a claim and a booking."""

import json
import secrets
from pathlib import Path

import pytest
from sqlalchemy import select

from central import (
    cards,
    compaction,
    feed,
    imports,
    issuing,
    jobs,
    keys,
    ledger,
    orders,
    reports,
    schema,
)
from central.errors import Refused
from central.issuing import Issued
from central.service import Central
from sync.feed import FeedPage, SealedGone, SealedPut
from sync.messages import ClaimAnswer, ClaimRequest, LookupRequest
from tests.central.conftest import Pair, issue
from tests.central.test_races import together
from tests.central.till import Till
from vouchers import ids, sealed
from vouchers.id_card import upstream_hash
from vouchers.ids import uuid7
from vouchers.sealed import Record, SealError, SealKey

NUMBER = "11010519491231002X"  # a published example, not a person's
OTHER = "440524188001010014"  # another one
MD5 = upstream_hash(NUMBER)


def person(central: Central, number: str = NUMBER) -> SealKey:
    with central.read() as work:
        return sealed.stretch_id_card(number, keys.load(work).vault)


def opened(central: Central, number: str = NUMBER) -> list[Record]:
    """What a terminal would open by a card: rows i = 0.. until one is missing."""
    table, found = schema.sealed, list[Record]()
    whose = person(central, number)
    with central.read() as work:
        while True:
            key = sealed.id_row(whose, len(found))
            row = work.connection.execute(
                select(table.c.record).where(table.c.k == key.row_key)
            ).one_or_none()
            if row is None:
                return found
            found.append(sealed.open_record(row.record, key))


def ids_of(records: list[Record]) -> list[str]:
    return [record.voucher for record in records]


def test_a_card_opens_each_voucher_of_its_person(central: Central) -> None:
    """EV-032: numbered from 0, more than one probe's worth, and nobody else's."""
    mine = [issue(central, shares=2, id_card=MD5) for _ in range(34)]
    issue(central)
    other = issue(central, id_card=upstream_hash(OTHER))
    assert ids_of(opened(central)) == [one.voucher for one in mine]
    assert ids_of(opened(central, OTHER)) == [other.voucher]
    record = opened(central)[0]
    with pytest.raises(SealError):
        sealed.open_record(b"\0" * 80, person(central))
    assert (record.shares, record.generation) == (2, 0)


def test_no_voucher_hides_behind_one_that_is_over(central: Central) -> None:
    """A refund, another mobile and a spent voucher leave the card's rows where they are."""
    first, second, third = (issue(central, id_card=MD5) for _ in range(3))
    assert not isinstance(orders.pay_refund(central, first.order), Refused)
    assert not isinstance(orders.change_mobile(central, second.order, "13900005678"), Refused)
    assert ids_of(opened(central)) == [first.voucher, second.voucher, third.voucher]
    assert ids_of(opened(central)) == ids_of(opened(central))
    fourth = issue(central, id_card=MD5)
    assert ids_of(opened(central))[-1] == fourth.voucher


def dump(central: Central) -> str:
    """Every value of every table, as text."""
    with central.read() as work:
        rows = [
            row
            for table in schema.METADATA.sorted_tables
            for row in work.connection.execute(select(table)).all()
        ]
    return "\n".join(str(tuple(row)) for row in rows).lower()


def test_neither_number_nor_hash_stays(central: Central, tmp_path: Path) -> None:
    """The MD5 waits for its row to be sealed, and goes with it; the number is never stored."""
    issue(central, id_card=MD5)
    assert MD5 not in dump(central)
    file = tmp_path / "orders.csv"
    rows = f"A1,1,13800001234,{NUMBER}\nA2,1,13800001234,{NUMBER}\nA3,1,13800001234,\n"
    file.write_text("order,product,phone,id_card\n" + rows)
    result = imports.run(central, file, tmp_path / "refused")
    assert (result.imported, result.refused) == (3, 0)
    assert MD5 in dump(central) and NUMBER.lower() not in dump(central)
    with central.read() as work:
        assert next(reports.sealing_state(work))["waiting_cards"] == 2
    jobs.run_now(central, ("sealing",))
    assert MD5 not in dump(central) and NUMBER.lower() not in dump(central)
    assert len(opened(central)) == 3
    again = imports.run(central, file, tmp_path / "refused")
    assert (again.imported, again.repeated) == (0, 3)
    with central.read() as work:
        assert cards.waiting(work) == 0


def test_a_refused_row_keeps_no_number(central: Central, tmp_path: Path) -> None:
    """The file of refused rows names the line; the number stands in the file that was given."""
    file, refused = tmp_path / "orders.csv", tmp_path / "refused"
    wrong = NUMBER[:17] + "1"
    rows = (
        f"A1,1,13800001234,{wrong}\n"
        "A2,1,13800001234,1.10105E+17\n"
        f"A3,9,13800001234,{NUMBER}\n"
        f"A4,1,13800001234,{NUMBER},more\n"
        f'"A5,1,13800001234,{MD5}\n'
    )
    file.write_text("order,product,phone,id_card\n" + rows)
    assert imports.run(central, file, refused).refused == 5
    kept = refused.read_text()
    reasons = [json.loads(line)["reason"] for line in kept.splitlines()]
    assert reasons == ["bad_id_card", "bad_id_card", "unknown_product", "unreadable", "unreadable"]
    assert not any(secret in kept for secret in (wrong, NUMBER, MD5, "1.10105E+17"))


def test_two_processes_number_the_rows_of_one_person(central: Central, tmp_path: Path) -> None:
    """Single issues and the job at the same time: each voucher has a row of its own."""
    file = tmp_path / "orders.csv"
    rows = "".join(f"A{n},1,13800001234,{MD5}\n" for n in range(8))
    file.write_text("order,product,phone,id_card\n" + rows)
    imports.run(central, file, tmp_path / "refused")
    together(
        lambda: [issue(central, id_card=MD5) for _ in range(4)],
        lambda: [cards.run(central, limit=3) for _ in range(3)],
        lambda: [cards.run(central, limit=3) for _ in range(3)],
    )
    while cards.run(central):
        pass
    found = ids_of(opened(central))
    assert len(found) == len(set(found)) == 12


def test_a_person_is_forgotten(central: Central, tmp_path: Path) -> None:
    """All rows or none, so that nothing is hidden; terminals hear of it; codes go on.

    No service runs: its job would seal the third card while this looks.
    """
    vouchers = [issue(central, id_card=MD5) for _ in range(2)]
    file = tmp_path / "orders.csv"
    file.write_text(f"order,product,phone,id_card\nA1,1,13800001234,{MD5}\n")
    imports.run(central, file, tmp_path / "refused")
    assert len(opened(central)) == 2 and MD5 in dump(central)
    assert cards.forget(central, MD5) == 3
    assert opened(central) == [] and MD5 not in dump(central)
    with central.read() as work:
        page = feed.read_page(work, 1, "0", limit=1000, reader=feed.Reader("POS1", 1))
    assert isinstance(page, FeedPage)
    gone = {item.k for item in page.items if isinstance(item, SealedGone)}
    assert gone == {ids.b64u(sealed.id_row(person(central), n).row_key) for n in range(2)}
    kept = {item.voucher for item in page.items if isinstance(item, SealedPut)}
    assert {one.voucher for one in vouchers} <= kept
    assert cards.forget(central, MD5) == 0 == cards.run(central)
    later = issue(central, id_card=MD5)
    assert ids_of(opened(central)) == [later.voucher]


def test_forgetting_while_another_voucher_is_sold(central: Central) -> None:
    """Before or after, never half: no row stays behind where nobody finds it."""
    for _ in range(8):
        issue(central, id_card=MD5)
        together(lambda: issue(central, id_card=MD5), lambda: cards.forget(central, MD5))
        cards.forget(central, MD5)
        with central.read() as work:
            table = schema.sealed
            where = table.c.generation == schema.CARD_ROW
            assert work.connection.execute(select(table).where(where)).all() == []


def test_a_card_that_opens_too_many_is_left_out(
    central: Central, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody imports with one made-up number: the voucher has its code, and that is said."""
    monkeypatch.setattr(cards, "ID_ROWS_MAX", 2)
    made = [issue(central, id_card=MD5) for _ in range(3)]
    assert ids_of(opened(central)) == [one.voucher for one in made[:2]]
    assert made[2].voucher in caplog.text and MD5 not in caplog.text


def claim(till: Till, central: Central, issued: Issued, index: int = 0) -> ClaimAnswer:
    asked = ClaimRequest(
        claim=uuid7(1, secrets.token_bytes(10)),
        row_key=ids.b64u(sealed.id_row(person(central), index).row_key),
        voucher=issued.voucher,
        generation=0,
        shares=1,
    )
    return till.http.claim(asked, budget_ms=5_000)


def test_by_card_both_sides_move_to_the_same_generation(central: Central, pair: Pair) -> None:
    """EV-049: the entry has no successor, yet the presented code is void, here and at central."""
    till = pair("POS1")
    issued = issue(central, shares=3, id_card=MD5)
    by_card: dict[str, object] = {"credential": "id_card", "successor": False}
    till.redeem(issued, left=2, **by_card)
    till.redeem(issued, left=1, generation=1, **by_card)
    till.redeem(issued, left=0, generation=2, **by_card)
    till.push()
    with central.read() as work:
        voucher = ledger.find_all(work, [issued.voucher])[issued.voucher]
        booked = list(reports.redemptions(work))
    assert (voucher.used, voucher.generation) == (3, 2)
    assert {row["credential"] for row in booked} == {"id_card"}
    assert {row["verdict"] for row in booked} == {"accepted"}


def test_central_seals_the_new_code_after_a_card(central: Central, pair: Pair) -> None:
    """The rest can be redeemed by the code that central sends, too."""
    till = pair("POS1")
    issued = issue(central, shares=3, id_card=MD5)
    till.redeem(issued, left=2, credential="id_card", successor=False)
    till.push()
    jobs.run_now(central, ("sealing",))
    with central.read() as work:
        code = ledger.find_all(work, [issued.voucher])[issued.voucher].code
    assert code != issued.code
    ask = LookupRequest(row_key=till.row_key(code, "1234"))
    found = till.http.look_up(ask, budget_ms=5_000)
    assert found is not None and found.voucher == issued.voucher


def test_beyond_the_codes(central: Central, pair: Pair) -> None:
    """A counter without a network goes on by card, beyond the codes that central has reserved."""
    till = pair("POS1")
    issued = issue(central, shares=70, id_card=MD5)
    for n in range(60):
        till.redeem(issued, left=69 - n, generation=n, credential="id_card", successor=False)
    till.push()
    jobs.run_now(central, ("sealing",))
    with central.read() as work:
        voucher = ledger.find_all(work, [issued.voucher])[issued.voucher]
        reserved = work.connection.execute(
            select(schema.codes.c.generation).where(schema.codes.c.code == int(voucher.code))
        ).scalars()
        assert list(reserved) == [60]
    assert (voucher.generation, voucher.left) == (60, 10) and voucher.horizon >= 68
    found = till.http.look_up(
        LookupRequest(row_key=till.row_key(voucher.code, "1234")), budget_ms=5_000
    )
    assert found is not None and found.voucher == issued.voucher
    assert claim(till, central, issued).granted


def test_a_voucher_that_was_over_before_its_card_was_sealed(
    central: Central, tmp_path: Path
) -> None:
    """It has left the replicas: no row is published for it."""
    file = tmp_path / "orders.csv"
    row = f"A1,1,13800001234,{MD5},2020-01-01,2020-01-31\n"
    file.write_text("order,product,phone,id_card,valid_from,valid_until\n" + row)
    assert imports.run(central, file, tmp_path / "refused").imported == 1
    assert compaction.retire(central) == 1
    assert cards.run(central) == 1
    assert opened(central) == [] and cards.run(central) == 0


def test_a_claim_by_card(central: Central, pair: Pair) -> None:
    """The row shows that a card of this person was presented, whatever generation is current."""
    till = pair("POS1")
    issued = issue(central, shares=3, id_card=MD5)
    assert claim(till, central, issued).granted
    till.redeem(issued, left=2, credential="id_card", successor=False)
    till.push()
    assert claim(till, central, issued).granted, "this terminal has not heard of generation 1"
    stranger = issue(central)
    assert claim(till, central, stranger).reason == "unknown_or_wrong"
    assert claim(till, central, issued, index=1).reason == "unknown_or_wrong"


def test_lookups_find_the_row_of_a_card(central: Central, pair: Pair) -> None:
    """Bought a moment ago: the replica has not heard of it, central has."""
    till = pair("POS1")
    issued = issue(central, id_card=MD5)
    key = sealed.id_row(person(central), 0)
    ask = LookupRequest(row_key=ids.b64u(key.row_key))
    found = till.http.look_up(ask, budget_ms=5_000)
    assert found is not None
    assert sealed.open_record(ids.unb64u(found.record), key).voucher == issued.voucher


def test_a_new_order_shows_no_card() -> None:
    """Not in a log line, not in an error."""
    assert MD5 not in repr(issuing.NewOrder(1, "13800001234", id_card=MD5))
