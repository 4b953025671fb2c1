"""Several writers at once: nothing lost, nothing booked twice, nothing skipped, nobody stuck.

On SQLite writers take turns; on PostgreSQL they really overlap.
"""

import threading
from collections.abc import Callable

from central import feed, issuing, ledger, orders, reports
from central.errors import Refused
from central.feed import Reader
from central.orders import Refund
from central.service import Central
from sync.feed import FeedPage, StatePut
from tests.central.conftest import Pair, issue
from tests.central.till import Till


def together(*works: Callable[[], object]) -> list[object]:
    """Run works at the same time; their results, or the first error."""
    results: list[object] = [None] * len(works)
    errors: list[BaseException] = []
    gate = threading.Barrier(len(works))

    def run(place: int, work: Callable[[], object]) -> None:
        try:
            gate.wait(10)
            results[place] = work()
        except BaseException as error:  # noqa: BLE001 handed to the test below
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if errors:
        raise errors[0]
    return results


def test_counters_upload_the_same_vouchers_at_once(central: Central, pair: Pair) -> None:
    """Each share is borne once, whichever upload came first; the verdicts name each other."""
    vouchers = [issue(central, shares=2) for _ in range(6)]
    tills = [pair(f"POS{n}", 1 + n % 2) for n in range(4)]
    for n, till in enumerate(tills):
        for voucher in vouchers if n % 2 else reversed(vouchers):
            till.redeem(voucher, left=1)

    def upload(till: Till) -> None:
        for seq in range(1, len(till.bodies) + 1, 2):
            till.push(seq, seq + 1)

    together(*(lambda till=till: upload(till) for till in tills))  # type: ignore[misc]
    with central.read() as work:
        rows = list(reports.redemptions(work))
        states = ledger.find_all(work, {voucher.voucher for voucher in vouchers})
    assert len(rows) == len(vouchers) * len(tills)
    assert {state.used for state in states.values()} == {4}
    for voucher in vouchers:
        mine = [row for row in rows if row["voucher"] == voucher.voucher]
        assert (
            sorted(str(row["verdict"]) for row in mine) == ["accepted"] * 2 + ["over_redeemed"] * 2
        )
        assert sum(int(str(row["amount_fen"])) for row in mine) == 10_000
    for till in tills:
        heard = {v.serial: v.verdict for v in till.http.verdicts("0").verdicts}
        stored = {row["serial"]: row["verdict"] for row in rows if row["posid"] == till.posid}
        assert heard == stored


def test_a_batch_sent_twice_at_once_is_booked_once(central: Central, pair: Pair) -> None:
    voucher = issue(central, shares=9)
    till = pair("POS1")
    for n in range(5):
        till.redeem(voucher, generation=n, left=8 - n)
    answers = together(till.push, till.push, till.push)
    assert len({str(answer.verdicts) for answer in answers}) == 1  # type: ignore[attr-defined]
    with central.read() as work:
        assert len(list(reports.redemptions(work))) == 5


def test_a_refund_and_an_upload_meet(central: Central, pair: Pair) -> None:
    """Decision 4: together they never give out more than was sold."""
    till = pair("POS1")
    for seq in range(1, 9):
        voucher = issue(central, shares=3)
        till.redeem(voucher)
        paid, _ = together(
            lambda order=voucher.order: orders.pay_refund(central, order),  # type: ignore[misc]
            lambda seq=seq: till.push(seq, seq),  # type: ignore[misc]
        )
        assert isinstance(paid, Refund)
        with central.read() as work:
            found = ledger.find(work, voucher.voucher)
            row = list(reports.redemptions(work))[-1]
        assert found is not None and (found.state, found.used) == ("refunded", 1)
        expected = {2: "accepted", 3: "after_refund"}[paid.shares]
        assert (found.refunded_shares, row["verdict"]) == (paid.shares, expected)


def test_one_refund_of_many_wins(central: Central) -> None:
    issued = issue(central, shares=2)
    found = together(*[lambda: orders.pay_refund(central, issued.order)] * 4)
    assert sum(isinstance(one, Refund) for one in found) == 1
    assert {one.reason for one in found if isinstance(one, Refused)} == {"refunded"}


def test_a_reader_that_only_goes_forward_misses_nothing(central: Central, pair: Pair) -> None:
    """Central notes 4.1: writers commit in any order, yet no row is skipped by a cursor."""
    till = pair("POS1")
    done = threading.Event()
    seen: dict[str, StatePut] = {}

    def follow() -> None:
        cursor, last = feed.BEGINNING, False
        while not last:
            last = done.is_set()
            page = read(central, cursor)
            cursor = page.cursor
            for item in page.items:
                if isinstance(item, StatePut):
                    assert item.voucher not in seen or item.version >= seen[item.voucher].version
                    seen[item.voucher] = item

    reader = threading.Thread(target=follow)
    reader.start()

    def write() -> None:
        for _ in range(8):
            issued = issue(central, shares=2)
            orders.request_refund(central, issued.order)
            orders.withdraw_refund(central, issued.order)

    together(write, write, write)
    done.set()
    reader.join(30)
    with central.read() as work:
        every = [str(row["voucher"]) for row in reports.orders(work)]
        now = {v.voucher: v.version for v in ledger.find_all(work, every).values()}
    assert {voucher: item.version for voucher, item in seen.items()} == now
    assert len(now) == 24 and set(now.values()) == {3}
    till.http.close()


def read(central: Central, cursor: str) -> FeedPage:
    with central.read() as work:
        page = feed.read_page(work, 1, cursor, limit=7, reader=Reader("POS1", 1))
    assert isinstance(page, FeedPage)
    return page if not page.more else _rest(central, page)


def _rest(central: Central, page: FeedPage) -> FeedPage:
    more = read(central, page.cursor)
    return FeedPage(
        from_=page.from_, cursor=more.cursor, more=False, items=(*page.items, *more.items)
    )


def test_an_order_is_issued_while_its_like_are(central: Central) -> None:
    """Concurrent issues never share a code."""
    order = issuing.NewOrder(1, "13800001234", shares=3)
    issued = together(*[lambda: issuing.issue(central, order)] * 6)
    codes = {one.code for one in issued if isinstance(one, issuing.Issued)}
    assert len(codes) == 6
