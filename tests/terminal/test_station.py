"""A whole terminal by its commands: paired, synced, running with its devices."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from config.loader import load
from drivers import emulated
from drivers.scanner.scan import Scan
from terminal import cli, commands, commands_run, keys
from terminal import identity as identities
from terminal.datadir import DataDir
from terminal.errors import Misconfigured
from terminal.place import Place
from terminal.station import Station
from tests.terminal.service import LAST4, Central

SYNC = ["ok", "pulled", "pushed", "up_to", "behind", "replica_age_s"]
SETTINGS = """
[paths]
data = "data"
witness = "{witness}"
[printer]
port = "emulated://printer?name=station&columns=32"
profile = "emulated"
[scanner]
port = "emulated://scanner?name=station"
profile = "emulated"
[kiosk]
language = "en"
"""


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "hexiao.toml"
    path.write_text(SETTINGS.format(witness=""))
    yield path
    emulated.register().clear()


Run = Callable[..., tuple[int, dict[str, object]]]


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str) -> tuple[int, dict[str, object]]:
        capsys.readouterr()
        status = cli.main([*words, "--json", "--config", str(config)])
        (line,) = capsys.readouterr().out.splitlines()
        return status, json.loads(line)

    return command


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(500):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come true")


def test_a_terminal_is_paired_synced_and_redeems_by_command(central: Central, run: Run) -> None:
    """enrol, sync and redeem answer with exactly the contract's names."""
    bought = central.issue(2)
    status, said = run("enrol", central.url, central.code("STATION"))
    assert (status, said["posid"], said["epoch"], said["outlet"]) == (0, "STATION", 1, 1)
    status, said = run("sync", "--once")
    assert (status, list(said), said["ok"], said["behind"]) == (0, SYNC, True, 0)
    status, said = run("redeem", str(bought["code"]), LAST4, "--no-print")
    assert (status, said["mode"], said["left"]) == (0, "online", 1)
    status, said = run("sync")
    assert (status, said["pushed"], said["up_to"], said["replica_age_s"]) == (0, 1, 1, 0)


def test_sync_says_when_central_is_not_reached(
    central: Central, run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 3 with the same shape and why; in words on standard error without --json."""
    run("enrol", central.url, central.code())
    run("sync")
    data = DataDir.at(config.parent / "data")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    key = keys.fetch(data)
    identities.save(data, msgspec.structs.replace(identities.load(data, key), url=url), key)
    status, said = run("sync", "--once")
    assert (status, said["ok"], said["reason"]) == (3, False, "out_of_service")
    assert set(SYNC) < set(said)
    assert cli.main(["sync", "--config", str(config)]) == 3
    assert "not reached" in capsys.readouterr().err


def test_a_wrong_pairing_code_exits_2(central: Central, run: Run) -> None:
    """A code that central does not take is wrong use, in JSON too."""
    status, said = run("enrol", central.url, "nonsense")
    assert (status, said["ok"]) == (2, False) and "pairing code" in str(said["message"])


def test_everything_runs_around_the_counter(central: Central, run: Run, config: Path) -> None:
    """Scanner, printer and network come up, a scan arrives, a slip is printed and the entry sent;
    stopping ends all of it."""
    bought = central.issue()
    run("enrol", central.url, central.code())
    run("sync")
    loaded, scans = load(str(config)), list[Scan]()
    with commands_run.held_station(loaded, commands.serve, wait_s=1) as station:
        station.scan_into(scans.append)
        status = station.counter.status
        until(lambda: (status().network, status().printer) == ("online", "ready"))
        until(lambda: status().scanner == "ready")
        emulated.register().scanner("station").scan(str(bought["code"]))
        until(lambda: bool(scans))
        assert scans[0].text == bought["code"]
        done = run("redeem", scans[0].text, LAST4)[1]
        assert done["ok"], done
        until(lambda: status().unacknowledged == 0)
        until(lambda: station.counter.history(1)[0].slip == "printed")
        assert str(done["serial"]) in emulated.register().printer("station").paper_text()
        assert run("sync")[1]["behind"] == 0


def test_a_witness_medium_that_is_missing_is_told_not_fatal(
    central: Central, run: Run, config: Path
) -> None:
    """The stick with the witness is not in: the terminal starts and says so."""
    config.write_text(SETTINGS.format(witness="stick/witness"))
    run("enrol", central.url, central.code())
    with commands_run.held_station(load(str(config)), commands.serve, wait_s=1) as station:
        found = [notice.detail["what"] for notice in station.counter.status().notices]
        assert found == ["witness"]


def test_central_may_be_switched_off(central: Central, run: Run, config: Path) -> None:
    """With `central.enabled = false` nothing is asked, and the lamp says that there is none."""
    run("enrol", central.url, central.code())
    config.write_text('[paths]\ndata = "data"\n[central]\nenabled = false\n')
    station = Station(Place(load(str(config))))
    try:
        said = station.counter.status()
        assert station.syncing is None
        assert (said.network, said.printer, said.scanner) == ("none", "none", "none")
        station.scan_into(lambda _: None)
        station.start()
    finally:
        station.stop()


def test_an_address_that_may_not_be_used_is_wrong_configuration(
    central: Central, run: Run, config: Path
) -> None:
    """http beyond this machine needs the setting for labs; the journal is let go of."""
    run("enrol", central.url, central.code())
    data = DataDir.at(config.parent / "data")
    key = keys.fetch(data)
    away = msgspec.structs.replace(identities.load(data, key), url="http://shop.example")
    identities.save(data, away, key)
    with pytest.raises(Misconfigured):
        Station(Place(load(str(config))))
    config.write_text(SETTINGS.format(witness="") + "[central]\ninsecure_http = true\n")
    Station(Place(load(str(config)))).stop()
