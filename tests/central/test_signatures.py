"""What the background check of stored journals finds, and what becomes of it."""

import json
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from central import (
    import_journal,
    jobs,
    leasing,
    ledger,
    reports,
    revoking,
    schema,
    signatures,
    verdicts,
)
from central.errors import Refused as No
from central.issuing import Issued
from central.revoking import Released
from central.service import Central, open_central
from tests.central.conftest import Pair, issue
from tests.central.test_operations import figures
from tests.central.till import Till
from tests.central.till import pair as pair_again
from vouchers import entries, ids
from vouchers.entries import Kind

WRONG = ids.b64u(bytes(64))
JOB = tuple(job for job in jobs.JOBS if job.name == "signatures")


@pytest.fixture(autouse=True)
def only_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service runs its other jobs; this one is run by the tests."""
    monkeypatch.setattr(jobs, "JOBS", tuple(job for job in jobs.JOBS if job not in JOB))


def rescue(central: Central, till: Till, folder: Path, *, wrong: tuple[int, ...] = ()) -> None:
    """Import the till's whole journal; the entries `wrong` with a signature that is none."""
    head, *lines = till.export().splitlines(keepends=True)
    for seq in wrong:
        lines[seq - 1] = json.dumps(json.loads(lines[seq - 1]) | {"sig": WRONG}) + "\n"
    file = folder / f"{till.posid}.jsonl"
    file.write_text(head + "".join(lines), encoding="utf-8")
    done = import_journal.run(central, file)
    assert isinstance(done, import_journal.Rescued), done


def used(central: Central, voucher: Issued) -> int:
    with central.read() as work:
        found = ledger.find(work, voucher.voucher)
    assert found is not None
    return found.used


def said(central: Central) -> dict[object, object]:
    """The verdict of each entry that has a booking, by serial."""
    table = schema.bookings
    with central.read() as work:
        rows = work.connection.execute(select(table).order_by(table.c.serial))
        return {row.serial: row.verdict for row in rows}


def alarms(central: Central) -> list[tuple[object, object]]:
    with central.read() as work:
        return [(row["kind"], row["detail"]) for row in reports.alarms(work)]


def test_a_forged_signature_in_the_middle_is_found(
    central: Central, url: str, pair: Pair, tmp_path: Path
) -> None:
    """Ingest believes the chain under the last one; the check does not, and the entry is unpaid."""
    forged, fine = issue(central), issue(central)
    till = pair("POS1")
    serial = till.redeem(forged)
    till.add(Kind.STARTED, {})
    other = till.redeem(fine)
    rescue(central, till, tmp_path, wrong=(1, 2))
    assert said(central) == {serial: "accepted", other: "accepted"}
    assert figures(url)["hexiao_entries_unverified"] == 3
    before = till.http.verdicts("").cursor
    assert signatures.run(central) == 3
    started = "POS1_1_00000002"
    assert said(central) == {serial: "bad_signature", started: "bad_signature", other: "accepted"}
    assert (used(central, forged), used(central, fine)) == (0, 1)
    assert alarms(central) == [
        ("bad_signature", "epoch 1 seq 1: its own signature is wrong, 2 in all")
    ]
    with central.read() as work:
        assert [row["serial"] for row in reports.conflicts(work)] == [serial, started]
        (row,) = reports.terminals(work)
    assert (row["up_to"], row["verified_to"]) == (3, 3)
    now = figures(url)
    assert now["hexiao_entries_unverified"] == 0
    assert now["hexiao_open_verdicts bad_signature"] == 2
    # The counter hears of it as of any change, and nothing of it comes twice.
    heard = {v.serial: v.verdict for v in till.http.verdicts(before).verdicts}
    assert heard == {serial: "bad_signature", started: "bad_signature"}
    assert signatures.run(central) == 0 and len(alarms(central)) == 1


def test_a_person_may_book_what_the_chain_stands_for(
    central: Central, pair: Pair, tmp_path: Path
) -> None:
    """A signature that was damaged on the way; not one that nothing good follows."""
    first, last = issue(central), issue(central)
    till = pair("POS1")
    serial = till.redeem(first)
    till.add(Kind.STARTED, {})
    rescue(central, till, tmp_path, wrong=(1,))
    tail = till.redeem(last)
    till.push(3, sig=WRONG)
    assert said(central) == {serial: "accepted", tail: "bad_signature"}
    signatures.run(central)
    assert said(central) == {serial: "bad_signature", tail: "bad_signature"}
    # Ingest had raised its alarm for the tail, so that is not said again.
    assert [kind for kind, _ in alarms(central)] == ["bad_signature"] * 2
    assert revoking.release(central, serial) == Released(serial, "accepted")
    assert used(central, first) == 1
    refused = revoking.release(central, tail)
    assert isinstance(refused, No) and refused.reason == "nothing_to_release"
    # What a person decided stands: the same entries are not looked at again.
    assert signatures.run(central) == 0 and used(central, first) == 1


