"""What head office does to an order, and what the counter sees of it."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from central import catalogue, claims, issuing, jobs, ledger, orders, reports, schema, sealing
from central.arriving import Upload
from central.catalogue import NewProduct, Product
from central.errors import Refused
from central.ingest import ingest
from central.issuing import Issued, NewOrder
from central.ledger import Voucher
from central.orders import Order, Refund
from central.service import Central
from sync.limits import CLAIM_S
from sync.messages import ClaimRequest
from tests.central.conftest import Pair, issue
from tests.central.till import Till, now_ms
from vouchers import codes, ids, times
from vouchers.entries import Kind


def voucher_of(central: Central, issued: Issued) -> Voucher:
    with central.read() as work:
        found = ledger.find(work, issued.voucher)
    assert found is not None
    return found


def reason(answer: object) -> str:
    assert isinstance(answer, Refused), answer
    return answer.reason


def product(central: Central, **terms: object) -> int:
    new = NewProduct(**({"name": "Tea", "price_fen": 5000, "outlets": (1,)} | terms))  # type: ignore[arg-type]
    made = catalogue.add_product(central, new)
    assert isinstance(made, Product), made
    return made.product


# Issuing


def test_a_code_has_eleven_digits_and_never_looks_like_a_mobile(central: Central) -> None:
    """EV-045, decision 14: check digit, no leading zero; and every reserved code is its own."""
    seen: set[str] = set()
    for _ in range(20):
        issued = issue(central, shares=3)
        found = voucher_of(central, issued)
        assert codes.read_code(issued.code) == issued.code and len(issued.code) == 11
        reserved = codes.reserved(found.secret, 3)
        assert len(reserved) == codes.horizon(3) + 1 == 11
        assert not any(map(codes.looks_like_mobile, reserved)) and not seen & set(reserved)
        seen |= set(reserved)


def test_a_secret_that_collides_or_looks_like_a_mobile_is_drawn_again(central: Central) -> None:
    """Design 6: central draws again until no code of the generations 0..H is taken."""
    mobile = next(
        secret
        for secret in (n.to_bytes(32, "big") for n in range(10_000))
        if any(map(codes.looks_like_mobile, codes.reserved(secret, 1)))
    )
    good = [
        secret
        for secret in (n.to_bytes(32, "big") for n in range(1_000))
        if not any(map(codes.looks_like_mobile, codes.reserved(secret, 1)))
    ][:2]
    queue = [mobile, good[0], good[0], good[1]]

    def random(count: int) -> bytes:
        return queue.pop(0) if count == 32 and queue else central.random(count)

    rigged = Central(
        central.database, 1, central.name, central.zone, central.spool, central.clock, random
    )
    assert voucher_of(central, issue(rigged)).secret == good[0]
    assert voucher_of(central, issue(rigged)).secret == good[1]
    assert queue == []


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"product": 9}, "unknown_product"),
        ({"mobile": "021-55555555"}, "bad_mobile"),
        ({"mobile": "1380000123"}, "bad_mobile"),
        ({"shares": 0}, "bad_count"),
        ({"shares": 10_000}, "bad_count"),
        ({"home": 3}, "bad_home"),
        ({"paid_fen": -1}, "bad_price"),
        ({"external": "x" * 65}, "bad_order"),
        ({"external": "a\x1b[31m"}, "bad_order"),
        ({"valid_from": 10, "valid_until": 10}, "bad_validity"),
        ({"used_before": 2}, "bad_count"),
    ],
)
def test_a_wrong_order_is_refused(
    central: Central, order: dict[str, object], expected: str
) -> None:
    """EV-034, EV-035: nothing is issued for an order that is not good."""
    whole = {"product": 1, "mobile": "13800001234"} | order
    assert reason(issuing.issue(central, NewOrder(**whole))) == expected  # type: ignore[arg-type]


def test_mobiles_are_read_as_people_write_them(central: Central) -> None:
    """EV-035: +86, spaces, hyphens and full-width digits are one number."""
    for mobile in ("+86 138-0000-1234", "8613800001234", "１３８００００１２３４"):
        assert issue(central, mobile=mobile).last4 == "1234"


def test_validity_ends_with_a_day_of_the_merchant(central: Central) -> None:
    """EV-018, decision 8: the end is exclusive, 00:00 in the merchant's time zone."""
    start = times.day_start(times.local_date(now_ms(), central.zone), central.zone)
    by_days = voucher_of(central, issue(central, product=product(central, valid_days=15)))
    assert by_days.valid_until == start + 16 * times.DAY_MS
    fixed = product(central, valid_days=None, valid_to=start + 5 * times.DAY_MS)
    by_date = voucher_of(central, issue(central, product=fixed))
    assert by_date.valid_until == start + 5 * times.DAY_MS
    over = product(central, valid_days=None, valid_to=start)
    assert reason(issuing.issue(central, NewOrder(over, "13800001234"))) == "bad_validity"


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"outlets": ()}, "no_outlets"),
        ({"outlets": (1, 7)}, "unknown_outlet"),
        ({"name": " "}, "bad_name"),
        ({"name": "Tea\x1b@"}, "bad_name"),
        ({"name": "x\u202ecod"}, "bad_name"),
        ({"slip_text": "ok\x00"}, "bad_name"),
        ({"price_fen": -1}, "bad_price"),
        ({"refund_ratio": 101}, "bad_ratio"),
        ({"valid_days": 0}, "bad_validity"),
        ({"valid_days": None}, "bad_validity"),
    ],
)
def test_a_wrong_product_is_refused(
    central: Central, terms: dict[str, object], expected: str
) -> None:
    """Decision 12, EV-020, EV-024: no outlets, wrong ratio, names that could act as commands."""
    new = NewProduct(**({"name": "Tea", "price_fen": 5000, "outlets": (1,)} | terms))  # type: ignore[arg-type]
    assert reason(catalogue.add_product(central, new)) == expected


