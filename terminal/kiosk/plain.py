"""The kiosk line by line: for screen readers, pipes and consoles that cannot show the screen.

Responsible for: reading lines, saying what is shown as text, one prompt at a time. Not responsible
for: what follows from an answer: the flow is the same as the screen's.
Invariants: a line that may be a scan never answers a question; no last four digits are written; it
loads no Textual.
"""

import queue
from collections.abc import Iterable
from typing import Final, TextIO

from terminal.kiosk import bars
from terminal.kiosk.clock import now_ms, wall_ms
from terminal.kiosk.events import Event, Pressed, Scanned, Typed
from terminal.kiosk.pages import Page
from terminal.kiosk.pages_lists import aligned
from terminal.kiosk.panel import Line
from terminal.kiosk.rooms import page_of
from terminal.kiosk.session import Session
from terminal.kiosk.states import (
    Act,
    Asking,
    Choosing,
    Committing,
    ConfirmUndo,
    History,
    Last4,
    Leaving,
    Looking,
    NoticeOpen,
    Reasons,
    Refused,
    Stage,
)
from terminal.words import say
from vouchers.limits import CODE_DIGITS_MIN, CREDENTIAL_CHARS_MAX

ROWS: Final = 15
WIDTH: Final = 78
POLL_S: Final = 0.25

_COMMANDS: Final = {
    "+": Act.CONFIRM,
    "-": Act.CLEAR,
    "": Act.ACCEPT,
    "?": Act.HELP,
    "h": Act.HISTORY,
    "u": Act.UNDO,
    "r": Act.REPRINT,
    "n": Act.NOTICES,
    "l": Act.LANGUAGE,
    "q": Act.LEAVE,
}


class LineMode:
    """Reads from one text stream, writes to another; answers come through a queue."""

    def __init__(self, session: Session, lines: Iterable[str], out: TextIO) -> None:
        self._session = session
        self._lines = lines
        self._out = out
        self._answers: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._said: tuple[object, ...] = ()
        session.attach(self._answers.put)
        session.play = lambda _: self._write("\a", end="")

    def run(self) -> int:
        """Until `q` is confirmed or the input ends; 0."""
        self._write(say("plain.start", self._session.setting.language))
        self._session.look_around()
        self._settle(1.0)
        self._show()
        self._session.seen()
        for line in self._lines:
            self._settle(0.0)
            for event in events_of(line.rstrip("\r\n"), self._session.shown.stage):
                self._session.feed(event)
            self._wait()
            if self._session.leaving:
                return 0
            # Whatever was typed has an answer, also when it is the one before.
            self._said = ()
            self._show()
        return 0

    def _wait(self) -> None:
        """Until the counter has answered what is open."""
        while isinstance(self._session.shown.stage, Looking | Committing):
            self._settle(POLL_S)
            self._session.tick()
            shown = self._session.shown.stage
            if isinstance(shown, Committing) and (shown.tries or shown.late):
                self._show()
        self._settle(0.02)

    def _settle(self, patience_s: float) -> None:
        """Take every answer that is there; wait for the first one if there is none."""
        try:
            self._session.take(self._answers.get(timeout=patience_s or None, block=patience_s > 0))
            while True:
                self._session.take(self._answers.get_nowait())
        except queue.Empty:
            return

    def _show(self) -> None:
        shown, setting = self._session.shown, self._session.setting
        page = page_of(shown, setting, ROWS)
        status = bars.status_line(shown, setting, WIDTH, wall_ms())
        stripe = bars.stripe(shown, setting, WIDTH)
        flash = bars.flash_line(shown, setting, WIDTH)
        said = (page, text_of(stripe), text_of(flash), prompt_of(shown.stage))
        if said == self._said:
            return
        self._said = said
        self._write("")
        for line in (status, stripe, flash):
            if line:
                self._write(text_of(line))
        for text in page_text(page):
            self._write(text)
        self._write(say(prompt_of(shown.stage), setting.language) + "> ", end="")

    def _write(self, text: str, end: str = "\n") -> None:
        self._out.write(text + end)
        self._out.flush()


def events_of(line: str, stage: Stage) -> list[Event]:
    """What a line means: a command, a scan, or characters typed by hand."""
    at = now_ms()
    text = line[: CREDENTIAL_CHARS_MAX + 1].strip()
    command = _COMMANDS.get(text.lower())
    if command is not None:
        return [Pressed(command, at)]
    if len(text) >= CODE_DIGITS_MIN:
        # Typed or scanned, a whole code is a scan: it never answers a question.
        return [Scanned(text, at)]
    typed: list[Event] = [Typed(character, at) for character in text]
    if isinstance(stage, Asking):
        # A new number replaces the one before.
        return [Pressed(Act.ERASE, at)] * len(stage.typed) + typed
    return typed


def prompt_of(stage: Stage) -> str:
    """Which prompt asks for what is wanted now."""
    match stage:
        case Last4():
            return "plain.prompt.last4"
        case Asking():
            return "plain.prompt.confirm"
        case ConfirmUndo() | Leaving():
            return "plain.prompt.yes"
        case Reasons() | NoticeOpen() | History() | Choosing():
            return "plain.prompt.choose"
        case Refused(latched=True):
            return "plain.prompt.clear"
        case Looking() | Committing():
            return "plain.prompt.wait"
        case _:
            return "plain.prompt.next"


def page_text(page: Page) -> list[str]:
    """A page as lines of text, from top to bottom."""
    lines = [f"[{page.word}] {page.title}" if page.word else page.title]
    lines += [f"  {label}: {value}" for label, value in page.facts]
    lines += [f"  {text}" for text in page.lines]
    if page.field and page.word:
        lines.append(f"    {page.field}")
    if page.rows:
        table = aligned([row.columns for row in page.rows])
        marks = [">" if row.chosen else "!" if row.marked else " " for row in page.rows]
        joined = zip(marks, table, strict=True)
        lines += [f"{mark} {'  '.join(row).rstrip()}" for mark, row in joined]
    return lines


def text_of(line: Line) -> str:
    """A painted line without its styles."""
    return "".join(span.text for span in line).rstrip()


def run_plain(session: Session, lines: Iterable[str], out: TextIO) -> int:
    """Run the line mode on these streams."""
    return LineMode(session, lines, out).run()
