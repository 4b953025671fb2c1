"""A closed terminal: told in words, its entries sent, and wiped on a signed order only."""

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import structs

from sync import messages
from terminal import assembly, keys, wiping
from terminal.assembly import Options
from terminal.counter import ShopCounter
from terminal.datadir import DataDir
from terminal.enrol import enrol
from terminal.errors import Misconfigured, OutOfService
from terminal.holding import HolderOfTerminal
from terminal.outcomes import View
from tests.terminal.asking import redeem, view
from tests.terminal.service import LAST4, Central, Paired, opened, pair, run
from tests.terminal.shop import Shop, close

ORDER = "An unsigned order to wipe this terminal was ignored"


def redeem_one(counter: ShopCounter, voucher: dict[str, str], request: str) -> object:
    seen = counter.look_up(voucher["code"], LAST4)
    assert isinstance(seen, View)
    return counter.redeem(seen.handle, 1, clerk="li", request=request)


def verdicts_of(central: Central, posid: str) -> list[str]:
    rows = map(json.loads, run(central.config, "report", "redemptions").splitlines())
    return [row["verdict"] for row in rows if row["posid"] == posid]


def test_it_stops_says_why_and_sends_what_it_has(central: Central, tmp_path: Path) -> None:
    """Redeemed before the word came: sent, set aside, and nothing more is redeemed."""
    bought = [central.issue() for _ in range(3)]
    data = pair(central, tmp_path / "data")
    with opened(data) as till:
        till.worker.once()
        till.counter.parts.online = None
        redeem_one(till.counter, bought[0], "r0")
        central.run("revoke", till.posid)
        result = till.worker.once()
        assert result.fence is not None and result.fence.trouble == "revoked"
        assert result.behind == 0
        with pytest.raises(OutOfService, match="head office has closed this terminal"):
            redeem_one(till.counter, bought[1], "r1")
        assert "revoked" in [notice.kind for notice in till.counter.status().notices]
        assert verdicts_of(central, till.posid) == ["quarantined"]
    with opened(data) as till, pytest.raises(OutOfService, match="has closed"):
        redeem_one(till.counter, bought[2], "r2")


def test_a_claim_hears_it_before_the_redemption_is_decided(
    central: Central, tmp_path: Path
) -> None:
    """The clerk's own question is answered `revoked`: nothing is booked alone instead."""
    bought = central.issue()
    with opened(pair(central, tmp_path / "data")) as till:
        till.worker.once()
        central.run("revoke", till.posid)
        with pytest.raises(OutOfService, match="has closed"):
            redeem_one(till.counter, bought, "r0")
        assert [
            e for e in till.counter.parts.journal.entries(1, 0, 9) if "redeemed" in e.body
        ] == []


def files(data: DataDir) -> set[str]:
    return {path.name for path in data.root.iterdir()} - {"lock"}


def test_a_wipe_sends_first_and_leaves_nothing(central: Central, tmp_path: Path) -> None:
    """Keys, identity, journal, replica, witness: gone; the entries are at central."""
    bought = central.issue()
    data = pair(central, tmp_path / "data", "WIPED")
    key = keys.fetch(data)
    with opened(data) as till:
        till.worker.once()
        till.counter.parts.online = None
        redeem_one(till.counter, bought, "r0")
        central.run("revoke", "WIPED", "--wipe")
        till.worker.once()
        with pytest.raises(OutOfService, match="wiped"):
            till.counter.status()
    assert verdicts_of(central, "WIPED") == ["quarantined"]
    assert terminal_of(central, "WIPED")["wiped_at"] is not None
    assert files(data) == {"wiped"} and wiping.last_word(data) is None
    assert all(key not in path.read_bytes() for path in data.root.iterdir())
    with pytest.raises(Misconfigured, match="had this terminal wiped"):
        assembly.open_parts(data, Options())
    enrol(data, central.url, central.code("WIPED"), key_source="file", insecure_http=False)
    assert "wiped" not in files(data)
    with opened(data) as till:
        assert till.worker.once().error is None
        assert till.counter.parts.journal.head(1).seq == 1


def terminal_of(central: Central, posid: str) -> dict[str, object]:
    rows = map(json.loads, run(central.config, "terminals").splitlines())
    (row,) = [row for row in rows if row["posid"] == posid]
    return dict(row)