def test_markup_in_a_name_is_only_text(central: Central) -> None:
    name = "[bold red]蛋糕[/] <b>&amp; 🍰"
    made = product(central, name=name)
    with central.read() as work:
        assert catalogue.products(work)[made].terms.name == name


# Refunds


def test_a_refund_freezes_then_pays_what_is_left(central: Central) -> None:
    """Decisions 4 and 6, EV-055: 2 of 3 x 50.00 left, one yuan of fee: 99.00."""
    issued = issue(central, shares=3, used_before=1)
    asked = orders.request_refund(central, issued.order)
    assert isinstance(asked, Refund) and (asked.state, asked.amount_fen) == ("requested", 9_900)
    assert voucher_of(central, issued).state == "refunding"
    assert reason(orders.request_refund(central, issued.order)) == "refunding"
    paid = orders.pay_refund(central, issued.order)
    assert isinstance(paid, Refund) and (paid.shares, paid.amount_fen) == (2, 9_900)
    found = voucher_of(central, issued)
    assert (found.state, found.refunded_shares, found.left) == ("refunded", 2, 0)
    assert reason(orders.pay_refund(central, issued.order)) == "refunded"
    assert reason(orders.withdraw_refund(central, issued.order)) == "not_refunding"
    assert reason(orders.pay_refund(central, "no such order")) == "unknown_order"


@pytest.mark.parametrize(
    ("shares", "paid", "ratio", "bearer", "expected"),
    [
        (3, 9_999, 85, "buyer", 8_399),  # EV-055: 3 x 33.33 at 85 % is 84.99, less 1.00
        (1, 100, 100, "buyer", 0),
        (1, 80, 100, "buyer", 0),
        (4, 27_200, 90, "buyer", 24_380),  # EV-060
        (2, 10_000, 80, "seller", 8_000),
    ],
)
def test_refund_arithmetic(
    central: Central, shares: int, paid: int, ratio: int, bearer: str, expected: int
) -> None:
    """Decision 6: one fee per refund, never below zero, never more than was paid."""
    terms = product(central, refund_ratio=ratio, fee_bearer=bearer)
    issued = issue(central, product=terms, shares=shares, paid_fen=paid)
    refund = orders.pay_refund(central, issued.order)
    assert isinstance(refund, Refund) and refund.amount_fen == expected


def test_a_withdrawn_refund_unfreezes(central: Central) -> None:
    """Decision 4: refusal or withdrawal unfreezes, and a new request may follow."""
    issued = issue(central)
    orders.request_refund(central, issued.order)
    back = orders.withdraw_refund(central, issued.order)
    assert isinstance(back, Refund) and back.state == "withdrawn"
    assert voucher_of(central, issued).state == "live"
    assert isinstance(orders.pay_refund(central, issued.order), Refund)


