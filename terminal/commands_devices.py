"""`print-test`, `scan-test`, `emulate printer`: for installers and slip designers.

Responsible for: trying the devices of the settings without a terminal, and showing what came of it.
Not responsible for: the devices (`drivers`), the test slip (`sample_slip`) or what a scanner's
bytes mean (`scan_trial`). Invariants: nothing is journalled; a port that somebody else holds is
said, never shared; each command ends in order on a signal.
"""

import queue
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from config.loader import Loaded
from config.schema import Scanner
from drivers import emulated
from drivers.emulated.orders import ORDERS
from drivers.emulated.printer import build_from
from drivers.emulated.run_printer import Person, Where, emulate_printer
from drivers.errors import DriverError
from drivers.escpos import preview
from drivers.escpos.job import JobState
from drivers.escpos.printer import NoJournal, Outlook, Printer
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Slip
from drivers.events import DeviceEvent, Presence
from drivers.link import Link
from drivers.ports import resolve
from drivers.scanner.framing import framer_for
from drivers.scanner.profile import ScannerProfile
from drivers.scanner.scan import Scan
from terminal import device_profiles, sample_slip, scan_trial, slip_templates
from terminal.desk import DONE, Io, fail
from terminal.errors import Misconfigured, OutOfService
from terminal.scan_trial import Advice, Keyed, Reading, Rhythm, Trial
from terminal.scanning import ScannerWorker
from terminal.station import style
from terminal.words import Language
from terminal.words_devices import say

PRINT_S: Final = 30.0
_KICK_MS: Final = 10_000
_TYPING: Final = "hid-tty"
"""How a scanner that types ends a scan."""
_POLL_S: Final = 0.05
_REPLY_MS: Final = 200
_ENDED: Final = frozenset(
    {JobState.PRINTED, JobState.UNCONFIRMED, JobState.UNKNOWN, JobState.FAILED, JobState.ABANDONED}
)

Told = tuple[JobState, str] | DeviceEvent


def print_test(loaded: Loaded, args: Namespace, io: Io) -> int:
    """A slip with one of everything, or an owner's templates with sample values: on paper, or as
    a picture (or text, for FILE.txt)."""
    settings, language = loaded.settings, _language(loaded)
    profile = device_profiles.printer_of(loaded)
    if args.template is None:
        slip = sample_slip.compose(style(loaded), profile)
    else:
        own = slip_templates.own(Path(args.template))
        slip = sample_slip.of_templates(replace(style(loaded), templates=own))
    if args.preview == "-":
        return _preview_here(slip, profile, args, io)
    if args.preview:
        return _preview(slip, profile, Path(args.preview), language, args, io)
    if not settings.printer.port:
        raise Misconfigured(say("print.no_port", language))
    emulated.register()
    wanted = None if args.drawer else slip
    return _print(wanted, settings.printer.port, profile, language, args, io)


def _preview_here(slip: Slip, profile: PrinterProfile, args: Namespace, io: Io) -> int:
    """On the screen, as lines of text."""
    text = preview.preview_text(slip, profile)
    if args.json:
        io.json({"ok": True, "text": text, "bytes": preview.bytes_on_the_wire(slip, profile)})
    else:
        io.out(text)
    return DONE


def _preview(
    slip: Slip, profile: PrinterProfile, path: Path, language: Language, args: Namespace, io: Io
) -> int:
    if path.suffix == ".txt":
        path.write_text(preview.preview_text(slip, profile), encoding="utf-8")
    else:
        preview.preview_png(slip, profile, path)
    count = preview.bytes_on_the_wire(slip, profile)
    if args.json:
        io.json({"ok": True, "file": str(path), "bytes": count})
    else:
        io.out(say("print.preview", language, file=path, bytes=count) + "\n")
    return DONE


def _print(
    slip: Slip | None,
    port: str,
    profile: PrinterProfile,
    language: Language,
    args: Namespace,
    io: Io,
) -> int:
    told: queue.SimpleQueue[Told] = queue.SimpleQueue()
    outlook = Outlook(on_job=lambda _, state, detail: told.put((state, detail)), on_event=told.put)
    printer = Printer(port, profile, journal=NoJournal(), outlook=outlook)
    if slip is None:
        printer.kick_drawer("test", within_ms=_KICK_MS)
    else:
        printer.submit("test", slip)
    printer.start()
    try:
        state, message = _outcome(told, printer, language)
    finally:
        printer.stop()
    if slip is None and state is JobState.PRINTED:
        message = say("print.kicked", language)
    if state not in (JobState.PRINTED, JobState.UNCONFIRMED):
        return fail("out_of_service", message, io, as_json=args.json)
    if args.json:
        io.json({"ok": True, "state": str(state), "message": message})
    else:
        io.out(message + "\n")
    return DONE


