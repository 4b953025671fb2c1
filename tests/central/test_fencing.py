"""Two holders of one journal: who may go on, who is stopped, and when both are."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from central import branch_reports, import_journal, reports
from central.errors import Refused as No
from central.service import Central
from sync import acks, messages
from sync.errors import Garbled, Refused
from tests.central.conftest import Pair, issue
from tests.central.till import Till, new_instance
from tests.central.till import pair as pair_again
from vouchers.entries import Kind
from vouchers.ids import unb64u
from vouchers.times import HOUR_MS

A, B = new_instance(), new_instance()


def alarms(central: Central) -> list[str]:
    with central.read() as work:
        return [str(row["kind"]) for row in reports.alarms(work)]


def state(central: Central) -> object:
    with central.read() as work:
        (terminal,) = reports.terminals(work)
    return terminal["state"]


def stopped(till: Till, **more: object) -> str:
    """Told `fork`; the words."""
    with pytest.raises(Refused) as no:
        till.hello(**more)  # type: ignore[arg-type]
    assert (no.value.problem.status, no.value.reason) == (409, "fork")
    return no.value.problem.detail


@pytest.fixture
def till(central: Central, pair: Pair) -> Till:
    """A till with two entries at central, greeted as A."""
    made = pair("POS1")
    for _ in range(2):
        made.add(Kind.STARTED, {})
    made.push()
    made.hello(instance=A)
    return made


def test_a_restart_takes_the_lease_over(central: Central, till: Till) -> None:
    """Equal, then further: each new process is the same terminal."""
    till.hello(instance=B)
    till.add(Kind.STARTED, {})
    till.hello()
    assert (alarms(central), state(central)) == ([], "active")


def test_a_holder_that_ends_before_ours_is_stopped(central: Central, till: Till) -> None:
    """A restored disk or an old clone; the holder of the lease goes on."""
    assert "ends before it" in stopped(till, seq=1, instance=B)
    till.hello(instance=A)
    assert (alarms(central), state(central)) == (["fork"], "active")


def test_a_holder_s_own_messages_may_overtake_each_other(central: Central, till: Till) -> None:
    """An older head of the same process is late, not a fork, and takes nothing back."""
    till.add(Kind.STARTED, {})
    till.hello(instance=A)
    assert till.hello(seq=1, instance=A).head is not None
    till.hello(seq=2, instance=A)
    assert alarms(central) == []
    assert "was named" in stopped(till, seq=2, instance=B)


def test_what_was_named_is_an_anchor(central: Central, till: Till) -> None:
    """A head that never arrived still proves: a shorter journal has lost its tail."""
    for _ in range(3):
        till.add(Kind.STARTED, {})
    till.hello(instance=A)
    assert "entry 5 was named" in stopped(till, seq=4, instance=B)
    assert (alarms(central), state(central)) == (["fork"], "active")


def test_both_extend_differently_and_both_are_stopped(central: Central, till: Till) -> None:
    """Neither had sent its entry: nobody can say which is the terminal, so neither goes on."""
    clone = till.clone()
    till.add(Kind.STARTED, {})
    clone.add(Kind.STARTED, {"x": 1})
    till.hello(instance=A)
    assert "both are stopped" in stopped(clone, instance=B)
    assert "pair it again" in stopped(till, instance=A)
    assert (alarms(central), state(central)) == (["fork"], "fenced")
    # What happened is still taken from whoever comes first, and the other is kept apart.
    till.push(3)
    with pytest.raises(Refused):
        clone.push(3)


def test_a_holder_that_was_followed_and_comes_back_is_a_clone(central: Central, till: Till) -> None:
    """A process that ended never speaks again; two that speak in turn are two disks."""
    till.hello(instance=B)
    assert alarms(central) == []
    for instance in (A, B, A):
        till.hello(instance=instance)
    assert (alarms(central), state(central)) == (["clone"], "active")


def test_a_branch_that_is_sent_again_alarms_once(central: Central, till: Till) -> None:
    """Nothing new was found out."""
    clone = till.clone()
    till.add(Kind.STARTED, {})
    till.push(3)
    clone.add(Kind.STARTED, {"x": 1})
    for _ in range(2):
        with pytest.raises(Refused):
            clone.push(3)
    assert alarms(central) == ["fork"]


def test_what_was_kept_apart_is_listed(central: Central, till: Till, tmp_path: Path) -> None:
    """Redemptions and reversals of the other branch, and what cannot be read; none is booked. What
    the stopped machine never sent comes from its disk.
    """
    first, second = issue(central), issue(central)
    clone = till.clone()
    till.redeem(first)
    till.push(3)
    clone.redeem(second)
    clone.add(Kind.STARTED, {})
    clone.put("rubbish")
    with pytest.raises(Refused):
        clone.push(3, 3)
    with central.read() as work:
        (row,) = branch_reports.entry_rows(work)
    assert (row["on_slip"], row["hash"], row["kind"]) == (
        "POS1_1_00000003",
        clone.heads[3],
        "redeemed",
    )
    assert (row["voucher"], row["shares"], row["outlet"]) == (second.voucher, 1, 1)
    disk = tmp_path / "rescued.jsonl"
    disk.write_text(clone.export(3))
    for _ in range(2):
        refused = import_journal.run(central, disk)
        assert isinstance(refused, No) and refused.reason == "fork"
    with central.read() as work:
        rows = list(branch_reports.entry_rows(work))
        booked = [str(one["voucher"]) for one in reports.redemptions(work)]
    assert [(one["on_slip"], one["kind"]) for one in rows] == [
        ("POS1_1_00000003", "redeemed"),
        ("POS1_1_00000005", None),
    ]
    assert rows[0]["clerk"] == "li" and booked == [first.voucher]


def test_a_disk_that_was_paired_again_elsewhere_is_told_to_stop(
    central: Central, url: str, till: Till
) -> None:
    """A signed order for this question; it takes no lease, and what it has may still come."""
    till.add(Kind.STARTED, {})
    again = pair_again(central, url, "POS1")
    again.hello(instance=B)
    before = fleet_row(central)
    said = till.hello(instance=A)
    (order,) = said.directives
    assert (order.do, order.sig is not None, said.head) == (
        "superseded",
        True,
        messages.Head(epoch=1, seq=2, hash=till.heads[2]),
    )
    keys = {key.kid: unb64u(key.key) for key in till.enrolment.server_keys}
    signed = acks.Signed(order.text, order.kid, order.sig or "")
    right = {"do": "superseded", "posid": "POS1", "epoch": 1}
    nonce = str(json.loads(said.time)["nonce"])
    acks.check_directive(signed, keys, **right, nonce=nonce)  # type: ignore[arg-type]
    for wrong in ({"epoch": 2}, {"do": "wipe"}):
        with pytest.raises(Garbled):
            acks.check_directive(signed, keys, **(right | wrong), nonce=nonce)  # type: ignore[arg-type]
    assert fleet_row(central) == before and alarms(central) == []
    with pytest.raises(Refused) as no:
        till.http.manifest()
    assert (no.value.problem.status, no.value.reason) == (401, "unknown_key")
    till.push(3)
    again.hello(instance=B)
    again.http.close()


def test_an_older_disk_without_an_entry_is_told_too(central: Central, url: str, pair: Pair) -> None:
    till = pair("POS1")
    again = pair_again(central, url, "POS1")
    said = till.hello()
    assert (said.head, said.directives[0].do) == (None, "superseded")
    again.http.close()


def fleet_row(central: Central) -> dict[str, object]:
    with central.read() as work:
        (row,) = reports.terminals(work)
    return row


def test_the_fleet_is_listed_with_what_it_says_and_who_is_silent(
    central: Central, till: Till, pair: Pair
) -> None:
    """Version, queue, devices, key storage with each hello; since when nothing was heard."""
    pair("POS2")
    said = messages.Report(
        queue=7,
        replica_age_s=30,
        printer="paper_out",
        scanner="ready",
        clock="ok",
        notices=2,
        disk_free_mb=4096,
        key_source="file",
    )
    till.hello(instance=A, report=said)
    with central.read() as work:
        first, second = reports.terminals(work)
        late = replace(work, now=work.now + 2 * HOUR_MS)
        silent = [row["silent_since"] for row in reports.terminals(late, silent_hours=1)]
    told = {name: first[name] for name in reports.REPORTED}
    assert told == msgspec.to_builtins(said) and first["reported_at"] is not None
    assert (first["silent_since"], second["queue"], second["reported_at"]) == (None, None, None)
    assert silent == [first["seen_at"], second["seen_at"]]