def test_the_job_pays_automatic_refunds_at_once_and_others_after_five_days(
    central: Central,
) -> None:
    """Decision 5, EV-056."""
    moment = [now_ms()]
    later = Central(
        central.database, 1, central.name, central.zone, central.spool, lambda: moment[0]
    )
    slow = issue(later)
    fast = issue(later, product=product(later, auto_refund=True))
    for issued in (slow, fast):
        orders.request_refund(later, issued.order)
    assert {ran.name: ran.done for ran in jobs.run_now(later)}["refunds"] == 1
    assert voucher_of(later, fast).state == "refunded"
    assert voucher_of(later, slow).state == "refunding"
    moment[0] += 5 * times.DAY_MS
    assert {ran.name: ran.done for ran in jobs.run_now(later, ("refunds",))}["refunds"] == 1
    assert voucher_of(later, slow).state == "refunded"
    assert jobs.run_now(later, ("refunds",))[0].done == 0


def test_an_offline_redemption_before_the_freeze_stands(central: Central, pair: Pair) -> None:
    """Decision 4: the refund then pays only what is left."""
    issued = issue(central, shares=3)
    till = pair("POS1")
    till.redeem(issued)
    orders.request_refund(central, issued.order)
    assert till.push().verdicts[0].verdict == "accepted"
    paid = orders.pay_refund(central, issued.order)
    assert isinstance(paid, Refund) and (paid.shares, paid.amount_fen) == (2, 9_900)
    till.redeem(issued, generation=1, left=1)
    late = till.push(2).verdicts[0]
    assert (late.verdict, late.excess) == ("after_refund", 1)


# Extending, moving


def test_validity_is_only_ever_extended(central: Central, pair: Pair) -> None:
    """EV-039: equal or earlier is refused; a redemption that was late becomes good."""
    now = now_ms()
    issued = issue(central, valid_from=now - times.DAY_MS, valid_until=now - times.HOUR_MS)
    till = pair("POS1")
    till.redeem(issued)
    assert till.push().verdicts[0].verdict == "late"
    day = times.local_date(now, central.zone)
    assert reason(orders.extend(central, issued.order, day - timedelta(days=3))) == "not_longer"
    longer = orders.extend(central, issued.order, day)
    assert isinstance(longer, Order)
    assert longer.voucher.valid_until == times.day_start(day + timedelta(days=1), central.zone)
    assert reason(orders.extend(central, issued.order, day)) == "not_longer"
    assert till.http.verdicts("0").verdicts[-1].verdict == "accepted"
    other = issue(central)
    orders.pay_refund(central, other.order)
    assert reason(orders.extend(central, other.order, day + timedelta(days=999))) == "refunded"


def test_the_mobile_changes_only_while_the_order_lives(central: Central) -> None:
    """EV-038: refused after a refund request; a new number with the same four changes no row."""
    issued = issue(central)
    same = orders.change_mobile(central, issued.order, "13911111234")
    assert isinstance(same, Order) and same.mobile == "13911111234"
    assert voucher_of(central, issued).version == 1
    assert reason(orders.change_mobile(central, issued.order, "12")) == "bad_mobile"
    orders.request_refund(central, issued.order)
    assert reason(orders.change_mobile(central, issued.order, "13911115678")) == "refunding"


# Claims


def ask(till: Till, issued: Issued, shares: int = 1, **changes: object) -> ClaimRequest:
    whole: dict[str, object] = {
        "claim": ids.uuid7(now_ms(), till.key.private_bytes_raw()[:10]),
        "row_key": till.row_key(issued.code, issued.last4),
        "voucher": issued.voucher,
        "generation": 0,
        "shares": shares,
    }
    return ClaimRequest(**(whole | changes))  # type: ignore[arg-type]


def test_two_counters_online_do_not_both_get_the_last_share(central: Central, pair: Pair) -> None:
    """Design 7, AX-12, AX-13: the second hears `in_progress`, and `used_up` once it is done."""
    issued = issue(central)
    one, two = pair("POS1"), pair("POS2", 2)
    first = ask(one, issued)
    granted = one.http.claim(first, budget_ms=5_000)
    assert granted.granted and granted.valid_s == CLAIM_S
    again = one.http.claim(first, budget_ms=5_000)
    assert again.granted and again.valid_s <= CLAIM_S
    refused = two.http.claim(ask(two, issued), budget_ms=5_000)
    assert (refused.granted, refused.reason) == (False, "in_progress")
    assert reason(orders.pay_refund(central, issued.order)) == "in_progress"
    one.redeem(issued, claim=first.claim, mode="online")
    one.push()
    after = two.http.claim(ask(two, issued), budget_ms=5_000)
    assert (after.granted, after.reason) == (False, "used_up")


