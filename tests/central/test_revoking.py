"""A closed terminal: told at once, its late entries set aside, and wiped only under a signature."""

import json

import msgspec
import pytest

from central import branch_reports, reports, revoking
from central.errors import Refused as No
from central.revoking import Released, Revoked
from central.service import Central
from sync import acks, farewell
from sync.errors import Garbled, Refused
from tests.central.conftest import Pair, issue
from tests.central.till import Till
from tests.central.till import pair as pair_again
from vouchers import ids
from vouchers.entries import Kind


def verdicts(central: Central) -> list[object]:
    with central.read() as work:
        return [row["verdict"] for row in reports.redemptions(work)]


def test_every_call_but_an_upload_says_so(central: Central, pair: Pair) -> None:
    """403 `revoked`, in words; what it has may still come."""
    till = pair("POS1")
    till.hello()
    assert revoking.revoke(central, "POS1") == Revoked("POS1", "revoked", False, False)
    assert revoking.revoke(central, "POS1") == Revoked("POS1", "revoked", False, True)
    for ask in (till.hello, till.http.manifest, lambda: till.http.verdicts("")):
        with pytest.raises(Refused) as no:
            ask()
        assert (no.value.problem.status, no.value.reason) == (403, "revoked")
    till.add(Kind.STARTED, {})
    assert till.push().verdicts == ()
    with central.read() as work:
        assert [row["kind"] for row in reports.alarms(work)] == ["revoked"]
        (row,) = reports.terminals(work)
    assert row["state"] == "revoked"


def test_what_is_signed_after_it_is_set_aside(central: Central, url: str, pair: Pair) -> None:
    """Held or named by then counts; later ones are quarantined until a person decides."""
    vouchers = [issue(central) for _ in range(5)]
    till = pair("POS1")
    for number in (0, 1, 2):
        till.redeem(vouchers[number])
        if number == 0:
            till.push()
    till.hello(seq=2)
    revoking.revoke(central, "POS1")
    serial = till.redeem(vouchers[3])
    till.push()
    assert verdicts(central) == ["accepted"] * 2 + ["quarantined"] * 2
    with central.read() as work:
        assert [row["verdict"] for row in reports.conflicts(work)] == ["quarantined"] * 2
    # Paired anew it is trusted again, under its new key; the old key stays closed.
    again = pair_again(central, url, "POS1")
    again.redeem(vouchers[4])
    again.push()
    till.redeem(vouchers[4])
    till.push(5)
    assert sorted(map(str, verdicts(central))) == ["accepted"] * 3 + ["quarantined"] * 3
    assert revoking.release(central, serial) == Released(serial, "accepted")
    again.http.close()


def test_releasing_books_by_the_rules(central: Central, pair: Pair) -> None:
    """The share may have gone elsewhere meanwhile; and only what was set aside is released."""
    voucher = issue(central)
    till, other = pair("POS1"), pair("POS2")
    revoking.revoke(central, "POS1")
    serial = till.redeem(voucher)
    till.push()
    taken = other.redeem(voucher)
    other.push()
    assert revoking.release(central, serial) == Released(serial, "accepted")
    with central.read() as work:
        found = {row["serial"]: row["verdict"] for row in reports.redemptions(work)}
    assert found == {serial: "accepted", taken: "over_redeemed"}
    for wrong in (serial, "POS1_1_00000009"):
        assert isinstance(revoking.release(central, wrong), No)
    till.put("rubbish")
    till.push(2)
    refused = revoking.release(central, "POS1_1_00000002")
    assert isinstance(refused, No) and refused.reason == "nothing_to_release"


def test_an_order_to_wipe_is_signed_for_one_question(central: Central, pair: Pair) -> None:
    """Only in the answer to this hello, for this terminal and epoch."""
    till = pair("POS1")
    assert revoking.revoke(central, "POS1", wipe=True) == Revoked("POS1", "revoked", True, False)
    assert revoking.revoke(central, "POS1") == Revoked("POS1", "revoked", True, True)
    said = till.hello()
    (order,) = said.directives
    keys = {key.kid: ids.unb64u(key.key) for key in till.enrolment.server_keys}
    assert order.do == "wipe" and order.sig is not None
    signed = acks.Signed(order.text, order.kid, order.sig)
    right = {"do": "wipe", "posid": "POS1", "epoch": 1, "nonce": _nonce(said.time)}
    acks.check_directive(signed, keys, **right)
    for wrong in ({"do": "rekey"}, {"posid": "POS2"}, {"epoch": 2}, {"nonce": "n" * 22}):
        with pytest.raises(Garbled):
            acks.check_directive(signed, keys, **(right | wrong))
    assert isinstance(revoking.revoke(central, "NOBODY"), No)


def test_a_wipe_may_be_ordered_later(central: Central, pair: Pair) -> None:
    """First closed, then wiped: the line stays where it was."""
    till = pair("POS1")
    revoking.revoke(central, "POS1")
    till.redeem(issue(central))
    till.push()
    done = revoking.revoke(central, "POS1", wipe=True)
    assert done == Revoked("POS1", "revoked", True, False)
    assert verdicts(central) == ["quarantined"]
    assert till.hello().directives[0].do == "wipe"


