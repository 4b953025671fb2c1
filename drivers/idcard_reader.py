"""An ID card reader on a port: a thread that keeps asking it for a card, and hands each on once.

Responsible for: opening, opening again after a loss, asking one thing at a time and waiting for its
answer, and saying whether the reader answers at all. Not responsible for: frames and the three
steps (`idcard`), or what a number is used for.

Invariants: `on_card` and `on_event` are called from this reader's own thread, one at a time; after
a question without an answer none is asked until a late one would have come; nothing of a card is
kept here or logged; `stop` returns within `drivers.link.JOIN_S` and nothing is called afterwards.
"""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from drivers.backoff import Backoff
from drivers.clock import Clock, SystemClock
from drivers.errors import DriverError, Misconfigured, Unplugged
from drivers.events import DeviceEvent, Presence
from drivers.idcard import Card, CardPoll, Reply, SamParser
from drivers.link import JOIN_S, LineSettings, Link
from drivers.ports import resolve
from drivers.telling import tell

POLL_MS = 300
ANSWER_MS = 3_000
"""A card takes a second to be read, its 1,295 bytes 1.4 s at 9600 baud."""

WRITE_MS = 200
WRONG_RETRY_MS = 5_000


@dataclass(frozen=True, slots=True)
class _Lost:
    reason: str


class IdCardReader:
    """Build it, `start` it, `stop` it. Callbacks must be quick: they hold up the next card."""

    def __init__(
        self,
        port: str,
        baud: int,
        *,
        on_card: Callable[[Card], None],
        on_event: Callable[[DeviceEvent], None],
        clock: Clock | None = None,
    ) -> None:
        self.port = port
        self._line = LineSettings(baud=baud)
        self._on_card = on_card
        self._on_event = on_event
        self._clock = clock or SystemClock()
        self._backoff = Backoff()
        self._stopping = threading.Event()
        self._inbox: queue.SimpleQueue[bytes | _Lost] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"id card {port}", daemon=True)

    def start(self) -> None:
        """Begin opening the port, for as long as it takes."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and end the thread."""
        self._stopping.set()
        self._inbox.put(_Lost("stopped"))
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(JOIN_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self._while_open() / 1000)

    def _while_open(self) -> int:
        """Open the port and ask until it is lost; milliseconds until the next attempt."""
        inbox = self._inbox = queue.SimpleQueue()
        link = Link(
            resolve(self.port),
            self._line,
            on_bytes=inbox.put,
            on_lost=lambda reason: inbox.put(_Lost(reason)),
        )
        try:
            link.open()
            self._ask(link)
        except Misconfigured as fault:
            self._missing(Presence.WRONG, str(fault))
            return WRONG_RETRY_MS
        except DriverError as fault:
            self._missing(Presence.LOST, str(fault))
        finally:
            link.close()
        return self._backoff.failed()

    def _ask(self, link: Link) -> None:
        poll, answers = CardPoll(), False
        while not self._stopping.is_set():
            reply = self._answer(link, poll.next_command())
            if reply is None:
                poll.silence()
                answers = False
                self._missing(Presence.LOST, f"{self.port} is open, but no card reader answers")
                self._let_pass(ANSWER_MS)
                continue
            if not answers:
                answers = True
                self._found()
            card = poll.heard(reply)
            if card is not None and not self._stopping.is_set():
                tell(self._on_card, card)
            if poll.searching:
                self._let_pass(POLL_MS)

    def _answer(self, link: Link, command: bytes) -> Reply | None:
        """Ask and wait for as long as an answer may take. Raises Unplugged."""
        if link.write(command, timeout_ms=WRITE_MS) < len(command):
            return None
        parser, deadline = SamParser(), self._clock.monotonic_ms() + ANSWER_MS
        while (rest := deadline - self._clock.monotonic_ms()) > 0:
            replies = parser.feed(self._take(rest), self._clock.monotonic_ms())
            if replies:
                return replies[0]
        return None

    def _let_pass(self, ms: int) -> None:
        """Throw away what comes now: answers do not say what they answer. Raises Unplugged."""
        deadline = self._clock.monotonic_ms() + ms
        while (rest := deadline - self._clock.monotonic_ms()) > 0:
            self._take(rest)

    def _take(self, patience_ms: int) -> bytes:
        try:
            item = self._inbox.get(timeout=patience_ms / 1000)
        except queue.Empty:
            return b""
        if isinstance(item, _Lost):
            raise Unplugged(item.reason)
        return item

    def _found(self) -> None:
        if self._backoff.opened(self._clock.monotonic_ms()):
            self._say(Presence.FOUND, f"{self.port} answers")

    def _missing(self, presence: Presence, detail: str) -> None:
        if self._backoff.lost(self._clock.monotonic_ms()):
            self._say(presence, detail)

    def _say(self, presence: Presence, detail: str) -> None:
        if not self._stopping.is_set():
            tell(
                self._on_event, DeviceEvent(self.port, presence, detail, self._clock.monotonic_ms())
            )