def test_a_granted_claim_is_booked_before_the_home_outlet(central: Central, pair: Pair) -> None:
    """Design 7, booking: entries with a claim, then home; whatever arrived first."""
    issued = issue(central, home=1)
    home, away = pair("HOME", 1), pair("AWAY", 2)
    claim = ask(away, issued)
    assert away.http.claim(claim, budget_ms=5_000).granted
    home.redeem(issued)
    assert home.push().verdicts[0].verdict == "accepted"
    away.redeem(issued, claim=claim.claim, mode="online")
    assert away.push().verdicts[0].verdict == "accepted"
    assert home.http.verdicts("0").verdicts[-1].verdict == "over_redeemed"


def test_a_claim_needs_the_credential(central: Central, pair: Pair) -> None:
    issued = issue(central)
    till = pair("POS1")
    wrong = ask(till, issued, row_key=till.row_key(issued.code, "9999"))
    assert till.http.claim(wrong, budget_ms=5_000).reason == "unknown_or_wrong"
    many = ask(till, issued, shares=2)
    assert till.http.claim(many, budget_ms=5_000).reason == "not_enough_left"
    away = issue(central, product=product(central, outlets=(2,)))
    assert till.http.claim(ask(till, away), budget_ms=5_000).reason == "wrong_outlet"


def test_a_successor_is_claimed_before_it_is_sealed(central: Central, pair: Pair) -> None:
    """Decision 10: a terminal derives the next code at once; central need not have sealed it."""
    issued = issue(central, shares=5)
    till = pair("POS1")
    secret = voucher_of(central, issued).secret
    with central.write() as work:
        sealing.forget(work, [issued.voucher])
    third = codes.derive(secret, 2)
    good = ask(till, issued, generation=2, row_key=till.row_key(third, "1234"))
    assert till.http.claim(good, budget_ms=5_000).granted
    wrong = ask(till, issued, generation=2, row_key=till.row_key(third, "1235"))
    assert till.http.claim(wrong, budget_ms=5_000).reason == "unknown_or_wrong"
    other = ask(till, issued, generation=1, row_key=till.row_key(third, "1234"))
    assert till.http.claim(other, budget_ms=5_000).reason == "unknown_or_wrong"


def test_an_unused_claim_is_freed_by_a_later_entry(central: Central, pair: Pair) -> None:
    """Design 7: an acknowledged entry later than the claim's end proves that it was not used."""
    issued = issue(central)
    till = pair("POS1")
    till.http.claim(ask(till, issued), budget_ms=5_000)
    end = now_ms() + CLAIM_S * 1000
    after = Central(
        central.database, 1, central.name, central.zone, central.spool, lambda: end + 2_000
    )
    till.add(Kind.STARTED, {}, at=end - 1_000)
    till.add(Kind.STARTED, {}, at=end + 1_000)
    for seq, held in ((1, 1), (2, 0)):
        ingest(after, Upload("POS1", 1, seq, till.heads[seq - 1], till.bodies[seq - 1 : seq]))
        with central.read() as work:
            assert claims.held_shares(work, issued.voucher) == held


def test_an_unused_claim_is_freed_after_the_hold(central: Central, pair: Pair) -> None:
    """Design 7: at the latest after `claim.hold_minutes`."""
    issued = issue(central, shares=2)
    till = pair("POS1")
    till.http.claim(ask(till, issued, shares=2), budget_ms=5_000)
    with central.read() as work:
        assert claims.held_shares(work, issued.voucher) == 2
    moment = now_ms() + (CLAIM_S + 1) * 1000
    late = Central(central.database, 1, central.name, central.zone, central.spool, lambda: moment)
    assert jobs.run_now(late, ("claims",))[0].done == 0
    much_later = Central(
        central.database,
        1,
        central.name,
        central.zone,
        central.spool,
        lambda: moment + 15 * times.MINUTE_MS,
    )
    assert jobs.run_now(much_later, ("claims",))[0].done == 1
    with central.read() as work:
        assert claims.held_shares(work, issued.voucher) == 0


# Sealing


def test_a_partial_redemption_has_the_next_generation_sealed(central: Central, pair: Pair) -> None:
    """EV-049, decision 10: the successor opens at other counters, and so does its successor."""
    issued = issue(central, shares=3)
    till = pair("POS1")
    till.redeem(issued)
    till.push()
    while sealing.run(central):
        pass
    secret = voucher_of(central, issued).secret
    wanted = {till.row_key(codes.derive(secret, g), "1234") for g in (0, 1, 2)}
    pages = till.http.feed(1, after="0", limit=5_000, wait_s=0)
    assert wanted <= {getattr(item, "k", None) for item in pages.items}
    with central.read() as work:
        state = next(reports.sealing_state(work))
    assert (state["waiting_current"], state["waiting_next"]) == (0, 0)


