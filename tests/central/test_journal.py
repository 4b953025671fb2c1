"""Journals arrive once: replays, gaps, forks, verdicts, two counters with one voucher."""

import json
from pathlib import Path

import pytest

from central import branch_reports, import_journal, ledger, reports, verdicts
from central.errors import OutOfService
from central.errors import Refused as No
from central.service import Central
from sync import acks
from sync.errors import Refused
from tests.central.conftest import Pair, issue
from tests.central.till import now_ms
from tests.central.till import pair as pair_again
from vouchers import ids, times
from vouchers.entries import Kind


def rows(central: Central) -> list[dict[str, object]]:
    with central.read() as work:
        return list(reports.redemptions(work))


def test_a_redemption_is_booked_and_acknowledged_under_a_signature(
    central: Central, pair: Pair
) -> None:
    """EV-047, EV-050, EV-063 to EV-065: one row, with account and device."""
    voucher = issue(central, shares=5, home=1)
    till = pair("POS1")
    serial = till.redeem(voucher, 2)
    answer = till.push()
    keys = {key.kid: ids.unb64u(key.key) for key in till.enrolment.server_keys}
    ack = acks.read_ack(acks.Signed(answer.ack, answer.kid, answer.sig), keys)
    assert (ack.posid, ack.epoch, ack.up_to, ack.head) == ("POS1", 1, 1, till.heads[1])
    (row,) = rows(central)
    assert list(row) == [
        "serial",
        "posid",
        "outlet",
        "clerk",
        "voucher",
        "order",
        "product",
        "shares",
        "amount_fen",
        "at",
        "received_at",
        "mode",
        "credential",
        "verdict",
        "flags",
        "excess",
        "others",
        "reversed",
    ]
    assert row["serial"] == serial == "POS1_1_00000001"
    assert (row["clerk"], row["outlet"], row["order"]) == ("li", 1, voucher.order)
    assert (row["amount_fen"], row["verdict"], row["reversed"]) == (10_000, "accepted", False)
    with central.read() as work:
        found = ledger.find(work, voucher.voucher)
    assert found is not None and (found.used, found.generation) == (2, 1)


def test_the_same_entries_again_are_acknowledged_again_and_booked_once(
    central: Central, pair: Pair
) -> None:
    """Design 7: "Same entries again: acknowledged again with current verdicts"."""
    voucher = issue(central)
    till = pair("POS1")
    till.redeem(voucher)
    till.add(Kind.STARTED, {})
    first = till.push()
    again = till.push()
    partly = till.push(2)
    assert json.loads(again.ack)["up_to"] == json.loads(partly.ack)["up_to"] == 2
    assert again.verdicts == first.verdicts
    assert len(rows(central)) == 1
    till.add(Kind.STARTED, {})
    overlapping = till.push()
    assert json.loads(overlapping.ack)["head"] == till.heads[3]


def test_a_gap_is_refused_with_what_is_expected(central: Central, pair: Pair) -> None:
    till = pair("POS1")
    for _ in range(3):
        till.add(Kind.STARTED, {})
    with pytest.raises(Refused) as no:
        till.push(2)
    assert (no.value.problem.status, no.value.reason, no.value.problem.expected) == (409, "gap", 1)
    assert json.loads(till.push(1, 1).ack)["up_to"] == 1
    assert json.loads(till.push(2).ack)["up_to"] == 3


def test_a_fork_is_kept_apart_and_fences_the_terminal(central: Central, pair: Pair) -> None:
    """Design 7: a differing hash for a known sequence is a fork; nothing of it is applied."""
    voucher = issue(central, shares=3)
    till = pair("POS1")
    till.redeem(voucher)
    till.push()
    clone = till.clone()
    till.redeem(voucher, generation=1, left=1)
    till.push(2)
    clone.redeem(voucher, 2, generation=1, left=0)
    with pytest.raises(Refused) as no:
        clone.push(2)
    assert no.value.reason == "fork"
    assert [row["shares"] for row in rows(central)] == [1, 1]
    till.redeem(voucher, generation=2, left=0)
    with pytest.raises(Refused) as fenced:
        till.push(3)
    assert fenced.value.reason == "fork"
    assert json.loads(till.push(1, 2).ack)["up_to"] == 2
    with central.read() as work:
        (alarm, *_) = reports.alarms(work)
        (terminal,) = reports.terminals(work)
    assert (alarm["kind"], alarm["posid"], terminal["state"]) == ("fork", "POS1", "fenced")


