"""A scanner on a port: a thread that keeps it open and hands on whole scans.

Responsible for: opening, opening again after a loss, feeding the framer with bytes and time, and
sending host commands (beeps, enable, disable). Not responsible for: finding the end of a scan
(`framer`), deciding what a scan means, or suppressing a double read (`double_read`, at the screen).

A family's commands are kept true across losses: a scanner that is opened is told to read, or to
stay quiet, whatever it was told before, and one that is let go of is left reading.

Invariants: `on_scan` and `on_event` are called from this scanner's own thread, one at a time, in
the order of arrival; half a scan never survives a loss; a device that comes and goes is named once
(`drivers.backoff`); `stop` returns within `drivers.link.JOIN_S` and nothing is called afterwards.
"""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from drivers.backoff import Backoff
from drivers.clock import Clock, SystemClock
from drivers.errors import DriverError, Misconfigured
from drivers.events import DeviceEvent, Presence
from drivers.link import JOIN_S, Link
from drivers.ports import Whereabouts
from drivers.scanner.commands import Action, command
from drivers.scanner.framing import framer_for
from drivers.scanner.profile import ScannerProfile
from drivers.scanner.scan import Scan
from drivers.telling import tell

COMMAND_TIMEOUT_MS = 200
WRONG_RETRY_MS = 5_000


@dataclass(frozen=True, slots=True)
class _Bytes:
    link: Link
    data: bytes


@dataclass(frozen=True, slots=True)
class _Lost:
    link: Link
    reason: str


@dataclass(frozen=True, slots=True)
class _Tell:
    action: Action


class SerialScanner:
    """Build it, `start` it, `stop` it. Callbacks must be quick: they hold up the next scan."""

    def __init__(
        self,
        port: str,
        profile: ScannerProfile,
        *,
        on_scan: Callable[[Scan], None],
        on_event: Callable[[DeviceEvent], None],
        clock: Clock | None = None,
    ) -> None:
        self.port = port
        self._where = Whereabouts(port)
        self._profile = profile
        self._on_scan = on_scan
        self._on_event = on_event
        self._clock = clock or SystemClock()
        self._framer = framer_for(profile)
        self._backoff = Backoff()
        self._inbox: queue.SimpleQueue[_Bytes | _Lost | _Tell | None] = queue.SimpleQueue()
        self._link: Link | None = None
        self._reading = Action.ENABLE
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"scanner {port}", daemon=True)

    def start(self) -> None:
        """Begin opening the port, for as long as it takes."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and end the thread."""
        self._stopping.set()
        self._inbox.put(None)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(JOIN_S)

    def tell(self, action: Action) -> None:
        """Ask the scanner to beep or to be quiet; nothing happens where its family cannot."""
        self._inbox.put(_Tell(action))

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait_ms = self._open()
            if wait_ms is None:
                self._command(self._reading)
                self._serve()
            else:
                self._stopping.wait(wait_ms / 1000)
        self._command(Action.ENABLE)
        self._shut()

    def _open(self) -> int | None:
        """Try to open; None when it is open, else milliseconds until the next attempt."""
        link = Link(
            self._where.path(),
            self._profile.line(),
            on_bytes=lambda data: self._inbox.put(_Bytes(link, data)),
            on_lost=lambda reason: self._inbox.put(_Lost(link, reason)),
        )
        try:
            link.open()
        except Misconfigured as fault:
            self._say_once(Presence.WRONG, str(fault))
            return WRONG_RETRY_MS
        except DriverError as fault:
            self._say_once(Presence.LOST, str(fault))
            return self._backoff.failed()
        self._link = link
        self._where.opened()
        if self._backoff.opened(self._clock.monotonic_ms()):
            self._say(Presence.FOUND, f"{self.port} is open")
        return None

    def _serve(self) -> None:
        while self._link is not None and not self._stopping.is_set():
            try:
                item = self._inbox.get(timeout=self._patience_s())
            except queue.Empty:
                self._hand_on(self._framer.tick(self._clock.monotonic_ms()))
                continue
            match item:
                case _Bytes(link, data) if link is self._link:
                    self._hand_on(self._framer.feed(data, self._clock.monotonic_ms()))
                case _Tell(action):
                    self._tell(action)
                case _Lost(link, reason) if link is self._link:
                    self._shut()
                    self._say_once(Presence.LOST, reason)
                    self._stopping.wait(self._backoff.failed() / 1000)

    def _tell(self, action: Action) -> None:
        self._command(action)
        if action in (Action.ENABLE, Action.DISABLE):
            self._reading = action
        elif action is Action.BAD:
            self._command(self._reading)  # on some families a bad beep also disables

    def _command(self, action: Action) -> None:
        self._send(command(self._profile.commands, action))

    def _patience_s(self) -> float | None:
        due = self._framer.due_ms()
        return None if due is None else max(0, due - self._clock.monotonic_ms()) / 1000

    def _hand_on(self, scans: list[Scan]) -> None:
        self._send(self._framer.replies())
        for scan in scans:
            if not self._stopping.is_set():
                tell(self._on_scan, scan)

    def _send(self, data: bytes) -> None:
        if data and self._link is not None:
            try:
                self._link.write(data, timeout_ms=COMMAND_TIMEOUT_MS)
            except DriverError as fault:
                self._inbox.put(_Lost(self._link, str(fault)))

    def _shut(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
        self._framer.reset()

    def _say_once(self, presence: Presence, detail: str) -> None:
        if self._backoff.lost(self._clock.monotonic_ms()):
            self._say(presence, detail)

    def _say(self, presence: Presence, detail: str) -> None:
        if not self._stopping.is_set():
            tell(
                self._on_event, DeviceEvent(self.port, presence, detail, self._clock.monotonic_ms())
            )