def _outcome(
    told: "queue.SimpleQueue[Told]", printer: Printer, language: Language
) -> tuple[JobState | None, str]:
    """What became of the slip, in time."""
    ending = time.monotonic() + PRINT_S
    while (left := ending - time.monotonic()) > 0:
        try:
            item = told.get(timeout=left)
        except queue.Empty:
            break
        if isinstance(item, DeviceEvent):
            if item.presence is not Presence.FOUND:
                return None, say("print.port", language, detail=item.detail)
        elif item[0] in _ENDED:
            state, detail = item
            known = state in (JobState.PRINTED, JobState.UNCONFIRMED)
            phrase = f"print.{state}" if known else "print.failed"
            return state, say(phrase, language, state=state, detail=detail)
    return None, say("print.waiting", language, seconds=int(PRINT_S), status=printer.status)


def scan_test(
    loaded: Loaded,
    args: Namespace,
    io: Io,
    typed: Iterable[Keyed],
    ended: threading.Event,
) -> int:
    """Read scans, show them, and propose settings. `typed` are those of a keyboard scanner."""
    settings, language = loaded.settings.scanner, _language(loaded)
    if settings.port:
        chosen = device_profiles.scanner_of(loaded)
    else:
        chosen = device_profiles.scanner_profile(_TYPING)
    if settings.port and chosen.kind == "evdev":
        source: Iterable[Keyed] = map(Keyed, _grabbed(settings.port, chosen, ended))
    elif settings.port:
        emulated.register()
        source = map(Keyed, _heard(resolve(settings.port), chosen, ended, language))
    else:
        io.err(say("scan.typed", language) + "\n")
        source = typed
    io.err(say("scan.ready", language, count=args.count) + "\n")
    scans: list[Keyed] = []
    for scan in source:
        scans.append(scan)
        _show(scan_trial.read(scan.data, chosen), len(scans), language, args, io)
        if len(scans) >= args.count or ended.is_set():
            break
    if not scans:
        return fail("out_of_service", say("scan.nothing", language), io, as_json=args.json)
    bursts = [scan.data for scan in scans]
    advice = scan_trial.advise(bursts, device_profiles.scanner_profiles(), chosen)
    profile = advice.fits[0] if advice.fits and advice.legible else None
    keys = _advised(advice, profile, chosen if settings.port else None)
    words = [say(key, language, profile=profile) for key in keys]
    words += _typing(scan_trial.rhythm(scans), settings, language)
    if profile is None:
        return fail("out_of_service", "\n".join(words), io, as_json=args.json, scans=len(scans))
    if args.json:
        said = {"scans": len(scans), "end": advice.end, "profile": profile, "advice": words}
        io.json({"ok": True, **said})
    else:
        io.out("\n".join(words) + "\n")
    return DONE


def _advised(advice: Advice, profile: str | None, chosen: ScannerProfile | None) -> list[str]:
    """The names of what to say about how scans arrive; `chosen` is None for one that types."""
    keys = [] if advice.legible else ["advice.noise"]
    keys += ["advice.end"] if advice.end == "none" else []
    keys += ["advice.mixed"] if advice.end == "mixed" else []
    keys += ["advice.aim"] if advice.aim and not (chosen and chosen.aim) else []
    if profile is not None and chosen is None:
        return [*keys, "advice.typed"]
    fits = "advice.fits" if chosen and profile == chosen.name else "advice.profile"
    return [*keys, "advice.none" if profile is None else fits]


def _typing(found: Rhythm | None, settings: Scanner, language: Language) -> list[str]:
    """What to say about a scanner that types: nothing where its keys were not seen one by one."""
    if found is None:
        return []
    marked = found.prefix or settings.wedge_prefix
    if marked:
        key = "rhythm.marked" if marked == settings.wedge_prefix else "rhythm.prefix"
    elif found.like_a_hand:
        key = "rhythm.hand"
    else:
        key = "rhythm.fits" if found.wanted_ms <= settings.wedge_gap_ms else "rhythm.gap"
    return [say(key, language, gap=found.gap_ms, wanted=found.wanted_ms, prefix=marked)]


