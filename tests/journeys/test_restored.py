"""A journal put back from a backup: found, said, and gone on from under a new epoch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.journeys.world import Done, Till, Voucher, World, hexiao


class Backup:
    """The journal's files as they were at a moment, with or without the witness."""

    def __init__(self, till: Till, folder: Path, *names: str) -> None:
        self._till, self._folder, self._names = till, folder, names
        folder.mkdir()
        for path in self._files():
            shutil.copy2(path, folder)

    def _files(self) -> list[Path]:
        return [path for name in self._names for path in self._till.data.glob(name)]

    def put_back(self) -> None:
        """Restore; what came since is gone."""
        for path in self._files():
            path.unlink()
        for path in self._folder.iterdir():
            shutil.copy2(path, self._till.data)


def stopped(done: Done) -> str:
    """Out of service, with words that say what to do."""
    assert (done.status, done.row["reason"]) == (3, "out_of_service"), done
    message = str(done.row["message"])
    assert "hexiao enrol" in message, message
    return message


def redeem(till: Till, voucher: Voucher) -> str:
    """One share; the serial."""
    return str(till.redeem(voucher.code, voucher.last4)["serial"])


@pytest.fixture
def vouchers(world: World) -> list[Voucher]:
    """Three, with central running and the till in sync."""
    world.start()
    made = world.sell(1, 1, 1)
    world.tills["T1"].ask("sync")
    return made


def test_witness_finds_it(
    world: World, till: Till, vouchers: list[Voucher], tmp_path: Path
) -> None:
    """Nothing is redeemed until the till is paired anew; epoch 2 follows, central has it all."""
    first, second, third = vouchers
    serials = [redeem(till, first)]
    till.ask("sync")
    backup = Backup(till, tmp_path / "backup", "journal.db*")
    serials.append(redeem(till, second))
    till.ask("sync")
    backup.put_back()
    for words in (("redeem", third.code, third.last4), ("lookup", third.code, third.last4)):
        message = stopped(till.run(*words, "--json"))
        assert "entries 2 to 2 of epoch 1" in message
    stopped(till.run("run", "--json"))
    assert world.enrol("T1")["epoch"] == 2
    assert till.ask("sync")["behind"] == 0
    assert till.refused("redeem", second.code, second.last4) == "used_up"
    serials.append(redeem(till, third))
    assert serials[-1].startswith("T1_2_")
    assert till.ask("sync")["behind"] == 0
    booked = world.booked()
    assert [row["serial"] for row in booked] == serials
    assert {row["verdict"] for row in booked} == {"accepted"}
    (recovered,) = till.entries("recovered")
    assert recovered["data"]["fetched"] == 1 and recovered["data"]["lost"] == 0
    assert [row["data"]["serial"] for row in till.entries()] == serials
    assert till.verify() > 2 and world.central("report", "conflicts").rows == []


def test_central_finds_it_where_the_witness_was_restored_too(
    world: World, till: Till, vouchers: list[Voucher], tmp_path: Path
) -> None:
    """The next contact fences the till; its epoch redeems no more, the next one does."""
    first, second, third = vouchers
    backup = Backup(till, tmp_path / "backup", "journal.db*", "witness")
    redeem(till, first)
    till.ask("sync")
    backup.put_back()
    done = till.run("sync", "--json")
    assert done.status == 3 and "ends before it" in done.row["message"], done
    stopped(till.run("redeem", second.code, second.last4, "--json"))
    assert world.enrol("T1")["fetched"] == 1
    till.ask("sync")
    assert till.refused("redeem", first.code, first.last4) == "used_up"
    assert redeem(till, third).startswith("T1_2_")
    till.ask("sync")
    assert [row["verdict"] for row in world.booked()] == ["accepted", "accepted"]


