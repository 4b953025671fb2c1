"""The installer's commands: a test slip, a trial of a scanner, a printer made of software.

Method: emulated devices behind the same ports as real ones; a foreign host on TCP; scanners that
are set up wrongly in each known way, and the advice that each of them gets.
"""

from __future__ import annotations

import json
import socket
import string
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from config.loader import Loaded
from config.schema import Kiosk, Printer, Scanner, Settings
from drivers.emulated import register
from drivers.emulated.bench import Bench
from drivers.emulated.machine import ALL_ANSWERS, ODD_ANSWERS
from drivers.emulated.scanner import Piece
from drivers.escpos.profile import CHARSETS
from drivers.escpos.slip import Line, Slip
from terminal import cli, commands_devices, device_profiles, scan_trial
from terminal.arguments import PRINTER_ANSWERS, PRINTER_CHARSETS, parser
from terminal.desk import Io
from terminal.errors import Misconfigured, OutOfService
from terminal.sample_slip import TEST_TEXT
from terminal.scan_trial import SILENCE_MS, Keyed, Trial, advise, read
from terminal.words import Language
from terminal.words_devices import PHRASES
from tests.drivers.waiting import until

SERIAL = device_profiles.scanner_profile("generic-serial")


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Emulated devices, all gone at the end."""
    made = register()
    made.clear()
    yield made
    made.clear()


def loaded(**sections: Any) -> Loaded:
    return Loaded(Settings(**{"kiosk": Kiosk(language="en"), **sections}), None, Path.cwd())


def emulated_printer(name: str, options: str = "") -> Printer:
    return Printer(port=f"emulated://printer?name={name}{options}", profile="emulated")


class Said:
    """What a command wrote."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self.io = Io(self.out.append, self.err.append)

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in "".join(self.out).splitlines()]


def printed(where: Loaded, *words: str) -> tuple[int, Said]:
    said = Said()
    args = parser().parse_args(["print-test", *words])
    return commands_devices.print_test(where, args, said.io), said


def test_print_test_prints_everything(bench: Bench) -> None:
    """The slip is confirmed, and holds Chinese, a QR and a bar code."""
    status, said = printed(loaded(printer=emulated_printer("a")), "--json")
    assert (status, said.objects[0]["state"]) == (0, "printed")
    paper = bench.printer("a").paper_text()
    assert "测试 TEST" in paper
    assert f"[qr {TEST_TEXT}]" in paper
    assert "[code128 HEXIAO-128]" in paper


def test_print_test_opens_the_drawer(bench: Bench) -> None:
    """A job of its own: nothing is printed."""
    printer = emulated_printer("drawer")
    status, said = printed(loaded(printer=printer), "--drawer")
    assert status == 0 and "pulse" in said.out[0]
    assert bench.printer("drawer").machine.count.drawer_kicks == 1
    assert bench.printer("drawer").paper_text() == ""


def test_print_test_says_that_nobody_confirms(bench: Bench) -> None:
    """A printer that never answers: sent, and a person must look."""
    said, profile = Said(), device_profiles.printer_profile("silent-58")
    port = emulated_printer("b", "&replies=").port
    args = parser().parse_args(["print-test", "--json"])
    quick = replace(profile, line_ms=1, baud=115_200)
    slip = Slip((Line("one line"),))
    assert commands_devices._print(slip, port, quick, Language.EN, args, said.io) == 0
    assert said.objects[0]["state"] == "unconfirmed"


def test_print_test_names_a_port_that_is_not_there(tmp_path: Path) -> None:
    """Out of service, at once and by name."""
    status, said = printed(loaded(printer=Printer(port=str(tmp_path / "none"))), "--json")
    assert (status, said.objects[0]["reason"]) == (3, "out_of_service")
    assert "none" in said.objects[0]["message"]


