"""What is wrong with the devices and their surroundings, for an installer.

Responsible for: findings in green, amber and red, each with what to do; asking a printer what it
can and proposing a profile. Not responsible for: showing them, or changing anything. A probe opens
the port for a moment, so it is run while nobody else holds it. It prints nothing on a printer that
knows the questions; a printer that does not may print a few characters, and the finding says so.
"""

import contextlib
import queue
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from drivers import idcard
from drivers.display import DisplayProfile, frame, opening
from drivers.errors import Claimed, DriverError, Misconfigured, NotPermitted
from drivers.escpos import encode, raster
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.reply import AutoStatus, Barrier, Printed, RealTime, ReplyParser, Text
from drivers.link import LineSettings, Link
from drivers.ports import resolve

WRITE_MS = 1_000
ANSWER_S = 0.5
_IDENTIFIER = b"hx?!"


class Level(StrEnum):
    """Green: good. Amber: works, with a limit. Red: does not work."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `advice` is what to do, empty when there is nothing to do."""

    check: str
    level: Level
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class PrinterFacts:
    """What a printer answered. `identity` is maker, model and fonts as far as it tells them."""

    asb: bool
    dle_eot: bool
    gs_r: bool
    gs_h: bool
    identity: tuple[str, ...]

    @property
    def confirm(self) -> str:
        """The best way this printer confirms."""
        return "gs_h" if self.gs_h else "gs_r" if self.gs_r else "none"


def probe_port(port: str, settings: LineSettings) -> Finding:
    """Whether a port can be opened now."""
    link = Link(resolve(port), settings, on_bytes=_ignore, on_lost=_ignore)
    try:
        link.open()
    except DriverError as fault:
        return Finding("port", Level.RED, str(fault), _port_advice(fault))
    finally:
        link.close()
    return Finding("port", Level.GREEN, f"{port} opens")


def probe_printer(port: str, profile: PrinterProfile, answer_s: float = ANSWER_S) -> list[Finding]:
    """Everything about a printer: port, answers, confirmation, font, and the profile's claims."""
    arrived: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    link = Link(resolve(port), profile.line(), on_bytes=arrived.put, on_lost=_ignore)
    try:
        link.open()
        facts = _ask(link, arrived, answer_s)
    except DriverError as fault:
        return [Finding("printer", Level.RED, str(fault), _port_advice(fault))]
    finally:
        link.close()
    return [_heard_finding(facts), *judge(profile, facts), _font_finding(profile)]


def probe_display(port: str, profile: DisplayProfile) -> Finding:
    """Show a test frame: displays answer nothing, so a person has to look."""
    link = Link(resolve(port), LineSettings(baud=profile.baud), on_bytes=_ignore, on_lost=_ignore)
    test = opening(profile) + frame(profile, "hexiao 1234567890", "test / 核销测试")
    try:
        link.open()
        taken = link.write(test, timeout_ms=WRITE_MS)
    except DriverError as fault:
        return Finding("display", Level.RED, str(fault), _port_advice(fault))
    finally:
        link.close()
    if taken < len(test):
        return Finding("display", Level.RED, "the display takes no bytes", "check its cable")
    advice = "look at it: it shows two lines; if not, try another family or baud rate"
    return Finding("display", Level.AMBER, "a test text was sent to the display", advice)


def probe_card_reader(port: str, baud: int = 115_200, answer_s: float = ANSWER_S) -> Finding:
    """Ask an ID-card reader how it is. No card is read."""
    arrived: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    link = Link(resolve(port), LineSettings(baud=baud), on_bytes=arrived.put, on_lost=_ignore)
    try:
        link.open()
        link.write(idcard.command(idcard.Command.STATUS), timeout_ms=WRITE_MS)
        parser = idcard.SamParser()
        replies = [reply for data in _within(arrived, answer_s) for reply in parser.feed(data, 0)]
    except DriverError as fault:
        return Finding("card reader", Level.RED, str(fault), _port_advice(fault))
    finally:
        link.close()
    if not replies:
        advice = "switch it on; check cable and baud rate"
        return Finding("card reader", Level.RED, "the card reader answers nothing", advice)
    if replies[0].status == idcard.OK:
        return Finding("card reader", Level.GREEN, "the card reader is ready")
    text = f"the card reader says {replies[0].status:02x}"
    return Finding("card reader", Level.RED, text, "its security module is not working: return it")


def _within(arrived: "queue.SimpleQueue[bytes]", answer_s: float) -> Iterator[bytes]:
    """What arrives until the time is up."""
    deadline = time.monotonic() + answer_s
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(queue.Empty):
            yield arrived.get(timeout=left)


def _ask(link: Link, arrived: "queue.SimpleQueue[bytes]", answer_s: float) -> PrinterFacts:
    questions = b"".join(encode.ask_status(number) for number in (1, 2, 3, 4)) + encode.ASB_ON
    questions += b"".join(encode.ask_identity(number) for number in (66, 67, 69))
    questions += encode.ask_confirmation(_IDENTIFIER) + encode.BARRIER
    link.write(questions, timeout_ms=WRITE_MS)
    parser = ReplyParser()
    answers = [answer for data in _within(arrived, answer_s) for answer in parser.feed(data, 0)]
    kinds = {type(answer) for answer in answers}
    return PrinterFacts(
        asb=AutoStatus in kinds,
        dle_eot=RealTime in kinds,
        gs_r=Barrier in kinds,
        gs_h=Printed(_IDENTIFIER) in answers,
        identity=tuple(
            answer.value.decode("latin-1") for answer in answers if isinstance(answer, Text)
        ),
    )


