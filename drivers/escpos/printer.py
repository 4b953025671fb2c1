"""The printer worker: the engine, a link, and the thread that moves bytes between them.

Responsible for: opening the port and opening it again, telling the journal before the first byte of
a job leaves, laying out slips, and handing on what the engine says. Not responsible for: what to
send when (`engine`), what a slip says, or deciding to print.

Invariants: `journal.printing` returns before a byte of that job is offered to the link, and a
journal that raises keeps the job off the paper (`failed`, `journal`; `abandoned` when it was
withdrawn); callbacks are called from the worker's thread, in the order of truth; callers never
wait: every method only puts an item into a queue. The link is closed by the thread that opened it.
"""

import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from drivers.backoff import Backoff
from drivers.clock import Clock, SystemClock
from drivers.errors import DriverError, Misconfigured
from drivers.escpos import encode
from drivers.escpos.engine import Engine
from drivers.escpos.job import Discard, Job, JobReport, JobState, StatusReport
from drivers.escpos.layout import Block, lay_out
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Slip
from drivers.escpos.status import PrinterStatus
from drivers.events import DeviceEvent, Presence
from drivers.link import CHUNK_BYTES, JOIN_S, Link
from drivers.ports import Whereabouts
from drivers.telling import tell

WRITE_MS = 50  # how long one offer may hold the worker; answers are looked at in between
WAIT_MS_MAX = 1_000
WRONG_RETRY_MS = 5_000


class Withdrawn(Exception):
    """Nobody wants this job on paper any more: it was settled, or it is too old."""


class Journal(Protocol):
    """Where a job is made durable before it can be on paper."""

    def printing(self, job_id: str) -> None:
        """The first byte is about to leave. Raising keeps the job off the paper.

        `Withdrawn` ends it as abandoned, anything else as failed.
        """
        ...


class NoJournal:
    """For test prints, which nobody needs to remember."""

    def printing(self, job_id: str) -> None:
        """Nothing."""


def _nobody(*_told: object) -> None:
    """Nobody asked to be told."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Who is told: a job's state with a machine word, the printer's one word, its presence."""

    on_job: Callable[[str, JobState, str], None] = _nobody
    on_status: Callable[[PrinterStatus], None] = _nobody
    on_event: Callable[[DeviceEvent], None] = _nobody


@dataclass(frozen=True, slots=True)
class _Bytes:
    link: Link
    data: bytes


@dataclass(frozen=True, slots=True)
class _Lost:
    link: Link
    reason: str


@dataclass(frozen=True, slots=True)
class _Submit:
    job_id: str
    slip: Slip


@dataclass(frozen=True, slots=True)
class _Kick:
    job_id: str
    within_ms: int


@dataclass(frozen=True, slots=True)
class _Abandon:
    job_id: str


_Item = _Bytes | _Lost | _Submit | _Kick | _Abandon | None


