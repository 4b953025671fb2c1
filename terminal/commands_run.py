"""`kiosk`, `run`, `sync`, `enrol`, `demo`: commands that hold a terminal or make one.

Responsible for: starting a station, its control socket and its screen, and ending them in order on
a signal. Not responsible for: what happens at the counter. Invariant: whoever holds the data
directory answers the control socket for as long as it does.
"""

import signal
import socket
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from config.loader import Loaded
from terminal import assembly
from terminal.control import ControlServer, Handler
from terminal.datadir import hold
from terminal.desk import DONE, OUT_OF_SERVICE, Desk, Io, fail
from terminal.errors import Misconfigured
from terminal.place import Place
from terminal.station import Station

if TYPE_CHECKING:
    from terminal.recovery import Brought

HOLD_WAIT_S = 5.0


class Serves(Protocol):
    """Makes the control socket's handler for an open station."""

    def __call__(self, station: Station) -> Handler:
        """The handler."""
        ...


@contextmanager
def held_station(loaded: Loaded, serves: Serves, *, wait_s: float) -> Iterator[Station]:
    """Hold the data directory with everything running; ends it all on the way out."""
    with _held(loaded, serves, wait_s=wait_s, equipped=True) as (station, server):
        station.start()
        server.start()
        yield station


@contextmanager
def _held(
    loaded: Loaded, serves: Serves, *, wait_s: float, equipped: bool
) -> Iterator[tuple[Station, ControlServer]]:
    """Hold the data directory with the counter open; ends on the way out what was started."""
    place = Place(loaded)
    with hold(place.data, wait_s=wait_s):
        station = Station(place, equipped=equipped)
        server = ControlServer(place.data, serves(station))
        try:
            station.begin(assembly.VERSION)
            yield station, server
        finally:
            station.settle()
            server.stop()
            station.stop()


def run(loaded: Loaded, args: Namespace, io: Io, serves: Serves) -> int:
    """The terminal without a screen, until a signal."""
    with held_station(loaded, serves, wait_s=args.wait) as station, signalled() as ended:
        io.err(f"{station.counter.parts.identity.posid} is running; end it with a signal\n")
        ended.wait()
    return DONE


def kiosk(
    loaded: Loaded,
    args: Namespace,
    serves: Serves,
) -> int:
    """The counter screen: first what a clerk needs to redeem, then the followers and devices."""
    with _held(loaded, serves, wait_s=args.wait, equipped=False) as (station, server):
        return show(station, plain=args.plain, then=server.start)


def show(
    station: Station,
    *,
    plain: bool,
    samples: Sequence[tuple[str, str, str, str]] = (),
    then: Callable[[], None] = lambda: None,
) -> int:
    """Open the kiosk on an open station; what does not run yet is started behind it.

    `samples` are code, last four and what it is (zh, en), for the help. `then` is called when
    everything was started.
    """
    try:
        from terminal.kiosk import Around, GateSettings, Sample, Setting, run_kiosk
        from terminal.words import Language
    except ImportError as error:
        raise Misconfigured(f"the kiosk needs Textual, which is not installed: {error}") from error
    settings = station.place.loaded.settings
    chinese = settings.display.charset != "ascii" and settings.kiosk.language == "zh"
    setting = Setting(
        Language(settings.kiosk.language),
        station.counter.parts.identity.zone,
        tuple(Sample(*sample) for sample in samples),
        sound=settings.kiosk.sound,
        cards=bool(settings.id_card.port),
        customer_language=Language.ZH if chinese else Language.EN,
    )

    return run_kiosk(
        station.counter,
        setting,
        Around(
            scans=station.scan_into,
            begin=lambda: station.start_behind(then),
            customer=station.show_customer if settings.display.port else None,
        ),
        gate=GateSettings(
            gap_s=settings.scanner.wedge_gap_ms / 1000, prefix=settings.scanner.wedge_prefix
        ),
        plain=plain,
    )