def test_lost_disk_gets_back_what_central_has(
    world: World, till: Till, vouchers: list[Voucher], tmp_path: Path
) -> None:
    """A new data directory: entries, used shares and requests come back, without the old key."""
    first, second, third = vouchers
    done = till.redeem(
        first.code, first.last4, 1, "--request", "01890a5d-ac96-774b-bcce-b302099a8057"
    )
    undone = redeem(till, second)
    till.ask("reverse", undone)
    till.ask("sync")
    before = [row["hash"] for row in till.run("journal", "list", "--json").rows]
    shutil.rmtree(till.data)
    told = world.enrol("T1")
    assert (told["epoch"], told["fetched"], told["lost"]) == (2, len(before), [])
    assert [row["hash"] for row in till.run("journal", "list", "--json").rows][:-1] == before
    assert till.ask("sync")["behind"] == 0
    again = till.redeem(
        first.code, first.last4, 1, "--request", "01890a5d-ac96-774b-bcce-b302099a8057"
    )
    assert (again["serial"], again["repeated"]) == (done["serial"], True)
    assert till.ask("reverse", undone)["repeated"] is True
    redeem(till, third)
    till.ask("sync")
    assert till.verify() == len(before) + 2
    assert world.central("report", "conflicts").rows == []
    export = tmp_path / "epoch1.jsonl"
    assert till.run("journal", "export", "--epoch", "1", "--out", str(export)).status == 0
    key = json.loads(export.read_text().splitlines()[0])["public_key"]
    assert hexiao("verify-journal", str(export), "--key", key, "--head", before[-1]).status == 0
    cut = export.read_text().splitlines()[:-1]
    export.write_text("\n".join(cut) + "\n")
    assert hexiao("verify-journal", str(export), "--key", key).status == 1


def test_what_nobody_holds_is_said(
    world: World, till: Till, vouchers: list[Voucher], tmp_path: Path
) -> None:
    """Redeemed offline after the backup: only the witness proves it, and the person is told."""
    first, second, third = vouchers
    redeem(till, first)
    till.ask("sync")
    backup = Backup(till, tmp_path / "backup", "journal.db*")
    till.settings(central={"enabled": False})
    redeem(till, second)
    till.settings()
    backup.put_back()
    told = world.enrol("T1")
    assert told["fetched"] == 0
    assert told["lost"] == [{"epoch": 1, "first": 2, "last": 2, "proof": "witness"}]
    with till.station() as station:
        (notice,) = [n for n in station.counter.status().notices if n.kind == "lost"]
    assert "T1_1_00000002" in str(notice.detail)
    redeem(till, third)
    till.ask("sync")
    assert world.central("report", "conflicts").rows == []
    slip = till.run("journal", "list", "--serial", "T1_1_00000002", "--json")
    assert slip.rows == [] and "the entry is lost" in slip.err
    held = till.run("journal", "list", "--serial", "T1_1_00000001", "--json")
    assert held.row["serial"] == "T1_1_00000001" and held.err == ""


def test_clone_is_fenced(world: World, till: Till, vouchers: list[Voucher], tmp_path: Path) -> None:
    """Two disks under one name: the branch that comes second is kept apart, nothing is merged."""
    first, second, third = vouchers
    clone = Till(tmp_path / "clone")
    shutil.copytree(till.root, clone.root)
    serial = redeem(till, first)
    till.ask("sync")
    redeem(clone, second)
    done = clone.run("sync", "--json")
    assert done.status == 3, done
    stopped(clone.run("redeem", third.code, third.last4, "--json"))
    assert [row["serial"] for row in world.booked()] == [serial]
    assert world.central("alarms").rows


def test_missing_witness_is_made_again(till: Till, vouchers: list[Voucher]) -> None:
    """Its loss costs nothing."""
    first, second, _ = vouchers
    redeem(till, first)
    (till.data / "witness").unlink()
    redeem(till, second)
    assert (till.data / "witness").exists() and till.verify() == 2


def test_unreadable_witness_is_made_again(world: World, till: Till) -> None:
    """Rubbish witnesses nothing, and is no reason to stop."""
    world.start()
    rubbish = [b"", b"\x00\xff\x00", b'{"epoch": "one"}', b"[]", b"9" * 5000]
    sold = world.sell(*[1] * len(rubbish))
    till.ask("sync")
    for voucher, text in zip(sold, rubbish, strict=True):
        (till.data / "witness").write_bytes(text)
        redeem(till, voucher)
    assert till.verify() == len(rubbish)


