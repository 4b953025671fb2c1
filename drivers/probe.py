"""What is wrong with the devices and their surroundings, for an installer.

Responsible for: asking devices what they can, comparing that with the profile, proposing a profile
and a lasting name for a port. Not responsible for: words and colours (`terminal.doctor`), or
changing anything. A probe opens the port for a moment, so it is run while nobody else holds it. It
prints nothing on a printer that knows the questions; one that does not may print some characters.
Invariant: what is not known is not claimed: no answer is a finding of its own.
"""

import contextlib
import queue
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from drivers import idcard
from drivers.display import DisplayProfile, frame, opening
from drivers.errors import Claimed, DriverError, Misconfigured, NotPermitted
from drivers.escpos import encode, raster
from drivers.escpos.handshake import MACRO_BARRIERS
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.reply import AutoStatus, Barrier, Printed, RealTime, ReplyParser, Text
from drivers.link import LineSettings, Link
from drivers.ports import PortFound, discover, identity, resolve

WRITE_MS = 1_000
ANSWER_S = 0.5
_IDENTIFIER = b"hx?!"
_EMULATED = "EMULATED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: the name of what was found, and what goes into its words."""

    what: str
    fields: Mapping[str, object] = field(default_factory=dict)


def _finding(what: str, **fields: object) -> Finding:
    return Finding(what, fields)


@dataclass(frozen=True, slots=True)
class PrinterFacts:
    """What a printer answered when it was asked everything."""

    asb: bool
    dle_eot: bool
    gs_r: bool
    gs_h: bool
    macro: bool
    identity: tuple[str, ...]

    @property
    def confirm(self) -> str:
        """The best way this printer confirms."""
        return "gs_h" if self.gs_h else "gs_r" if self.gs_r else "none"

    @property
    def status(self) -> frozenset[str]:
        """The kinds of status it answered."""
        told = {"asb": self.asb, "dle_eot": self.dle_eot, "gs_r": self.gs_r}
        return frozenset(name for name, heard in told.items() if heard)


def probe_port(port: str, settings: LineSettings) -> Finding:
    """Whether a port can be opened now."""
    link = Link(resolve(port), settings, on_bytes=_ignore, on_lost=_ignore)
    try:
        link.open()
    except DriverError as fault:
        return port_fault(fault)
    finally:
        link.close()
    return _finding("port.opens", port=port)


def lasting_name(port: str, ports: Iterable[PortFound] | None = None) -> list[Finding]:
    """Whether the name of a port stays the same when cables are plugged in another order."""
    found = tuple(discover() if ports is None else ports)
    return [
        _finding("port.unlasting", port=port, name=identity(one, found))
        for one in found
        if one.path == port and identity(one, found) != port
    ]


def probe_printer(
    port: str,
    profile: PrinterProfile,
    others: Iterable[PrinterProfile] = (),
    answer_s: float = ANSWER_S,
) -> list[Finding]:
    """Everything about a printer: port, answers, confirmation, font, and the profile's claims.

    `others` are the profiles that may be proposed instead.
    """
    arrived: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    link = Link(resolve(port), profile.line(), on_bytes=arrived.put, on_lost=_ignore)
    try:
        link.open()
        facts = _ask(link, arrived, answer_s, profile)
        unseen = profile.flow == "rtscts" and not link.sees_wire()
    except DriverError as fault:
        return [port_fault(fault)]
    finally:
        link.close()
    judged = [*judge(profile, facts, others), *_continuity(profile, facts, unseen=unseen)]
    return [_heard_finding(facts, profile), *judged, _font_finding(profile)]


def probe_display(port: str, profile: DisplayProfile) -> Finding:
    """Show a test frame: displays answer nothing, so a person has to look."""
    link = Link(resolve(port), LineSettings(baud=profile.baud), on_bytes=_ignore, on_lost=_ignore)
    test = opening(profile) + frame(profile, "hexiao 1234567890", "test / 核销测试")
    try:
        link.open()
        taken = link.write(test, timeout_ms=WRITE_MS)
    except DriverError as fault:
        return port_fault(fault)
    finally:
        link.close()
    return _finding("display.stuck" if taken < len(test) else "display.shown")


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
        return port_fault(fault)
    finally:
        link.close()
    if not replies:
        return _finding("card.mute")
    if replies[0].status == idcard.OK:
        return _finding("card.ready")
    return _finding("card.broken", status=f"{replies[0].status:02x}")


def port_fault(fault: DriverError) -> Finding:
    """Why a port could not be used; each kind has its own remedy."""
    if isinstance(fault, NotPermitted):
        return _finding("port.denied", why=fault)
    if isinstance(fault, Claimed):
        return _finding("port.claimed", why=fault)
    if isinstance(fault, Misconfigured):
        return _finding("port.wrong", why=fault)
    found = discover()
    there = ", ".join(f"{identity(one, found)} ({one.product or one.path})" for one in found)
    return _finding("port.missing", why=fault, there=there or "-")


def _within(arrived: "queue.SimpleQueue[bytes]", answer_s: float) -> Iterator[bytes]:
    """What arrives until the time is up."""
    deadline = time.monotonic() + answer_s
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(queue.Empty):
            yield arrived.get(timeout=left)