def test_print_test_does_not_wait_for_ever(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without paper it ends with the printer's word."""
    monkeypatch.setattr(commands_devices, "PRINT_S", 0.5)
    bench.printer("c").pull(paper_out=True)
    status, said = printed(loaded(printer=emulated_printer("c")))
    assert status == 3
    assert "paper_out" in "".join(said.err)


def test_print_test_without_a_printer() -> None:
    """It says that there is a preview."""
    with pytest.raises(Misconfigured, match="--preview"):
        printed(loaded())


def test_preview_is_what_a_scanner_reads(tmp_path: Path) -> None:
    """The picture's codes are read by a decoder that we did not write; the text is the same."""
    picture, text = tmp_path / "slip.png", tmp_path / "slip.txt"
    for path in (picture, text):
        status, said = printed(loaded(), "--preview", str(path), "--json")
        assert status == 0
        assert said.objects[0]["bytes"] > 500
    with Image.open(picture) as image:
        read_back = {one.text for one in zxingcpp.read_barcodes(image)}
    assert read_back == {TEST_TEXT, "HEXIAO-128"}
    assert "测试 TEST" in text.read_text("utf-8")


def test_preview_on_the_screen() -> None:
    """As lines of text, for whoever designs a slip over ssh; with --json its size too."""
    status, said = printed(loaded(), "--preview", "-")
    assert status == 0 and "测试 TEST" in said.out[0] and "[qr HX1" in said.out[0]
    _, said = printed(loaded(), "--preview", "-", "--json")
    assert said.objects[0]["text"].startswith(" ") and said.objects[0]["bytes"] > 500


def test_preview_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that is not there, a kind of file that is none of ours."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["print-test", "--preview", str(tmp_path / "none" / "slip.png")]) == 3
    assert "none" in capsys.readouterr().err
    assert cli.main(["print-test", "--preview", "slip.gif"]) == 2


def typed(*lines: str, words: tuple[str, ...] = ()) -> tuple[int, Said]:
    """A scan-test of a scanner that types."""
    said = Said()
    args = parser().parse_args(["scan-test", "--json", *words])
    scans = [Keyed(line.rstrip("\n").encode() + b"\r") for line in lines]
    status = commands_devices.scan_test(loaded(), args, said.io, scans, threading.Event())
    return status, said


@pytest.mark.parametrize(
    ("text", "test", "mistake"),
    [
        (TEST_TEXT, "whole", None),
        (TEST_TEXT.lower(), "case", None),
        (TEST_TEXT.replace(":", ";"), "layout", None),
        ("6901234567892", None, "goods"),
        ("13800138000", None, "phone"),
        ("280000000000000000", None, "payment"),
        ("https://example.com/?code=1", None, "link"),
        ("28123456789", None, None),
    ],
)
def test_scans_are_named(text: str, test: str | None, mistake: str | None) -> None:
    """The test code shows what a keyboard layout does; other codes by what they look like."""
    status, said = typed(f"{text}\n")
    assert status == 0
    assert said.objects[0]["text"] == text
    assert (said.objects[0]["test"], said.objects[0]["mistake"]) == (test, mistake)


def test_scan_test_ends_at_its_count() -> None:
    """Lines beyond the count are not read."""
    status, said = typed("1\n", "2\n", "3\n", words=("--count", "2"))
    assert status == 0
    assert [one.get("scan") for one in said.objects] == [1, 2, None]
    assert said.objects[-1]["profile"] == "hid-tty"


def test_scan_test_without_a_scan() -> None:
    """Nothing came: out of service."""
    status, said = typed()
    assert (status, said.objects[0]["reason"]) == (3, "out_of_service")


def heard(bench: Bench, pieces: list[Piece], count: int) -> tuple[int, Said]:
    """A scan-test of a scanner on a port, which sends as soon as the port is open."""
    said = Said()
    scanner = bench.scanner("trial")
    settings = Scanner(port="emulated://scanner?name=trial")
    args = parser().parse_args(["scan-test", "--json", "--count", str(count)])
    ended = threading.Event()

    def send() -> None:
        until(lambda: scanner.connected)
        scanner.send(pieces)
        if not done.wait(5):
            ended.set()

    done = threading.Event()
    sender = threading.Thread(target=send)
    sender.start()
    try:
        return commands_devices.scan_test(loaded(scanner=settings), args, said.io, (), ended), said
    finally:
        done.set()
        sender.join()


def test_scanner_on_a_port(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real bytes through a port, in pieces and two at once, become the scans they were."""
    monkeypatch.setattr(scan_trial, "SILENCE_MS", 60)
    pieces = [
        Piece(b"2812", after_ms=20),
        Piece(b"3456789\r\n"),
        Piece(b"11\r\n22\r\n", after_ms=150),
    ]
    status, said = heard(bench, pieces, 3)
    assert status == 0, said.err
    assert [one.get("text") for one in said.objects] == ["28123456789", "11", "22", None]
    assert said.objects[-1]["end"] == "crlf"


def test_scanner_that_goes_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A port that is not there is said at once."""
    said = Said()
    args = parser().parse_args(["scan-test"])
    where = loaded(scanner=Scanner(port=str(tmp_path / "none")))
    with pytest.raises(OutOfService, match="none"):
        commands_devices.scan_test(where, args, said.io, (), threading.Event())


def test_silence_ends_a_scan_and_nothing_else_does() -> None:
    """A pause inside a scan keeps it whole; a long one ends it; a quick hand makes two."""
    trial = Trial()
    trial.feed(b"123", 0)
    assert trial.whole(SILENCE_MS - 1) == []
    trial.feed(b"45\r", SILENCE_MS - 1)
    assert trial.whole(2 * SILENCE_MS) == [b"12345\r"]
    assert trial.whole(9 * SILENCE_MS) == []
    trial.feed(b"1\r2\r", 0)
    assert trial.whole(SILENCE_MS) == [b"1\r", b"2\r"]
    trial.feed(b"one\ntwo\r", 0)
    assert trial.whole(SILENCE_MS) == [b"one\ntwo\r"], "a line feed inside of a QR"
    trial.feed(b"12", 0)
    assert trial.whole(SILENCE_MS) == [b"12"]


@pytest.mark.parametrize(
    ("bursts", "end", "aim", "legible", "fits"),
    [
        ([b"123\r", b"456\r"], "cr", False, True, True),
        ([b"123\r\n"], "crlf", False, True, True),
        ([b"123\n"], "lf", False, True, True),
        ([b"123"], "none", False, True, False),
        ([b"123\t"], "tab", False, True, False),
        ([b"123\r", b"456"], "mixed", False, True, False),
        ([b"]Q1123\r"], "cr", True, True, False),
        ([b"\x80\x01\xf8\x9c\x00\x03\r"], "cr", False, False, True),
    ],
)
def test_advice(bursts: list[bytes], end: str, aim: bool, legible: bool, fits: bool) -> None:
    """Each way of being set up gets its own words."""
    found = advise(bursts, device_profiles.scanner_profiles(), SERIAL)
    assert (found.end, found.aim, found.legible) == (end, aim, legible)
    assert ("generic-serial" in found.fits) is fits


def test_packets_are_taken_apart_by_their_profile() -> None:
    """A scanner in packet mode is read as its profile says."""
    ssi = device_profiles.scanner_profile("zebra-ssi")
    body = bytes([10, 0xF3, 0, 0, 0x0B]) + b"12345"
    packet = body + (0x10000 - sum(body)).to_bytes(2, "big")
    assert (read(packet, ssi).text, read(packet, ssi).end) == ("12345", "ssi")
    assert advise([packet], (), ssi).fits == ("zebra-ssi",)


@pytest.mark.parametrize(
    ("burst", "status", "words"),
    [
        (b"123", 3, "suffix CR"),
        (b"]Q1123\r", 3, "AIM"),
        (b"\x80\x01\xf8\x9c\x00\x03\r", 3, "baud rate"),
        (b"123\r", 0, "the settings fit"),
    ],
)
def test_advice_is_said(
    burst: bytes, status: int, words: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong and how to set the scanner up; exit status 3 when no profile fits."""
    monkeypatch.setattr(scan_trial, "SILENCE_MS", 60)
    code, said = heard(bench, [Piece(burst)], 1)
    last = said.objects[-1]
    assert code == status
    assert words in (last["message"] if status else "".join(last["advice"]))


def test_emulated_printer_serves_a_foreign_host(tmp_path: Path) -> None:
    """Another program finds the port on the first line, prints over TCP and reads an answer."""
    said = Said()
    png = tmp_path / "paper.png"
    args = parser().parse_args(
        ["emulate", "printer", "--tcp", "0", "--png", str(png), "--columns", "48", "--json"]
    )
    ended, ready, shown = threading.Event(), threading.Event(), threading.Event()

    def out(text: str) -> None:
        said.out.append(text)
        ready.set()
        if "hello" in text:
            shown.set()

    thread = threading.Thread(
        target=commands_devices.emulate, args=(loaded(), args, Io(out, out), ended, iter(()))
    )
    thread.start()
    try:
        assert ready.wait(5)
        host, _, port = said.objects[0]["port"].removeprefix("socket://").partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as host_end:
            host_end.sendall(b"\x1b@hello\n\x10\x04\x01")
            assert len(host_end.recv(1)) == 1
            assert shown.wait(5)
    finally:
        ended.set()
        thread.join(5)
    assert "hello" in said.objects[1]["paper"]
    assert png.exists()


def test_an_emulated_printer_is_built_as_asked() -> None:
    """The choices of the command line are those of the machine; an answer that is none is wrong
    use."""
    assert set(PRINTER_ANSWERS) == ALL_ANSWERS | ODD_ANSWERS
    assert PRINTER_CHARSETS == CHARSETS
    assert cli.main(["emulate", "printer", "--replies", "asb,smoke"]) == 2


def test_a_port_that_is_taken_is_said() -> None:
    """Not a traceback: which port to choose is said."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        args = parser().parse_args(["emulate", "printer", "--tcp", str(taken.getsockname()[1])])
        io = Io(lambda _: None, lambda _: None)
        with pytest.raises(OutOfService, match="take another --tcp"):
            commands_devices.emulate(loaded(), args, io, threading.Event())


@pytest.mark.parametrize("key", PHRASES)
def test_phrases_say_the_same_in_both_languages(key: str) -> None:
    """Same fields, and words in both."""
    zh, en = (
        {name for _, name, _, _ in string.Formatter().parse(text) if name} for text in PHRASES[key]
    )
    assert zh == en
    assert all(PHRASES[key])
