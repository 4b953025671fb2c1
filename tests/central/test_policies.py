"""The owner's numbers for the merchant, an outlet and a terminal."""

import pytest

from central import policies
from central.errors import Refused
from central.policies import Shown
from central.service import Central
from sync.feed import PolicyPut
from sync.policy import resolved
from tests.central.conftest import Pair

HOURS = "offline.max_hours.home"


def said(central: Central, outlet: int | None = None, posid: str | None = None) -> Shown:
    with central.read() as work:
        found = policies.shown(work, outlet, posid)
    assert not isinstance(found, Refused)
    (one,) = [one for one in found if one.name == HOURS]
    return one


def test_the_most_specific_holds_and_can_be_taken_away(central: Central, pair: Pair) -> None:
    """Each shows whose word it is; `inherit` gives it back to the next."""
    pair("POS1")
    pair("POS2", outlet=2)
    policies.change(central, [f"{HOURS}=60"])
    policies.change(central, [f"{HOURS}=48"], outlet=1)
    policies.change(central, [f"{HOURS}=12"], posid="POS1")
    assert said(central) == Shown(HOURS, 60, "merchant")
    assert said(central, outlet=1) == Shown(HOURS, 48, "outlet:1")
    assert said(central, posid="POS1") == Shown(HOURS, 12, "terminal:POS1")
    assert said(central, posid="POS2") == Shown(HOURS, 60, "merchant")
    policies.change(central, [f"{HOURS}=inherit"], posid="POS1")
    assert said(central, posid="POS1") == Shown(HOURS, 48, "outlet:1")
    policies.change(central, [f"{HOURS}=inherit"], outlet=1)
    last = policies.change(central, [f"{HOURS}=inherit"], outlet=1)
    assert not isinstance(last, Refused) and (last.exceptions, last.version) == ({}, 7)


def test_it_reaches_the_terminal_by_the_feed(central: Central, pair: Pair) -> None:
    """One item for all; each finds its own in it."""
    till = pair("POS1")
    start = till.http.feed(0, after="0", limit=100, wait_s=0).cursor
    policies.change(central, [f"{HOURS}=12"], posid="POS1")
    (item,) = till.http.feed(0, after=start, limit=100, wait_s=0).items
    assert isinstance(item, PolicyPut)
    assert resolved(item.policy, outlet=1, posid="POS1").offline.max_hours.home == 12
    assert resolved(item.policy, outlet=1, posid="POS2").offline.max_hours.home == 72


@pytest.mark.parametrize(
    ("assignment", "where", "reason"),
    [
        ("offline.max_hours=3", {"outlet": 1}, "unknown_policy"),
        ("exceptions=3", {}, "unknown_policy"),
        ("version=3", {}, "unknown_policy"),
        (f"{HOURS}=-1", {"outlet": 1}, "bad_policy"),
        (f"{HOURS}=1.5", {}, "bad_policy"),
        (f"{HOURS}=inherit", {}, "bad_policy"),
        (f"{HOURS}=1", {"outlet": 9}, "unknown_outlet"),
        (f"{HOURS}=1", {"posid": "POS9"}, "unknown_terminal"),
    ],
)
def test_a_wrong_number_is_refused(
    central: Central, assignment: str, where: dict[str, object], reason: str
) -> None:
    """And nothing of the change is kept."""
    refused = policies.change(central, [f"{HOURS}=5", assignment], **where)  # type: ignore[arg-type]
    assert isinstance(refused, Refused) and refused.reason == reason
    assert said(central) == Shown(HOURS, 72, "merchant")