def last_word(till: Till, **changes: object) -> farewell.WipedRequest:
    said = {"posid": till.posid, "epoch": 1, "up_to": 1, "at": "2024-07-10T04:00:00.000Z"} | changes
    return farewell.compose(msgspec.convert(said, farewell.Wiped), till.key)


def fleet(central: Central) -> dict[str, dict[str, object]]:
    with central.read() as work:
        return {str(row["posid"]): row for row in reports.terminals(work)}


def wiped_alarms(central: Central) -> list[object]:
    with central.read() as work:
        return [row["detail"] for row in reports.alarms(work) if row["kind"] == "wiped"]


def test_a_terminal_s_last_word_is_heard_once(central: Central, url: str, pair: Pair) -> None:
    """Ordered, then confirmed, however often it is said; what never arrived is counted."""
    till = pair("POS1")
    till.redeem(issue(central))
    till.push()
    revoking.revoke(central, "POS1", wipe=True)
    row = fleet(central)["POS1"]
    assert row["wipe_at"] is not None and row["wiped_at"] is None
    first = till.http.wiped(last_word(till))
    assert till.http.wiped(last_word(till)) == first
    assert fleet(central)["POS1"]["wiped_at"] == first.at
    (words,) = wiped_alarms(central)
    assert "all its entries had arrived" in str(words)
    # The POSID goes on under a new machine: the confirmation was the old one's.
    again = pair_again(central, url, "POS1")
    again.hello()
    assert fleet(central)["POS1"]["wiped_at"] is None and till.http.wiped(last_word(till)) == first
    revoking.revoke(central, "POS1", wipe=True)
    assert fleet(central)["POS1"]["wiped_at"] is None
    again.http.wiped(last_word(again, epoch=2, up_to=3))
    assert fleet(central)["POS1"]["wiped_at"] is not None
    assert "3 of its entries never arrived" in str(wiped_alarms(central)[1])
    again.http.close()


def test_the_old_machine_may_speak_after_the_new_one_began(
    central: Central, url: str, pair: Pair
) -> None:
    """It was offline; its word makes an alarm and says nothing of the new machine."""
    till = pair("POS1")
    revoking.revoke(central, "POS1", wipe=True)
    again = pair_again(central, url, "POS1")
    till.http.wiped(last_word(till, up_to=0))
    assert len(wiped_alarms(central)) == 1 and fleet(central)["POS1"]["wiped_at"] is None
    again.http.close()


def test_a_last_word_that_nobody_should_believe(central: Central, pair: Pair) -> None:
    """Not ordered, another key, another name, no text of this kind: refused, and nothing kept."""
    till, other = pair("POS1"), pair("POS2")
    wrong = last_word(till)
    refused = [("not_ordered", 409, wrong), ("unknown_key", 403, last_word(till, posid="NOBODY"))]
    refused += [("unknown_key", 403, last_word(till, epoch=2))]
    refused += [("bad_signature", 403, msgspec.structs.replace(wrong, sig=last_word(other).sig))]
    refused += [
        ("garbled", 400, msgspec.structs.replace(wrong, text=text))
        for text in ("", "[]", "{}", '{"posid":"\\u0000"}', wrong.text.replace("1", "9" * 18))
    ]
    for name, status, said in refused:
        with pytest.raises(Refused) as no:
            till.http.wiped(said)
        assert (no.value.reason, no.value.problem.status) == (name, status), said
    revoking.revoke(central, "POS1")
    with pytest.raises(Refused, match="not_ordered"):
        till.http.wiped(wrong)
    assert wiped_alarms(central) == []


def _nonce(time: str) -> str:
    return str(json.loads(time)["nonce"])


def test_only_an_ordered_wipe_has_a_branch_signed_for(central: Central, pair: Pair) -> None:
    """A closed terminal hears of the fork as any other; one to be wiped is let go."""
    voucher = issue(central, shares=2)
    till = pair("POS1")
    clone = till.clone()
    till.redeem(voucher)
    till.push()
    clone.redeem(voucher, clerk="wang")
    clone.redeem(voucher, generation=1)
    revoking.revoke(central, "POS1")
    with pytest.raises(Refused) as no:
        clone.push(1, 1)
    assert no.value.reason == "fork"
    revoking.revoke(central, "POS1", wipe=True)
    answer = clone.push(1, 2)
    ack = acks.read_ack(
        acks.Signed(answer.ack, answer.kid, answer.sig),
        {key.kid: ids.unb64u(key.key) for key in clone.enrolment.server_keys},
    )
    assert (ack.up_to, ack.head, answer.verdicts) == (2, clone.heads[2], ())
    with pytest.raises(Refused) as gap:
        clone.push(1, 1, from_=9)
    assert gap.value.reason == "gap", "what is kept nowhere is not signed for"
    with central.read() as work:
        kept = {row["hash"] for row in branch_reports.entry_rows(work)}
        assert [row["serial"] for row in reports.redemptions(work)] == ["POS1_1_00000001"]
    assert kept == set(clone.heads[1:])