def test_a_good_signature_later_stands_for_what_had_none(central: Central, pair: Pair) -> None:
    """One bad signature under a batch must not cost the entries before it their money."""
    vouchers = [issue(central) for _ in range(4)]
    till = pair("POS1")
    till.redeem(vouchers[0])
    till.add(Kind.STARTED, {})
    till.put("rubbish")
    till.redeem(vouchers[1])
    till.push(sig=WRONG)
    assert set(said(central).values()) == {"bad_signature"} and len(said(central)) == 4
    assert signatures.run(central) == 4
    assert set(said(central).values()) == {"bad_signature"}
    revoking.revoke(central, "POS1")
    till.redeem(vouchers[2])
    till.push(5)
    signatures.run(central)
    assert list(said(central).values()) == [
        *("accepted", "accepted"),  # the redemption, and the start, which moves nothing
        "quarantined",  # what cannot be read stays so
        "bad_signature",  # its own signature was sent and is wrong
        "quarantined",  # after the revocation
    ]
    assert [used(central, voucher) for voucher in vouchers[:3]] == [1, 0, 0]


def test_what_a_person_settled_stays_settled(central: Central, pair: Pair) -> None:
    till = pair("POS1")
    serial = till.redeem(issue(central))
    till.redeem(issue(central))
    till.push(sig=WRONG)
    verdicts.settle(central, serial, "loss")
    till.add(Kind.STARTED, {})
    till.push(3)
    signatures.run(central)
    assert said(central)[serial] == "bad_signature"


