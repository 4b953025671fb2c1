"""The doctor on real files: what is well, each way of not being well, and never a traceback.

Method: a real terminal in a directory, damaged in one way, looked at by the doctor as the command
line runs it. The clock of its history is this machine's, because the doctor asks this machine's.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from config.loader import Loaded
from config.schema import (
    Central,
    Disk,
    Display,
    IdCard,
    Kiosk,
    Paths,
    Printer,
    Receipt,
    Scanner,
    Settings,
)
from drivers.emulated import register
from drivers.emulated.idcard import EmulatedIdCardReader
from drivers.emulated.scanner import EmulatedScanner
from drivers.idcard import Command
from drivers.ports import PortFound
from sync import messages
from sync.problems import Problem
from terminal import ciphers, commands, database, doctor, keys
from terminal import identity as identities
from terminal.arguments import parser
from terminal.clock import SystemClock
from terminal.control import Asked
from terminal.desk import Io
from terminal.doctor import contact, flush, inside, surroundings
from terminal.doctor.phrases import CHECKS
from terminal.outcomes import Redeemed
from terminal.parts import FENCE
from terminal.place import Place
from terminal.station import Station
from tests.drivers.waiting import until
from tests.sync.server import Answered, ScriptedServer
from tests.terminal.shop import FakeClock, Shop, close
from vouchers import times
from vouchers.policy import ByPlace, Offline, Policy
from vouchers.times import DAY_MS, HOUR_MS

Answers = dict[str, list[dict[str, str]]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measured seconds are not what is tested here."""
    monkeypatch.setattr(flush, "measure", lambda root: flush.Flush(400, 900, 10))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A terminal of today with one redemption."""
    now = SystemClock().read().wall_ms
    made = Shop(tmp_path / "data", clock=FakeClock(wall_ms=now))
    fresh(made, now)
    redeem(made)
    return made


def fresh(shop: Shop, at: int) -> None:
    for name in ("fresh_at", "sealed_through"):
        shop.set_meta(name, times.format_utc(at))


def redeem(shop: Shop) -> None:
    now = shop.clock.wall_ms
    sample = shop.issue(3, valid=(now - DAY_MS, now + DAY_MS))
    counter = shop.open()
    request = f"r{shop.serial}"
    done = counter.redeem_presented(
        sample.code(), sample.last4, 1, clerk="", request=request, slip=False
    )
    assert isinstance(done, Redeemed), done
    close(counter)


def place(shop: Shop, **sections: Any) -> Place:
    """The terminal by its settings, as a settings file beside its data directory would say."""
    chosen = {"paths": Paths(data=shop.root.name), "kiosk": Kiosk(language="en"), **sections}
    return Place(Loaded(Settings(**chosen), shop.root.parent / "hexiao.toml", shop.root.parent))


def examine(where: Place) -> tuple[int, Answers]:
    """Run the doctor alone with --json; its findings by check."""
    out: list[str] = []
    io = Io(out.append, out.append)
    status = doctor.doctor_alone(where, parser().parse_args(["doctor", "--json"]), io, str)
    return status, by_check(out)


def by_check(written: list[str]) -> Answers:
    found: Answers = {}
    for line in written:
        one = json.loads(line)
        assert set(one) == {"check", "level", "message", "todo"}
        assert (one["level"] == "green") == (one["todo"] == ""), one
        found.setdefault(one["check"], []).append(one)
    return found


def level(found: Answers, check: str) -> str:
    """The worst level of a check."""
    levels = [one["level"] for one in found[check]]
    return next(level for level in ("red", "amber", "green") if level in levels)


def test_a_terminal_that_is_well(shop: Shop) -> None:
    """Everything is green but the key, which lies in a file here; exit status 0."""
    status, found = examine(place(shop))
    assert status == 0
    assert {check for check in found if level(found, check) != "green"} == {"key"}
    assert set(found) == set(CHECKS) - {"surroundings"}
    assert found["journal"][0]["message"].startswith("1 entries hold together")
    assert "synchronous=FULL, locking_mode=exclusive" in found["database"][0]["message"]


def test_no_terminal_yet(tmp_path: Path) -> None:
    """Before enrolment it says how to enrol, and still looks at disk and devices."""
    (tmp_path / "data").mkdir(mode=0o700)
    where = Place(Loaded(Settings(paths=Paths(data="data")), None, tmp_path))
    status, found = examine(where)
    assert status == 3
    assert level(found, "enrolment") == "red"
    assert level(found, "settings") == "amber"
    assert {"directory", "space", "flush", "printer", "scanner"} <= set(found)
    assert [path.name for path in (tmp_path / "data").iterdir()] == []


def gone(name: str) -> Callable[[Shop], None]:
    return lambda shop: (shop.root / name).unlink()


def filled(name: str, content: bytes) -> Callable[[Shop], None]:
    return lambda shop: (shop.root / name).write_bytes(content) and None


def changed_entry(shop: Shop) -> None:
    """Somebody with the database key writes a smaller amount into an entry."""
    connection = database.open_journal(shop.data.journal, shop.key)
    connection.execute("DROP TRIGGER entry_never_changes")
    connection.execute("UPDATE entry SET body = replace(body, '\"shares\":1', '\"shares\":9')")
    connection.close()


def put_back(shop: Shop) -> None:
    """The journal is put back from a backup that is one redemption old; the witness is not."""
    before = {path: path.read_bytes() for path in shop.root.glob("journal.db*")}
    redeem(shop)
    for path in shop.root.glob("journal.db*"):
        path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


def fenced(shop: Shop) -> None:
    counter = shop.open()
    with counter.parts.journal.transaction() as connection:
        text = json.dumps({"epoch": 1, "trouble": "fork"})
        counter.parts.journal.set_meta(connection, FENCE, text)
    close(counter)


def old_witness(shop: Shop) -> None:
    seen = (shop.root / "witness").read_bytes()
    redeem(shop)
    (shop.root / "witness").write_bytes(seen)


def future(shop: Shop) -> None:
    """The journal's last entry is of next week: this machine's clock went back."""
    shop.clock.wall_ms += 7 * DAY_MS
    fresh(shop, shop.clock.wall_ms)
    redeem(shop)


def spent(shop: Shop) -> None:
    """Ten redemptions are allowed between two contacts; nine are made."""
    policy = Policy(offline=Offline(max_redemptions=ByPlace(home=10, elsewhere=10)))
    shop.set_meta("policy", msgspec.json.encode(policy).decode())
    for _ in range(8):
        redeem(shop)


@pytest.mark.parametrize(
    ("damage", "check", "colour"),
    [
        (gone("journal.db"), "journal", "red"),
        (filled("journal.db", b"not a database, " * 999), "journal", "red"),
        (filled("journal.db", b""), "journal", "red"),
        (changed_entry, "journal", "red"),
        (put_back, "witness", "red"),
        (old_witness, "witness", "amber"),
        (gone("witness"), "witness", "amber"),
        (filled("witness", b"{"), "witness", "amber"),
        (gone("database.key"), "key", "red"),
        (filled("database.key", b"short"), "key", "red"),
        (lambda shop: (shop.root / "database.key").chmod(0o644), "key", "red"),
        (filled("key.json", b"{}"), "key", "red"),
        (gone("identity"), "enrolment", "red"),
        (filled("identity", b"x" * 99), "key", "red"),
        (fenced, "enrolment", "red"),
        (gone("replica.db"), "replica", "red"),
        (filled("replica.db", b"noise" * 9_999), "replica", "red"),
        (lambda shop: fresh(shop, shop.clock.wall_ms - 40 * HOUR_MS), "replica", "amber"),
        (lambda shop: fresh(shop, shop.clock.wall_ms - 80 * HOUR_MS), "replica", "red"),
        (future, "clock", "amber"),
        (spent, "queue", "amber"),
        (lambda shop: shop.root.chmod(0o755), "directory", "red"),
    ],
)
def test_what_is_wrong_is_named(
    shop: Shop, damage: Callable[[Shop], None], check: str, colour: str
) -> None:
    """Each damage shows at its check with its colour, and red means exit status 3."""
    shop.database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    damage(shop)
    status, found = examine(place(shop))
    assert level(found, check) == colour
    assert status == (3 if any(level(found, name) == "red" for name in found) else 0)
    assert level(found, "printer") == "green", "it went on to the end"


def test_a_missing_journal_is_not_made_anew(shop: Shop) -> None:
    """Looking must not leave an empty journal where the real one may yet be put back."""
    shop.data.journal.unlink()
    examine(place(shop))
    assert not shop.data.journal.exists()


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal", "replica.db", "identity"])
def test_random_damage_never_raises(shop: Shop, name: str, rng: random.Random) -> None:
    """Whatever bytes stand in a file, the answer is findings."""
    path = shop.root / name
    if name == "journal.db-wal":
        counter = shop.open()
        with counter.parts.journal.transaction() as connection:
            counter.parts.journal.set_meta(connection, "note", "a power cut leaves this")
        left = {each: each.read_bytes() for each in shop.root.glob("journal.db*")}
        close(counter)
        for each, content in left.items():
            each.write_bytes(content)
    whole = path.read_bytes()
    for _ in range(3):
        at = rng.randrange(len(whole))
        noise = rng.randbytes(rng.choice((1, 40, 4_000)))
        path.write_bytes((whole[:at] + noise + whole[at + len(noise) :])[: len(whole)])
        status, found = examine(place(shop))
        assert status in (0, 3)
        assert "printer" in found


def test_a_full_disk_is_red(shop: Shop) -> None:
    """Below the space that the settings ask for, nothing is redeemed, and it says so."""
    free = shop.data.free_bytes() // 1024**2
    if free >= 100_000:
        pytest.skip("more than 100 GB free: no setting asks for that much")
    _, found = examine(place(shop, disk=Disk(min_free_mb=free + 1_000)))
    assert level(found, "space") == "red"
    _, found = examine(place(shop, disk=Disk(min_free_mb=free // 2)))
    assert level(found, "space") == "amber"


@pytest.mark.parametrize(
    ("p50_us", "phrase"), [(49, "lies"), (50, "good"), (50_000, "good"), (50_001, "slow")]
)
def test_flush_times_that_are_believed(p50_us: int, phrase: str) -> None:
    """Below 50 µs the disk lies, above 50 ms it holds customers up."""
    assert surroundings.judge_flush(flush.Flush(p50_us, p50_us, 9)).phrase == phrase


def test_the_flush_is_measured_on_a_real_file(tmp_path: Path) -> None:
    """Rounds and time are bounded, and nothing is left behind."""
    taken = flush_measure(tmp_path, seconds=0.05, rounds=20)
    assert 1 <= taken.rounds <= 20
    assert 0 <= taken.p50_us <= taken.p99_us
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="No such file"):
        flush_measure(tmp_path / "none", seconds=0.05, rounds=1)


flush_measure = flush.measure


@pytest.mark.parametrize(
    ("text", "colour", "said"),
    [
        (
            '{"slips_printed_count": 41, "slips_unknown_count": 1}',
            "green",
            "so far 41 slips printed, 1 unknown, 0 failed; lost 0 times",
        ),
        ("torn{", "amber", "printer.json: Expecting"),
    ],
)
def test_what_the_printer_has_done_so_far(shop: Shop, text: str, colour: str, said: str) -> None:
    """One line from the statistics, which hold across restarts; none without a printer."""
    (shop.root / "printer.json").write_text(text)
    _, without = examine(place(shop))
    assert [one["message"] for one in without["printer"]] == ["none is set"]
    bench = register()
    printer = Printer(port="emulated://printer?name=counted", profile="emulated")
    try:
        _, found = examine(place(shop, printer=printer))
    finally:
        bench.clear()
    assert found["printer"][-1]["level"] == colour and said in found["printer"][-1]["message"]


def test_devices_are_opened_and_asked(shop: Shop, tmp_path: Path) -> None:
    """An emulated printer that answers is green; a port that is not there is red, with advice."""
    bench = register()
    where = place(
        shop,
        printer=Printer(port="emulated://printer?name=doctor", profile="emulated"),
        scanner=Scanner(port=str(tmp_path / "no-such-port")),
    )
    try:
        _, found = examine(where)
        assert "EMULATED" in found["printer"][0]["message"]
        assert level(found, "printer") == "green"
        assert level(found, "scanner") == "red"
        assert "surroundings" in found
        bench.printer("doctor").pull(silent=True)
        _, found = examine(where)
        assert level(found, "printer") == "red"
    finally:
        bench.clear()


@pytest.mark.parametrize(
    ("port", "colour"), [("/dev/null", "green"), ("input:0000:0000", "red"), ("/dev/none", "red")]
)
def test_a_keyboard_scanner_is_looked_for(shop: Shop, port: str, colour: str) -> None:
    """A grabbed keyboard is not opened as a serial port: it is there and may be read, or not."""
    _, found = examine(place(shop, scanner=Scanner(port=port, profile="hid-evdev")))
    assert level(found, "scanner") == colour


def test_a_name_that_changes_with_the_order_of_plugging_is_amber(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lasting name is said, to be copied; whether the terminal runs or not."""
    one = PortFound("/dev/ttyUSB0", 0x1A86, 0x7523, "", "1-2.1", "USB Serial")
    monkeypatch.setattr("drivers.probe.discover", lambda: (one,))
    where = place(shop, scanner=Scanner(port="/dev/ttyUSB0"))
    _, found = examine(where)
    (named,) = [one for one in found["scanner"] if one["level"] == "amber"]
    assert 'write "usb-at:1-2.1"' in named["todo"]
    assert level(found, "scanner") == "red", "it is not there"


