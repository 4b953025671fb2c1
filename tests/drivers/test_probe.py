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
from drivers.ports import PortFound
from drivers.probe import (
    Finding,
    PrinterFacts,
    _font_finding,
    lasting_name,
    port_fault,
    probe_card_reader,
    probe_display,
    probe_port,
    probe_printer,
    probe_surroundings,
    proposed,
    scanner_mode,
)
from terminal import device_profiles
from tests.drivers.test_idcard import frame
from tests.drivers.waiting import until


def whats(findings: list[Finding]) -> list[str]:
    return [finding.what for finding in findings]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (ALL_ANSWERS, ["answers", "confirmed", "proved"]),
        (ALL_ANSWERS - {"gs_h"}, ["answers", "other_confirm", "proved"]),
        (frozenset({"dle_eot"}), ["answers", "unheard", "other_confirm"]),
        (frozenset(), ["mute", "unheard", "other_confirm"]),
    ],
)
def test_a_printer_against_its_profile(answers: frozenset[str], expected: list[str]) -> None:
    """What answers is good, what does not is named with the setting to change."""
    device = EmulatedPrinter(Build(answers=answers))
    findings = probe_printer(device.attach_pty(), PrinterProfile(), answer_s=0.15)
    device.stop()
    assert whats(findings)[:-1] == expected
    assert whats(findings)[-1] in ("font", "no_font.few")
    assert device.paper_text() == "", "a probe prints nothing"
    if "gs_i" in answers:
        assert "EMULATED" in str(findings[0].fields["who"])


def test_a_profile_that_expects_nothing() -> None:
    """confirm = none fits a mute printer, and the clerk is asked to look."""
    device = EmulatedPrinter(Build(answers=frozenset()))
    profile = PrinterProfile(status=(), confirm="none")
    findings = probe_printer(device.attach_pty(), profile, answer_s=0.05)
    device.stop()
    assert whats(findings)[:2] == ["mute_as_said", "unconfirmed"]


def facts(answers: str, *identity: str) -> PrinterFacts:
    told = set(answers.split())
    return PrinterFacts(
        asb="asb" in told,
        dle_eot="dle_eot" in told,
        gs_r="gs_r" in told,
        gs_h="gs_h" in told,
        macro="macro" in told,
        identity=identity,
    )


SHIPPED = device_profiles.printer_profiles()


@pytest.mark.parametrize(
    ("used", "told", "wanted"),
    [
        ("generic-80-gb18030", facts("asb dle_eot gs_r gs_h", "EPSON", "TM-T88V"), "epson-tm-80"),
        ("generic-80-gb18030", facts("asb dle_eot gs_r", "GPRINTER"), "generic-80-gb18030"),
        ("epson-tm-58", facts("dle_eot gs_r"), "generic-58-gb18030"),
        ("generic-58-gb18030", facts(""), "silent-58"),
        ("generic-80-gb18030", facts("asb dle_eot gs_r gs_h", "HEXIAO", "EMULATED"), "emulated-80"),
        ("generic-58-nofont", facts("dle_eot gs_r"), "generic-58-nofont"),
        ("generic-80-gb18030", facts("dle_eot gs_r"), "generic-80-polled"),
        ("epson-tm-80", facts("dle_eot gs_r", "XPRINTER"), "generic-80-polled"),
        ("generic-80-gb18030", facts("dle_eot"), "generic-80-unconfirmed"),
        ("generic-80-polled", facts("asb dle_eot gs_r", "GPRINTER"), "generic-80-gb18030"),
    ],
)
def test_a_profile_is_proposed(used: str, told: PrinterFacts, wanted: str) -> None:
    """What fits the answers, for the same paper and the same kind of font."""
    profile = next(one for one in SHIPPED if one.name == used)
    found = proposed(profile, told, SHIPPED)
    assert found is not None and found.name == wanted


@pytest.mark.parametrize(
    ("answers", "profile", "wanted"),
    [
        (ALL_ANSWERS, {}, "proved"),
        (ALL_ANSWERS | {"macro_mute"}, {"confirm": "gs_r"}, "proved"),
        (ALL_ANSWERS, {"continuity": "none"}, "macro_unused"),
        (ALL_ANSWERS - {"macro"}, {}, "unproved"),
        (ALL_ANSWERS - {"macro"}, {"flow": "rtscts"}, "unwatched"),
        (frozenset({"dle_eot"}), {}, None),
    ],
)
def test_what_notices_a_loss_of_power(
    answers: frozenset[str], profile: dict[str, str], wanted: str | None
) -> None:
    """The macro, or what is left without; a pty shows no wire."""
    device = EmulatedPrinter(Build(answers=answers))
    made = PrinterProfile(**profile)  # type: ignore[arg-type]
    findings = whats(probe_printer(device.attach_pty(), made, answer_s=0.1))
    device.stop()
    told = {"proved", "macro_unused", "unproved", "unwatched"} & set(findings)
    assert told == ({wanted} if wanted else set())


def test_no_profile_is_proposed_where_none_fits() -> None:
    """80 mm printers that never answer have none: the settings stay as they are."""
    profile = next(one for one in SHIPPED if one.name == "generic-80-gb18030")
    assert proposed(profile, facts("gs_r"), SHIPPED) is None


def test_a_better_profile_is_a_finding_of_its_own() -> None:
    """Over a real line: the emulated printer in place of a generic one."""
    device = EmulatedPrinter(Build(answers=ALL_ANSWERS))
    profile = next(one for one in SHIPPED if one.name == "generic-58-gb18030")
    findings = probe_printer(device.attach_pty(), profile, SHIPPED, answer_s=0.15)
    device.stop()
    (better,) = [one for one in findings if one.what == "better_profile"]
    assert better.fields == {"name": "emulated"}


