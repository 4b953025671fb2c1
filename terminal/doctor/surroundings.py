"""What the doctor looks at without opening the terminal: settings, directory, disk, key, devices.

Responsible for: those checks. Not responsible for: the journal and what hangs on it (`inside`), or
words. Invariant: nothing is changed, and nothing but a device's own port is opened.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from drivers import emulated, probe
from drivers.errors import DriverError
from drivers.statistics import Counter, Tally
from terminal import device_profiles, keys
from terminal.doctor import flush
from terminal.doctor.finding import Found, found, guarded
from terminal.outcomes import Status
from terminal.place import Place
from terminal.station import display_profile, style

FLUSH_US_MIN: Final = 50
"""A disk that is quicker than this answers before it has written (storage notes, 1.1)."""

FLUSH_US_MAX: Final = 50_000
_MB: Final = 1024 * 1024
_SPACE_MB_GOOD: Final = 256

Check = Callable[[Place], Iterator[Found]]


def check(place: Place) -> Iterator[Found]:
    """Settings, data directory, disk and key source."""
    parts: tuple[tuple[str, Check], ...] = (
        ("settings", _settings),
        ("directory", _directory),
        ("space", _space),
        ("flush", _flush),
        ("key", _key),
    )
    for name, part in parts:
        yield from guarded(name, lambda part=part: part(place))  # type: ignore[misc]


def enrolled(place: Place) -> bool:
    """Whether there is a terminal at all."""
    return place.data.key_source.exists() and place.data.identity.exists()


def _settings(place: Place) -> Iterator[Found]:
    path = place.loaded.path
    yield found("settings", "none") if path is None else found("settings", "file", path=path)


def _directory(place: Place) -> Iterator[Found]:
    root = place.data.root
    if os.name == "nt":
        return
    told = root.stat()
    if told.st_mode & 0o077:
        yield found("directory", "open", path=root, mode=f"{told.st_mode & 0o777:04o}")
    elif told.st_uid != os.geteuid():
        yield found("directory", "foreign", path=root)
    else:
        yield found("directory", "private", path=root)


def _space(place: Place) -> Iterator[Found]:
    free, limit = place.data.free_bytes() // _MB, place.loaded.settings.disk.min_free_mb
    state = "out" if free < limit else "low" if free < max(_SPACE_MB_GOOD, 4 * limit) else "enough"
    yield found("space", state, mb=free, limit=limit)


def _flush(place: Place) -> Iterator[Found]:
    yield judge_flush(flush.measure(place.data.root))


def judge_flush(taken: flush.Flush) -> Found:
    """A flush that is too quick to be true, or too slow to wait for."""
    quick, slow = taken.p50_us < FLUSH_US_MIN, taken.p50_us > FLUSH_US_MAX
    state = "lies" if quick else "slow" if slow else "good"
    return found("flush", state, p50=taken.p50_us, p99=taken.p99_us)


def _key(place: Place) -> Iterator[Found]:
    if not place.data.key_source.exists():
        return
    source = keys.recorded(place.data).source
    if source != "file":
        yield found("key", "good", source=source)
        return
    path = place.data.root / "database.key"
    mode = path.stat().st_mode & 0o777
    if os.name != "nt" and mode & 0o077:
        yield found("key", "open", path=path, mode=f"{mode:04o}")
    yield found("key", "file")


def probed(place: Place) -> Iterator[Found]:
    """The devices, opened and asked; nobody else may hold their ports."""
    emulated.register()
    yield from guarded("printer", lambda: _printer(place))
    yield from guarded("printer", lambda: _counted(place))
    yield from guarded("printer", lambda: _slips(place))
    yield from guarded("scanner", lambda: _scanner(place))
    yield from guarded("display", lambda: _display(place))
    yield from guarded("reader", lambda: _reader(place))
    yield from guarded("surroundings", lambda: _around(place))


def reported(status: Status, place: Place) -> Iterator[Found]:
    """The devices, as the workers that hold them say."""
    yield found("printer", status.printer)
    yield from _counted(place)
    settings = place.loaded.settings
    yield from _names("printer", settings.printer.port)
    waiting = status.scanner == "none" and settings.scanner.port
    yield found("scanner", "unused" if waiting else status.scanner)
    yield from _names("scanner", settings.scanner.port)
    if settings.display.port:
        yield found("display", "held")
        yield from _names("display", settings.display.port)
    waiting = status.reader == "none" and settings.id_card.port
    yield found("reader", "unused" if waiting else status.reader)
    if settings.id_card.port:
        yield found("reader", "on")
        yield from _names("reader", settings.id_card.port)


def _printer(place: Place) -> Iterator[Found]:
    settings = place.loaded.settings.printer
    if not settings.port:
        yield found("printer", "none")
        return
    profile = device_profiles.printer_of(place.loaded)
    shipped = device_profiles.printer_profiles()
    yield from _told("printer", probe.probe_printer(settings.port, profile, shipped))
    yield from _names("printer", settings.port)


def _counted(place: Place) -> Iterator[Found]:
    """What the printer has done so far, once it has done something."""
    path = place.data.printer_statistics
    if not place.loaded.settings.printer.port or not path.exists():
        return
    tally = Tally(path)
    counts = tally.counts()
    if tally.fault:
        yield found("printer", "uncounted", name=path.name, why=tally.fault)
        return
    yield found(
        "printer",
        "counted",
        printed=counts.get(Counter.SLIPS_PRINTED, 0),
        unknown=counts.get(Counter.SLIPS_UNKNOWN, 0),
        failed=counts.get(Counter.SLIPS_FAILED, 0),
        lost=counts.get(Counter.COMMUNICATION_ERRORS, 0),
    )


def _slips(place: Place) -> Iterator[Found]:
    """The owner's own templates, without which the till does not start."""
    style(place.loaded)
    yield from ()