def test_current_codes_are_sealed_first_the_soonest_valid_before(central: Central) -> None:
    """Design 6: and `sealed_through` says how far it is."""
    day = times.DAY_MS
    drafts = [(3, day), (3, 0), (1, 2 * day)]  # shares, and when validity begins
    with central.write() as work:
        made = []
        for shares, starts in drafts:
            order = NewOrder(1, "13800001234", shares=shares, valid_from=work.now + starts)
            draft = issuing.examine(central, work, order, catalogue.products(work))
            assert not isinstance(draft, Refused), draft
            (drawn,) = issuing.draw(central, work, [shares])
            made.append(
                issuing.New(draft, issuing.compose(central, draft, drawn, work.now), drawn.codes)
            )
        issuing.insert(work, made)
        vouchers = [one.voucher for one in made]
        sealing.enqueue(work, vouchers)
    order_of = []
    while sealing.run(central, limit=1):
        with central.read() as work:
            through = sealing.sealed_through(work)
            rows = work.connection.execute(schema.sealed.select()).all()
        found = {(row.voucher, row.generation) for row in rows}
        (new,) = found - {name for name, _ in order_of}
        order_of.append((new, through >= vouchers[0].issued_at))
    late, soon, last = (voucher.voucher for voucher in vouchers)
    assert [name for name, _ in order_of] == [
        (soon, 0),
        (late, 0),
        (last, 0),
        (soon, 1),
        (late, 1),
    ]
    assert [through for _, through in order_of] == [False, False, True, True, True]


def test_a_code_that_became_current_while_it_waited_is_waited_for(central: Central) -> None:
    """`sealed_through` promises current codes: one that was queued as the next one counts too."""
    voucher = voucher_of(central, issue(central, shares=4))
    for used in (1, 2):
        with central.write() as work:
            voucher = ledger.change(work, voucher, used=used, generation=used)
            sealing.enqueue(work, [voucher])
    with central.read() as work:
        state = next(reports.sealing_state(work))
        assert (state["waiting_current"], state["waiting_next"]) == (1, 1)
        assert sealing.sealed_through(work) < voucher.issued_at


def test_orders_and_products_are_reported(central: Central) -> None:
    """EV-061, EV-062, decision 9."""
    now = now_ms()
    issue(central, shares=2)
    issue(central, shares=2, used_before=2)
    issue(central, shares=2, valid_from=now - times.DAY_MS, valid_until=now - 1)
    orders.pay_refund(central, issue(central, shares=2, used_before=1).order)
    with central.read() as work:
        assert [row["state"] for row in reports.orders(work)] == [
            "available",
            "used",
            "unavailable",
            "unavailable",
        ]
        (sold,) = reports.products(work)
    assert sold == {
        "product": 1,
        "name": "Bread",
        "sold": 8,
        "redeemed": 3,
        "refunded": 1,
        "expired": 2,
        "unredeemed": 2,
    }


# Several writers


def test_two_writers_on_one_file_lose_nothing(central: Central) -> None:
    """Two processes' worth of connections: every order is there, the feed has no hole."""
    other = Central(
        type(central.database)(central.database.url),
        1,
        central.name,
        central.zone,
        central.spool,
    )
    failures: list[BaseException] = []

    def work_at(one: Central) -> None:
        try:
            for _ in range(15):
                issue(one, shares=2)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work_at, args=(one,)) for one in (central, other) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with other.read() as work:
        assert len(list(reports.orders(work))) == 60
        rows = work.connection.exec_driver_sql(
            "SELECT seq FROM feed WHERE bucket = 1 ORDER BY seq"
        ).scalars()
        seqs = list(rows)
    assert seqs == list(range(1, len(seqs) + 1))
    other.database.close()


def test_an_order_id_is_issued_once(central: Central) -> None:
    """Whoever does not know whether it was done may ask again: refused, and nothing is made."""
    issue(central, external="A-1")
    again = issuing.issue(central, NewOrder(product=1, mobile="13800001234", external="A-1"))
    assert isinstance(again, Refused) and again.reason == "exists"
    with central.read() as work:
        assert len(work.connection.execute(select(schema.orders)).all()) == 1
