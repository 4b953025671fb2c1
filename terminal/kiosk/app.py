"""The kiosk's screen: Textual around the session.

Responsible for: the gate in front of every key, drawing what is shown, timers, signals, and failing
without showing anything secret. Not responsible for: what follows from a key (`flow`), words.
Invariants: this is the only place where keys and pastes are looked at; no binding, palette, mouse
or focus exists; a failure of the screen loses no order, because the session outlives it.
"""

import asyncio
import logging
import shutil
import signal
import traceback
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic

from textual import events
from textual.app import App, ComposeResult
from textual.driver import Driver
from textual.geometry import Size
from textual.timer import Timer

from terminal.kiosk import bars
from terminal.kiosk.actions import meaning
from terminal.kiosk.clock import wall_ms
from terminal.kiosk.driver import InputQuiet, KioskDriver, TerminalGone
from terminal.kiosk.events import CardRead, CounterEvent, Event, Scanned, Spoiled
from terminal.kiosk.gate import Burst, GateSettings, Out, Stroke, WedgeGate
from terminal.kiosk.messages import CounterAnswered, ScanReceived
from terminal.kiosk.pages import Mood, Page
from terminal.kiosk.panel import paint
from terminal.kiosk.preflight import COLUMNS_MIN, ROWS_MIN
from terminal.kiosk.rooms import page_of
from terminal.kiosk.session import Session
from terminal.kiosk.sound import Sound
from terminal.kiosk.theme import HEXIAO
from terminal.kiosk.widgets import Canvas
from terminal.words import say

log = logging.getLogger(__name__)

TICK_S = 0.25
STATUS_S = 1.0
GATE_SLACK_S = 0.005

PAGE_FRAME_ROWS = 6
"""Lines of the panel that a list cannot have: headline, gaps, a sentence, the keys."""


