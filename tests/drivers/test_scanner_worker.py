"""The scanner's thread over real wires: many scans in any pieces, host commands, SSI."""

import random
from collections.abc import Iterator

import pytest

from drivers import emulated
from drivers.emulated.bench import Bench as UrlBench
from drivers.emulated.scanner import EmulatedScanner, Piece
from drivers.errors import DriverError
from drivers.events import DeviceEvent, Presence
from drivers.scanner import ssi
from drivers.scanner.commands import Action
from drivers.scanner.profile import ScannerProfile
from drivers.scanner.scan import Scan
from drivers.scanner.serial_scanner import SerialScanner
from tests.drivers.test_scanner_pure import decode
from tests.drivers.waiting import Seen, until


class Bench:
    def __init__(self, profile: ScannerProfile) -> None:
        self.device = EmulatedScanner()
        self.scans: Seen[Scan] = Seen()
        self.events: Seen[DeviceEvent] = Seen()
        self.scanner = SerialScanner(
            self.device.attach_pty(), profile, on_scan=self.scans, on_event=self.events
        )
        self.scanner.start()
        assert self.events.wait().presence is Presence.FOUND

    def close(self) -> None:
        self.scanner.stop()
        self.device.stop()


@pytest.fixture
def plain() -> Iterator[Bench]:
    made = Bench(ScannerProfile(commands="datalogic"))
    yield made
    made.close()


@pytest.fixture
def bench_of_urls() -> Iterator[UrlBench]:
    made = emulated.register()
    yield made
    made.clear()


def pieces(codes: list[str], rng: random.Random) -> list[Piece]:
    """The codes with all that goes wrong on a line: splits, pauses, CR LF, noise."""
    out = []
    for code in codes:
        data = code.encode() + rng.choice([b"\r", b"\n", b"\r\n"])
        if rng.random() < 0.1:
            data = b"\x00\xff" + data
        cut = rng.randrange(len(data) + 1)
        pause = rng.choice([0.0, 0.0, 0.0, 2.0, 30.0]) if rng.random() < 0.2 else 0.0
        out += [Piece(data[:cut]), Piece(data[cut:], after_ms=pause)]
    return [piece for piece in out if piece.data]


def many(bench: Bench, count: int, rng: random.Random) -> None:
    codes = [str(rng.randrange(10**10, 10**11)) for _ in range(count)]
    for start in range(0, count, 500):
        bench.device.send(pieces(codes[start : start + 500], rng))
        until(lambda: len(bench.scans) >= min(start + 500, count), patience_s=60)  # noqa: B023
    assert [scan.text for scan in bench.scans] == codes, "none lost, merged or doubled"


def test_500_scans(plain: Bench, rng: random.Random) -> None:
    """Splits, delays, CR LF and noise over a pty."""
    many(plain, 500, rng)


@pytest.mark.soak
def test_10000_scans(plain: Bench, rng: random.Random) -> None:
    """The same for long."""
    many(plain, 10_000, rng)


def test_the_host_beeps_and_disables(plain: Bench) -> None:
    """Commands of the family, in order. It begins reading, a bad beep that also disables is
    followed by what was wanted last, and it is left reading."""
    until(lambda: plain.device.heard() == b"E")
    for action in (Action.BAD, Action.DISABLE, Action.BAD, Action.GOOD):
        plain.scanner.tell(action)
    until(lambda: plain.device.heard() == b"E" + b"FE" + b"D" + b"FD" + b"B")
    plain.scanner.stop()
    until(lambda: plain.device.heard() == b"EFEDFDB" + b"E")


def test_a_scanner_that_comes_back_is_as_quiet_as_it_was(bench_of_urls: UrlBench) -> None:
    """Unplugged while a question is open: it forgot that it was disabled, and is told again."""
    name, device = "quiet", bench_of_urls.scanner("quiet")
    seen: Seen[DeviceEvent] = Seen()
    scanner = SerialScanner(
        f"emulated://scanner?name={name}",
        ScannerProfile(commands="datalogic"),
        on_scan=lambda _: None,
        on_event=seen,
    )
    scanner.start()
    scanner.tell(Action.DISABLE)
    until(lambda: device.heard() == b"ED")
    device.unplug()
    until(lambda: len(seen) == 2)
    device.replug()
    until(lambda: device.heard() == b"EDD")
    scanner.stop()


def test_ssi_over_a_wire() -> None:
    """Each decode is acknowledged; a beep is a packet."""
    bench = Bench(ScannerProfile(framing="ssi", commands="ssi"))
    bench.device.send([Piece(decode(b"12345678901")[:6]), Piece(decode(b"12345678901")[6:], 5)])
    assert bench.scans.wait().text == "12345678901"
    until(lambda: bench.device.heard() == ssi.message(ssi.SCAN_ENABLE) + ssi.message(ssi.ACK))
    bench.device.send([Piece(decode(b"99")[:4])])
    bench.device.send([Piece(decode(b"42"), after_ms=200)])
    assert bench.scans.wait().text == "42"
    bench.scanner.tell(Action.GOOD)
    until(lambda: bench.device.heard().endswith(ssi.message(ssi.BEEP, b"\x01")))
    bench.close()


def test_silence_ends_a_scan_where_there_is_no_suffix() -> None:
    """After the profile's time, marked as not certainly complete."""
    bench = Bench(ScannerProfile(terminators=(), idle_ms=30))
    bench.device.send([Piece(b"1234")])
    scan = bench.scans.wait()
    assert (scan.text, scan.complete) == ("1234", False)
    bench.close()


def test_a_listener_that_fails_does_not_end_the_scanner() -> None:
    """The next scan arrives."""
    seen: Seen[Scan] = Seen()

    def broken(scan: Scan) -> None:
        seen(scan)
        raise ValueError("not today")

    device = EmulatedScanner()
    events: Seen[DeviceEvent] = Seen()
    scanner = SerialScanner(device.attach_pty(), ScannerProfile(), on_scan=broken, on_event=events)
    scanner.start()
    events.wait()
    device.scan("1")
    device.scan("2")
    assert [seen.wait().text, seen.wait().text] == ["1", "2"]
    scanner.stop()
    device.stop()


@pytest.mark.parametrize("port", ["nothing://", "/dev/not-there"])
def test_ports_that_do_not_open(port: str) -> None:
    """Wrong or missing is told once; stopping is prompt."""
    events: Seen[DeviceEvent] = Seen()
    scanner = SerialScanner(port, ScannerProfile(), on_scan=events, on_event=events)
    scanner.start()
    wrong = port == "nothing://"
    assert events.wait().presence is (Presence.WRONG if wrong else Presence.LOST)
    scanner.stop()
    assert len(events) == 1


def test_a_loss_while_telling(plain: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command to a scanner that is gone is a loss, not an exception."""

    def gone(*_: object, **__: object) -> int:
        raise DriverError("gone")

    monkeypatch.setattr("drivers.link.Link.write", gone)
    plain.scanner.tell(Action.BAD)
    assert plain.events.wait().presence is Presence.LOST
