"""Followers of the journal and of central, over real HTTP."""

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from terminal import identity as identities
from terminal import keys
from terminal.datadir import DataDir
from terminal.outcomes import Redeemed
from terminal.parts import Parts
from tests.terminal.asking import all_entries, reason, reverse, view
from tests.terminal.service import LAST4, Central, Paired, opened, pair, run
from vouchers import sealed
from vouchers.reasons import Reason


def redeem(till: Paired, voucher: dict[str, object], shares: int = 1) -> Redeemed:
    done = till.counter.redeem_presented(
        str(voucher["code"]), LAST4, shares, clerk="li", request=str(voucher["voucher"]), slip=False
    )
    assert isinstance(done, Redeemed), done
    return done


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come true")


def arrived(parts: Parts, voucher: dict[str, Any]) -> bool:
    """The voucher's row and state are in the replica."""
    key = sealed.stretch(voucher["code"], LAST4, parts.identity.vault)
    here = parts.replica.sealed(key.row_key) is not None
    return here and parts.replica.state(voucher["voucher"]) is not None


def test_once_brings_everything_both_ways(central: Central, tmp_path: Path) -> None:
    """One round takes the snapshot and the feed, pushes the journal, and says how far it is."""
    bought = central.issue(3)
    with opened(pair(central, tmp_path / "data")) as till:
        assert till.worker.network() == "offline"
        first = till.worker.once()
        assert first.error is None and first.replica_age_s == 0 and first.behind == 0
        assert till.worker.network() == "online"
        done = redeem(till, bought, 2)
        assert (done.mode, done.left) == ("online", 1)
        second = till.worker.once()
        assert (second.pushed, second.behind) == (1, 0)
        assert second.up_to == 1 and till.counter.status().unacknowledged == 0
        row = till.counter.history(1)[0]
        assert (row.delivery, row.verdict) == ("acknowledged", "accepted")
        assert view(till.counter, str(done.successor_code), LAST4).left == 1


def test_a_redemption_reaches_central_s_books(central: Central, tmp_path: Path) -> None:
    """What was redeemed and undone here stands in central's report with this terminal's serial."""
    bought = central.issue()
    with opened(pair(central, tmp_path / "data")) as till:
        till.worker.once()
        done = redeem(till, bought)
        reverse(till.counter, done.serial)
        till.worker.once()
        report = run(central.config, "report", "redemptions").splitlines()
        (row,) = [row for row in map(json.loads, report) if row["serial"] == done.serial]
        assert (row["posid"], row["shares"], row["verdict"]) == (till.posid, 1, "accepted")
        assert row["reversed"]


def test_the_threads_push_and_pull_by_themselves(central: Central, tmp_path: Path) -> None:
    """A redemption wakes the push; what central issues later opens here without a command."""
    with opened(pair(central, tmp_path / "data")) as till:
        till.worker.once()
        till.worker.start()
        until(lambda: till.worker.network() == "online")
        bought = central.issue()
        # Not by asking central for it: under load that may take longer than a clerk's budget.
        until(lambda: till.counter.exclusive(lambda parts: arrived(parts, bought)))
        redeem(till, bought)
        till.worker.wake()
        until(lambda: till.counter.status().unacknowledged == 0)
        assert till.worker.fence is None


def test_two_terminals_share_a_voucher(central: Central, tmp_path: Path) -> None:
    """EV-049: the rest that one terminal left is redeemed at the other by its successor code."""
    bought = central.issue(3)
    with (
        opened(pair(central, tmp_path / "a")) as one,
        opened(pair(central, tmp_path / "b")) as two,
    ):
        one.worker.once()
        two.worker.once()
        done = redeem(one, bought, 1)
        one.worker.once()
        two.worker.once()
        assert reason(two.counter.look_up(bought["code"], LAST4)) is Reason.REPLACED
        assert view(two.counter, str(done.successor_code), LAST4).left == 2


