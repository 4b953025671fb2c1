"""A terminal that holds its own outlet's vouchers only, beside a real central over real HTTP.

Goal: what is good here is here, also after a product moved or the scope changed; what is not is
named by central, and offline refused in words that do not accuse the customer.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from terminal import database, keys, words
from terminal.datadir import DataDir
from terminal.enrol import enrol
from terminal.outcomes import Redeemed, Reversed, View
from terminal.parts import Parts
from tests.terminal.service import LAST4, MOBILE, Central, Paired, opened, serving
from vouchers.reasons import Reason, Refusal

EAST, WEST = 1, 2


def pair_west(central: Central, root: Path) -> DataDir:
    """A terminal at West, where product 2 is good and product 1 is not."""
    data = DataDir.at(root)
    code = central.code(outlet=WEST)
    enrol(data, central.url, code, key_source="file", insecure_http=False)
    return data


def synced(till: Paired) -> None:
    result = till.worker.once()
    assert result.error is None, result.error


def rows(data: DataDir) -> dict[str, int]:
    """The sealed rows per voucher in the file."""
    connection: apsw.Connection = database.open_replica(data.replica, keys.fetch(data))
    found = dict(connection.execute("SELECT voucher, count(*) FROM sealed GROUP BY voucher"))
    states = {row[0] for row in connection.execute("SELECT voucher FROM state")}
    connection.close()
    assert found.keys() == states
    return found  # type: ignore[return-value]


@pytest.fixture(scope="module")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Central]:
    """A service of this module's own; tills at West hold what is good at West."""
    with serving(tmp_path_factory.mktemp("bakery")) as running:
        running.run("policy", "set", "--outlet", str(WEST), "replica.scope=outlet")
        yield running


def product(central: Central, *outlets: int) -> int:
    places = ("--outlet", *map(str, outlets))
    made = central.run("product", "add", "--name", "Cake", "--price-fen", "900", *places)
    return int(made["id"])


def issue(central: Central, product_: int, shares: int = 3) -> dict[str, Any]:
    words = ("--product", str(product_), "--phone", MOBILE, "--shares", str(shares))
    return central.run("issue", *words)


def looked_up(till: Paired, code: str) -> View | Refusal:
    found = till.counter.look_up(code, LAST4)
    assert isinstance(found, View | Refusal)
    return found


def reason(found: View | Refusal) -> Reason | None:
    refusal = found.refusal if isinstance(found, View) else found
    return None if refusal is None else refusal.reason


def test_a_voucher_of_another_outlet_is_named_by_central_and_not_without(
    bakery: Central, tmp_path: Path
) -> None:
    """Decision 12: online `wrong_outlet` with where it is good, offline a charged miss."""
    here, elsewhere = (issue(bakery, product(bakery, outlet)) for outlet in (WEST, EAST))
    data = pair_west(bakery, tmp_path / "west")
    with opened(data) as till:
        synced(till)
        assert here["voucher"] in rows(data) and elsewhere["voucher"] not in rows(data)
        assert reason(looked_up(till, here["code"])) is None
        named = looked_up(till, elsewhere["code"])
        assert reason(named) is Reason.WRONG_OUTLET
        assert isinstance(named, View) and [place.outlet for place in named.outlets] == [EAST]
        till.counter.parts.online = None
        assert reason(looked_up(till, elsewhere["qr"])) is Reason.WRONG_OUTLET
        for _ in range(5):
            unknown = looked_up(till, elsewhere["code"])
            assert isinstance(unknown, Refusal) and unknown.reason is Reason.UNKNOWN_OR_WRONG
        assert "别的门店" in words.message(unknown, "zh")
        assert "another shop" in words.message(unknown, "en")
        assert reason(looked_up(till, elsewhere["code"])) is Reason.LOCKED


def test_what_was_done_stays_when_a_product_leaves_and_comes_back(
    bakery: Central, tmp_path: Path
) -> None:
    """The rows go and return; journal, slips and verdicts are as they were; the undo works."""
    moving = product(bakery, EAST, WEST)
    sold, other = issue(bakery, moving), issue(bakery, moving)
    data = pair_west(bakery, tmp_path / "west")
    with opened(data) as till:
        synced(till)
        done = redeemed(till, sold["code"])
        entries = till.counter.exclusive(lambda parts: parts.journal.head(1).seq)
        jobs = print_jobs(till)
        bakery.run("product", "outlets", str(moving), "--outlet", str(EAST))
        synced(till)
        assert not {sold["voucher"], other["voucher"]} & rows(data).keys()
        assert till.counter.exclusive(lambda parts: parts.journal.head(1).seq) == entries
        assert print_jobs(till) == jobs
        assert reason(looked_up(till, other["code"])) is Reason.WRONG_OUTLET
        undone = till.counter.reverse(done.serial, reason_code="mistake", clerk="li")
        assert isinstance(undone, Reversed), undone
        synced(till)
        bakery.run("product", "outlets", str(moving), "--outlet", str(EAST), str(WEST))
        synced(till)
        assert {sold["voucher"], other["voucher"]} <= rows(data).keys()
        again = looked_up(till, done.successor_code or "")
        assert isinstance(again, View) and (again.left, again.refusal) == (3, None)
        assert bakery.run("report", "conflicts") == {}


def test_another_scope_is_taken_and_given_back(bakery: Central, tmp_path: Path) -> None:
    """`merchant`, `outlet` and `merchant` again, at one till, by policy alone."""
    here, elsewhere = (issue(bakery, product(bakery, outlet)) for outlet in (WEST, EAST))
    data = pair_west(bakery, tmp_path / "west")
    with opened(data) as till:
        for scope, both in (("merchant", True), ("outlet", False), ("merchant", True)):
            bakery.run("policy", "set", "--posid", till.posid, f"replica.scope={scope}")
            synced(till)
            held = rows(data)
            assert here["voucher"] in held and (elsewhere["voucher"] in held) is both
            till.counter.parts.online, online = None, till.counter.parts.online
            wanted = Reason.WRONG_OUTLET if both else Reason.UNKNOWN_OR_WRONG
            assert reason(looked_up(till, elsewhere["code"])) is wanted
            till.counter.parts.online = online


def redeemed(till: Paired, code: str) -> Redeemed:
    seen = looked_up(till, code)
    assert isinstance(seen, View)
    done = till.counter.redeem(seen.handle, 1, clerk="li", request=code)
    assert isinstance(done, Redeemed), done
    return done


def print_jobs(till: Paired) -> list[Any]:
    def read(parts: Parts) -> list[Any]:
        return parts.journal.connection.execute("SELECT * FROM print_job").fetchall()

    return till.counter.exclusive(read)
