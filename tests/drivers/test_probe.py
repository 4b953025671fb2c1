"""Findings for an installer: printer answers against the profile, ports, surroundings."""

import os
import termios
from pathlib import Path

import pytest

from drivers.display import DisplayProfile
from drivers.emulated.machine import ALL_ANSWERS, Build
from drivers.emulated.printer import EmulatedPrinter
from drivers.emulated.scanner import EmulatedScanner, Piece
from drivers.errors import Claimed, Misconfigured, NotPermitted, Unplugged
from drivers.escpos.profile import PrinterProfile
from drivers.idcard import Command, command
from drivers.link import LineSettings, Link
from drivers.probe import (
    Finding,
    Level,
    _font_finding,
    _port_advice,
    probe_card_reader,
    probe_display,
    probe_port,
    probe_printer,
    probe_surroundings,
    scanner_mode,
)
from tests.drivers.test_idcard import frame
from tests.drivers.waiting import until


def levels(findings: list[Finding]) -> dict[str, Level]:
    return {finding.check: finding.level for finding in findings}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (ALL_ANSWERS, {"printer": Level.GREEN, "confirmation": Level.GREEN}),
        (ALL_ANSWERS - {"gs_h"}, {"printer": Level.GREEN, "confirmation": Level.AMBER}),
        (
            frozenset({"dle_eot"}),
            {"printer": Level.GREEN, "status": Level.AMBER, "confirmation": Level.AMBER},
        ),
        (
            frozenset(),
            {"printer": Level.RED, "status": Level.AMBER, "confirmation": Level.AMBER},
        ),
    ],
)
def test_a_printer_against_its_profile(answers: frozenset[str], expected: dict[str, Level]) -> None:
    """What answers is good, what does not is named with the setting to change."""
    device = EmulatedPrinter(Build(answers=answers))
    findings = probe_printer(device.attach_pty(), PrinterProfile(), answer_s=0.15)
    device.stop()
    found = levels(findings)
    found.pop("font")
    assert found == expected
    assert all(finding.advice for finding in findings if finding.level is Level.AMBER)
    assert device.paper_text() == "", "a probe prints nothing"
    if "gs_i" in answers:
        assert "EMULATED" in findings[0].text


def test_a_profile_that_expects_nothing() -> None:
    """confirm = none fits a mute printer, and the clerk is asked to look."""
    device = EmulatedPrinter(Build(answers=frozenset()))
    profile = PrinterProfile(status=(), confirm="none")
    findings = probe_printer(device.attach_pty(), profile, answer_s=0.05)
    device.stop()
    assert levels(findings)["confirmation"] is Level.AMBER
    assert "look at each slip" in next(f.advice for f in findings if f.check == "confirmation")


def test_ports() -> None:
    """A port opens, is missing, or is held; each with its own advice."""
    device = EmulatedPrinter()
    path = device.attach_pty()
    assert probe_port(path, LineSettings()).level is Level.GREEN
    holder = Link(path, LineSettings(), on_bytes=print, on_lost=print)
    holder.open()
    held = probe_port(path, LineSettings())
    assert held.level is Level.RED and "other program" in held.advice
    assert probe_printer(path, PrinterProfile())[0].level is Level.RED
    holder.close()
    device.stop()
    faults = (NotPermitted("x"), Claimed("x"), Misconfigured("x"), Unplugged("x"))
    assert len({_port_advice(fault) for fault in faults}) == 4


def test_a_display_is_shown_a_text() -> None:
    """Only a person can say whether it shows it; a display that takes nothing is red."""
    device = EmulatedScanner()
    port = device.attach_pty()
    found = probe_display(port, DisplayProfile())
    assert found.level is Level.AMBER
    until(lambda: b"hexiao 1234567890" in device.heard())
    device.stop()
    assert probe_display(port, DisplayProfile()).level is Level.RED
    assert probe_display("loop://", DisplayProfile(family="text")).level is Level.AMBER


@pytest.mark.parametrize(("status", "level"), [(0x90, Level.GREEN), (0x60, Level.RED)])
def test_a_card_reader_is_asked_how_it_is(status: int, level: Level) -> None:
    """Its own answer decides; silence is red."""
    device = EmulatedScanner()
    port = device.attach_pty()
    device.send([Piece(frame(status), after_ms=60)])
    assert probe_card_reader(port, answer_s=0.3).level is level
    assert device.heard() == command(Command.STATUS)
    assert probe_card_reader(port, answer_s=0.02).level is Level.RED
    device.stop()
    assert probe_card_reader(port).level is Level.RED


def test_a_device_that_takes_nothing() -> None:
    """A line that is stopped is not a display."""
    device, host = os.openpty()
    termios.tcflow(host, termios.TCOOFF)
    assert probe_display(os.ttyname(host), DisplayProfile()).level is Level.RED
    os.close(device)
    os.close(host)


def test_surroundings(tmp_path: Path) -> None:
    """ModemManager, brltty and missing groups are named; root needs no group."""
    for number, name in ((1, "systemd"), (20, "ModemManager"), (30, "brltty")):
        (tmp_path / "proc" / str(number)).mkdir(parents=True)
        (tmp_path / "proc" / str(number) / "comm").write_text(name + "\n")
    (tmp_path / "proc" / "40" / "comm").mkdir(parents=True)  # unreadable: ended meanwhile
    found = levels(probe_surroundings(tmp_path, groups=["clerks"]))
    assert found == {
        "modemmanager": Level.AMBER,
        "brltty": Level.RED,
        "dialout": Level.AMBER,
        "input": Level.AMBER,
    }
    empty = tmp_path / "empty"
    assert levels(probe_surroundings(empty, groups=["root"])) == {"surroundings": Level.GREEN}
    assert levels(probe_surroundings(empty)) == {"surroundings": Level.GREEN}


def test_a_scanner_in_keyboard_mode_is_found(tmp_path: Path) -> None:
    """After a factory reset a serial scanner comes back as a keyboard."""
    assert scanner_mode("serial", tmp_path).level is Level.GREEN
    folder = tmp_path / "dev/input/by-id"
    folder.mkdir(parents=True)
    (folder / "usb-Vendor_Barcode_Scanner-event-kbd").touch()
    assert scanner_mode("serial", tmp_path).level is Level.RED
    assert scanner_mode("evdev", tmp_path).level is Level.GREEN


def test_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No font is bad only for those who draw their text."""
    monkeypatch.setattr("drivers.escpos.raster._FONTS", ())
    assert _font_finding(PrinterProfile()).level is Level.GREEN
    assert _font_finding(PrinterProfile(charset="gb2312")).level is Level.AMBER
    assert _font_finding(PrinterProfile(text="raster")).level is Level.RED
    assert "drawn with" in _font_finding(PrinterProfile(font=__file__)).text