def test_an_id_card_reader_is_asked_and_the_law_is_named(shop: Shop, tmp_path: Path) -> None:
    """Off by default and said so; on, what the law asks for is named beside whether it answers."""
    _, found = examine(place(shop))
    assert [(one["level"], one["message"]) for one in found["reader"]] == [
        ("green", "off, as by default")
    ]
    device = EmulatedIdCardReader()
    try:
        _, found = examine(place(shop, id_card=IdCard(port=device.attach_pty())))
        assert level(found, "reader") == "green"
        assert "sensitive personal information" in str(found["reader"])
        assert Command.READ not in device.asked(), "no card is read to find out"
    finally:
        device.stop()
    _, found = examine(place(shop, id_card=IdCard(port=str(tmp_path / "none"))))
    assert level(found, "reader") == "red"


def test_a_display_is_shown_a_text_and_a_person_looks(shop: Shop, tmp_path: Path) -> None:
    """Displays answer nothing: amber says what to look at; a port that is not there is red."""
    device = EmulatedScanner()
    try:
        _, found = examine(place(shop, display=Display(port=device.attach_pty())))
        assert level(found, "display") == "amber"
        assert "dialout" in str(found["surroundings"]) or level(found, "surroundings") == "green"
        until(lambda: b"hexiao 1234567890" in device.heard())
    finally:
        device.stop()
    _, found = examine(place(shop, display=Display(port=str(tmp_path / "none"))))
    assert level(found, "display") == "red"


