"""Pairing with a real central over real HTTP."""

import socket
from pathlib import Path

import pytest

from sync import sealedbox
from terminal import assembly, keys
from terminal import identity as identities
from terminal.assembly import Options
from terminal.datadir import DataDir
from terminal.enrol import enrol
from terminal.errors import Misconfigured, OutOfService
from terminal.journal import Head
from tests.terminal.service import Central, opened, pair
from vouchers import entries


def ask(data: DataDir, central: Central, code: str, url: str = "") -> None:
    enrol(data, url or central.url, code, key_source="file", insecure_http=False)


def test_a_terminal_is_paired_and_ready(central: Central, tmp_path: Path) -> None:
    """After pairing the directory holds identity, recovery box, an empty epoch and a witness."""
    data = pair(central, tmp_path / "data", "FIRST")
    key = keys.fetch(data)
    identity = identities.load(data, key)
    assert (identity.posid, identity.epoch, identity.outlet_name) == ("FIRST", 1, "East")
    assert identity.merchant_name == "面包房 Bakery" and identity.tag_keys and identity.server_keys
    assert key not in data.recovery.read_bytes() and len(data.recovery.read_bytes()) > len(key)
    with opened(data) as terminal:
        journal = terminal.counter.parts.journal
        assert (journal.head().epoch, journal.head().seq) == (1, 0)
        assert terminal.counter.parts.witness.compare(journal).state == "agrees"


def test_the_recovery_box_is_sealed_to_central(central: Central, tmp_path: Path) -> None:
    """Only the holder of the recovery key opens the box; the terminal's own key does not."""
    data = pair(central, tmp_path / "data")
    identity = identities.load(data, keys.fetch(data))
    with pytest.raises(ValueError):
        sealedbox.open_box(data.recovery.read_bytes(), identity.seal_key)


def test_pairing_again_opens_the_next_epoch(central: Central, tmp_path: Path) -> None:
    """The same POSID on the same directory keeps the journal, the key and the totals, and says
    what the witness showed."""
    data = pair(central, tmp_path / "data", "AGAIN")
    key = keys.fetch(data)
    with opened(data) as terminal:
        terminal.counter.look_up("20412345678", "1234")
        terminal.counter.parts.witness.write(Head(1, 5, "0" * 64))
    assert identities.load(data, key).epoch == 1
    pair(central, tmp_path / "data", "AGAIN")
    assert keys.fetch(data) == key
    with opened(data) as terminal:
        journal = terminal.counter.parts.journal
        assert journal.epochs() == [1, 2]
        entry = entries.read_entry(journal.entry(2, 1).body)
        assert (entry.kind, entry.data["witness"]) == ("recovered", "ahead")
        assert (entry.data["witnessed_epoch"], entry.data["witnessed_seq"]) == (1, 5)


def test_another_terminal_s_directory_is_never_taken_over(central: Central, tmp_path: Path) -> None:
    """A code for another POSID is refused and the directory stays as it was."""
    data = pair(central, tmp_path / "data", "MINE")
    before = data.identity.read_bytes()
    with pytest.raises(Misconfigured, match=r"MINE.*YOURS.*another data directory"):
        ask(data, central, central.code("YOURS"))
    assert data.identity.read_bytes() == before


@pytest.mark.parametrize("code", ["", "123", "x" * 18, "ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZ"])
def test_what_is_no_pairing_code_is_said(central: Central, tmp_path: Path, code: str) -> None:
    """Noise in place of a code is wrong use, found without or with central."""
    with pytest.raises(Misconfigured, match="code"):
        ask(DataDir.at(tmp_path / "data"), central, code)
    assert not (tmp_path / "data" / "identity").exists()


def test_a_code_works_once(central: Central, tmp_path: Path) -> None:
    """The second terminal that comes with the same code is refused with central's reason."""
    code = central.code()
    ask(DataDir.at(tmp_path / "one"), central, code)
    with pytest.raises(Misconfigured, match="ask for a new one"):
        ask(DataDir.at(tmp_path / "two"), central, code)
    assert not (tmp_path / "two" / "key.json").exists()


def test_another_central_is_not_believed(central: Central, tmp_path: Path) -> None:
    """A code carries the start of central's key: with another start, no key is taken."""
    code = central.code()
    wrong = code.translate(str.maketrans("0123456789abcdefABCDEF", "1234567890bcdefaBCDEFA"))
    with pytest.raises(Misconfigured):
        ask(DataDir.at(tmp_path / "data"), central, wrong)


def test_where_nobody_answers_it_is_an_outage(central: Central, tmp_path: Path) -> None:
    """A closed port is out of service and names the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(OutOfService, match=url):
            ask(DataDir.at(tmp_path / "data"), central, central.code(), url)


@pytest.mark.parametrize("url", ["http://shop.example", "ftp://x", "nonsense", ""])
def test_an_address_that_cannot_be_used_is_said(central: Central, tmp_path: Path, url: str) -> None:
    """http beyond this machine and noise are wrong settings, before anything is sent."""
    code = central.code()
    with pytest.raises(Misconfigured):
        enrol(DataDir.at(tmp_path / "data"), url, code, key_source="file", insecure_http=False)
    assert not (tmp_path / "data" / "key.json").exists()


def test_a_passphrase_is_asked_for_once(
    central: Central, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the passphrase source a person types it, and the terminal opens with it again."""
    monkeypatch.setattr(keys, "_PASSPHRASE_COST", (1, 8, 1))
    data = DataDir.at(tmp_path / "data")
    enrol(
        data,
        central.url,
        central.code(),
        key_source="passphrase",
        insecure_http=False,
        ask_passphrase=lambda: "open sesame",
    )
    assembly.close(assembly.open_parts(data, Options(ask_passphrase=lambda: "open sesame")))
    with pytest.raises(OutOfService):
        assembly.open_parts(data, Options(ask_passphrase=lambda: "wrong"))


def test_a_witness_medium_that_is_missing_undoes_no_pairing(
    central: Central, tmp_path: Path
) -> None:
    """A stick that is not there is no reason to fail after central took the code."""
    data = DataDir.at(tmp_path / "data", tmp_path / "stick" / "witness")
    ask(data, central, central.code())
    with opened(data):
        pass