def test_a_claim_keeps_two_counters_from_the_same_share(central: Central, tmp_path: Path) -> None:
    """AX-12: while one counter holds the claim of the only share, the other is refused."""
    bought = central.issue()
    with (
        opened(pair(central, tmp_path / "a")) as one,
        opened(pair(central, tmp_path / "b")) as two,
    ):
        one.worker.once()
        two.worker.once()
        seen = view(two.counter, bought["code"], LAST4)
        assert redeem(one, bought).mode == "online"
        answer = two.counter.redeem(seen.handle, 1, clerk="wu", request="q")
        assert reason(answer) in (Reason.IN_PROGRESS, Reason.USED_UP)


def test_a_row_that_only_central_has_opens_online(central: Central, tmp_path: Path) -> None:
    """A voucher that was issued after the last pull is looked up, and its rest follows it."""
    with opened(pair(central, tmp_path / "data")) as till:
        till.worker.once()
        bought = central.issue(3)
        seen = view(till.counter, bought["code"], LAST4)
        assert seen.evidence == "central"
        done = redeem(till, bought, 1)
        assert (done.mode, done.left) == ("online", 2)
        assert reason(till.counter.look_up(bought["code"], "9999")) is Reason.UNKNOWN_OR_WRONG


def unplug(data: DataDir) -> None:
    """From now on central's address is a port where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    key = keys.fetch(data)
    away = msgspec.structs.replace(identities.load(data, key), url=f"http://127.0.0.1:{port}")
    identities.save(data, away, key)


def test_without_the_network_it_is_lone_and_says_offline(central: Central, tmp_path: Path) -> None:
    """Central out of reach: the redemption is booked alone, the claim's id stays, and the round
    that fails says why and leaves everything as it is."""
    bought = central.issue(2)
    data = pair(central, tmp_path / "data")
    with opened(data) as till:
        till.worker.once()
    unplug(data)
    with opened(data) as till:
        failed = till.worker.once()
        assert failed.error is not None and till.worker.network() == "offline"
        done = redeem(till, bought, 1)
        assert (done.mode, done.left) == ("lone", 1)
        assert till.counter.status().unacknowledged == 1
        assert till.worker.once().behind == 1


def test_stopping_is_quick_while_a_poll_is_held(central: Central, tmp_path: Path) -> None:
    """A held long-poll is cut when the terminal ends."""
    with opened(pair(central, tmp_path / "data")) as till:
        till.worker.once()
        till.worker.start()
        until(lambda: till.worker.network() == "online")
        stopped = threading.Thread(target=till.worker.stop)
        stopped.start()
        stopped.join(2.5)
        assert not stopped.is_alive()


def test_a_claim_that_nobody_answers_keeps_its_id(central: Central, tmp_path: Path) -> None:
    """Central out of reach without this terminal knowing: the first claim is asked in vain and
    its id stays in the entry; the next clerk does not wait for it again."""
    bought = [central.issue() for _ in range(2)]
    data = pair(central, tmp_path / "data")
    with opened(data) as till:
        till.worker.once()
    unplug(data)
    with opened(data) as till:
        redeem(till, bought[0])
        redeem(till, bought[1])
        asked = [entry.data["claim"] is not None for entry in all_entries(till.counter)]
        modes = {entry.data["mode"] for entry in all_entries(till.counter)}
        assert asked == [True, False] and modes == {"lone"}


def test_a_till_that_has_just_started_claims_like_any_other(
    central: Central, tmp_path: Path
) -> None:
    """Before the first word from central nothing speaks against asking it."""
    bought = central.issue()
    data = pair(central, tmp_path / "data")
    with opened(data) as till:
        till.worker.once()
    # Whoever holds the counter's lock holds up the first hello.
    with opened(data) as till, till.counter._lock:
        till.worker.start()
        assert till.worker.network() == "offline" and till.worker.believed_up()
        assert redeem(till, bought).mode == "online"