@pytest.mark.parametrize(
    ("text", "colour", "said"),
    [
        ('[printer]\nname = "own"\nstatus = []\nconfirm = "none"\n', "amber", "looks at each"),
        ('[printer]\nbaud = "fast"\n', "red", "own.toml: printer profile: baud must be int"),
        (None, "red", "own.toml cannot be read"),
    ],
)
def test_an_owner_s_own_profile(shop: Shop, text: str | None, colour: str, said: str) -> None:
    """A file beside the settings, for a printer that no shipped profile fits."""
    if text is not None:
        (shop.root.parent / "own.toml").write_text(text)
    printer = Printer(port="emulated://printer?name=own&replies=", profile="own.toml")
    bench = register()
    try:
        _, found = examine(place(shop, printer=printer))
    finally:
        bench.clear()
    assert level(found, "printer") == colour
    assert any(said in one["message"] + one["todo"] for one in found["printer"]), found["printer"]


def test_a_slip_template_that_stops_the_till_is_red(shop: Shop) -> None:
    """`receipt.template` is read as the till reads it: file and fault are named."""
    _, found = examine(place(shop, receipt=Receipt(template="no-such-folder")))
    assert level(found, "printer") == "red"
    assert "redeemed.toml cannot be read" in found["printer"][-1]["message"]


