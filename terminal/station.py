"""A running terminal: the counter with its followers and devices.

Responsible for: starting and stopping printing, syncing and scanning around one counter, and the
lamps of the status line. Not responsible for: holding the data directory, commands or screens.
Invariants: the counter redeems whether or not any follower or device can be started; none of their
code is loaded before they are wanted, because a clerk waits for the counter and not for them.
"""

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from config.loader import Loaded, SettingsError
from terminal import assembly, keys, startup
from terminal.assembly import Options
from terminal.counter import Lamps, ShopCounter
from terminal.errors import Misconfigured, OutcomeUnknown, OutOfService, TerminalError
from terminal.outcomes import CardSeen
from terminal.place import Place
from vouchers.ids import uuid7

if TYPE_CHECKING:
    from drivers.display import Display, DisplayProfile
    from drivers.scanner.scan import Scan
    from terminal.card_reading import CardWorker
    from terminal.printing import PrintWorker
    from terminal.scanning import ScannerWorker
    from terminal.slips import SlipStyle
    from terminal.sync_worker import SyncWorker

log = logging.getLogger(__name__)

NOT_SET_UP: Final = "not_set_up"
"""The lamp of what could not be started: its library is missing, or its settings are wrong."""

STARTING: Final = "starting"
"""The lamp of a device whose code is still being loaded."""

_NOT_STARTED: Final = (ImportError, TerminalError, SettingsError, OSError, ValueError)
_SETTLE_S: Final = 10.0