class Printer:
    """Build it, `start` it, submit slips, `stop` it. Every method may be called from any thread."""

    def __init__(
        self,
        port: str,
        profile: PrinterProfile,
        *,
        journal: Journal | None = None,
        outlook: Outlook | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.port = port
        self._where = Whereabouts(port)
        self._profile = profile
        self._journal = journal or NoJournal()
        self._outlook = outlook or Outlook()
        self._clock = clock or SystemClock()
        # Identifiers start anywhere, so that a late answer to a process before this one is a stray.
        self._engine = Engine(profile, seed=int.from_bytes(os.urandom(3), "big"))
        self._backoff = Backoff()
        self._inbox: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._link: Link | None = None
        self._retry_ms = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"printer {port}", daemon=True)

    @property
    def status(self) -> PrinterStatus:
        """The printer in one word, as last told."""
        return self._engine.status

    def start(self) -> None:
        """Begin opening the port, for as long as it takes."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. A job under way is reported `unknown`; what waits is not reported."""
        self._stopping.set()
        self._inbox.put(None)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(JOIN_S)

    def submit(self, job_id: str, slip: Slip) -> None:
        """Print a slip when the printer can. A job id that is here already is not taken twice."""
        self._inbox.put(_Submit(job_id, slip))

    def kick_drawer(self, job_id: str, *, within_ms: int = 3_000) -> None:
        """Open the drawer now or not at all: a drawer must not spring open after paper came."""
        self._inbox.put(_Kick(job_id, within_ms))

    def abandon(self, job_id: str) -> None:
        """Give a job up, waiting or under way."""
        self._inbox.put(_Abandon(job_id))

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._open_if_due()
            self._take(self._wait())
            self._engine.tick(self._now())
            if self._link is not None and self._engine.looks_at_wire:
                self._engine.wire(held=self._link.held(), now_ms=self._now())
            self._hand_on()
            self._begin_next()
            self._offer()
        self._shut()
        self._hand_on()

    def _now(self) -> int:
        return self._clock.monotonic_ms()

    def _wait(self) -> _Item:
        if self._engine.outgoing() and self._link is not None:
            wait_ms = 0  # the write itself waits for the device
        else:
            now = self._now()
            due = self._engine.due_ms(now) or now + WAIT_MS_MAX
            retry = now + WAIT_MS_MAX if self._link is not None else self._retry_ms
            wait_ms = min(max(0, min(due, retry) - now), WAIT_MS_MAX)
        try:
            return self._inbox.get(timeout=wait_ms / 1000)
        except queue.Empty:
            return None

    def _take(self, item: _Item) -> None:
        now = self._now()
        match item:
            case _Bytes(link, data) if link is self._link:
                self._engine.received(data, now)
            case _Lost(link, reason) if link is self._link:
                self._lost(reason)
            case _Submit(job_id, slip):
                self._submit(job_id, slip, now)
            case _Kick(job_id, within_ms):
                pulse = Block(encode.job_start(self._profile) + encode.drawer(self._profile), 0)
                self._engine.submit(Job(job_id, (pulse,), now + within_ms), now)
            case _Abandon(job_id):
                self._engine.abandon(job_id, now)
            case _:
                pass

    def _submit(self, job_id: str, slip: Slip, now: int) -> None:
        try:
            blocks = lay_out(slip, self._profile)
        except Exception as fault:  # noqa: BLE001 - one bad slip must not end all printing
            tell(self._outlook.on_job, job_id, JobState.FAILED, _named("layout", fault))
        else:
            self._engine.submit(Job(job_id, blocks), now)

    def _begin_next(self) -> None:
        job_id = self._engine.startable(self._now())
        if job_id is None or self._link is None:
            return
        try:
            self._journal.printing(job_id)
        except Withdrawn:
            self._engine.abandon(job_id, self._now())
        except Exception as fault:  # noqa: BLE001 - whatever it was, the job must not leave
            self._engine.refuse(job_id, _named("journal", fault))
        else:
            self._engine.begin(job_id, self._now())
        self._hand_on()

    def _offer(self) -> None:
        data = self._engine.outgoing()[:CHUNK_BYTES]
        if not data or self._link is None:
            return
        try:
            taken = self._link.write(data, timeout_ms=WRITE_MS)
        except DriverError as fault:
            self._lost(str(fault))
        else:
            self._engine.taken(taken, self._now())
        self._hand_on()

    def _hand_on(self) -> None:
        for event in self._engine.events():
            match event:
                case JobReport(job_id, state, detail):
                    tell(self._outlook.on_job, job_id, state, detail)
                case StatusReport(status):
                    tell(self._outlook.on_status, status)
                case Discard():
                    if self._link is not None:
                        self._link.discard_output()

    def _open_if_due(self) -> None:
        if self._link is not None or self._now() < self._retry_ms:
            return
        link = Link(
            self._where.path(),
            self._profile.line(),
            on_bytes=lambda data: self._inbox.put(_Bytes(link, data)),
            on_lost=lambda reason: self._inbox.put(_Lost(link, reason)),
        )
        try:
            link.open()
        except Misconfigured as fault:
            self._retry_ms = self._now() + WRONG_RETRY_MS
            self._say_once(Presence.WRONG, str(fault))
        except DriverError as fault:
            self._retry_ms = self._now() + self._backoff.failed()
            self._say_once(Presence.LOST, str(fault))
        else:
            self._link = link
            self._where.opened()
            self._engine.link_up(self._now(), sees_wire=link.sees_wire())
            if self._backoff.opened(self._now()):
                self._say(Presence.FOUND, f"{self.port} is open")
            self._hand_on()

    def _lost(self, reason: str) -> None:
        self._shut()
        self._retry_ms = self._now() + self._backoff.failed()
        self._say_once(Presence.LOST, reason)
        self._hand_on()

    def _shut(self) -> None:
        if self._link is not None:
            self._link.discard_output()
            self._link.close()
            self._link = None
            self._engine.link_down(self._now())

    def _say_once(self, presence: Presence, detail: str) -> None:
        if self._backoff.lost(self._now()):
            self._say(presence, detail)

    def _say(self, presence: Presence, detail: str) -> None:
        event = DeviceEvent(self.port, presence, detail, self._now())
        tell(self._outlook.on_event, event)


def _named(where: str, fault: Exception) -> str:
    """The kind of fault without its text, which may quote a slip."""
    return f"{where}: {type(fault).__name__}"
