"""The queue of sealing: who takes what, and what a killed process leaves behind."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from central import (
    cards,
    catalogue,
    issuing,
    jobs,
    leasing,
    ledger,
    orders,
    reports,
    schema,
    sealing,
)
from central.errors import Refused
from central.issuing import NewOrder
from central.ledger import Voucher
from central.service import Central, open_central
from tests.central.conftest import Pair, issue
from tests.central.test_races import together
from vouchers.sealed import NONCE_BYTES

Random = Callable[[int], bytes]
MD5S = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)


@pytest.fixture(autouse=True)
def only_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service runs its other jobs; sealing is run by the tests."""
    monkeypatch.setattr(jobs, "JOBS", tuple(job for job in jobs.JOBS if job.name != "sealing"))


def queue(central: Central, count: int, shares: int = 1) -> list[Voucher]:
    """Vouchers whose codes wait to be sealed."""
    with central.write() as work:
        order = NewOrder(product=1, mobile="13800001234", shares=shares)
        draft = issuing.examine(central, work, order, catalogue.products(work))
        assert not isinstance(draft, Refused), draft
        made = [
            issuing.New(draft, issuing.compose(central, draft, drawn, work.now), drawn.codes)
            for drawn in issuing.draw(central, work, [shares] * count)
        ]
        issuing.insert(work, made)
        sealing.enqueue(work, [one.voucher for one in made])
    return [one.voucher for one in made]


def opened_again(central: Central, random: Random, *, later_ms: int = 0) -> Central:
    """Another process on the same database."""
    other = open_central(central.database.url)
    return replace(other, random=random, clock=lambda: central.clock() + later_ms)


def sealed(central: Central) -> list[tuple[str, int]]:
    """What is sealed, by voucher and generation."""
    with central.read() as work:
        rows = work.connection.execute(schema.sealed.select())
        return sorted((row.voucher, row.generation) for row in rows)


class Counted:
    """Randomness that counts the rows it seals: each takes a nonce of its own."""

    def __init__(self, at_first: Callable[[], object] = lambda: None) -> None:
        self.rows = 0
        self._at_first = at_first
        self._lock = threading.Lock()

    def __call__(self, count: int) -> bytes:
        with self._lock:
            self.rows += count == NONCE_BYTES
            first = self.rows == 1 and count == NONCE_BYTES
        if first:
            self._at_first()
        return secrets.token_bytes(count)


def test_two_processes_seal_different_rows(central: Central) -> None:
    """While one stretches its rows, another takes the next ones; none is stretched twice."""
    vouchers = queue(central, 8)
    theirs = Counted()
    other = opened_again(central, theirs)
    taken: list[int] = []
    mine = Counted(at_first=lambda: taken.append(sealing.run(other, limit=4)))
    assert sealing.run(replace(central, random=mine), limit=4) == 4
    assert (taken, mine.rows, theirs.rows) == ([4], 4, 4)
    assert sealed(central) == sorted((voucher.voucher, 0) for voucher in vouchers)
    assert sealing.run(central) == 0
    other.database.close()


def test_two_processes_share_a_long_queue(central: Central) -> None:
    """Both at full speed: every row once, also on the engine where they really run at once."""
    queue(central, 30, shares=2)
    counted = [Counted(), Counted()]
    both = [opened_again(central, one) for one in counted]

    def work_off(place: Central) -> None:
        while sealing.run(place, limit=4):
            pass

    together(*(lambda place=place: work_off(place) for place in both))  # type: ignore[misc]
    assert sum(one.rows for one in counted) == 60 == len(sealed(central))
    for place in both:
        place.database.close()


def test_cards_are_shared_out_as_well(central: Central) -> None:
    vouchers = queue(central, 4)
    with central.write() as work:
        cards.enqueue(work, list(zip(vouchers, MD5S, strict=True)))
    theirs = Counted()
    other = opened_again(central, theirs)
    with other.read() as work:
        people = [row.md5 for row in cards._next(work, 9, lock=False)]
    first = cards._lease(central, 2)
    assert cards.run(other) == 2 and theirs.rows == 2
    assert cards.run(other) == 0
    assert [row.md5 for row in first] == people[:2]
    # The one that had the others was killed.
    late = replace(other, clock=lambda: central.clock() + leasing.LEASE_MS)
    assert cards.run(late) == 2 and theirs.rows == 4
    other.database.close()


def test_what_a_killed_process_had_taken_is_sealed_after_its_lease(central: Central) -> None:
    """Until then its rows wait, and `sealed_through` says so."""
    (voucher,) = queue(central, 1)

    def killed(count: int) -> bytes:
        raise KeyboardInterrupt(count)

    with pytest.raises(KeyboardInterrupt):
        sealing.run(replace(central, random=killed))
    soon = opened_again(central, secrets.token_bytes, later_ms=leasing.LEASE_MS - 1_000)
    assert sealing.run(replace(central)) == sealing.run(replace(soon, clock=central.clock)) == 0
    with central.read() as work:
        assert sealing.sealed_through(work) < voucher.issued_at
    late = opened_again(central, secrets.token_bytes, later_ms=leasing.LEASE_MS)
    assert sealing.run(late) == 1
    assert sealed(central) == [(voucher.voucher, 0)]
    for place in (soon, late):
        place.database.close()


def test_what_changed_while_it_was_stretched_is_done_anew_at_once(central: Central) -> None:
    """The row is not stored, and nobody waits for a lease to try again."""
    (voucher,) = queue(central, 1)

    def change() -> None:
        with central.write() as work:
            ledger.change(work, voucher, last4="5678")

    assert sealing.run(replace(central, random=Counted(at_first=change))) == 1
    assert sealed(central) == []
    assert sealing.run(central) == 1
    assert sealed(central) == [(voucher.voucher, 0)] and sealing.run(central) == 0


def test_a_mobile_that_changed_meanwhile_leaves_nothing_of_the_former_one(central: Central) -> None:
    """`change_mobile` seals for itself; what a job had been stretching is thrown away."""
    (voucher,) = queue(central, 1)

    def change() -> None:
        done = orders.change_mobile(central, voucher.order_id, "13900005678")
        assert not isinstance(done, Refused), done

    assert sealing.run(replace(central, random=Counted(at_first=change))) == 1
    assert sealing.run(central) == 0
    assert sealed(central) == [(voucher.voucher, 0)]
    assert now_of(central, voucher.voucher).last4 == "5678"


def test_a_code_that_a_counter_made_current_is_urgent(central: Central, pair: Pair) -> None:
    """A partial redemption makes a code current that still waited as the next one."""
    issued = issue(central, shares=4)  # seals two codes; the third is queued by the first use
    till = pair("POS1")
    for generation in (0, 1):
        till.redeem(issued, generation=generation, left=3 - generation)
        till.push(generation + 1)
    with central.read() as work:
        state = next(reports.sealing_state(work))
        assert (state["waiting_current"], state["waiting_next"]) == (1, 1)
        assert sealing.sealed_through(work) < now_of(central, issued.voucher).issued_at
    while sealing.run(central):
        pass
    with central.read() as work:
        assert sealing.sealed_through(work) == work.now


def now_of(central: Central, voucher: str) -> Voucher:
    with central.read() as work:
        found = ledger.find(work, voucher)
    assert found is not None
    return found