def test_a_restart_goes_on_where_it_was(
    central: Central, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In portions; a process that ends within one leaves it to the others after a while."""
    monkeypatch.setattr(signatures, "ENTRIES_MAX", 2)
    one, other = pair("POS1"), pair("POS2")
    for till in (one, other):
        for _ in range(3):
            till.add(Kind.STARTED, {})
        till.push(sig=WRONG) if till is one else rescue(central, till, tmp_path)
    assert signatures.portion(central) == 2
    again = open_central(central.database.url)
    # This process takes the next stretch and is killed before it has checked it.
    with monkeypatch.context() as killed:
        killed.setattr(signatures, "check", None)
        with pytest.raises(TypeError):
            signatures.portion(again)
    assert len(alarms(central)) == 1  # the one that ingest raised
    # What it had taken is not anybody's for a minute; then it is checked, from where it was.
    assert signatures.run(again) == 0
    object.__setattr__(again, "clock", lambda: central.clock() + leasing.LEASE_MS)
    assert signatures.run(again) == 4
    with again.read() as work:
        assert signatures.waiting(work) == 0
    again.database.close()


def test_two_processes_check_different_streams(central: Central, pair: Pair) -> None:
    """What one has taken the other leaves alone; what was taken over is kept once."""
    for posid in ("POS1", "POS2"):
        till = pair(posid)
        till.add(Kind.STARTED, {})
        till.push()
    taken = signatures._take(central)
    assert [one.posid for one in taken] == ["POS1", "POS2"]
    other = open_central(central.database.url)
    assert signatures.portion(other) == 0
    object.__setattr__(other, "clock", lambda: central.clock() + leasing.LEASE_MS)
    assert signatures.portion(other) == 2
    # The first one wakes up late, and what it says no longer counts.
    late = signatures.Found(wrong=[1])
    signatures._keep(central, [(one, late) for one in taken])
    assert said(central) == {} and alarms(central) == []
    other.database.close()


@pytest.mark.parametrize("change", ["body", "garbage", "both", "hash", "gone"])
def test_an_entry_that_changed_in_the_store_is_an_alarm(
    central: Central, pair: Pair, change: str
) -> None:
    """It says nothing about the terminal, so its booking stays."""
    till = pair("POS1")
    for _ in range(4):
        till.redeem(issue(central))
    till.put("set aside")
    till.push()
    table = schema.entries
    where = (table.c.posid == "POS1") & (table.c.seq == 2)
    with central.write() as work:
        values = {
            "body": {"body": till.bodies[1].replace('"clerk":"li"', '"clerk":"wu"').encode()},
            "garbage": {"body": b"{"},
            "both": {"body": b"{", "hash": entries.entry_hash("{")},
            "hash": {"hash": "0" * 64},
        }
        changed = (
            delete(table).where(where)
            if change == "gone"
            else update(table).where(where).values(values[change])
        )
        work.connection.execute(changed)
    signatures.run(central)
    # Where hash and body fit each other, the one after it tells.
    seq, count = {"body": (2, 1), "garbage": (2, 1), "both": (3, 1)}.get(change, (2, 2))
    words = f"epoch 1 seq {seq}: not as it came, {count} in all"
    assert alarms(central)[1:] == [("altered", words)]
    assert list(said(central).values()) == ["accepted"] * 4 + ["quarantined"]


def test_the_job_runs_it(central: Central, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    till = pair("POS1")
    till.add(Kind.STARTED, {})
    till.push()
    monkeypatch.setattr(jobs, "JOBS", JOB)
    assert [(ran.name, ran.done) for ran in jobs.run_now(central, ("signatures",))] == [
        ("signatures", 1)
    ]


@pytest.mark.parametrize("sig", [None, WRONG])
def test_a_changed_body_is_not_covered_by_what_does_not_follow_it(
    central: Central, pair: Pair, tmp_path: Path, sig: str | None
) -> None:
    """Whoever changes an entry of a rescued journal breaks the chain, which the last one signs."""
    till = pair("POS1")
    first, changed, other, last = (issue(central, shares=3) for _ in range(4))
    serials = [till.redeem(voucher) for voucher in (first, changed, other, last)]
    head, *lines = till.export().splitlines(keepends=True)
    true = json.loads(lines[1])
    forged = true["body"].replace(changed.voucher, last.voucher)
    lines[1] = json.dumps(true | {"body": forged, "sig": sig}) + "\n"
    file = tmp_path / "rescued.jsonl"
    file.write_text(head + "".join(lines), encoding="utf-8")
    assert isinstance(import_journal.run(central, file), import_journal.Rescued)
    for _ in range(2):
        assert list(said(central).values()) == [
            "accepted",
            "bad_signature",
            "quarantined",
            "accepted",
        ]
        assert (used(central, last), used(central, first)) == (1, 1)
        signatures.run(central)
    assert isinstance(revoking.release(central, serials[1]), No)


def test_an_unsigned_tail_stays_barred_behind_a_break(
    central: Central, pair: Pair, tmp_path: Path
) -> None:
    """A good signature beyond a place where the chain does not hold says nothing of before."""
    till = pair("POS1")
    vouchers = [issue(central) for _ in range(4)]
    serials = [till.redeem(voucher) for voucher in vouchers]
    head, *lines = till.export().splitlines(keepends=True)
    unsigned = [
        json.dumps(json.loads(line) | {"body": body, "sig": None}) + "\n"
        for line, body in zip(
            lines[:2],
            (till.bodies[0], till.bodies[1].replace(vouchers[1].voucher, vouchers[3].voucher)),
            strict=True,
        )
    ]
    file = tmp_path / "rescued.jsonl"
    file.write_text(head + "".join(unsigned), encoding="utf-8")
    import_journal.run(central, file)
    file.write_text(head + "".join([*unsigned, *lines[2:]]), encoding="utf-8")
    import_journal.run(central, file)
    signatures.run(central)
    assert said(central) == dict(
        zip(serials, ["bad_signature"] * 2 + ["quarantined", "accepted"], strict=True)
    )


def test_a_rescued_journal_of_a_revoked_terminal_is_set_aside(
    central: Central, pair: Pair, tmp_path: Path
) -> None:
    """A file is no way around a revocation, nor around the word of the terminal's own clock."""
    till = pair("POS1")
    till.redeem(issue(central), clock="suspect")
    till.push()
    revoking.revoke(central, "POS1")
    later = issue(central)
    till.redeem(later)
    till.add(Kind.STARTED, {})
    rescue(central, till, tmp_path, wrong=(1,))
    signatures.run(central)
    # The first one's true signature came first; that of the file is not looked at.
    assert list(said(central).values()) == ["accepted", "quarantined"]
    assert used(central, later) == 0
    with central.read() as work:
        assert [row["flags"] for row in reports.redemptions(work)] == [["clock_suspect"], []]


def test_a_lost_disk_gets_no_signature_that_is_known_to_be_wrong(
    central: Central, url: str, pair: Pair, tmp_path: Path
) -> None:
    """The terminal believes a page by its last signature: one damaged must not cost it the rest."""
    till = pair("POS1")
    for _ in range(4):
        till.add(Kind.STARTED, {})
    rescue(central, till, tmp_path, wrong=(2, 4))
    signatures.run(central)
    again = pair_again(central, url, "POS1")
    page = again.http.held_page("POS1", 1, 0)
    assert [one.body for one in page.entries] == till.bodies[:3]
    assert [one.sig is None for one in page.entries] == [False, True, False]
    assert again.http.held_page("POS1", 1, 3).entries == ()
    again.http.close()
