"""A working day at the counter: the flow, the counter's thread and the language together.

Responsible for: feeding the flow and carrying out what it asks, for the screen and the line mode
alike; it outlives a screen that failed. Not responsible for: drawing, reading keys.
Invariant: an order that was given is never forgotten by a new screen: `renew` resumes it.
"""

import secrets
import threading
from collections.abc import Callable
from itertools import count
from typing import Final, Protocol

from msgspec.structs import replace

from terminal.kiosk.clock import now_ms
from terminal.kiosk.customer import Lines, customer_lines
from terminal.kiosk.events import (
    AskHistory,
    AskStatus,
    Beep,
    CounterEvent,
    Event,
    Quit,
    SwitchLanguage,
    Ticked,
    Tone,
)
from terminal.kiosk.flow import RedeemFlow, question_open
from terminal.kiosk.gate import GateSettings
from terminal.kiosk.pages import Setting
from terminal.kiosk.states import Shown
from terminal.kiosk.till import Identities
from terminal.kiosk.worker import CounterWorker
from terminal.outcomes import Counter

_SOUNDS: Final = {Tone.GOOD: True, Tone.BAD: False, Tone.ALARM: False}
"""What the scanner in the clerk's hand says too; a key struck too early is not its business."""


class ScannerSide(Protocol):
    """A scanner that can be told something; neither call waits."""

    def sound(self, *, good: bool) -> None:
        """Beep."""
        ...

    def listen(self, *, on: bool) -> None:
        """Read, or stay quiet."""
        ...


class Session:
    """Owns the flow. Every method but `deliver` belongs to the thread that draws."""

    def __init__(self, counter: Counter, setting: Setting) -> None:
        tickets = count(1)
        self._ids = Identities(lambda: next(tickets), lambda: f"kiosk-{secrets.token_hex(12)}")
        self._flow = RedeemFlow(self._ids)
        self._worker = CounterWorker(counter, self._answered)
        self.setting = setting
        self.leaving = False
        self.begin: Callable[[], None] = _nothing
        """What waits until the counter can be seen."""
        self.play: Callable[[Tone], None] = _ignore
        self.show_customer: Callable[[str, str], None] | None = None
        """Where a customer display takes two lines, if there is one."""
        self._customer: Lines | None = None
        self.scanner: ScannerSide | None = None
        """The scanner, if it can be told what became of a scan."""
        self._listening = True
        self.gate: GateSettings | None = None
        """How a scanner types, if that was set."""
        self._inbox, self._early = threading.Lock(), list[Event]()
        self._listener: Callable[[Event], None] | None = None

    def deliver(self, event: Event) -> None:
        """Take an answer of the counter or a scan of a serial scanner, from any thread.

        What comes before there is a front end waits for it.
        """
        with self._inbox:
            if self._listener is None:
                self._early.append(event)
            else:
                self._listener(event)

    def attach(self, listener: Callable[[Event], None]) -> None:
        """A front end is there; `listener` is called from any thread and must not wait."""
        with self._inbox:
            self._listener = listener
            early, self._early = self._early, []
            for event in early:
                listener(event)

    @property
    def shown(self) -> Shown:
        """What to draw."""
        return self._flow.shown

    def open(self) -> None:
        """Begin to answer questions."""
        self._worker.start()

    def look_around(self) -> None:
        """Ask how things are and what was done: a front end is there to hear it."""
        self.refresh()
        self._worker.submit(AskHistory())

    def seen(self) -> None:
        """The counter can be seen: begin, once, what waited for it."""
        begin, self.begin = self.begin, _nothing
        begin()

    def close(self) -> None:
        """End; what was asked is still answered."""
        self._worker.stop()

    def renew(self) -> None:
        """A new flow after the screen failed: the open order is asked for again."""
        self._flow = RedeemFlow(self._ids, resume=self._flow.open_order)

    def refresh(self) -> None:
        """Ask for the status."""
        self._worker.submit(AskStatus())

    def tick(self) -> None:
        """Let time go by."""
        self.feed(Ticked(now_ms()))

    def feed(self, event: Event) -> None:
        """Take an event and carry out what follows from it."""
        for effect in self._flow.feed(event):
            match effect:
                case Beep(tone):
                    self.play(tone)
                    if self.scanner is not None and tone in _SOUNDS:
                        self.scanner.sound(good=_SOUNDS[tone])
                case SwitchLanguage():
                    self.setting = replace(self.setting, language=self.setting.language.other)
                case Quit():
                    self.leaving = True
                case _:
                    self._worker.submit(effect)
        if self.show_customer is not None:
            self._tell_customer(self.show_customer)
        if self.scanner is not None:
            self._tell_scanner(self.scanner)

    def _tell_customer(self, show: Callable[[str, str], None]) -> None:
        lines = customer_lines(self.shown.stage, self.setting.customer_language)
        if lines is not None and lines != self._customer:
            self._customer = lines
            show(*lines)

    def _tell_scanner(self, scanner: ScannerSide) -> None:
        """While a person is asked something a scan could only be refused: do not read any."""
        wanted = not question_open(self.shown.stage)
        if wanted is not self._listening:
            self._listening = wanted
            scanner.listen(on=wanted)

    def take(self, event: Event) -> None:
        """Take an event that waited in a queue: it happens now, when it can be seen."""
        self.feed(replace(event, at=now_ms()))

    def _answered(self, event: CounterEvent) -> None:
        self.deliver(event)


def _nothing() -> None:
    """Nothing waits."""


def _ignore(_: object) -> None:
    """Until a front end is there, nobody listens."""
