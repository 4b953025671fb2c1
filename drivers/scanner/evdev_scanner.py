"""A scanner in keyboard mode on Linux, taken for ourselves alone.

Responsible for: finding the input device, grabbing it (its keys then reach nobody else: no input
method, no screen, no other window), turning keys into scans, and finding it again after a loss.
Not responsible for: ends of scans (`framer`), layouts (`keymap`).

Invariants: without the grab nothing is read, because keys would arrive twice; callbacks come from
this scanner's thread; `stop` returns in time. Not tried on hardware: the machine it was built on
has no input devices, so the tests feed recorded events through a pipe.
"""

import contextlib
import errno
import fcntl
import os
import select
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from drivers.backoff import Backoff
from drivers.clock import Clock, SystemClock
from drivers.errors import Claimed, DriverError, Misconfigured, NotPermitted, Unplugged
from drivers.events import DeviceEvent, Presence
from drivers.link import JOIN_S
from drivers.scanner.commands import Action
from drivers.scanner.framing import framer_for
from drivers.scanner.keymap import KeyDecoder
from drivers.scanner.profile import ScannerProfile
from drivers.scanner.scan import Scan
from drivers.telling import tell

_EVENT = struct.Struct("llHHi")
_GRAB = 0x40044590  # EVIOCGRAB
_IDENTITY = 0x80084502  # EVIOCGID: bus, vendor, product, version
READ_EVENTS = 64


def grab(descriptor: int) -> None:
    """Keep the device's keys from everybody else. Raises Claimed or Misconfigured."""
    try:
        fcntl.ioctl(descriptor, _GRAB, 1)
    except OSError as fault:
        if fault.errno == errno.EBUSY:
            raise Claimed("the scanner is grabbed by another program") from None
        raise Misconfigured(f"not an input device: {fault}") from None


def find(spec: str, folder: Path = Path("/dev/input")) -> str:
    """The path for `input:VID:PID` (hexadecimal), or the spec itself. Raises Unplugged."""
    if not spec.startswith("input:"):
        return spec
    for path in sorted(folder.glob("event*")):
        if _identity(path) == spec.removeprefix("input:").lower():
            return str(path)
    raise Unplugged(f"{spec} is not plugged in")


def _identity(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        answer = fcntl.ioctl(descriptor, _IDENTITY, bytes(8))
        _, vendor, product, _ = struct.unpack("HHHH", answer)
        return f"{vendor:04x}:{product:04x}"
    except OSError:
        return ""
    finally:
        os.close(descriptor)


class EvdevScanner:
    """The same contract as `serial_scanner.SerialScanner`, without host commands."""

    def __init__(
        self,
        port: str,
        profile: ScannerProfile,
        *,
        on_scan: Callable[[Scan], None],
        on_event: Callable[[DeviceEvent], None],
        take: Callable[[int], None] = grab,
    ) -> None:
        self.port = port
        self._profile = profile
        self._on_scan = on_scan
        self._on_event = on_event
        self._take = take
        self._clock: Clock = SystemClock()
        self._framer = framer_for(profile)
        self._keys = KeyDecoder()
        self._backoff = Backoff()
        self._stopping = threading.Event()
        self._wake_in, self._wake_out = os.pipe()
        self._thread = threading.Thread(target=self._run, name=f"scanner {port}", daemon=True)

    def start(self) -> None:
        """Begin looking for the device, for as long as it takes."""
        self._thread.start()

    def stop(self) -> None:
        """Let go of the device and end the thread."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            os.write(self._wake_out, b"x")
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(JOIN_S)

    def tell(self, action: Action) -> None:
        """Nothing: a keyboard takes no commands."""

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                descriptor = self._open()
            except DriverError as fault:
                wrong = isinstance(fault, Misconfigured)
                self._say_once(Presence.WRONG if wrong else Presence.LOST, str(fault))
                self._stopping.wait(self._backoff.failed() / 1000)
                continue
            if self._backoff.opened(self._clock.monotonic_ms()):
                self._say(Presence.FOUND, f"{self.port} is grabbed")
            self._serve(descriptor)
            os.close(descriptor)
        os.close(self._wake_in)
        os.close(self._wake_out)

    def _open(self) -> int:
        path = find(self.port)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except PermissionError as fault:
            raise NotPermitted(f"{path} may not be read: {fault}; join the group input") from None
        except OSError as fault:
            raise Unplugged(f"{path} could not be opened: {fault}") from None
        try:
            self._take(descriptor)
        except DriverError:
            os.close(descriptor)
            raise
        return descriptor

    def _serve(self, descriptor: int) -> None:
        self._keys.reset()
        self._framer.reset()
        rest = b""
        while not self._stopping.is_set():
            ready = select.select([descriptor, self._wake_in], [], [], self._patience_s())[0]
            if descriptor not in ready:
                self._hand_on(self._framer.tick(self._clock.monotonic_ms()))
                continue
            try:
                data = os.read(descriptor, _EVENT.size * READ_EVENTS)
            except OSError as fault:
                data = b""
                reason = f"{self.port} went away: {fault}"
            else:
                reason = f"{self.port} went away"
            if not data:
                self._say_once(Presence.LOST, reason)
                return
            rest = self._events(rest + data)

    def _events(self, data: bytes) -> bytes:
        whole = len(data) - len(data) % _EVENT.size
        keys = b"".join(
            self._keys.event(kind, code, value)
            for _, _, kind, code, value in _EVENT.iter_unpack(data[:whole])
        )
        self._hand_on(self._framer.feed(keys, self._clock.monotonic_ms()))
        return data[whole:]

    def _patience_s(self) -> float | None:
        due = self._framer.due_ms()
        return None if due is None else max(0, due - self._clock.monotonic_ms()) / 1000

    def _hand_on(self, scans: list[Scan]) -> None:
        for scan in scans:
            if not self._stopping.is_set():
                tell(self._on_scan, scan)

    def _say_once(self, presence: Presence, detail: str) -> None:
        if self._backoff.lost(self._clock.monotonic_ms()):
            self._say(presence, detail)

    def _say(self, presence: Presence, detail: str) -> None:
        if not self._stopping.is_set():
            tell(
                self._on_event, DeviceEvent(self.port, presence, detail, self._clock.monotonic_ms())
            )