def test_two_counters_offline_with_one_voucher(central: Central, pair: Pair) -> None:
    """Both are booked; the excess is over_redeemed with both serials, and both counters hear."""
    voucher = issue(central, home=1)
    home, away = pair("HOME", 1), pair("AWAY", 2)
    away_serial = away.redeem(voucher)
    away_before = away.push()
    assert away_before.verdicts[0].verdict == "accepted"
    home_serial = home.redeem(voucher)
    (at_home,) = home.push().verdicts
    # The home outlet owns the shares, so the foreign entry bears the excess though it came first.
    assert (at_home.verdict, at_home.flags, at_home.excess) == ("accepted", ("related",), 0)
    changed = away.http.verdicts("0")
    last = changed.verdicts[-1]
    assert (last.serial, last.verdict, last.excess) == (away_serial, "over_redeemed", 1)
    assert last.others == (home_serial,)
    assert away.http.verdicts(changed.cursor).verdicts == ()
    with central.read() as work:
        conflicts = {row["serial"]: row for row in reports.conflicts(work)}
    assert set(conflicts) == {home_serial, away_serial}
    assert conflicts[away_serial]["others"] == [home_serial]
    assert conflicts[home_serial]["flags"] == ["related"]


def test_a_claim_that_was_never_granted_outranks_nobody(central: Central, pair: Pair) -> None:
    """Design 7: entries with a claim come first, but only central grants claims."""
    voucher = issue(central, home=1)
    home, away = pair("HOME", 1), pair("AWAY", 2)
    home.redeem(voucher)
    home.push()
    invented = ids.uuid7(now_ms(), bytes(10))
    away.redeem(voucher, claim=invented, mode="online")
    assert away.push().verdicts[0].verdict == "over_redeemed"


def test_a_verdict_is_shown_until_a_person_settles_it(central: Central, pair: Pair) -> None:
    voucher = issue(central)
    till = pair("POS1")
    till.redeem(voucher)
    second = till.redeem(voucher)
    third = till.redeem(voucher)
    answer = till.push(1, 2)
    assert [v.verdict for v in answer.verdicts] == ["accepted", "over_redeemed"]
    before = till.http.verdicts("0").cursor
    done = verdicts.settle(central, second, "loss")
    assert isinstance(done, verdicts.Settled) and not done.repeated
    again = verdicts.settle(central, second, "loss")
    assert isinstance(again, verdicts.Settled) and again.repeated
    heard = till.http.verdicts(before)
    # The entry that was only related is closed with the last open one.
    assert {v.seq: v.settled for v in heard.verdicts} == {1: "loss", 2: "loss"}
    assert till.push(3).verdicts[0].verdict == "over_redeemed"
    with central.read() as work:
        still = {row["serial"]: row["settled"] for row in reports.conflicts(work)}
    assert (still[second], still[third]) == ("loss", None)
    unknown = verdicts.settle(central, "POS1_1_00000099", "loss")
    assert isinstance(unknown, No) and unknown.reason == "unknown_serial"


def test_reversal_returns_the_shares_once(central: Central, pair: Pair) -> None:
    """Decision 11, AX-04 to AX-06: exact count, repeating is harmless, unknown is final."""
    voucher = issue(central, shares=2)
    till = pair("POS1")
    serial = till.redeem(voucher, 2)
    till.reverse(serial, voucher, 1)
    till.reverse(serial, voucher, 2)
    till.reverse(serial, voucher, 2)
    till.reverse("POS1_1_00000077", voucher, 2)
    found = [v.verdict for v in till.push().verdicts]
    assert found == [
        "accepted",
        "reversal_mismatch",
        "accepted",
        "nothing_to_reverse",
        "nothing_to_reverse",
    ]
    (row,) = rows(central)
    assert row["reversed"] is True
    with central.read() as work:
        after = ledger.find(work, voucher.voucher)
    assert after is not None and (after.used, after.generation) == (0, 0)


