"""A whole terminal by its commands: paired, synced, running with its devices."""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from config.loader import load
from drivers import emulated
from drivers.display import Display
from drivers.scanner.scan import Scan
from terminal import cli, commands, commands_run, keys
from terminal import identity as identities
from terminal.datadir import DataDir
from terminal.errors import Misconfigured
from terminal.outcomes import View
from terminal.place import Place
from terminal.station import NOT_SET_UP, Station
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


def test_a_code_inside_an_issuer_s_pattern(central: Central, run: Run, config: Path) -> None:
    """Only where the owner said so: the prefix of a reader, the path of a link."""
    bought = central.issue(2)
    run("enrol", central.url, central.code("STATION"))
    run("sync", "--once")
    wrapped = f"https://v.example/v/{bought['code']}?from=sms"
    assert run("lookup", wrapped, LAST4)[1]["reason"] == "malformed"
    text = config.read_text().replace(
        "[scanner]", '[scanner]\nissuer_patterns = ["qr{code}", "https://v.example/v/{code}*"]'
    )
    config.write_text(text)
    for presented in (wrapped, f"QR{bought['code']}"):
        status, said = run("lookup", presented, LAST4)
        assert (status, said["ok"], said["left"]) == (0, True, 2)


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


@pytest.fixture
def behind(central: Central, run: Run, config: Path) -> Iterator[Callable[[str], Station]]:
    """Opens a paired terminal whose followers come after the counter, with these settings."""
    run("enrol", central.url, central.code("STATION"))
    opened: list[Station] = []

    def open_with(settings: str) -> Station:
        config.write_text(settings)
        opened.append(Station(Place(load(str(config))), equipped=False))
        return opened[-1]

    yield open_with
    for station in opened:
        station.stop()


def test_followers_come_after_the_counter(
    central: Central, run: Run, behind: Callable[[str], Station]
) -> None:
    """The counter answers before anything else was loaded; then all of it comes by itself."""
    bought = central.issue()
    run("sync")
    station, scans, ended = behind(SETTINGS.format(witness="")), list[Scan](), threading.Event()
    status = station.counter.status
    before = status()
    assert (before.network, before.printer, before.scanner) == ("offline", "starting", "none")
    assert isinstance(station.counter.look_up(str(bought["code"]), LAST4), View)
    assert station.scan_into(scans.append) is not None
    station.start_behind(ended.set)
    assert ended.wait(10)
    until(lambda: (status().network, status().printer) == ("online", "ready"))
    until(lambda: status().scanner == "ready")
    emulated.register().scanner("station").scan("12345678")
    until(lambda: [scan.text for scan in scans] == ["12345678"])


def test_what_cannot_be_started_is_a_word(behind: Callable[[str], Station]) -> None:
    """Wrong profiles and an address that may not be used: each says so, and the counter works."""
    settings = SETTINGS.format(witness="").replace('profile = "emulated"', 'profile = "epsom"')
    station, ended = behind(settings), threading.Event()
    away = msgspec.structs.replace(station.counter.parts.identity, url="http://shop.example")
    station.counter.parts.identity = away
    assert station.scan_into(lambda _: None) is None
    station.start_behind(ended.set)
    assert ended.wait(10)
    said = station.counter.status()
    assert (said.network, said.printer, said.scanner) == (NOT_SET_UP,) * 3


@pytest.mark.parametrize(
    ("missing", "lamps"),
    [
        ("terminal.printing", ("online", NOT_SET_UP, "ready")),
        ("terminal.scanning", ("online", "ready", NOT_SET_UP)),
        ("terminal.sync_worker", (NOT_SET_UP, "ready", "ready")),
        ("drivers.display", ("online", "ready", "ready")),
    ],
)
def test_a_library_that_is_missing_stops_only_what_needs_it(
    behind: Callable[[str], Station],
    missing: str,
    lamps: tuple[str, str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each follower is loaded by itself; a display without its code leaves no lamp but a log."""
    monkeypatch.setitem(sys.modules, missing, None)
    station = behind(SETTINGS.format(witness="") + '[display]\nport = "emulated://display"\n')
    station.scan_into(lambda _: None)
    station.start_behind()
    status = station.counter.status
    until(lambda: (status().network, status().printer, status().scanner) == lamps)


def test_without_printing_a_running_terminal_still_opens(
    central: Central, run: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run` and the demo equip the counter at once, and a missing library is a word there too."""
    run("enrol", central.url, central.code("STATION"))
    monkeypatch.setitem(sys.modules, "terminal.printing", None)
    with commands_run.held_station(load(str(config)), commands.serve, wait_s=1) as station:
        assert station.counter.status().printer == NOT_SET_UP


def test_a_stop_while_things_start_leaves_nothing_running(
    behind: Callable[[str], Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was being started is waited for, what comes after it is not begun."""
    station = behind(SETTINGS.format(witness=""))
    entered, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        entered.set()
        assert go_on.wait(10)

    monkeypatch.setattr(station, "_open_display", slow)
    station.start_behind(lambda: pytest.fail("the end was reached"))
    assert entered.wait(10)
    ending = threading.Thread(target=station.settle)
    ending.start()
    until(station._ending.is_set)
    go_on.set()
    ending.join(10)
    assert not ending.is_alive() and station.printing is None and station.syncing is None


def test_a_display_that_opens_late_shows_what_holds_now(
    behind: Callable[[str], Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last lines of before, and from then on every pair."""
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(Display, "show", lambda _, top, bottom: told.append((top, bottom)))
    station = behind(SETTINGS.format(witness="") + '[display]\nport = "/dev/null"\n')
    ended = threading.Event()
    station.show_customer("Latte", "Redeem 1 of 4?")
    station.show_customer("Thank you", "")
    station.start_behind(ended.set)
    assert ended.wait(10)
    station.show_customer("Welcome", "")
    assert told == [("Thank you", ""), ("Welcome", "")]