def _ask(
    link: Link, arrived: "queue.SimpleQueue[bytes]", answer_s: float, profile: PrinterProfile
) -> PrinterFacts:
    questions = b"".join(encode.ask_status(number) for number in (1, 2, 3, 4)) + encode.ASB_ON
    questions += b"".join(encode.ask_identity(number) for number in (66, 67, 69))
    questions += encode.macro_trial(profile) + encode.BARRIER
    questions += encode.ask_confirmation(_IDENTIFIER)
    link.write(questions, timeout_ms=WRITE_MS)
    parser = ReplyParser()
    answers = [answer for data in _within(arrived, answer_s) for answer in parser.feed(data, 0)]
    kinds = {type(answer) for answer in answers}
    return PrinterFacts(
        asb=AutoStatus in kinds,
        dle_eot=RealTime in kinds,
        gs_r=Barrier in kinds,
        gs_h=Printed(_IDENTIFIER) in answers,
        macro=sum(isinstance(answer, Barrier) for answer in answers) >= MACRO_BARRIERS,
        identity=tuple(
            answer.value.decode("latin-1") for answer in answers if isinstance(answer, Text)
        ),
    )


def judge(
    profile: PrinterProfile, facts: PrinterFacts, others: Iterable[PrinterProfile] = ()
) -> list[Finding]:
    """The profile against the answers."""
    findings = []
    if missing := [name for name in profile.status if name not in facts.status]:
        findings.append(_finding("unheard", profile=profile.name, missing=", ".join(missing)))
    if profile.confirm != facts.confirm:
        fields = {"profile": profile.name, "claims": profile.confirm, "knows": facts.confirm}
        findings.append(Finding("other_confirm", fields))
    elif facts.confirm == "none":
        findings.append(_finding("unconfirmed"))
    else:
        findings.append(_finding("confirmed", how=facts.confirm))
    better = proposed(profile, facts, others)
    if better is not None and better.name != profile.name:
        findings.append(_finding("better_profile", name=better.name))
    return findings


def _continuity(profile: PrinterProfile, facts: PrinterFacts, *, unseen: bool) -> list[Finding]:
    """What notices a loss of power in the middle of a slip (decision 0025)."""
    if profile.confirm == "none" or facts.confirm == "none":
        return []  # the clerk looks at each slip anyway
    if facts.macro:
        proved = profile.continuity == "macro"
        return [_finding("proved" if proved else "macro_unused", profile=profile.name)]
    return [_finding("unwatched" if unseen else "unproved", profile=profile.name)]


def proposed(
    profile: PrinterProfile, facts: PrinterFacts, others: Iterable[PrinterProfile]
) -> PrinterProfile | None:
    """The profile that claims the most of what the printer answered and nothing that it did not.

    Only those for paper as wide, and for a printer with the same kind of font: both are seen on
    paper, not in answers. The one in use stays unless another claims more.
    """
    emulated = _EMULATED in facts.identity
    able = [
        other
        for other in (profile, *others)
        if (other.dots, other.text) == (profile.dots, profile.text)
        and set(other.status) <= facts.status
        and other.confirm in (facts.confirm, "none")
        and (other.name.startswith("emulated") is emulated or other.name == profile.name)
    ]
    maker = " ".join(facts.identity).lower()

    def claims(other: PrinterProfile) -> tuple[bool, bool, int]:
        known = other.name.partition("-")[0] in maker
        return other.confirm == facts.confirm, known, len(other.status)

    return max(able, key=claims, default=None)


def _heard_finding(facts: PrinterFacts, profile: PrinterProfile) -> Finding:
    if facts.status or facts.gs_h:
        return _finding("answers", who=", ".join(facts.identity) or "?")
    return _finding("mute" if profile.status else "mute_as_said")


def _font_finding(profile: PrinterProfile) -> Finding:
    found = raster.font_found(profile.font)
    if found:
        return _finding("font", path=found)
    if profile.text == "raster":
        return _finding("no_font.all")
    return _finding("no_font.many" if profile.charset == "gb2312" else "no_font.few")


def probe_surroundings(
    root: Path = Path("/"),
    groups: Collection[str] | None = None,
    needed: Collection[str] = ("dialout",),
) -> list[Finding]:
    """Programs and permissions that get in the way of devices on Linux.

    `groups` are those of this account, None where there are none; `needed` those that the devices
    of the settings ask for.
    """
    running = _process_names(root)
    findings = [
        _finding(what) for what, name in (("modems", "ModemManager"), ("brltty", "brltty"))
        if name in running
    ]  # fmt: skip
    if groups is not None and "root" not in groups:
        findings += [_finding("group", name=name) for name in needed if name not in groups]
    return findings or [_finding("clear")]


def scanner_mode(root: Path = Path("/")) -> list[Finding]:
    """A serial scanner falls back to keyboard mode after a factory reset."""
    folder = root / "dev/input/by-id"
    names = sorted(path.name for path in folder.glob("*-event-kbd")) if folder.is_dir() else []
    suspects = [name for name in names if "scan" in name.lower() or "barcode" in name.lower()]
    return [_finding("typing", name=suspects[0])] if suspects else []


def _process_names(root: Path) -> set[str]:
    names = set()
    for path in (root / "proc").glob("[0-9]*/comm"):
        try:
            names.add(path.read_text().strip())
        except OSError:  # the process ended meanwhile
            continue
    return names


def _ignore(told: object) -> None:
    """A probe does not listen here."""
    del told