def readdressed(data: DataDir, url: str) -> None:
    """The last word's address is another one: nobody listens there, or it is central's again."""
    path = data.root / "wiped"
    kept = json.loads(path.read_text())
    kept["say"]["url"] = url
    path.write_text(json.dumps(kept))


def test_the_last_word_is_said_again_until_it_was_heard(central: Central, tmp_path: Path) -> None:
    """The line breaks in the moment of the wipe: ordered, not confirmed; each start tries again."""
    data = pair(central, tmp_path / "data")
    with opened(data) as till:
        posid, parts = till.posid, till.counter.parts
        till.worker.once()
        central.run("revoke", posid, "--wipe")
        parts.identity = structs.replace(parts.identity, url="http://127.0.0.1:1")
        till.worker.once()
    assert files(data) == {"wiped"}
    row = terminal_of(central, posid)
    assert row["wipe_at"] is not None and row["wiped_at"] is None
    for url, heard in (("http://127.0.0.1:1", False), (central.url, True), (central.url, True)):
        if wiping.last_word(data) is not None:
            readdressed(data, url)
        with pytest.raises(Misconfigured, match="wiped"):
            assembly.open_parts(data, Options())
        assert (terminal_of(central, posid)["wiped_at"] is not None) is heard
        assert (wiping.last_word(data) is None) is heard


@contextmanager
def speaking_to_nobody(central: Central, data: DataDir) -> Iterator[tuple[Paired, socket.socket]]:
    """A wiped terminal that says its last word to somebody who does not answer; its connection."""
    with opened(data) as till, socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.settimeout(30)
        till.worker.once()
        central.run("revoke", till.posid, "--wipe")
        parts, address = till.counter.parts, f"http://127.0.0.1:{deaf.getsockname()[1]}"
        parts.identity = structs.replace(parts.identity, url=address)
        till.worker.start()
        held, _ = deaf.accept()
        yield till, held


def test_a_running_terminal_goes_on_saying_it(central: Central, tmp_path: Path) -> None:
    """In the background, with the pauses of any failure, until central has heard it."""
    data = pair(central, tmp_path / "data")
    with speaking_to_nobody(central, data) as (till, held):
        readdressed(data, central.url)
        held.close()
        for thread in till.worker._threads:
            thread.join(30)
        assert terminal_of(central, till.posid)["wiped_at"] is not None


def test_a_terminal_that_is_switched_off_stops_saying_it(central: Central, tmp_path: Path) -> None:
    """Ending the process does not wait for central."""
    data = pair(central, tmp_path / "data")
    with speaking_to_nobody(central, data) as (till, held):
        till.worker._leaving.set()
        held.close()
        for thread in till.worker._threads:
            thread.join(30)
            assert not thread.is_alive()
    assert wiping.last_word(data) is not None


def test_a_damaged_or_refused_last_word_is_given_up(central: Central, tmp_path: Path) -> None:
    """Nothing can be said then, and a person is told of the wipe all the same."""
    data = DataDir.at(tmp_path / "data")
    data.ensure()
    word = {"url": central.url, "text": "{}", "sig": "A" * 86, "insecure_http": False}
    notes = [b"", b"[]", b'{"say": {"url": 1}}', json.dumps({"say": word}).encode()]
    for note in notes:
        (data.root / "wiped").write_bytes(note)
        with pytest.raises(Misconfigured, match="wiped"):
            assembly.open_parts(data, Options())
        assert wiping.last_word(data) is None


def test_it_waits_until_central_has_everything(central: Central, tmp_path: Path) -> None:
    """The order came, the upload did not: nothing is destroyed, also over a restart."""
    bought, other = central.issue(), central.issue()
    data = pair(central, tmp_path / "data")
    with opened(data) as till:
        till.worker.once()
        till.counter.parts.online = None
        redeem_one(till.counter, bought, "r0")
        central.run("revoke", till.posid, "--wipe")
        till.worker._uplink._greet(0)
        till.worker._wipe_if_ordered()
        assert till.counter.parts.fence() == "wipe"
        with pytest.raises(OutOfService, match="has closed"):
            redeem_one(till.counter, other, "r1")
    with opened(data) as till:
        till.worker._wipe_if_ordered()
        assert data.journal.exists()
        till.worker.once()
    assert files(data) == {"wiped"}