def _scanner(place: Place) -> Iterator[Found]:
    settings = place.loaded.settings.scanner
    if not settings.port:
        yield found("scanner", "none")
        return
    profile = device_profiles.scanner_of(place.loaded)
    if profile.kind == "evdev":
        yield _keyboard(settings.port)
        return
    yield from _told("scanner", [probe.probe_port(settings.port, profile.line())])
    yield from _names("scanner", settings.port)
    yield from _told("scanner", probe.scanner_mode())


def _keyboard(port: str) -> Found:
    """A scanner that types, whose events are read so that nobody else gets its keys."""
    # Linux only, so it is imported only where a profile asks for it.
    from drivers.scanner.evdev_scanner import find

    try:
        path = Path(find(port))
    except DriverError:
        return found("scanner", "lost")
    if not path.exists():
        return found("scanner", "lost")
    return found("scanner", "keyboard" if os.access(path, os.R_OK) else "denied", port=path)


def _display(place: Place) -> Iterator[Found]:
    port = place.loaded.settings.display.port
    if not port:
        yield found("display", "none")
        return
    yield from _told("display", [probe.probe_display(port, display_profile(place.loaded))])
    yield from _names("display", port)


def _reader(place: Place) -> Iterator[Found]:
    settings = place.loaded.settings.id_card
    if not settings.port:
        yield found("reader", "none")
        return
    yield found("reader", "on")
    yield from _told("reader", [probe.probe_card_reader(settings.port, settings.baud)])
    yield from _names("reader", settings.port)


def _around(place: Place) -> Iterator[Found]:
    settings = place.loaded.settings
    devices = (settings.printer, settings.scanner, settings.display, settings.id_card)
    ports = [device.port for device in devices]
    if not any(ports):
        return
    typing = (
        bool(settings.scanner.port) and device_profiles.scanner_of(place.loaded).kind == "evdev"
    )
    serial = any(port and "://" not in port and not port.startswith("input:") for port in ports)
    needed = (*(["dialout"] if serial else ()), *(["input"] if typing else ()))
    yield from _told("surroundings", probe.probe_surroundings(groups=_groups(), needed=needed))


def _names(check: str, port: str) -> Iterator[Found]:
    yield from _told(check, probe.lasting_name(port))


def _told(check: str, findings: Iterable[probe.Finding]) -> Iterator[Found]:
    for one in findings:
        yield Found(check, one.what, one.fields)


def _groups() -> list[str] | None:
    """The names of this account's groups, None where there are none."""
    try:
        import grp
    except ImportError:
        return None
    names = ["root"] if os.geteuid() == 0 else []
    for number in {os.getegid(), *os.getgroups()}:
        try:
            names.append(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return names
