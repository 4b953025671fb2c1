"""A running terminal: the counter with its followers and devices.

Responsible for: starting and stopping printing, syncing and scanning around one counter, and the
lamps of the status line. Not responsible for: holding the data directory, commands or screens.
Invariant: the counter redeems whether or not any follower or device can be started.
"""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from config.loader import Loaded
from drivers import emulated
from drivers.display import Display, DisplayProfile
from drivers.scanner.scan import Scan
from terminal import assembly, device_profiles, keys, slip_templates, startup
from terminal.assembly import Options
from terminal.counter import Lamps, ShopCounter
from terminal.errors import Misconfigured, OutcomeUnknown, OutOfService
from terminal.place import Place
from terminal.printing import PrintWorker
from terminal.scanning import ScannerWorker
from terminal.slips import SlipStyle
from vouchers.ids import uuid7

if TYPE_CHECKING:
    from terminal.sync_worker import SyncWorker


class Station:
    """One terminal, open. `start` begins the followers, `stop` ends everything."""

    def __init__(self, place: Place, *, ask: Callable[[], str] | None = None) -> None:
        settings = place.loaded.settings
        self.place = place
        parts = assembly.open_checked(place.data, options(place, ask))
        self.counter = ShopCounter(
            parts,
            clerk=settings.kiosk.clerk,
            has_printer=bool(settings.printer.port),
            lamps=Lamps(self._network, self._printer_lamp, self._scanner_lamp),
        )
        try:
            self.printing = self._make_printing()
            self.syncing = self._make_syncing(ask)
        except BaseException:
            self.counter.close(assembly.close)
            raise
        self._scanner: ScannerWorker | None = None
        self._display: Display | None = None
        self.counter.on_entry = self._entry_made

    def begin(self, version: str) -> None:
        """Journal the start; slips that a crash left half-printed become questions.

        Raises OutOfService: nobody waits for the outcome of a start.
        """
        parts, clerk = self.counter.parts, self.counter.clerk
        try:
            self.counter.exclusive(lambda _: startup.started(parts, version, clerk=clerk))
            self.counter.exclusive(lambda _: parts.journal.warm())
        except OutcomeUnknown as error:
            raise OutOfService(f"this terminal cannot start: {error}") from error

    def start(self) -> None:
        """Start the followers."""
        if self.printing is not None:
            self.printing.start()
        if self.syncing is not None:
            self.syncing.start()

    def scan_into(self, deliver: Callable[[Scan], None]) -> ScannerWorker | None:
        """Open the serial scanner, if one is set, and hand its scans on."""
        settings = self.place.loaded.settings.scanner
        if not settings.port:
            return None
        self._scanner = ScannerWorker(
            settings.port,
            device_profiles.scanner_of(self.place.loaded),
            deliver,
            statistics=self.place.data.root / "scanner.json",
            gs1_identifier=settings.gs1_identifier,
        )
        self._scanner.start()
        return self._scanner

    def customer_display(self) -> Display | None:
        """Open the customer display, if one is set."""
        settings = self.place.loaded.settings.display
        if not settings.port:
            return None
        emulated.register()
        profile = display_profile(self.place.loaded)
        self._display = Display(settings.port, profile, on_event=lambda _: None)
        self._display.start()
        return self._display

    def stop(self) -> None:
        """End followers and devices, then close the files."""
        if self._scanner is not None:
            self._scanner.stop()
        if self._display is not None:
            self._display.stop()
        if self.printing is not None:
            self.printing.stop()
        if self.syncing is not None:
            self.syncing.stop()
        self.counter.close(assembly.close)

    def _make_printing(self) -> PrintWorker | None:
        settings = self.place.loaded.settings
        if not settings.printer.port:
            return None
        emulated.register()
        return PrintWorker(
            self.counter,
            settings.printer.port,
            device_profiles.printer_of(self.place.loaded),
            style=style(self.place.loaded),
            backlog_minutes=settings.receipt.backlog_minutes,
            statistics=self.place.data.printer_statistics,
        )

    def _make_syncing(self, ask: Callable[[], str] | None) -> "SyncWorker | None":
        central = self.place.loaded.settings.central
        if not central.enabled or not self.counter.parts.identity.url:
            return None
        parts = self.counter.parts
        try:
            from terminal.sync_worker import SyncWorker
        except ImportError:
            # A terminal that was installed without `sync` redeems and prints all the same.
            return None
        try:
            return SyncWorker(
                self.counter,
                keys.fetch(self.place.data, ask),
                instance=uuid7(parts.clock.read().wall_ms, secrets.token_bytes(10)),
                version=assembly.VERSION,
                insecure_http=central.insecure_http,
            )
        except ValueError as error:
            raise Misconfigured(str(error)) from error

    def _entry_made(self) -> None:
        if self.printing is not None:
            self.printing.wake()
        if self.syncing is not None:
            self.syncing.wake()

    def _network(self) -> str:
        return "none" if self.syncing is None else self.syncing.network()

    def _printer_lamp(self) -> str:
        return "none" if self.printing is None else str(self.printing.status)

    def _scanner_lamp(self) -> str:
        return "none" if self._scanner is None else self._scanner.state


def options(place: Place, ask: Callable[[], str] | None) -> Options:
    """What the settings say about the core."""
    settings = place.loaded.settings
    return Options(settings.scanner.url_parameters, settings.disk.min_free_mb, ask)


def style(loaded: Loaded) -> SlipStyle:
    """What the settings say about slips. Raises Misconfigured for an unusable template."""
    receipt = loaded.settings.receipt
    own = slip_templates.own(loaded.resolve(receipt.template)) if receipt.template else None
    return SlipStyle(receipt.language, receipt.header, receipt.footer, templates=own)


def display_profile(loaded: Loaded) -> DisplayProfile:
    """What the settings say about the customer display."""
    settings = loaded.settings.display
    return DisplayProfile(
        name="settings",
        family=settings.family,
        columns=settings.columns,
        charset=settings.charset,
        baud=settings.baud,
    )