def test_a_copy_of_a_terminal_that_was_paired_again_stops(central: Central, tmp_path: Path) -> None:
    """The old disk hears it, sends what it has and redeems no more; the new one does."""
    bought = [central.issue() for _ in range(3)]
    data = pair(central, tmp_path / "data", "TWICE")
    with opened(data) as till:
        till.worker.once()
    shutil.copytree(data.root, tmp_path / "copy")
    copy = DataDir.at(tmp_path / "copy")
    enrol(data, central.url, central.code("TWICE"), key_source="file", insecure_http=False)
    with opened(copy) as old:
        old.counter.parts.online = None
        redeem_one(old.counter, bought[0], "r0")
        result = old.worker.once()
        assert result.behind == 0 and result.fence is None
        assert old.counter.parts.fence() == "superseded"
        with pytest.raises(OutOfService, match="paired again since"):
            redeem_one(old.counter, bought[1], "r1")
        assert "fenced" in [notice.kind for notice in old.counter.status().notices]
    with opened(copy) as old, pytest.raises(OutOfService, match="paired again since"):
        redeem_one(old.counter, bought[1], "r1")
    with opened(data) as new:
        new.worker.once()
        redeem_one(new.counter, bought[2], "r2")
        assert new.worker.once().behind == 0
    assert verdicts_of(central, "TWICE") == ["accepted", "accepted"]


def test_a_running_copy_hears_it_when_the_feed_refuses_it(central: Central, tmp_path: Path) -> None:
    """Not only with the next hello, a quarter of an hour later."""
    data = pair(central, tmp_path / "data", "TWICE2")
    shutil.copytree(data.root, tmp_path / "copy")
    with opened(DataDir.at(tmp_path / "copy")) as old:
        old.worker._uplink.step()
        enrol(data, central.url, central.code("TWICE2"), key_source="file", insecure_http=False)
        old.worker._uplink.step()
        assert old.counter.parts.fence() is None
        old.worker._downlink.step(0)
        old.worker._uplink.step()
        assert old.counter.parts.fence() == "superseded"


@pytest.mark.parametrize("do", ["wipe", "superseded"])
@pytest.mark.parametrize("sig", [None, "A" * 86])
def test_an_order_that_central_did_not_sign_is_ignored(
    shop: Shop, sig: str | None, do: str
) -> None:
    """It is said; the terminal goes on."""
    counter = shop.open()
    holder = HolderOfTerminal(counter, shop.key, instance="i", version="1")
    order = messages.Directive(do=do, text="{}", kid=1, sig=sig)
    holder.directed([order], "n" * 22)
    (notice,) = counter.status().notices
    assert notice.detail == {"text": ORDER.replace("wipe", "wipe" if do == "wipe" else "stop")}
    assert notice.kind == "message"
    assert counter.parts.fence() is None
    redeem(counter, shop.issue())
    close(counter)


def test_a_power_loss_at_any_step_is_finished_at_the_next_start(tmp_path: Path) -> None:
    """Whatever was reached, the next start destroys the rest, and never opens half a terminal."""
    step, cut = 0, True
    while cut:
        shop = Shop(tmp_path / str(step))
        counter = shop.open()
        view(counter, (sample := shop.issue()).code(), sample.last4)
        close(counter)
        shop.database.close()
        wiping.order(shop.data, "T1", "2024-07-10T04:00:00.000Z")
        cut = _cut_at(step, shop.data)
        with pytest.raises(Misconfigured, match="wiped"):
            assembly.open_parts(shop.data, Options(), clock=shop.clock)
        assert files(shop.data) == {"wiped"}
        step += 1
    assert step > 8


class PowerLossError(Exception):
    """The machine is off."""


def _cut_at(step: int, data: DataDir) -> bool:
    """Carry the wipe out up to its `step`-th change to the disk; whether it was cut."""
    left = step

    def cut(*_: object, **__: object) -> None:
        nonlocal left
        if left == 0:
            raise PowerLossError
        left -= 1

    with pytest.MonkeyPatch.context() as patch:
        for where, name in ((Path, "unlink"), (Path, "replace"), (keys, "overwrite")):
            real = getattr(where, name)
            patch.setattr(where, name, lambda *a, _real=real, **k: (cut(), _real(*a, **k))[1])
        try:
            wiping.carry_out(data)
        except PowerLossError:
            return True
    return False


def test_before_the_mark_nothing_happens(shop: Shop) -> None:
    """Without an order a start destroys nothing."""
    close(shop.open())
    before = files(shop.data)
    wiping.resume(shop.data)
    assert files(shop.data) == before
