"""What a person does with a branch: look at it, book it, dismiss it, and what comes after."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from central import (
    branch_reports,
    deciding,
    import_journal,
    ledger,
    reports,
    restoring,
    revoking,
    schema,
    verdicts,
)
from central.deciding import Decided, Wanted
from central.errors import Refused as No
from central.issuing import Issued
from central.service import Central
from sync.errors import Refused
from sync.journal_messages import SetAside
from sync.messages import ClaimRequest
from tests.central.conftest import Pair, issue
from tests.central.test_races import together
from tests.central.till import Till
from vouchers import ids
from vouchers.entries import Kind

NAME = "POS1_1_b1"


def book(central: Central, name: str = NAME, **more: Any) -> Decided:
    up_to = more.pop("up_to", None)
    done = deciding.book(central, Wanted(name, "wang", "the counter's slips", up_to), **more)
    assert isinstance(done, Decided), done
    return done


def dismiss(central: Central, name: str = NAME, **more: Any) -> Decided:
    done = deciding.dismiss(central, Wanted(name, "li", "a copied disk", **more))
    assert isinstance(done, Decided), done
    return done


def refused(central: Central, way: Callable[[Central, Wanted], object], name: str = NAME) -> str:
    no = way(central, Wanted(name, "wang", "why"))
    assert isinstance(no, No)
    return no.reason


def listed(central: Central) -> list[dict[str, Any]]:
    with central.read() as work:
        return [dict(row) for row in branch_reports.entry_rows(work)]


def summary(central: Central) -> list[dict[str, Any]]:
    with central.read() as work:
        return [dict(row) for row in branch_reports.summaries(work)]


def redemptions(central: Central) -> dict[str, dict[str, Any]]:
    with central.read() as work:
        return {str(row["serial"]): dict(row) for row in reports.redemptions(work)}


def used(central: Central, issued: Issued) -> tuple[int, int]:
    """Shares used, and the generation."""
    with central.read() as work:
        found = ledger.find(work, issued.voucher)
    assert found is not None
    return found.used, found.generation


def kept(till: Till, first: int, last: int | None = None, **changes: Any) -> None:
    """Push what central keeps apart."""
    with pytest.raises(Refused) as no:
        till.push(first, last, **changes)
    assert no.value.reason == "fork"


def of(till: Till, seq: int) -> str:
    """The serial that an entry of a branch has at central."""
    return ids.branch_serial(till.posid, till.epoch, seq, till.heads[seq])


@pytest.fixture
def voucher(central: Central) -> Issued:
    return issue(central, shares=2)


@pytest.fixture
def other(central: Central) -> Issued:
    return issue(central, shares=3)


@pytest.fixture
def till(pair: Pair) -> Till:
    """A till with one entry at central."""
    made = pair("POS1")
    made.add(Kind.STARTED, {})
    made.push()
    return made


@pytest.fixture
def clone(till: Till, voucher: Issued, other: Issued) -> Till:
    """Another machine with the till's disk. The till redeemed one share of `voucher` since; the
    clone both of it, then one of `other`, which is kept apart.
    """
    made = till.clone()
    till.redeem(voucher)
    till.push(2)
    made.redeem(voucher, 2)
    made.redeem(other)
    kept(made, 2)
    return made


def test_a_person_sees_what_happened_on_the_branch(
    central: Central, till: Till, clone: Till, voucher: Issued, other: Issued
) -> None:
    """Which vouchers, shares, money, when, which clerk, and what else was booked on the voucher."""
    first, second = listed(central)
    assert (first["serial"], first["on_slip"]) == (of(clone, 2), "POS1_1_00000002")
    assert (first["branch"], first["state"], first["obstacle"]) == (NAME, "waiting", None)
    assert (first["voucher"], first["shares"], first["clerk"]) == (voucher.voucher, 2, "li")
    assert first["same_voucher"] == ["POS1_1_00000002"] and second["same_voucher"] == []
    assert [first[name] for name in ("verdict", "decided_at", "decided_by", "reason")] == [None] * 4
    (row,) = summary(central)
    assert (row["branch"], row["first"], row["last"], row["clerks"]) == (NAME, 2, 3, ["li"])
    assert (row["redemptions"], row["shares"], row["reversals"]) == (2, 3, 0)
    assert (row["waiting"], row["booked"], row["dismissed"], row["obstacles"]) == (2, 0, 0, 0)


def test_a_branch_is_booked_by_the_rules_for_a_late_arrival(
    central: Central, till: Till, clone: Till, voucher: Issued, other: Issued
) -> None:
    """Design 7: each entry once, in order of arrival; excess and others where it goes beyond."""
    done = book(central)
    assert (done.entries, done.waiting, done.repeated) == (2, 0, False)
    assert done.verdicts == {"accepted": 1, "over_redeemed": 1}
    rows = redemptions(central)
    assert set(rows) == {"POS1_1_00000002", of(clone, 2), of(clone, 3)}
    over = rows[of(clone, 2)]
    assert (over["verdict"], over["excess"], over["others"]) == (
        "over_redeemed",
        1,
        ["POS1_1_00000002"],
    )
    assert rows["POS1_1_00000002"]["flags"] == ["related"]
    assert rows["POS1_1_00000002"]["verdict"] == rows[of(clone, 3)]["verdict"] == "accepted"
    assert rows[of(clone, 3)]["amount_fen"] == 5_000
    # The branch's code of the next generation is the current one now, and nobody lost a share.
    assert (used(central, voucher), used(central, other)) == ((3, 1), (1, 1))
    with central.read() as work:
        assert {row["serial"] for row in reports.conflicts(work)} == {
            "POS1_1_00000002",
            of(clone, 2),
        }
    assert [row["verdict"] for row in listed(central)] == ["over_redeemed", "accepted"]
    assert [row["decided_by"] for row in listed(central)] == ["wang", "wang"]


def test_booking_again_changes_nothing(central: Central, clone: Till, other: Issued) -> None:
    """Idempotent, and who decided first stays who decided."""
    first = book(central)
    before = listed(central), redemptions(central)
    again = deciding.book(central, Wanted(NAME, "somebody", "else"))
    assert isinstance(again, Decided)
    assert (again.entries, again.repeated, again.verdicts) == (0, True, first.verdicts)
    assert (listed(central), redemptions(central)) == before
    assert refused(central, deciding.dismiss) == "already_booked"
    assert clone.push(2).verdicts
    assert (listed(central), redemptions(central)) == before and used(central, other) == (1, 1)


@pytest.mark.parametrize("way", [book, dismiss])
def test_what_was_decided_is_acknowledged(
    central: Central, till: Till, clone: Till, other: Issued, way: Callable[[Central], Decided]
) -> None:
    """Nobody has to keep it any longer, or count it beside what central says; with the verdicts
    under serials of its own, and those of the stream only before the fork.
    """
    way(central)
    alarms = len(list_alarms(central))
    answer = clone.push(1)
    assert json.loads(answer.ack)["up_to"] == 3 and json.loads(answer.ack)["head"] == clone.heads[3]
    assert [one.serial for one in answer.verdicts] == [
        of(clone, seq) for seq in (2, 3) if way is book
    ]
    assert clone.push(3, 3).ack != answer.ack
    assert len(list_alarms(central)) == alarms
    # What is new of it is not, and the whole is not until that was decided on, too.
    clone.redeem(other, generation=1, left=1)
    kept(clone, 4)
    kept(clone, 2)
    way(central)
    assert json.loads(clone.push(2).ack)["up_to"] == 4
    # The stream itself is where it was.
    assert json.loads(till.push(1).ack)["head"] == till.heads[2]


def list_alarms(central: Central) -> list[object]:
    with central.read() as work:
        return list(reports.alarms(work))


def test_the_counter_hears_of_it_and_a_person_settles_it(
    central: Central, till: Till, clone: Till, pair: Pair
) -> None:
    """Under the serial of its own, so that it is not taken for the entry that was booked first."""
    again = pair("POS1")
    before = again.http.verdicts("0").cursor
    book(central)
    page = again.http.verdicts(before).verdicts
    assert {(one.serial, one.seq, one.verdict) for one in page} == {
        ("POS1_1_00000002", 2, "accepted"),
        (of(clone, 2), 2, "over_redeemed"),
        (of(clone, 3), 3, "accepted"),
    }
    settled = verdicts.settle(central, of(clone, 2), "loss")
    assert isinstance(settled, verdicts.Settled)
    with central.read() as work:
        assert {row["settled"] for row in reports.conflicts(work)} == {"loss"}
    # What the stream itself is told of its entries did not change.
    assert [one.serial for one in till.push(2).verdicts] == ["POS1_1_00000002"]


def test_a_look_at_what_would_come_changes_nothing(
    central: Central, clone: Till, other: Issued
) -> None:
    before = listed(central), redemptions(central)
    looked = book(central, dry_run=True)
    assert (looked.entries, looked.verdicts) == (2, {"accepted": 1, "over_redeemed": 1})
    assert (listed(central), redemptions(central)) == before and used(central, other) == (0, 0)
    assert book(central) == looked


def test_a_dismissed_branch_stays_listed_and_may_be_booked_yet(
    central: Central, clone: Till, voucher: Issued, other: Issued
) -> None:
    """Nothing is deleted; a mistake can be put right, and both decisions are on record."""
    done = dismiss(central)
    assert (done.entries, done.waiting, done.verdicts, done.repeated) == (2, 0, {}, False)
    assert [(row["state"], row["reason"]) for row in listed(central)] == [
        ("dismissed", "a copied disk")
    ] * 2
    assert used(central, other) == (0, 0) and len(redemptions(central)) == 1
    with central.read() as work:
        found = ledger.find_all(work, {voucher.voucher, other.voucher})
    # Said anew: the till that has the branch on its disk goes by its own entries until then.
    assert [found[one.voucher].version for one in (voucher, other)] == [3, 2]
    assert dismiss(central).repeated
    assert book(central).entries == 2
    assert used(central, other) == (1, 1)
    with central.read() as work:
        taken = list(branch_reports.decisions(work))
    assert [(one["branch"], one["decision"], one["decided_by"], one["up_to"]) for one in taken] == [
        (NAME, "dismissed", "li", 3),
        (NAME, "booked", "wang", 3),
    ]


def test_what_arrives_after_a_decision_waits_for_one_of_its_own(
    central: Central, clone: Till, other: Issued
) -> None:
    """A branch that grows is told of again, and never booked by itself."""
    book(central)
    clone.redeem(other, generation=1, left=1)
    kept(clone, 2)
    assert [row["state"] for row in listed(central)] == ["booked", "booked", "waiting"]
    assert used(central, other) == (1, 1)
    with central.read() as work:
        assert [row["kind"] for row in reports.alarms(work)] == ["fork", "fork"]
    again = book(central)
    assert (again.entries, again.verdicts) == (1, {"accepted": 2, "over_redeemed": 1})
    assert used(central, other) == (2, 2)


def test_only_the_part_that_was_looked_at(central: Central, clone: Till) -> None:
    """`up_to` bounds a decision, so that what came in meanwhile is not booked unseen."""
    done = book(central, up_to=2)
    assert (done.entries, done.waiting) == (1, 1)
    assert dismiss(central).entries == 1
    assert [row["state"] for row in listed(central)] == ["booked", "dismissed"]


def test_two_people_book_at_once(central: Central, clone: Till, other: Issued) -> None:
    """Each entry once; the one who comes second hears that it was done."""
    done = together(*(lambda: book(central) for _ in range(4)))
    assert sorted(one.entries for one in done) == [0, 0, 0, 2]  # type: ignore[attr-defined]
    assert len(redemptions(central)) == 3 and used(central, other) == (1, 1)


def test_one_books_while_another_dismisses_and_the_till_sends_more(
    central: Central, clone: Till, other: Issued
) -> None:
    """Whatever came first, every entry has one decision at most, and all are there."""
    clone.redeem(other, generation=1, left=1)
    ways = (deciding.book, deciding.dismiss)
    together(
        *(lambda way=way: way(central, Wanted(NAME, "x", "y")) for way in ways),  # type: ignore[misc]
        lambda: kept(clone, 2),
    )
    rows = listed(central)
    booked = [row["serial"] for row in rows if row["state"] == "booked"]
    assert len(rows) == 3 and set(redemptions(central)) == {"POS1_1_00000002", *booked}


def test_what_the_key_does_not_stand_for_can_only_be_dismissed(
    central: Central, till: Till, voucher: Issued, other: Issued
) -> None:
    """A tail that somebody without the key wrote; what a good signature covers is booked."""
    clone = till.clone()
    till.redeem(voucher)
    till.push(2)
    clone.redeem(other)
    kept(clone, 2)
    clone.redeem(other, generation=1, left=1)
    kept(clone, 3, sig=ids.b64u(bytes(64)))
    assert [row["obstacle"] for row in listed(central)] == [None, "unsigned"]
    done = book(central)
    assert (done.entries, done.waiting) == (1, 1) and used(central, other) == (1, 1)
    assert book(central).repeated
    # Its signature comes after all: then the key stands for it.
    kept(clone, 3)
    assert [row["obstacle"] for row in listed(central)] == [None, None]
    assert book(central).entries == 1 and used(central, other) == (2, 2)


def test_a_tail_without_a_good_signature_is_not_booked_at_all(
    central: Central, till: Till, voucher: Issued, other: Issued
) -> None:
    clone = till.clone()
    till.redeem(voucher)
    till.push(2)
    clone.redeem(other)
    kept(clone, 2, sig=ids.b64u(bytes(64)))
    assert refused(central, deciding.book) == "nothing_to_book"
    assert dismiss(central).entries == 1
    assert used(central, other) == (0, 0) and len(redemptions(central)) == 1


def test_what_somebody_changed_in_the_database_is_not_booked(
    central: Central, clone: Till, other: Issued
) -> None:
    """A body that does not fit its hash has no signature that stands for it; nor what follows."""
    table = schema.branches
    with central.write() as work:
        rows = work.connection.execute(select(table.c.seq, table.c.body)).all()
        for row in rows:
            body = bytes(row.body).replace(b'"shares":2', b'"shares":1')
            work.connection.execute(table.update().where(table.c.seq == row.seq).values(body=body))
    assert [row["obstacle"] for row in listed(central)] == ["unsigned", "unreadable"]
    assert refused(central, deciding.book) == "nothing_to_book"


def test_unreadable_entries_are_listed_and_passed(
    central: Central, till: Till, voucher: Issued, other: Issued
) -> None:
    """The readable ones after it are booked; it stays listed until somebody dismisses it."""
    clone = till.clone()
    till.redeem(voucher)
    till.push(2)
    clone.put("rubbish")
    clone.redeem(other)
    clone.add(Kind.STARTED, {})
    kept(clone, 2)
    assert [(row["kind"], row["obstacle"]) for row in listed(central)] == [
        (None, "unreadable"),
        ("redeemed", None),
    ]
    done = book(central)
    assert (done.entries, done.waiting, done.verdicts) == (2, 1, {"accepted": 1})
    assert dismiss(central).waiting == 0


def test_a_reversal_means_the_redemption_of_its_own_branch(
    central: Central, till: Till, voucher: Issued
) -> None:
    """Both histories redeemed the voucher under the same number; the clone undid its own."""
    clone = till.clone()
    till.redeem(voucher)
    till.push(2)
    clone.redeem(voucher, clerk="other")
    clone.reverse("POS1_1_00000002", voucher)
    kept(clone, 2)
    assert book(central).verdicts == {"accepted": 2}
    rows = redemptions(central)
    assert (rows["POS1_1_00000002"]["reversed"], rows[of(clone, 2)]["reversed"]) == (False, True)
    assert used(central, voucher)[0] == 1


def test_a_reversal_may_undo_what_was_booked_before_the_fork(
    central: Central, pair: Pair, voucher: Issued
) -> None:
    till = pair("POS1")
    till.redeem(voucher)
    till.push()
    clone = till.clone()
    till.add(Kind.STARTED, {})
    till.push(2)
    clone.reverse("POS1_1_00000001", voucher)
    kept(clone, 2)
    assert book(central).verdicts == {"accepted": 1}
    assert used(central, voucher)[0] == 0
    assert redemptions(central)["POS1_1_00000001"]["reversed"]


@pytest.mark.parametrize("booked_first", [True, False])
def test_a_terminal_that_was_paired_again_undoes_what_its_disk_redeemed(
    central: Central, clone: Till, pair: Pair, other: Issued, booked_first: bool
) -> None:
    """The customer comes back with the slip of the branch; whichever arrives first."""
    again = pair("POS1")
    again.reverse("POS1_1_00000003", other)
    if booked_first:
        book(central)
    assert [one.verdict for one in again.push().verdicts] == [
        "accepted" if booked_first else "nothing_to_reverse"
    ]
    book(central)
    assert used(central, other)[0] == 0
    assert redemptions(central)[of(clone, 3)]["reversed"]
    with central.read() as work:
        assert [(row["reverses"], row["verdict"]) for row in reports.reversals(work)] == [
            (of(clone, 3), "accepted")
        ]
    # The verdict that the counter was shown as open is closed by that.
    heard = again.http.verdicts("0").verdicts
    assert {one.serial: one.verdict for one in heard}["POS1_2_00000001"] == "accepted"


def test_both_histories_give_the_same_next_code(
    central: Central, till: Till, voucher: Issued
) -> None:
    """Design 4: two forks of one voucher make no second live code."""
    clone = till.clone()
    till.redeem(voucher)
    till.push(2)
    before = used(central, voucher)
    clone.redeem(voucher, credential="qr")
    kept(clone, 2)
    assert book(central).verdicts == {"accepted": 1}
    assert (before, used(central, voucher)) == ((1, 1), (2, 1))


def test_the_true_history_after_the_fork_is_booked_the_same_way(
    central: Central, till: Till, clone: Till, other: Issued
) -> None:
    """A stream that forked takes no more entries: what the first till goes on with is kept too."""
    till.redeem(other)
    kept(till, 3)
    assert [row["branch"] for row in summary(central)] == [NAME, "POS1_1_b2"]
    book(central, "POS1_1_b2")
    book(central)
    assert used(central, other) == (2, 1)
    assert {of(till, 3), of(clone, 3)} < set(redemptions(central))


def test_a_branch_may_leave_another_one(
    central: Central, till: Till, clone: Till, other: Issued
) -> None:
    """A clone of the clone: each chain is a branch; a signature stands for all before it."""
    clone.redeem(other, generation=1, left=1)
    third = clone.clone()
    kept(clone, 4, sig=ids.b64u(bytes(64)))
    third.redeem(other, generation=2, left=0)
    clone.add(Kind.STARTED, {})
    kept(clone, 5, sig=ids.b64u(bytes(64)))
    assert [row["obstacle"] for row in listed(central)] == [None, None, "unsigned"]
    kept(third, 5)
    (first, second) = summary(central)
    assert (first["last"], second["first"], second["branch"]) == (5, 5, "POS1_1_b2")
    assert [row["obstacle"] for row in listed(central)] == [None] * 4
    assert book(central).entries == 3
    assert book(central, "POS1_1_b2").verdicts == {"accepted": 1}
    assert used(central, other) == (3, 2)


def test_the_middle_of_a_branch_waits_for_its_beginning(
    central: Central, till: Till, voucher: Issued, other: Issued
) -> None:
    """Nobody knows yet what it goes on from; when that comes, all of it can be booked."""
    clone = till.clone()
    till.redeem(voucher)
    till.redeem(voucher, generation=1, left=0)
    till.push(2)
    clone.redeem(other)
    clone.redeem(other, generation=1, left=1)
    kept(clone, 3)
    assert [row["obstacle"] for row in listed(central)] == ["unjoined"]
    assert refused(central, deciding.book) == "nothing_to_book"
    kept(clone, 2)
    assert [row["obstacle"] for row in listed(central)] == [None, None]
    assert (book(central).entries, book(central, "POS1_1_b2").entries) == (1, 1)
    assert used(central, other) == (2, 2)


def test_a_body_that_could_not_be_sent_comes_later(
    central: Central, till: Till, voucher: Issued, other: Issued, tmp_path: Path
) -> None:
    """First by its hash alone, then from the disk: the rescued file brings the rest as well."""
    clone = till.clone()
    till.redeem(voucher)
    till.push(2)
    clone.redeem(other)
    aside = SetAside(seq=2, prev=clone.heads[1], hash=clone.heads[2], sig=clone.batch(2).sig)
    with pytest.raises(Refused):
        clone.http.set_aside("POS1", 1, aside)
    assert [(row["kind"], row["obstacle"]) for row in listed(central)] == [(None, "unreadable")]
    clone.redeem(other, generation=1, left=1)
    disk = tmp_path / "rescued.jsonl"
    disk.write_text(clone.export(2))
    no = import_journal.run(central, disk)
    assert isinstance(no, No) and no.reason == "fork" and "branch list" in no.message
    assert [row["obstacle"] for row in listed(central)] == [None, None]
    assert book(central).entries == 2


def test_a_closed_terminal_s_branch_is_set_aside(
    central: Central, till: Till, clone: Till, other: Issued
) -> None:
    """What came before it was closed counts as ever; what came after needs `release`."""
    revoking.revoke(central, "POS1")
    clone.redeem(other, generation=1, left=1)
    kept(clone, 2)
    assert book(central).verdicts == {"accepted": 1, "over_redeemed": 1, "quarantined": 1}
    assert used(central, other) == (1, 1)
    released = revoking.release(central, of(clone, 4))
    assert isinstance(released, revoking.Released) and released.verdict == "accepted"
    assert used(central, other) == (2, 2)


def test_a_terminal_that_was_paired_again_since_may_have_been_closed_before(
    central: Central, till: Till, clone: Till, pair: Pair
) -> None:
    """When it was closed is not known any more: all of it is set aside."""
    revoking.revoke(central, "POS1")
    pair("POS1")
    assert book(central).verdicts == {"quarantined": 2}


def test_a_claim_places_an_entry_of_a_branch_too(central: Central, till: Till, pair: Pair) -> None:
    """Decision 0008: one that central granted, and that nothing else used."""
    scarce = issue(central)
    claim = _claim(till, scarce)
    clone, elsewhere = till.clone(), pair("POS2", 2)
    till.add(Kind.STARTED, {})
    till.push(2)
    elsewhere.redeem(scarce)
    elsewhere.push()
    clone.redeem(scarce, claim=claim, mode="online")
    kept(clone, 2)
    assert book(central).verdicts == {"accepted": 1}
    assert redemptions(central)["POS2_1_00000001"]["verdict"] == "over_redeemed"


def _claim(till: Till, issued: Issued) -> str:
    claim = ids.uuid7(1, bytes(10))
    answer = till.http.claim(
        ClaimRequest(
            claim=claim,
            row_key=till.row_key(issued.code, issued.last4),
            voucher=issued.voucher,
            generation=0,
            shares=1,
        ),
        budget_ms=10_000,
    )
    assert answer.granted
    return claim


def test_after_a_backup_was_restored_the_same_entry_has_the_same_serial(
    central: Central, clone: Till
) -> None:
    """It is made of the entry itself, not of the order in which branches came."""
    book(central)
    restoring.renew(central)
    assert set(redemptions(central)) == {"POS1_1_00000002", of(clone, 2), of(clone, 3)}
    assert len(of(clone, 2)) <= 100 and ids.parse_serial(of(clone, 2)) is None


def test_what_nobody_could_mean_is_refused(central: Central, clone: Till) -> None:
    for name in ("", "POS1", "POS1_1_b2", "POS1_2_b1", "POS9_1_b1", "POS1_1_b0", "POS1_1_b１"):
        assert refused(central, deciding.book, name) == "unknown_branch"
    for by, reason in (("", "why"), ("wang", " \0\n"), ("w" * 65, "why"), ("wang", "y" * 201)):
        no = deciding.book(central, Wanted(NAME, by, reason))
        assert isinstance(no, No) and no.reason == "bad_reason"
    no = deciding.book(central, Wanted(NAME, "wang", "why", up_to=1))
    assert isinstance(no, No) and "none so early" in no.message
    assert json.dumps(listed(central))
