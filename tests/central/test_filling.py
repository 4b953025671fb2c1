"""Entries that were set aside by their hash, and whose bodies arrive after all."""

from pathlib import Path

from sqlalchemy import select

from central import import_journal, reports, revoking, schema
from central.errors import Refused as No
from central.revoking import Released
from central.service import Central
from sync.journal_messages import SetAside
from tests.central.conftest import Pair, issue
from tests.central.till import Till
from vouchers import entries, ids
from vouchers.entries import Kind


def set_aside(till: Till, seq: int) -> None:
    """Send the hash and signature of an entry, as a terminal does whose body was refused."""
    sig = ids.b64u(entries.sign_entry(till.bodies[seq - 1], till.key))
    sent = SetAside(seq=seq, prev=till.heads[seq - 1], hash=till.heads[seq], sig=sig)
    till.http.set_aside(till.posid, till.epoch, sent)


def stored(central: Central) -> list[tuple[str, str]]:
    """Kind and body of each entry."""
    table = schema.entries
    with central.read() as work:
        rows = work.connection.execute(select(table).order_by(table.c.seq))
        return [(row.kind, bytes(row.body).decode()) for row in rows]


def test_a_body_that_comes_later_is_kept_and_can_be_booked(
    central: Central, pair: Pair, tmp_path: Path
) -> None:
    """From the export of the terminal's journal; it counts once a person says so."""
    first, second = issue(central), issue(central, shares=2)
    till = pair("POS1")
    till.redeem(first)
    serial = till.redeem(second, claim=ids.uuid7(1, bytes(10)), mode="online")
    till.reverse(till.redeem(first), first)
    till.push(1, 1)
    set_aside(till, 2)
    till.push(3)
    assert stored(central)[1] == ("quarantined", "")
    refused = revoking.release(central, serial)
    assert isinstance(refused, No) and refused.reason == "nothing_to_release"
    file = tmp_path / "export.jsonl"
    file.write_text(till.export(), encoding="utf-8")
    for _ in range(2):
        done = import_journal.run(central, file)
        assert isinstance(done, import_journal.Rescued) and (done.added, done.up_to) == (0, 4)
        assert stored(central)[1] == ("redeemed", till.bodies[1])
        with central.read() as work:
            found = {row["serial"]: row for row in reports.conflicts(work)}[serial]
        assert (found["verdict"], found["voucher"], found["shares"]) == (
            "quarantined",
            second.voucher,
            1,
        )
    assert revoking.release(central, serial) == Released(serial, "accepted")
    with central.read() as work:
        (row,) = [row for row in reports.redemptions(work) if row["serial"] == serial]
    assert (row["amount_fen"], row["clerk"], row["credential"]) == (5000, "li", "code")


def test_a_batch_brings_it_as_well(central: Central, pair: Pair) -> None:
    """An undo, one that moves nothing, and one that nobody can read, each sent again whole."""
    issued = issue(central)
    till = pair("POS1")
    undo = till.reverse(till.redeem(issued), issued)
    till.add(Kind.STARTED, {})
    till.put("rubbish")
    till.push(1, 1)
    for seq in (2, 3, 4):
        set_aside(till, seq)
    till.push(2, 2)
    till.push(1)
    assert stored(central)[1:] == [
        ("reversed", till.bodies[1]),
        ("started", till.bodies[2]),
        ("quarantined", "rubbish"),
    ]
    with central.read() as work:
        found = [row["verdict"] for row in reports.conflicts(work)]
    assert found == ["quarantined"] * 3
    assert revoking.release(central, undo) == Released(undo, "accepted")
    for seq in (3, 4):
        assert isinstance(revoking.release(central, ids.serial("POS1", 1, seq)), No)
    # The hash alone again, when the body is here, takes nothing away.
    set_aside(till, 2)
    assert stored(central)[1] == ("reversed", till.bodies[1])
