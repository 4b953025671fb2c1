"""The scanner at this counter: which driver, and what is done with a scan before the screen.

Responsible for: choosing serial or grabbed keyboard by the profile, passing over the same symbol
read twice in a moment, taking the code out of a GS1 element string, counting, and the scanner's
own beeps where its family can. Not responsible for: framing (`drivers`), or what a credential is
(`vouchers.credential`). Invariants: nothing is lost silently: a repeat is passed over only inside
the profile's window; a GS1 string that cannot be split with certainty goes on as it is and is
refused with words.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from drivers import emulated
from drivers.events import DeviceEvent, Presence
from drivers.scanner import gs1
from drivers.scanner.aim import GS1_SYMBOLOGIES
from drivers.scanner.commands import Action
from drivers.scanner.double_read import DoubleRead
from drivers.scanner.profile import ScannerProfile
from drivers.scanner.scan import Scan
from drivers.scanner.serial_scanner import SerialScanner
from drivers.statistics import Tally, counted_events, counted_scans

Deliver = Callable[[Scan], None]


class ScannerWorker:
    """One scanner, from port to delivered scans."""

    def __init__(
        self,
        port: str,
        profile: ScannerProfile,
        deliver: Deliver,
        *,
        statistics: Path | None = None,
        gs1_identifier: str = "",
    ) -> None:
        self._deliver = deliver
        self._identifier = gs1_identifier
        self._repeat = DoubleRead(profile.repeat_ms)
        self._tally = Tally(statistics)
        self.state = "lost"
        """`ready` or `lost` (`outcomes.Status`)."""
        emulated.register()
        make = _evdev() if profile.kind == "evdev" else SerialScanner
        self._scanner = make(
            port,
            profile,
            on_scan=counted_scans(self._take, self._tally),
            on_event=counted_events(self._changed, self._tally),
        )

    def start(self) -> None:
        """Begin looking for the device."""
        self._scanner.start()

    def stop(self) -> None:
        """Let go of the device."""
        self._scanner.stop()
        self._tally.save()

    def sound(self, *, good: bool) -> None:
        """Beep for a yes or a no. Nothing where the family cannot; never waits."""
        self._scanner.tell(Action.GOOD if good else Action.BAD)

    def listen(self, *, on: bool) -> None:
        """Read, or stay quiet while a person is asked something. Never waits."""
        self._scanner.tell(Action.ENABLE if on else Action.DISABLE)

    def _take(self, scan: Scan) -> None:
        if not self._repeat.repeated(scan):
            self._deliver(replace(scan, text=voucher_text(scan, self._identifier)))

    def _changed(self, event: DeviceEvent) -> None:
        self.state = "ready" if event.presence is Presence.FOUND else "lost"


def voucher_text(scan: Scan, identifier: str) -> str:
    """What of a scan is the credential: all of it, or one field of a GS1 element string."""
    if not identifier or scan.symbology not in GS1_SYMBOLOGIES:
        return scan.text
    try:
        found = gs1.value_of(gs1.parse(scan.text), identifier)
    except gs1.NotGs1:
        return scan.text
    return scan.text if found is None else found


def _evdev() -> Callable[..., SerialScanner]:
    """Linux only, so it is imported only where a profile asks for it."""
    from drivers.scanner.evdev_scanner import EvdevScanner

    return EvdevScanner  # type: ignore[return-value]