def test_ports() -> None:
    """A port opens, is missing, or is held; each kind of fault has its own name."""
    device = EmulatedPrinter()
    path = device.attach_pty()
    assert probe_port(path, LineSettings()).what == "port.opens"
    holder = Link(path, LineSettings(), on_bytes=print, on_lost=print)
    holder.open()
    assert probe_port(path, LineSettings()).what == "port.claimed"
    assert whats(probe_printer(path, PrinterProfile())) == ["port.claimed"]
    holder.close()
    device.stop()
    faults = (NotPermitted("x"), Claimed("x"), Misconfigured("x"), Unplugged("x"))
    assert len({port_fault(fault).what for fault in faults}) == 4


def test_a_missing_port_says_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """By names that can be copied into the settings."""
    monkeypatch.setattr("drivers.probe.discover", lambda: (ONE, TWIN))
    there = port_fault(Unplugged("x")).fields["there"]
    assert there == "usb-at:1-2.1 (USB Serial), usb-at:1-2.2 (/dev/ttyUSB1)"


def test_names_that_do_not_last() -> None:
    """ttyUSB0 is whichever came first; a path that the system does not list stands for itself."""
    (finding,) = lasting_name("/dev/ttyUSB0", (ONE, TWIN))
    assert finding.what == "port.unlasting"
    assert finding.fields == {"port": "/dev/ttyUSB0", "name": "usb-at:1-2.1"}
    assert lasting_name("usb-at:1-2.1", (ONE, TWIN)) == []
    assert lasting_name("socket://192.0.2.7:9100", (ONE, TWIN)) == []
    bare = PortFound("/dev/ttyUSB5", 1, 2, "", "", "")
    assert lasting_name("/dev/ttyUSB5", (bare,)) == [], "there is no better name"


ONE = PortFound("/dev/ttyUSB0", 0x1A86, 0x7523, "", "1-2.1", "USB Serial")
TWIN = PortFound("/dev/ttyUSB1", 0x1A86, 0x7523, "", "1-2.2", "")


def test_a_display_is_shown_a_text() -> None:
    """Only a person can say whether it shows it; a display that takes nothing is red."""
    device = EmulatedScanner()
    port = device.attach_pty()
    assert probe_display(port, DisplayProfile()).what == "display.shown"
    until(lambda: b"hexiao 1234567890" in device.heard())
    device.stop()
    assert probe_display(port, DisplayProfile()).what == "port.missing"
    assert probe_display("loop://", DisplayProfile(family="text")).what == "display.shown"


@pytest.mark.parametrize(("status", "what"), [(0x90, "card.ready"), (0x60, "card.broken")])
def test_a_card_reader_is_asked_how_it_is(status: int, what: str) -> None:
    """Its own answer decides; silence is red."""
    device = EmulatedScanner()
    port = device.attach_pty()
    device.send([Piece(frame(status), after_ms=60)])
    assert probe_card_reader(port, answer_s=0.3).what == what
    assert device.heard() == command(Command.STATUS)
    assert probe_card_reader(port, answer_s=0.02).what == "card.mute"
    device.stop()
    assert probe_card_reader(port).what == "port.missing"


def test_a_device_that_takes_nothing() -> None:
    """A line that is stopped is not a display."""
    device, host = os.openpty()
    termios.tcflow(host, termios.TCOOFF)
    assert probe_display(os.ttyname(host), DisplayProfile()).what == "display.stuck"
    os.close(device)
    os.close(host)


def test_surroundings(tmp_path: Path) -> None:
    """ModemManager, brltty and missing groups are named; root needs no group."""
    for number, name in ((1, "systemd"), (20, "ModemManager"), (30, "brltty")):
        (tmp_path / "proc" / str(number)).mkdir(parents=True)
        (tmp_path / "proc" / str(number) / "comm").write_text(name + "\n")
    (tmp_path / "proc" / "40" / "comm").mkdir(parents=True)  # unreadable: ended meanwhile
    found = probe_surroundings(tmp_path, groups=["clerks"], needed=("dialout", "input"))
    assert whats(found) == ["modems", "brltty", "group", "group"]
    assert [one.fields["name"] for one in found[2:]] == ["dialout", "input"]
    empty = tmp_path / "empty"
    assert whats(probe_surroundings(empty, groups=["root"])) == ["clear"]
    assert whats(probe_surroundings(empty, groups=["dialout"])) == ["clear"]
    assert whats(probe_surroundings(empty)) == ["clear"]


def test_a_scanner_in_keyboard_mode_is_found(tmp_path: Path) -> None:
    """After a factory reset a serial scanner comes back as a keyboard."""
    assert scanner_mode(tmp_path) == []
    folder = tmp_path / "dev/input/by-id"
    folder.mkdir(parents=True)
    (folder / "usb-Vendor_Barcode_Scanner-event-kbd").touch()
    (finding,) = scanner_mode(tmp_path)
    assert finding.fields == {"name": "usb-Vendor_Barcode_Scanner-event-kbd"}


def test_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No font is bad only for those who draw their text."""
    monkeypatch.setattr("drivers.escpos.raster._FONTS", ())
    assert _font_finding(PrinterProfile()).what == "no_font.few"
    assert _font_finding(PrinterProfile(charset="gb2312")).what == "no_font.many"
    assert _font_finding(PrinterProfile(text="raster")).what == "no_font.all"
    assert _font_finding(PrinterProfile(font=__file__)).fields == {"path": __file__}