class Station:
    """One terminal, open. `start` begins the followers, `stop` ends everything."""

    def __init__(
        self, place: Place, *, ask: Callable[[], str] | None = None, equipped: bool = True
    ) -> None:
        """Open the counter; unless `equipped`, followers come later, by `start_behind`."""
        settings = place.loaded.settings
        self.place = place
        self._deliver: Callable[[Scan | CardSeen], None] = lambda _: None
        self._lines, self._showing = ("", ""), threading.Lock()
        self.printing: PrintWorker | None = None
        self.syncing: SyncWorker | None = None
        self._scanner: ScannerWorker | None = None
        self._cards: CardWorker | None = None
        self._display: Display | None = None
        self._ask = ask
        self._failed: set[str] = set()
        self._ending = threading.Event()
        self._behind: threading.Thread | None = None
        parts = assembly.open_checked(place.data, options(place, ask))
        self.counter = ShopCounter(
            parts,
            clerk=settings.kiosk.clerk,
            has_printer=bool(settings.printer.port),
            lamps=Lamps(self._network, self._printer_lamp, self._scanner_lamp, self._reader_lamp),
        )
        self.counter.on_entry = self._entry_made
        if not equipped:
            return
        try:
            with self._missing_told("printer"):
                self.printing = self._make_printing()
            with self._missing_told("network"):
                self.syncing = self._make_syncing()
        except BaseException:
            self.counter.close(assembly.close)
            raise

    def begin(self, version: str) -> None:
        """Journal the start; slips that a crash left half-printed become questions.

        Raises OutOfService: nobody waits for the outcome of a start.
        """
        parts, clerk = self.counter.parts, self.counter.clerk
        try:
            self.counter.exclusive(lambda _: startup.started(parts, version, clerk=clerk))
        except OutcomeUnknown as error:
            raise OutOfService(f"this terminal cannot start: {error}") from error

    def start(self) -> None:
        """Start the followers, and make ready for quick commits."""
        self._warm()
        if self.printing is not None:
            self.printing.start()
        if self.syncing is not None:
            self.syncing.start()

    def start_behind(self, then: Callable[[], None] = lambda: None) -> None:
        """Load and start what is not running yet, in a thread, while the counter serves.

        `then` is called at the end. What cannot be started is a word in the status line: the clerk
        goes on without it.
        """
        self._behind = threading.Thread(
            target=self._bring_up, args=(then,), name="start", daemon=True
        )
        self._behind.start()

    def settle(self) -> None:
        """Wait until nothing is being started any more; nothing new will be."""
        self._ending.set()
        if self._behind is not None:
            self._behind.join(_SETTLE_S)

    def scan_into(self, deliver: Callable[["Scan | CardSeen"], None]) -> "ScannerWorker | None":
        """Open the serial scanner, if one is set and can be opened, and hand its scans on.

        It does not wait for the screen: what is scanned at a closed port is lost. ID cards go the
        same way, once their reader was started.
        """
        self._deliver = deliver
        with self._missing_told("scanner", _NOT_STARTED):
            self._scanner = self._make_scanner(deliver)
        return self._scanner

    def show_customer(self, top: str, bottom: str) -> None:
        """Two lines on the customer display; one that opens late shows the last ones."""
        with self._showing:
            self._lines = top, bottom
            if self._display is not None:
                self._display.show(top, bottom)

    def read_cards(self, deliver: Callable[[CardSeen], None]) -> None:
        """Open the ID card reader, if one is set, and hand on what it reads."""
        settings = self.place.loaded.settings.id_card
        if not settings.port:
            return
        from terminal.card_reading import CardWorker

        self._cards = CardWorker(settings.port, settings.baud, deliver)
        self._cards.start()

    def stop(self) -> None:
        """End followers and devices, then close the files."""
        self.settle()
        if self._scanner is not None:
            self._scanner.stop()
        if self._cards is not None:
            self._cards.stop()
        if self._display is not None:
            self._display.stop()
        if self.printing is not None:
            self.printing.stop()
        if self.syncing is not None:
            self.syncing.stop()
        self.counter.close(assembly.close)

    def _bring_up(self, then: Callable[[], None]) -> None:
        """In the order in which a clerk misses them."""
        steps = {
            "reader": lambda: self.read_cards(self._deliver),
            "display": self._open_display,
            "printer": self._begin_printing,
            "network": self._begin_syncing,
            "journal": self._warm,
            "control": then,
        }
        for what, begin in steps.items():
            if self._ending.is_set():
                return
            with self._missing_told(what, _NOT_STARTED):
                begin()

    @contextmanager
    def _missing_told(
        self, what: str, faults: tuple[type[Exception], ...] = (ImportError,)
    ) -> Iterator[None]:
        """What cannot be started is a word in the status line; the log says why."""
        try:
            yield
        except faults as error:
            self._failed.add(what)
            log.warning("%s was not started: %s", what, error)

    def _begin_printing(self) -> None:
        if self.printing is None:
            self.printing = self._make_printing()
            if self.printing is not None:
                self.printing.start()

    def _begin_syncing(self) -> None:
        if self.syncing is None:
            self.syncing = self._make_syncing()
            if self.syncing is not None:
                self.syncing.start()

    def _open_display(self) -> None:
        port = self.place.loaded.settings.display.port
        if not port:
            return
        from drivers import emulated
        from drivers.display import Display

        emulated.register()
        display = Display(port, display_profile(self.place.loaded), on_event=lambda _: None)
        with self._showing:
            self._display = display
            display.show(*self._lines)
        display.start()

    def _make_scanner(self, deliver: Callable[["Scan"], None]) -> "ScannerWorker | None":
        settings = self.place.loaded.settings.scanner
        if not settings.port:
            return None
        from terminal import device_profiles
        from terminal.scanning import ScannerWorker

        scanner = ScannerWorker(
            settings.port,
            device_profiles.scanner_of(self.place.loaded),
            deliver,
            statistics=self.place.data.root / "scanner.json",
            gs1_identifier=settings.gs1_identifier,
        )
        scanner.start()
        return scanner

    def _warm(self) -> None:
        self.counter.exclusive(lambda parts: parts.journal.warm())

    def _make_printing(self) -> "PrintWorker | None":
        settings = self.place.loaded.settings
        if not settings.printer.port:
            return None
        from drivers import emulated
        from terminal import device_profiles
        from terminal.printing import PrintWorker

        emulated.register()
        return PrintWorker(
            self.counter,
            settings.printer.port,
            device_profiles.printer_of(self.place.loaded),
            style=style(self.place.loaded),
            backlog_minutes=settings.receipt.backlog_minutes,
            statistics=self.place.data.printer_statistics,
        )

    def _make_syncing(self) -> "SyncWorker | None":
        if not self._has_central:
            return None
        from terminal.sync_worker import SyncWorker

        try:
            return SyncWorker(
                self.counter,
                keys.fetch(self.place.data, self._ask),
                instance=uuid7(self.counter.parts.clock.read().wall_ms, secrets.token_bytes(10)),
                version=assembly.VERSION,
                insecure_http=self.place.loaded.settings.central.insecure_http,
            )
        except ValueError as error:
            raise Misconfigured(str(error)) from error

    @property
    def _has_central(self) -> bool:
        central = self.place.loaded.settings.central
        return central.enabled and bool(self.counter.parts.identity.url)

    def _entry_made(self) -> None:
        if self.printing is not None:
            self.printing.wake()
        if self.syncing is not None:
            self.syncing.wake()

    def _network(self) -> str:
        if self.syncing is not None:
            return self.syncing.network()
        return self._unstarted("network", "offline" if self._has_central else "none")

    def _printer_lamp(self) -> str:
        if self.printing is not None:
            return str(self.printing.status)
        port = self.place.loaded.settings.printer.port
        return self._unstarted("printer", STARTING if port else "none")

    def _reader_lamp(self) -> str:
        if self._cards is not None:
            return self._cards.state
        return self._unstarted("reader", "none")

    def _scanner_lamp(self) -> str:
        if self._scanner is not None:
            return self._scanner.state
        return self._unstarted("scanner", "none")

    def _unstarted(self, what: str, otherwise: str) -> str:
        return NOT_SET_UP if what in self._failed else otherwise


def options(place: Place, ask: Callable[[], str] | None) -> Options:
    """What the settings say about the core."""
    settings = place.loaded.settings
    scanner = settings.scanner
    return Options(scanner.url_parameters, settings.disk.min_free_mb, ask, scanner.issuer_patterns)


def style(loaded: Loaded) -> "SlipStyle":
    """What the settings say about slips. Raises Misconfigured for an unusable template or logo."""
    from terminal import slip_templates
    from terminal.slips import SlipStyle

    receipt = loaded.settings.receipt
    own = slip_templates.own(loaded.resolve(receipt.template)) if receipt.template else None
    logo = None
    if receipt.logo:
        from terminal import device_profiles
        from terminal.logo import read_logo  # loads Pillow

        logo = read_logo(loaded.resolve(receipt.logo), device_profiles.printer_of(loaded).dots)
    return SlipStyle(receipt.language, receipt.header, receipt.footer, templates=own, logo=logo)


def display_profile(loaded: Loaded) -> "DisplayProfile":
    """What the settings say about the customer display."""
    from drivers.display import DisplayProfile

    settings = loaded.settings.display
    return DisplayProfile(
        name="settings",
        family=settings.family,
        columns=settings.columns,
        charset=settings.charset,
        baud=settings.baud,
    )
