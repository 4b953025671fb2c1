"""A customer display: two lines that the customer reads.

Responsible for: the bytes of a whole frame for the common families, and a thread that keeps the
port open and shows the latest frame. Not responsible for: what is shown; no personal data belongs
there. Displays answer nothing: unplugged is the only fault, and after it the frame is sent again.

Invariants: a frame is always sent whole; only the newest matters, an older one that was not sent
is dropped; control bytes never come from the text. Families: `cd5220` (ESC Q A / ESC Q B), `escpos`
(DM-D, US $), `text` for Chinese LED panels that take lines of UTF-8 or GB18030.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from drivers.backoff import Backoff
from drivers.clock import SystemClock
from drivers.errors import DriverError, Misconfigured
from drivers.escpos.charset import char_columns, clean
from drivers.events import DeviceEvent, Presence
from drivers.link import JOIN_S, LineSettings, Link
from drivers.ports import Whereabouts
from drivers.telling import tell

WRITE_MS = 500
FAMILIES = ("cd5220", "escpos", "text")


@dataclass(frozen=True, slots=True)
class DisplayProfile:
    """A display model. `charset` other than ASCII only for panels with a Chinese font."""

    name: str = "generic-cd5220"
    family: str = "cd5220"
    columns: int = 20
    charset: str = "ascii"
    baud: int = 9600


def frame(profile: DisplayProfile, upper: str, lower: str) -> bytes:
    """Both lines as one command sequence, padded so that nothing of the frame before stays."""
    lines = [_fitted(text, profile) for text in (upper, lower)]
    if profile.family == "cd5220":
        return b"\x1bQA" + lines[0] + b"\r" + b"\x1bQB" + lines[1] + b"\r"
    if profile.family == "escpos":
        return b"\x1f$\x01\x01" + lines[0] + b"\x1f$\x01\x02" + lines[1]
    return b"\x0c" + lines[0] + b"\r\n" + lines[1] + b"\r\n"


def opening(profile: DisplayProfile) -> bytes:
    """What a display is told once after it was opened."""
    return b"" if profile.family == "text" else b"\x1b@\x0c"


def _fitted(text: str, profile: DisplayProfile) -> bytes:
    room, out = profile.columns, bytearray()
    for char in clean(text):
        wide = 1 if profile.charset == "ascii" else char_columns(char)
        try:
            encoded = char.encode(profile.charset)
        except UnicodeEncodeError:
            continue  # a display without the character shows the rest of the line
        if wide > room:
            break
        out += encoded
        room -= wide
    return bytes(out) + b" " * room


def _ignored(data: bytes) -> None:
    """A display that echoes is ignored."""


class Display:
    """Build it, `start` it, `show` on it, `stop` it. `show` never waits."""

    def __init__(
        self, port: str, profile: DisplayProfile, *, on_event: Callable[[DeviceEvent], None]
    ) -> None:
        self.port = port
        self._where = Whereabouts(port)
        self._profile = profile
        self._on_event = on_event
        self._frame = frame(profile, "", "")
        self._changed = threading.Event()
        self._lost = threading.Event()
        self._stopping = threading.Event()
        self._clock = SystemClock()
        self._backoff = Backoff()
        self._thread = threading.Thread(target=self._run, name=f"display {port}", daemon=True)

    def start(self) -> None:
        """Begin opening the port, for as long as it takes."""
        self._thread.start()

    def show(self, upper: str, lower: str) -> None:
        """Show two lines as soon as possible."""
        self._frame = frame(self._profile, upper, lower)
        self._changed.set()

    def stop(self) -> None:
        """Close the port and end the thread."""
        self._stopping.set()
        self._changed.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(JOIN_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._lost.clear()
            settings = LineSettings(baud=self._profile.baud)
            link = Link(self._where.path(), settings, on_bytes=_ignored, on_lost=self._went_away)
            try:
                link.open()
                self._where.opened()
                if self._backoff.opened(self._clock.monotonic_ms()):
                    self._say(Presence.FOUND, f"{self.port} is open")
                self._serve(link)
            except DriverError as fault:
                wrong = isinstance(fault, Misconfigured)
                if self._backoff.lost(self._clock.monotonic_ms()):
                    self._say(Presence.WRONG if wrong else Presence.LOST, str(fault))
            finally:
                link.close()
            self._stopping.wait(self._backoff.failed() / 1000)

    def _serve(self, link: Link) -> None:
        link.write(opening(self._profile), timeout_ms=WRITE_MS)
        self._changed.set()
        while not self._stopping.is_set() and not self._lost.is_set():
            self._changed.wait()
            self._changed.clear()
            link.write(self._frame, timeout_ms=WRITE_MS)
        if self._lost.is_set() and self._backoff.lost(self._clock.monotonic_ms()):
            self._say(Presence.LOST, f"{self.port} went away")

    def _went_away(self, reason: str) -> None:
        del reason
        self._lost.set()
        self._changed.set()

    def _say(self, presence: Presence, detail: str) -> None:
        if not self._stopping.is_set():
            tell(
                self._on_event, DeviceEvent(self.port, presence, detail, self._clock.monotonic_ms())
            )