def judge(profile: PrinterProfile, facts: PrinterFacts) -> list[Finding]:
    """The profile against the answers."""
    findings = []
    claimed = {"asb": facts.asb, "dle_eot": facts.dle_eot, "gs_r": facts.gs_r}
    if missing := [name for name in profile.status if not claimed[name]]:
        text = f"the profile {profile.name} expects {', '.join(missing)}, which did not answer"
        advice = f"set status = {[name for name, good in claimed.items() if good]} in the profile"
        findings.append(Finding("status", Level.AMBER, text, advice))
    if profile.confirm == facts.confirm:
        level = Level.AMBER if facts.confirm == "none" else Level.GREEN
        text = f"slips are confirmed by {facts.confirm}"
        advice = "the clerk is asked to look at each slip" if facts.confirm == "none" else ""
        findings.append(Finding("confirmation", level, text, advice))
    else:
        text = f"the profile says confirm = {profile.confirm}, the printer knows {facts.confirm}"
        advice = f'set confirm = "{facts.confirm}" in the profile'
        findings.append(Finding("confirmation", Level.AMBER, text, advice))
    return findings


def _heard_finding(facts: PrinterFacts) -> Finding:
    if any((facts.asb, facts.dle_eot, facts.gs_r, facts.gs_h)):
        who = ", ".join(facts.identity) or "it does not say who it is"
        return Finding("printer", Level.GREEN, f"the printer answers ({who})")
    advice = "switch it on; check cable and baud rate; or use a profile with status = []"
    return Finding("printer", Level.RED, "the printer answers nothing", advice)


def _font_finding(profile: PrinterProfile) -> Finding:
    found = raster.font_found(profile.font)
    if found:
        return Finding("font", Level.GREEN, f"rare characters are drawn with {found}")
    needed = profile.text == "raster" or profile.charset == "gb2312"
    text = "no Chinese font on this machine: characters the printer lacks come out as boxes"
    level = Level.RED if profile.text == "raster" else Level.AMBER if needed else Level.GREEN
    return Finding("font", level, text, "install fonts-noto-cjk, or set font in the profile")


def probe_surroundings(
    root: Path = Path("/"), groups: Sequence[str] | None = None
) -> list[Finding]:
    """Programs and permissions that get in the way of serial devices on Linux."""
    running = _process_names(root)
    findings = []
    if "ModemManager" in running:
        advice = 'stop it, or add a udev rule with ENV{ID_MM_DEVICE_IGNORE}="1" for the device'
        text = "ModemManager is running: it sends modem commands to new serial devices for 10 s"
        findings.append(Finding("modemmanager", Level.AMBER, text, advice))
    if "brltty" in running:
        text = "brltty is running: it takes CH340 and CP210x adapters away"
        findings.append(Finding("brltty", Level.RED, text, "remove the package brltty"))
    if groups is not None and "root" not in groups:
        for group, what in (("dialout", "serial ports"), ("input", "keyboard scanners")):
            if group not in groups:
                text = f"this account is not in the group {group}: {what} may be closed to it"
                findings.append(Finding(group, Level.AMBER, text, f"usermod -aG {group} <account>"))
    return findings or [Finding("surroundings", Level.GREEN, "nothing gets in the way")]


def scanner_mode(expected: str, root: Path = Path("/")) -> Finding:
    """A scanner falls back to keyboard mode after a factory reset: `expected` serial, found HID."""
    folder = root / "dev/input/by-id"
    names = sorted(path.name for path in folder.glob("*-event-kbd")) if folder.is_dir() else []
    suspects = [name for name in names if "scan" in name.lower() or "barcode" in name.lower()]
    if expected == "serial" and suspects:
        advice = "scan the USB-CDC (virtual serial port) code in the scanner's manual"
        text = f"expected a serial scanner, found a keyboard: {suspects[0]}"
        return Finding("scanner mode", Level.RED, text, advice)
    return Finding("scanner mode", Level.GREEN, "no scanner in keyboard mode")


def _process_names(root: Path) -> set[str]:
    names = set()
    for path in (root / "proc").glob("[0-9]*/comm"):
        try:
            names.add(path.read_text().strip())
        except OSError:  # the process ended meanwhile
            continue
    return names


def _port_advice(fault: DriverError) -> str:
    if isinstance(fault, NotPermitted):
        return "add the account to the group dialout, then log in again"
    if isinstance(fault, Claimed):
        return "stop the other program, or choose another port"
    if isinstance(fault, Misconfigured):
        return "correct the port setting"
    return "plug the device in; a /dev/serial/by-id path stays the same after replugging"


def _ignore(told: object) -> None:
    """A probe does not listen here."""
    del told