@contextmanager
def signalled() -> Iterator[threading.Event]:
    """An event that SIGTERM, SIGINT and SIGHUP set, so that everything ends in order.

    A handler would run in the middle of what the main thread is doing, perhaps inside this very
    event's lock, and wait for itself for ever: a thread hears the signals and sets it.
    """
    ended = threading.Event()
    heard, said = socket.socketpair()
    said.settimeout(0)
    names = [signal.SIGTERM, signal.SIGINT]
    if hasattr(signal, "SIGHUP"):
        names.append(signal.SIGHUP)

    def pass_on() -> None:
        with heard:
            while number := heard.recv(1):
                if number[0] in names:
                    ended.set()

    threading.Thread(target=pass_on, name="signals", daemon=True).start()
    # Python writes the number there at once. The handlers themselves run when the main thread next
    # does something, which it does not where a signal came just before it began to wait.
    wakeup = signal.set_wakeup_fd(said.fileno(), warn_on_full_buffer=False)
    before = {name: signal.signal(name, lambda *_: None) for name in names}
    try:
        yield ended
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
        signal.set_wakeup_fd(wakeup)
        said.close()


def sync(desk: Desk, args: Namespace, io: Io) -> int:
    """Pull the feed and push the journal now; exit 3 if central was not reached."""
    worker = desk.station.syncing
    if worker is None:
        message = "this terminal has no central: enrol it, or set central.enabled"
        return fail("out_of_service", message, io, as_json=args.json)
    result = worker.once()
    ok = result.error is None and result.fence is None
    said: dict[str, object] = {
        "ok": ok,
        "pulled": result.pulled,
        "pushed": result.pushed,
        "up_to": result.up_to,
        "behind": result.behind,
        "replica_age_s": result.replica_age_s,
    }
    if result.poison is not None:
        io.err(f"central refuses entry {result.poison}: it stays here; tell head office\n")
    why = str(result.fence.detail) if result.fence is not None else str(result.error or "")
    if args.json:
        io.json(said if ok else {**said, "reason": "out_of_service", "message": why})
    elif ok:
        io.out(f"pulled {result.pulled}, pushed {result.pushed}, {result.behind} behind\n")
    else:
        io.err(f"central was not reached: {why}\n")
    return DONE if ok else OUT_OF_SERVICE


def enrol(loaded: Loaded, args: Namespace, io: Io, ask: Callable[[], str]) -> int:
    """Pair this terminal."""
    from terminal.enrol import enrol as pair

    place = Place(loaded)
    settings = loaded.settings
    with hold(place.data, wait_s=args.wait):
        enrolled = pair(
            place.data,
            args.url,
            args.pairing_code,
            key_source=settings.keys.source,
            insecure_http=settings.central.insecure_http,
            ask_passphrase=ask,
        )
    identity, brought = enrolled.identity, enrolled.brought
    said: dict[str, object] = {
        "ok": True,
        "posid": identity.posid,
        "epoch": identity.epoch,
        "outlet": identity.outlet,
        "merchant": identity.merchant,
        "fetched": brought.fetched,
        "lost": [asdict(lost) for lost in brought.lost],
        "differs": list(brought.differs),
    }
    if args.json:
        io.json(said)
    else:
        io.out(f"{identity.posid} is enrolled at {identity.outlet_name}, epoch {identity.epoch}\n")
        io.out(_recovered(brought))
    return DONE


def _recovered(brought: "Brought") -> str:
    """What became of earlier epochs, for the person who opened the new one."""
    lines = []
    if brought.fetched:
        lines.append(f"{brought.fetched} entries came back from central")
    for lost in brought.lost:
        lines.append(
            f"LOST: entries {lost.first} to {lost.last} of epoch {lost.epoch} happened here"
            f" ({lost.proof} shows it) and nobody holds them: collect their slips and tell head"
            " office"
        )
    for epoch in brought.differs:
        lines.append(
            f"epoch {epoch} differs from central's copy and stays as it is here: keep this disk and"
            " tell head office"
        )
    return "".join(f"{line}\n" for line in lines)