def _grabbed(port: str, profile: ScannerProfile, ended: threading.Event) -> Iterator[bytes]:
    """Scans of a keyboard scanner whose keys nobody else gets, each with the end it must have."""
    arrived: queue.SimpleQueue[Scan] = queue.SimpleQueue()
    scanner = ScannerWorker(port, profile, arrived.put)
    scanner.start()
    try:
        while not ended.is_set():
            with suppress(queue.Empty):
                scan = arrived.get(timeout=_POLL_S)
                yield scan.raw + (b"\r" if scan.complete else b"")
    finally:
        scanner.stop()


def _heard(
    port: str, profile: ScannerProfile, ended: threading.Event, language: Language
) -> Iterator[bytes]:
    """Bursts of a serial scanner. Raises OutOfService when the port cannot be used, or is lost."""
    arrived: queue.SimpleQueue[bytes | str] = queue.SimpleQueue()
    link = Link(port, profile.line(), on_bytes=arrived.put, on_lost=arrived.put)
    trial, framer = Trial(), framer_for(profile)
    try:
        link.open()
        while not ended.is_set():
            try:
                item = arrived.get(timeout=_POLL_S)
            except queue.Empty:
                item = b""
            if isinstance(item, str):
                raise OutOfService(say("scan.port", language, detail=item))
            if item:
                trial.feed(item, _now_ms())
                framer.feed(item, _now_ms())
                # A scanner that waits for an answer sends its scan again and again without one.
                link.write(framer.replies(), timeout_ms=_REPLY_MS)
            yield from trial.whole(_now_ms())
    except DriverError as fault:
        raise OutOfService(say("scan.port", language, detail=fault)) from fault
    finally:
        link.close()


def _show(one: Reading, number: int, language: Language, args: Namespace, io: Io) -> None:
    if args.json:
        io.json(
            {
                "scan": number,
                "text": one.text,
                "end": one.end,
                "aim": one.aim,
                "symbology": one.symbology,
                "charset": one.charset,
                "mistake": one.mistake or None,
                "test": one.test or None,
            }
        )
        return
    text = one.text if one.text.isprintable() else ascii(one.text)
    lines = [
        say(
            "scan.one",
            language,
            number=number,
            text=text,
            symbology=one.symbology,
            charset=one.charset,
            end=one.end,
        )
    ]
    lines += [say(f"scan.test_{one.test}", language)] if one.test else []
    lines += [say("scan.mistake", language, mistake=one.mistake)] if one.mistake else []
    io.out("\n".join(lines) + "\n")


def emulate(
    loaded: Loaded,
    args: Namespace,
    io: Io,
    ended: threading.Event,
    orders: Iterator[str] | None = None,
) -> int:
    """A printer on paper only, for whoever develops slips, until a signal.

    The first line is the port to use. Lines on standard input are what a person does to it.
    """
    names = ("columns", "baud", "line_ms", "buffer", "charset", "replies", "flow", "restart_ms")
    given = {name: str(value) for name in names if (value := getattr(args, name)) is not None}
    given |= {"busy_offline": "1"} if args.busy_offline else {}
    png = None if args.png is None else Path(args.png)
    person = Person(
        show=_json_lines(io) if args.json else io.out,
        tell=lambda kind, text: io.err(_told(kind, text, _language(loaded)) + "\n"),
        orders=orders,
    )
    where = Where(tcp_port=args.tcp, link=None if args.link is None else Path(args.link))
    try:
        emulate_printer(build_from(given), where, person, stop=ended, png=png)
    except OSError as error:
        why = error.strerror or error
        raise OutOfService(say("emulate.port", _language(loaded), why=why)) from error
    return DONE


def _told(kind: str, text: str, language: Language) -> str:
    return say(f"emulate.{kind}", language, text=text, orders=", ".join(ORDERS))


def _json_lines(io: Io) -> Callable[[str], None]:
    names = iter(["port"])

    def show(text: str) -> None:
        name = next(names, "paper")
        io.json({name: text.removesuffix("\n") if name == "port" else text})

    return show


def _language(loaded: Loaded) -> Language:
    return Language(loaded.settings.kiosk.language)


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