def test_what_cannot_be_read_is_quarantined_and_passed(central: Central, pair: Pair) -> None:
    """Design 7: an entry is a fact; a bad one never blocks the journal."""
    voucher = issue(central, shares=2)
    till = pair("POS1")
    till.put('{"v":99,"what":"emoji 🎉 and \0"}')
    till.redeem(voucher)
    till.add(Kind.STARTED, {"strange": "data", "nul": "\0"})
    till.redeem(voucher, 10_000, generation=1)
    till.reverse("no\0serial", voucher)
    answer = till.push()
    assert json.loads(answer.ack)["up_to"] == 5
    assert [(v.seq, v.verdict) for v in answer.verdicts] == [
        (1, "quarantined"),
        (2, "accepted"),
        (4, "quarantined"),
        (5, "nothing_to_reverse"),
    ]
    with central.read() as work:
        assert [alarm["kind"] for alarm in reports.alarms(work)] == ["quarantined"]


def test_totals_that_do_not_follow_are_quarantined(central: Central, pair: Pair) -> None:
    voucher = issue(central, shares=3)
    till = pair("POS1")
    till.redeem(voucher)
    wrong = till.totals
    till.redeem(voucher, generation=1, left=1)
    till.totals = wrong
    till.redeem(voucher, generation=2, left=0)
    found = [v.verdict for v in till.push().verdicts]
    assert found == ["accepted", "accepted", "quarantined"]


def test_a_batch_signed_by_somebody_else_is_stored_and_counts_for_nothing(
    central: Central, pair: Pair
) -> None:
    voucher = issue(central)
    till = pair("POS1")
    till.redeem(voucher)
    answer = till.push(sig=ids.b64u(bytes(64)))
    assert [v.verdict for v in answer.verdicts] == ["bad_signature"]
    with central.read() as work:
        found = ledger.find(work, voucher.voucher)
    assert found is not None and found.used == 0


def test_late_and_unknown_and_foreign(central: Central, pair: Pair) -> None:
    """Decision 8: ten minutes of tolerance; EV-030: an outlet of another product."""
    now = now_ms()
    over = issue(central, valid_from=now - 3 * times.DAY_MS, valid_until=now - times.HOUR_MS)
    till = pair("POS1")
    till.redeem(over, at=now - times.HOUR_MS + 5 * times.MINUTE_MS)
    till.redeem(over, at=now, clock="suspect")
    stranger = ids.uuid7(now, bytes(10))
    till.redeem(over, voucher=stranger)
    found = till.push().verdicts
    assert [v.verdict for v in found] == ["accepted", "over_redeemed", "unknown_voucher"]
    assert found[1].flags == ("clock_suspect",)
    late = issue(central, valid_from=now - 3 * times.DAY_MS, valid_until=now - times.HOUR_MS)
    till.redeem(late)
    assert till.push(4).verdicts[0].verdict == "late"


def test_a_rescued_journal_is_ingested_as_if_it_had_synced(
    central: Central, pair: Pair, tmp_path: Path
) -> None:
    voucher = issue(central, shares=4)
    till = pair("POS1")
    till.redeem(voucher)
    till.push()
    till.redeem(voucher, generation=1, left=2)
    file = tmp_path / "rescued.jsonl"
    file.write_text(till.export(2), encoding="utf-8")
    done = import_journal.run(central, file)
    assert isinstance(done, import_journal.Rescued) and (done.added, done.up_to) == (1, 2)
    again = import_journal.run(central, file)
    assert isinstance(again, import_journal.Rescued) and again.added == 0
    # The terminal turns out to live: what it still sends is only acknowledged.
    assert json.loads(till.push().ack)["up_to"] == 2
    assert len(rows(central)) == 2
    file.write_bytes(b"\xff\x00garbage\n")
    assert isinstance(import_journal.run(central, file), No)