def test_witness_that_cannot_be_written_is_said(till: Till, vouchers: list[Voucher]) -> None:
    """The redemption stands; the person is told that the proof is weaker."""
    till.settings(paths={"data": "data", "witness": "gone/witness"})
    redeem(till, vouchers[0])
    with till.station() as station:
        kinds = [notice.kind for notice in station.counter.status().notices]
    assert "disk" in kinds and len(till.entries()) == 1


def test_second_process_on_a_copied_disk_is_stopped(
    world: World, till: Till, vouchers: list[Voucher], tmp_path: Path
) -> None:
    """The one whose journal central holds goes on; the other redeems nothing, and it is said."""
    clone = Till(tmp_path / "clone")
    shutil.copytree(till.root, clone.root)
    with till.running():
        serial = redeem(till, vouchers[0])
        assert till.ask("sync")["behind"] == 0
        with clone.running():
            assert clone.run("sync", "--json").status == 3
            stopped(clone.run("redeem", vouchers[1].code, vouchers[1].last4, "--json"))
            after = redeem(till, vouchers[1])
            assert till.ask("sync")["behind"] == 0
    assert [row["serial"] for row in world.booked()] == [serial, after]
    assert {row["kind"] for row in world.central("alarms").rows} == {"fork"}


def test_two_disks_that_both_wrote_before_either_spoke(
    world: World, till: Till, vouchers: list[Voucher], tmp_path: Path
) -> None:
    """Both redeemed without a network: one history at most is booked, the other kept and said."""
    clone = Till(tmp_path / "clone")
    shutil.copytree(till.root, clone.root)
    world.stop()
    redeem(till, vouchers[0])
    redeem(clone, vouchers[1])
    with till.running(), clone.running():
        world.start()
        ended = [one.run("sync", "--json").status for one in (till, clone, till, clone)]
        assert 3 in ended[2:]
    assert len(world.booked()) <= 1
    assert "fork" in {row["kind"] for row in world.central("alarms").rows}
    assert world.enrol("T1")["epoch"] == 2
    till.ask("sync")
    assert redeem(till, vouchers[2]).startswith("T1_2_")
    assert till.ask("sync")["ok"] is True


def test_rescued_journal_is_booked_and_the_living_till_loses_nothing(
    world: World, till: Till, vouchers: list[Voucher], tmp_path: Path
) -> None:
    """From a dead till's disk to head office, twice; then the till turns out to live."""
    world.stop()
    serials = [redeem(till, voucher) for voucher in vouchers[:2]]
    disk = Till(tmp_path / "disk")
    shutil.copytree(till.root, disk.root)
    file = tmp_path / "rescued.jsonl"
    assert disk.ask("journal", "rescue", "--out", str(file))["entries"] == 2
    for added in (2, 0):
        done = world.tell("import-journal", str(file))
        assert (done["read"], done["added"]) == (2, added)
    assert [row["serial"] for row in world.booked()] == serials
    serials.append(redeem(till, vouchers[2]))
    world.start()
    assert till.ask("sync")["behind"] == 0
    assert [row["serial"] for row in world.booked()] == serials
    assert {row["verdict"] for row in world.booked()} == {"accepted"}


def test_a_rescued_journal_with_a_damaged_end_stops_nobody(
    world: World, till: Till, vouchers: list[Voucher], tmp_path: Path
) -> None:
    """Head office hears what was not believed; the till turns out to live and sends it itself."""
    world.stop()
    serials = [redeem(till, voucher) for voucher in vouchers[:2]]
    file = tmp_path / "rescued.jsonl"
    till.ask("journal", "rescue", "--out", str(file))
    file.write_text(file.read_text()[:-50] + "\n")
    done = world.central("import-journal", str(file))
    assert (done.status, done.row["ok"]) == (1, False) and "Keep the file" in done.err
    assert (done.row["added"], done.row["apart"], done.row["unreadable"]) == (1, 0, 1)
    world.start()
    assert till.ask("sync")["behind"] == 0
    serials.append(redeem(till, vouchers[2]))
    assert till.ask("sync")["behind"] == 0
    assert [row["serial"] for row in world.booked()] == serials
    assert {row["verdict"] for row in world.booked()} == {"accepted"}
    assert world.central("alarms").rows == []