class KioskApp(App[int], inherit_bindings=False):
    """One screen; its panels change in place. Ends with 0 when the clerk closed it."""

    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    AUTO_FOCUS = ""
    CSS_PATH = "kiosk.tcss"
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it as an instance variable
        (0, "-low"),
        (ROWS_MIN, "-short"),
        (30, "-tall"),
    ]

    def __init__(
        self,
        session: Session,
        *,
        gate: GateSettings | None = None,
        type_ahead: bytes = b"",
        driver: type[Driver] | None = KioskDriver,
    ) -> None:
        super().__init__(driver_class=driver)
        # The style sheet is read before the app is mounted, and needs the colours then.
        self.register_theme(HEXIAO)
        self.theme = HEXIAO.name
        self.type_ahead = type_ahead
        self.failure: Exception | None = None
        self._session = session
        self._gate = WedgeGate(gate)
        self._gate_timer: Timer | None = None
        self._drawn: object = None
        self._parts = {
            each: Canvas(each) for each in ("status", "stripe", "panel", "flash", "tape", "keys")
        }

    def compose(self) -> ComposeResult:
        """Status, stripe, panel, flash, tape, keys: from top to bottom."""
        yield from self._parts.values()

    def on_mount(self) -> None:
        """Begin to listen and to draw."""
        self._session.attach(self._deliver)
        if self._session.setting.sound:
            self._session.play = Sound(self.bell).play
        if not self.is_headless:
            self._guard_signals()
        self._session.look_around()
        self.set_interval(TICK_S, self._tick)
        self.set_interval(STATUS_S, self._session.refresh)
        self._draw()
        self.call_after_refresh(self._session.seen)

    async def on_event(self, event: events.Event) -> None:
        """The one place where keys and pastes arrive; no widget ever sees one."""
        if isinstance(event, events.Key):
            self._take(self._gate.stroke(Stroke(event.key, event.character, event.time)))
        elif isinstance(event, events.Paste):
            self._take(self._gate.paste(event.text, event.time))
        elif not isinstance(event, events.MouseEvent):
            await super().on_event(event)

    def on_counter_answered(self, message: CounterAnswered) -> None:
        """The counter answered: it counts from when it can be seen."""
        self._session.take(message.event)
        self._draw()

    def on_scan_received(self, message: ScanReceived) -> None:
        """A serial scanner delivered a scan, or a reader a card."""
        self._session.take(message.event)
        self._draw()

    def on_input_quiet(self, message: InputQuiet) -> None:
        """The driver knows the pauses; it tells them in order with the keys."""
        if self._gate.deadline is not None:
            self._take(self._gate.tick(message.at_s))

    def on_terminal_gone(self, _: TerminalGone) -> None:
        """Nobody can see the screen any more: end in order."""
        self.exit(0)

    def on_resize(self) -> None:
        """Another size: everything is drawn again."""
        self._drawn = None
        self._draw()

    def _handle_exception(self, error: Exception) -> None:
        """End this screen. The traceback is logged without locals: they hold what is secret."""
        if self.failure is None:
            self.failure = error
            lines = traceback.format_exception(error)
            log.critical("the kiosk's screen failed\n%s", "".join(lines))
        self._return_code = 3
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._close_messages_no_wait()

    def _print_error_renderables(self) -> None:
        """Nothing is printed over the counter's screen."""
        self._exit_renderables.clear()

    def _take(self, outcomes: Iterable[Out]) -> None:
        for outcome in outcomes:
            event = _event_of(outcome)
            if event is not None:
                self._session.feed(event)
        self._arm_gate()
        self._draw()

    def _arm_gate(self) -> None:
        deadline = self._gate.deadline
        if deadline is None or self._gate_timer is not None:
            return
        if isinstance(self._driver, KioskDriver):
            return  # it tells the pauses itself
        wait = max(0.001, deadline - monotonic() + GATE_SLACK_S)
        self._gate_timer = self.set_timer(wait, self._gate_due)

    def _gate_due(self) -> None:
        # Only where there is no driver of ours. Keys that wait in the queue go first.
        self._gate_timer = None
        self.call_later(self._gate_tick)

    def _gate_tick(self) -> None:
        self._take(self._gate.tick(monotonic()))

    def _tick(self) -> None:
        self._follow_window()
        self._session.tick()
        self._draw()

    def _follow_window(self) -> None:
        """A change of size whose signal was lost is seen at the next tick."""
        size = Size(*shutil.get_terminal_size())
        if not self.is_headless and size != self.size:
            self.post_message(events.Resize(size, size))

    def _deliver(self, event: Event) -> None:
        if isinstance(event, Scanned | CardRead):
            self.post_message(ScanReceived(event))
        elif isinstance(event, CounterEvent):
            self.post_message(CounterAnswered(event))

    def _guard_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for ignored in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
            loop.add_signal_handler(ignored, _nothing)
        for ending in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(ending, self.exit, 0)

    def _draw(self) -> None:
        session, now = self._session, wall_ms()
        if session.leaving:
            self.exit(0)
            return
        shown, setting = session.shown, session.setting
        key = (shown, setting, now // 60_000)
        if key == self._drawn or not self.is_running:
            return
        self._drawn = key
        parts = self._parts
        stripe = bars.stripe(shown, setting, self.size.width)
        flash = bars.flash_line(shown, setting, self.size.width)
        parts["status"].draw(lambda w, _: [bars.status_line(shown, setting, w, now)])
        parts["stripe"].draw(lambda w, _: [bars.stripe(shown, setting, w)], "on" if stripe else "")
        parts["flash"].draw(
            lambda w, _: [bars.flash_line(shown, setting, w)], "on" if flash else ""
        )
        parts["tape"].draw(lambda w, h: bars.tape(shown, setting, w, h))
        parts["keys"].draw(lambda w, _: [bars.key_bar(setting, w)])
        page = self._page()
        # A list needs the room, and the history says what the tape says.
        self.screen.set_class(page.mood is Mood.LIST, "-list")
        parts["panel"].draw(lambda w, h: paint(self._page(h), w, h), page.mood.value)

    def _page(self, height: int = 14) -> Page:
        session = self._session
        language = session.setting.language
        if self.size.width < COLUMNS_MIN or self.size.height < ROWS_MIN:
            need = say("small.help", language, columns=COLUMNS_MIN, rows=ROWS_MIN)
            return Page(Mood.FAULT, say("small.title", language), lines=(need,))
        return page_of(session.shown, session.setting, max(1, height - PAGE_FRAME_ROWS))


def _event_of(outcome: Out) -> Event | None:
    if isinstance(outcome, Stroke):
        return meaning(outcome)
    at = round(outcome.at_s * 1000)
    return Scanned(outcome.text, at) if isinstance(outcome, Burst) else Spoiled(at)


def _nothing() -> None:
    """A signal that must not end a till."""


def run_screen(session: Session, type_ahead: bytes) -> Exception | None:
    """Show the kiosk until it is closed; answers the failure that ended it, if one did."""
    app = KioskApp(session, gate=session.gate, type_ahead=type_ahead)
    with suppress(KeyboardInterrupt):
        app.run(mouse=False)
    return app.failure