def test_a_branch_longer_than_a_batch_is_kept_apart_whole(
    central: Central, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past what central has of the true history too; a file that continues no branch is a gap."""
    monkeypatch.setattr(import_journal, "BATCH_ENTRIES_MAX", 2)
    voucher = issue(central, shares=9)
    till = pair("POS1")
    till.redeem(voucher)
    till.push()
    clone = till.clone()
    till.redeem(voucher, generation=1, left=7)
    till.push(2)
    for used in range(1, 7):
        clone.redeem(voucher, generation=used, left=8 - used)
    file = tmp_path / "clone.jsonl"
    file.write_text(clone.export(6), encoding="utf-8")
    gap = import_journal.run(central, file)
    assert isinstance(gap, No) and gap.reason == "gap"
    file.write_text(clone.export(), encoding="utf-8")
    for _ in range(2):
        fork = import_journal.run(central, file)
        assert isinstance(fork, No) and fork.reason == "fork" and "entry 2 " in fork.message
        with central.read() as work:
            kept = [row["on_slip"] for row in branch_reports.entry_rows(work)]
        assert kept == [ids.serial("POS1", 1, seq) for seq in range(2, 8)]
    assert len(rows(central)) == 2


def test_a_journal_file_of_somebody_else_is_refused(
    central: Central, pair: Pair, tmp_path: Path
) -> None:
    voucher = issue(central, shares=9)
    till, other = pair("POS1"), pair("POS2")
    for generation in range(3):
        till.redeem(voucher, generation=generation, left=8 - generation)
    file = tmp_path / "export.jsonl"
    true = till.export()
    head, *lines = true.splitlines(keepends=True)
    key = ids.b64u(other.key.public_key().public_bytes_raw())
    cases = {
        "unknown_stream": [
            true.replace('"posid":"POS1"', '"posid":"POS9"', 1),
            true.replace('"merchant":1', '"merchant":2', 1),
            head.replace(ids.b64u(till.key.public_key().public_bytes_raw()), key),
        ],
        "unreadable": [
            true.replace('"hexiao_export":1', '"hexiao_export":2', 1),
            head + "{}\n",
            "",
        ],
        "gap": [head + lines[1], head + lines[0] + lines[2]],
    }
    for reason, texts in cases.items():
        for text in texts:
            file.write_text(text, encoding="utf-8")
            no = import_journal.run(central, file)
            assert isinstance(no, No) and no.reason == reason, (reason, text[:80])
    with pytest.raises(OutOfService):
        import_journal.run(central, tmp_path / "missing.jsonl")


def test_pairing_again_opens_an_epoch_that_names_the_old_head(
    central: Central, url: str, pair: Pair
) -> None:
    voucher = issue(central, shares=4)
    first = pair("POS1")
    first.redeem(voucher)
    first.push()
    first.redeem(voucher, generation=1, left=2)
    second = pair_again(central, url, "POS1")
    assert (second.epoch, second.enrolment.previous_head) == (2, first.heads[1])
    assert second.totals.redemptions == 1
    second.redeem(voucher, generation=1, left=2)
    assert second.push().verdicts[0].verdict == "accepted"
    # What the old epoch still holds is uploaded under its own key, and booked.
    assert json.loads(first.push(2).ack)["up_to"] == 2
    with pytest.raises(Refused) as no:
        first.http.manifest()
    assert no.value.problem.status == 401
    second.http.close()
    assert len(rows(central)) == 3


def test_entries_that_continue_a_stream_while_its_totals_restart_stay_readable(
    central: Central, pair: Pair
) -> None:
    """A batch is at most 1,000 entries; the next ones continue chain and totals."""
    till = pair("POS1")
    for _ in range(1_000):
        till.add(Kind.STARTED, {})
    assert json.loads(till.push().ack)["up_to"] == 1_000
    till.add(Kind.STARTED, {})
    assert json.loads(till.push(1_001).ack)["up_to"] == 1_001
    with pytest.raises(Refused) as no:
        till.push()
    assert no.value.problem.status == 400
