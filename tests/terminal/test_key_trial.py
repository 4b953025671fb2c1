"""A scanner that types, read key by key on a real terminal, and what its rhythm is worth."""

import json
import os
import pty
import termios
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from config.loader import Loaded
from config.schema import Kiosk, Scanner, Settings
from terminal import commands_devices, key_trial
from terminal.arguments import parser
from terminal.desk import Io
from terminal.kiosk.gate import Burst, GateSettings, Stroke, WedgeGate
from terminal.scan_trial import SILENCE_MS, Keyed, Trial, rhythm
from tests.drivers.waiting import until


@dataclass
class Window:
    """A terminal: the side a scanner types into, and the side the program reads."""

    keys: int = -1
    program: int = -1
    ended: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def window() -> Iterator[Window]:
    made = Window(*pty.openpty())
    yield made
    os.close(made.keys)
    os.close(made.program)


def typed(gap_ms: int, *codes: bytes) -> list[Keyed]:
    """Scans whose keys are that far apart, each after a pause of a person."""
    trial, now, scans = Trial(), 0, []
    for code in codes:
        for key in code:
            now += gap_ms
            trial.feed(bytes([key]), now)
        now += SILENCE_MS
        scans += trial.keyed(now)
    return scans


def test_the_rhythm_of_one_scan_is_its_longest_pause() -> None:
    """Pauses between two scans are a person's and do not count."""
    assert typed(7, b"12345678901\r", b"28123456789\r") == [
        Keyed(b"12345678901\r", 7),
        Keyed(b"28123456789\r", 7),
    ]
    trial = Trial()
    trial.feed(b"1\r", 0)
    trial.feed(b"2\r", SILENCE_MS - 1)
    two = trial.keyed(2 * SILENCE_MS)
    assert two == [Keyed(b"1\r"), Keyed(b"2\r")], "of two in one burst nobody knows"


@pytest.mark.parametrize(
    ("gap_ms", "wanted_ms", "hand"),
    [(0, 0, False), (7, 15, False), (30, 45, False), (40, 60, True)],
)
def test_what_is_asked_for_is_enough(gap_ms: int, wanted_ms: int, hand: bool) -> None:
    """With the proposed setting the screen takes the scan for a scan."""
    found = rhythm(typed(gap_ms, b"12345678901\r", b"28123456789\r"))
    assert found is not None
    assert (found.gap_ms, found.wanted_ms, found.like_a_hand) == (gap_ms, wanted_ms, hand)
    gate, at_s, out = WedgeGate(GateSettings(gap_s=max(0.01, wanted_ms / 1000))), 0.0, ()
    for key in "12345678901":
        at_s += gap_ms / 1000
        out = gate.stroke(Stroke(key, key, at_s))
    out = gate.stroke(Stroke("enter", None, at_s + gap_ms / 1000))
    assert [type(one) for one in out] == [Burst]


@pytest.mark.parametrize(
    ("codes", "prefix"),
    [
        ((b"~123\r", b"~456\r"), "~"),
        ((b"#!123\r", b"#!456\r"), "#!"),
        ((b"]Q1123\r", b"]Q1456\r"), ""),
        ((b"123\r", b"124\r"), ""),
        ((b"~123\r",), ""),
    ],
)
def test_a_preamble_is_what_all_begin_with_and_no_code_does(
    codes: tuple[bytes, ...], prefix: str
) -> None:
    """One scan proves nothing, digits may be the codes' own, and a bracket is an AIM identifier."""
    found = rhythm(typed(5, *codes))
    assert found is not None and found.prefix == prefix


def said(scans: list[Keyed], **scanner: object) -> str:
    out: list[str] = []
    settings = Settings(kiosk=Kiosk(language="en"), scanner=Scanner(**scanner))  # type: ignore[arg-type]
    args = parser().parse_args(["scan-test", "--json", "--count", str(len(scans))])
    loaded = Loaded(settings, None, Path.cwd())
    io = Io(out.append, out.append)
    assert commands_devices.scan_test(loaded, args, io, scans, threading.Event()) == 0
    return " ".join(json.loads(out[-1])["advice"])


@pytest.mark.parametrize(
    ("gap_ms", "scanner", "words"),
    [
        (7, {}, "the settings tell it from a hand"),
        (30, {}, "set wedge_gap_ms = 45"),
        (30, {"wedge_gap_ms": 45}, "the settings tell it from a hand"),
        (60, {}, "set its inter-character delay to 0"),
        (60, {"wedge_prefix": "~"}, "makes every scan certain"),
    ],
)
def test_settings_are_proposed(gap_ms: int, scanner: dict[str, object], words: str) -> None:
    """Ten scans: what to set, or that nothing needs to be."""
    codes = [b"%011d\r" % (28_100_000_000 + 7 * number) for number in range(10)]
    advice = said(typed(gap_ms, *codes), **scanner)
    assert words in advice and "needs no profile" in advice


def test_tab_ends_a_scan_too() -> None:
    """As it does at the counter."""
    assert "needs no profile" in said(typed(5, b"28123456789\t", b"28123456797\t"))


def test_a_preamble_is_proposed() -> None:
    """The setting can be copied."""
    assert 'set wedge_prefix = "~"' in said(typed(60, b"~123\r", b"~456\r"))


def test_keys_of_a_terminal(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key by key, Enter as it was sent, nothing shown, and the terminal as it was at the end."""
    monkeypatch.setattr("terminal.scan_trial.SILENCE_MS", 40)
    before = termios.tcgetattr(window.program)
    scans = key_trial.keyed(window.program, window.ended)
    typist = threading.Thread(target=type_into, args=(window, b"12345\r"))
    typist.start()
    scan = next(scans)
    typist.join()
    assert scan.data == b"12345\r" and scan.gap_ms is not None
    os.write(window.keys, b"\x04")
    assert list(scans) == []
    assert termios.tcgetattr(window.program) == before
    os.set_blocking(window.keys, False)
    with pytest.raises(BlockingIOError):
        os.read(window.keys, 1)


def type_into(window: Window, text: bytes) -> None:
    """Once somebody listens key by key."""
    until(lambda: not termios.tcgetattr(window.program)[3] & termios.ECHO)
    for key in text:
        os.write(window.keys, bytes([key]))


def test_a_signal_gives_the_terminal_back(window: Window) -> None:
    """Whoever is asked for a scan may just leave."""
    before = termios.tcgetattr(window.program)
    window.ended.set()
    assert list(key_trial.keyed(window.program, window.ended)) == []
    assert termios.tcgetattr(window.program) == before


def test_lines_end_at_the_end_and_at_a_signal() -> None:
    """Lines come as they are written; the last needs no end; a signal ends the waiting."""
    reading, writing = os.pipe()
    os.write(writing, "paper out\n盖\nok".encode())
    ended = threading.Event()
    lines = key_trial.lines_of(reading, ended)
    assert [next(lines), next(lines)] == ["paper out", "盖"]
    os.close(writing)
    assert list(lines) == ["ok"]
    os.close(reading)
    reading, writing = os.pipe()
    ended.set()
    assert list(key_trial.lines_of(reading, ended)) == []
    os.close(reading)
    os.close(writing)


def test_lines_of_a_pipe_have_no_rhythm() -> None:
    """A program that writes lines is not a scanner that types."""
    reading, writing = os.pipe()
    os.write(writing, b"123\r\n456\n")
    os.close(writing)
    found = list(key_trial.keyed(reading, threading.Event()))
    assert found == [Keyed(b"123\r"), Keyed(b"456\r")]
    assert rhythm(found) is None
    os.close(reading)