def test_an_unknown_profile_is_red(shop: Shop) -> None:
    """A mistyped profile is named, with those that exist."""
    _, found = examine(place(shop, printer=Printer(port="/dev/null", profile="epsom")))
    assert level(found, "printer") == "red"
    assert "epson-tm-80" in found["printer"][0]["message"]


def central(shop: Shop, url: str) -> dict[str, str]:
    """Point the terminal at a central, and look."""
    identity = identities.load(shop.data, shop.key)
    identities.save(shop.data, msgspec.structs.replace(identity, url=url), shop.key)
    _, found = examine(place(shop))
    (one,) = found["sync"]
    return one


def test_central_answers(shop: Shop) -> None:
    """One signed question that changes nothing, and a green finding."""
    page = messages.VerdictsPage(verdicts=(), cursor="0")
    with ScriptedServer(lambda asked: Answered(body=messages.encode(page))) as server:
        assert central(shop, server.url)["level"] == "green"
        (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", "/v1/verdicts")
    assert "signature" in asked.headers


def test_central_refuses(shop: Shop) -> None:
    """A terminal that central does not know is red, with central's reason."""
    problem = Problem(type="https://hexiao.invalid/revoked", status=403)
    refusal = Answered(status=403, body=messages.encode(problem))
    with ScriptedServer(lambda asked: refusal) as server:
        one = central(shop, server.url)
    assert (one["level"], "revoked" in one["message"]) == ("red", True)


def test_central_is_away(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody at the address, somebody who never answers: amber, and soon."""
    monkeypatch.setattr(contact, "ANSWER_S", 0.3)
    monkeypatch.setattr(contact, "_MARGIN_S", 0.1)
    with ScriptedServer() as server:
        nobody = server.url
    assert central(shop, nobody)["level"] == "amber"
    with ScriptedServer(raw=lambda handler: server.released.wait(5) and None) as server:
        assert central(shop, server.url)["level"] == "amber"
    assert central(shop, "http://192.0.2.1")["level"] == "red", "plain http beyond this machine"


def test_without_central(shop: Shop) -> None:
    """Switched off is a choice, not a fault."""
    _, found = examine(place(shop, central=Central(enabled=False)))
    assert level(found, "sync") == "green"


def test_running_terminal(shop: Shop) -> None:
    """In the holder nothing is opened twice: the printer's own word, the newest entries."""
    bench = register()
    where = place(shop, printer=Printer(port="emulated://printer?name=running", profile="emulated"))
    station = Station(where)
    try:
        out: list[str] = []
        handler = commands.serve(station)
        status = handler(Asked(("doctor", "--json"), ()), out.append, out.append)
        found = by_check(out)
        assert found["journal"][0]["message"].startswith("the last 1 entries")
        assert level(found, "printer") in ("red", "amber"), "its worker was not started"
        assert status == (3 if level(found, "printer") == "red" else 0)
        text: list[str] = []
        handler(Asked(("doctor",), ()), text.append, text.append)
        assert "green  settings: from" in "".join(text)
    finally:
        station.stop()
        bench.clear()


def test_a_running_terminal_sees_a_changed_entry(shop: Shop) -> None:
    """The newest entries are checked against their hashes also while the terminal runs."""
    counter = shop.open()
    parts = counter.parts
    assert [one.phrase for one in inside._tail(parts.journal)] == ["tail"]
    parts.journal.connection.execute("DROP TRIGGER entry_never_changes")
    parts.journal.connection.execute(
        "UPDATE entry SET hash = replace(hash, substr(hash,1,4), '0000')"
    )
    assert [one.phrase for one in inside._tail(parts.journal)] == ["broken"]
    close(counter)


def test_the_passphrase_is_asked_for_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and journal are opened with one answer; none at all is a finding."""
    monkeypatch.setattr(keys, "_PASSPHRASE_COST", (1, 8, 1))
    shop.database.close()
    identity = identities.load(shop.data, shop.key)
    chosen, key = keys.choose(shop.data, "passphrase", lambda: "open sesame")
    assert chosen.source == "passphrase"
    identities.save(shop.data, identity, key)
    for path in (shop.data.journal, shop.data.replica):
        connection = apsw.Connection(str(path))
        connection.pragma("cipher", ciphers.of(path))
        connection.pragma("key", f"raw:{shop.key.hex()}")
        connection.pragma("journal_mode", "DELETE")
        connection.pragma("rekey", f"raw:{key.hex()}")
        connection.close()
    asked: list[str] = []

    def ask() -> str:
        asked.append("?")
        return "open sesame"

    out: list[str] = []
    args = parser().parse_args(["doctor", "--json"])
    assert doctor.doctor_alone(place(shop), args, Io(out.append, out.append), ask) == 0
    assert asked == ["?"]

    def nobody() -> str:
        raise EOFError

    out.clear()
    assert doctor.doctor_alone(place(shop), args, Io(out.append, out.append), nobody) == 3
    assert level(by_check(out), "key") == "red"
