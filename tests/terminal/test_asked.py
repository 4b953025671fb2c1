"""Central is asked outside the counter's lock: whoever else wants something does not wait for it.

Central here is a socket that takes the request and never answers; the budget is a day, so only
hanging up ends the question. Nothing waits for time to pass.
"""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import pytest
from msgspec import structs

from sync.errors import NoContact
from sync.replica_schema import SEALED_PUT
from terminal.counter import ShopCounter
from terminal.outcomes import Redeemed, Reversed, View
from terminal.syncing import OnlineCentral, connect
from tests.terminal.asking import all_entries, reason, redeem, reverse, view
from tests.terminal.shop import Sample, Shop
from vouchers import sealed
from vouchers.entries import Kind
from vouchers.policy import Claim, Lookup
from vouchers.reasons import Reason

T = TypeVar("T")
DAY_MS = 24 * 3600 * 1000
SOON_S = 10
"""Far longer than any use case takes, far shorter than the budget."""


class Line:
    """A counter whose central accepts a connection, reads the request and says nothing."""

    def __init__(self, counter: ShopCounter) -> None:
        self.counter = counter
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(SOON_S)
        parts = counter.parts
        port = self.listening.getsockname()[1]
        parts.identity = structs.replace(parts.identity, url=f"http://127.0.0.1:{port}")
        budgets = {"lookup": Lookup(budget_ms=DAY_MS), "claim": Claim(budget_ms=DAY_MS)}
        parts.policy = structs.replace(parts.policy, **budgets)
        self.central = connect(counter, insecure_http=False)
        parts.online = OnlineCentral(
            self.central,
            parts,
            believed_up=lambda: True,
            in_contact=lambda: True,
            stopped=lambda fence: pytest.fail(str(fence)),
        )
        self.threads = ThreadPoolExecutor(2)

    def asking(self, work: Callable[[], T]) -> tuple[Future[T], socket.socket]:
        """Begin a use case; answers when central has its request in hand."""
        started = self.threads.submit(work)
        held, _ = self.listening.accept()
        held.settimeout(SOON_S)
        assert held.recv(65536).startswith(b"POST /v1/")
        return started, held

    def meanwhile(self, work: Callable[[], T]) -> T:
        """Another use case, which has no business with central."""
        return self.threads.submit(work).result(SOON_S)

    def close(self) -> None:
        self.listening.close()
        self.central.close()
        self.threads.shutdown()


@pytest.fixture
def line(counter: ShopCounter) -> Iterator[Line]:
    made = Line(counter)
    yield made
    made.close()


def unknown_here(shop: Shop) -> tuple[Sample, tuple[object, ...]]:
    """A voucher whose row the replica lacks, and that row."""
    sample = shop.issue()
    key = sealed.stretch(sample.code(), sample.last4, shop.vault)
    (row,) = shop.database.execute("SELECT * FROM sealed WHERE k = ?", (key.row_key,)).fetchall()
    shop.database.execute("DELETE FROM sealed WHERE k = ?", (key.row_key,))
    return sample, row


def test_a_look_up_at_central_keeps_nobody_waiting(
    shop: Shop, counter: ShopCounter, line: Line
) -> None:
    """While it has no answer: another scan, a reversal, the status line and a follower's work."""
    (sample, _), other = unknown_here(shop), shop.issue()
    online, counter.parts.online = counter.parts.online, None
    done = redeem(counter, shop.issue())
    counter.parts.online = online
    looking, held = line.asking(lambda: counter.look_up(sample.code(), sample.last4))
    seen = line.meanwhile(lambda: counter.look_up(other.code(), other.last4))
    assert isinstance(seen, View) and seen.left == 1
    assert isinstance(line.meanwhile(lambda: reverse(counter, done.serial)), Reversed)
    assert line.meanwhile(counter.status).unacknowledged == 2
    assert line.meanwhile(lambda: counter.exclusive(lambda parts: parts.identity.posid)) == "T1"
    assert not looking.done()
    held.close()
    assert reason(looking.result(SOON_S)) is Reason.UNKNOWN_OR_WRONG


def test_a_claim_keeps_nobody_waiting(shop: Shop, counter: ShopCounter, line: Line) -> None:
    """While it has no answer another voucher is scanned; then the redemption is booked alone."""
    sample, other = shop.issue(), shop.issue()
    seen = view(counter, sample.code(), sample.last4)
    claiming, held = line.asking(
        lambda: counter.redeem(seen.handle, 1, clerk="li", request="r", slip=False)
    )
    assert isinstance(line.meanwhile(lambda: counter.look_up(other.code(), other.last4)), View)
    assert line.meanwhile(lambda: counter.history(9)) == [] and not claiming.done()
    held.close()
    done = claiming.result(SOON_S)
    assert isinstance(done, Redeemed) and done.mode == "lone"


def test_what_came_while_central_was_asked_counts(
    shop: Shop, counter: ShopCounter, line: Line
) -> None:
    """The feed brings the row meanwhile: it opens, and no miss is charged."""
    sample, row = unknown_here(shop)
    looking, held = line.asking(lambda: counter.look_up(sample.code(), sample.last4))
    with shop.database:
        shop.database.execute(SEALED_PUT, row)
    held.close()
    found = looking.result(SOON_S)
    assert isinstance(found, View) and found.evidence == "row"
    assert all_entries(counter) == []


def test_a_lock_that_came_while_central_was_asked_holds(
    shop: Shop, counter: ShopCounter, line: Line
) -> None:
    """Guesses side by side are no way round the limit: each is judged after its answer."""
    sample, row = unknown_here(shop)
    looking, held = line.asking(lambda: counter.look_up(sample.code(), sample.last4))
    with shop.database:
        shop.database.execute(SEALED_PUT, row)
    limit = counter.parts.policy.guess.per_code
    guesses = [(sample.code(), f"{9990 + n}") for n in range(limit)]
    counter.parts.online = None
    for code, last4 in guesses:
        wrong = line.meanwhile(partial(counter.look_up, code, last4))
        assert reason(wrong) is Reason.UNKNOWN_OR_WRONG
    held.close()
    assert reason(looking.result(SOON_S)) is Reason.LOCKED
    kinds = [entry.kind for entry in all_entries(counter)]
    assert kinds == [Kind.REFUSED] * limit + [Kind.LOCKED]


def test_a_broken_line_is_remembered(shop: Shop, counter: ShopCounter, line: Line) -> None:
    """The next clerk does not wait for it again."""
    sample, _ = unknown_here(shop)
    looking, held = line.asking(lambda: counter.look_up(sample.code(), sample.last4))
    held.close()
    looking.result(SOON_S)
    online = counter.parts.online
    assert isinstance(online, OnlineCentral) and isinstance(online.trouble, NoContact)
