"""Textual's Linux driver, hardened: no input can end the kiosk.

Responsible for: reading the terminal with bad UTF-8 replaced, a parser that is renewed when it
fails, a poll short enough that Escape and a scan after it stay apart, signals that do not stop a
till, and the end of the terminal. Not responsible for: what keys mean.
Invariants: the input thread ends only with the app or with the terminal; what a person typed while
the program started is not lost (`type_ahead`).

It overrides names of textual 8.2.8 that are not public; `tests/kiosk/test_driver.py` holds it to
them, so that a new version is looked at before it is used.
"""

import os
import re
import selectors
import signal
from codecs import getincrementaldecoder
from collections.abc import Iterable
from time import monotonic
from typing import Final

from textual import events
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

POLL_S: Final = 0.02
"""Stock polls every 100 ms, which makes a lone Escape that late (kiosk notes, B4)."""

ESCAPE_S: Final = 0.02
"""An Escape with nothing behind it for so long is the key."""

PASTE_SILENCE_S: Final = 0.2
"""A paste that is not closed after this silence is closed: it would swallow every key."""

READ_BYTES: Final = 4096

GATHER_S: Final = 0.002
GATHER_READS_MAX: Final = 32
"""Handing keys to the app takes longer than reading them: what is already there is read first, so
that the pause between two reads is that of the scanner and not ours."""

QUIET_TOLD_S: Final = 1.0
"""How long after the last key the silence is told: longer than any pause the gate waits for."""

_IGNORED: Final = (
    signal.SIGTSTP,
    signal.SIGQUIT,
    signal.SIGTTIN,
    signal.SIGTTOU,
    # Stock starts a second input thread when it is continued: both then read pieces of one scan.
    signal.SIGCONT,
)

_ESCAPE: Final = "\x1b"
_ESCAPE_THEN_DIGIT: Final = re.compile(r"\x1b(?=[0-9])")
_PASTE_START: Final = "\x1b[200~"
_PASTE_END: Final = "\x1b[201~"


class HardenedReader:
    """Bytes of a terminal to messages, whatever the bytes are. Owned by one thread."""

    def __init__(self) -> None:
        self._decode = getincrementaldecoder("utf-8")(errors="replace").decode
        self._parser = XTermParser()
        self._tail = ""
        self._paste_since: float | None = None
        self._escape_since: float | None = None

    def feed(self, data: bytes, now_s: float) -> list[Message]:
        """Take bytes; a sequence that the parser chokes on is dropped with what follows it."""
        text = self._decode(data)
        if not text:
            return []
        if self._escape_since is not None:
            text, self._escape_since = _ESCAPE + text, None
        self._watch_paste(text, now_s)
        if self._paste_since is None and text.endswith(_ESCAPE):
            # What follows decides whether it was a key or begins a sequence.
            text, self._escape_since = text[:-1], now_s
        # No terminal sends Escape and a digit as one key, and the kiosk knows no Alt: it is the
        # key, and the beginning of a scan. The stock parser fuses the two.
        first, *after = _ESCAPE_THEN_DIGIT.split(text) if self._paste_since is None else [text]
        messages = self._parse(first)
        for piece in after:
            messages += [events.Key("escape", _ESCAPE), *self._parse(piece)]
        return messages

    def tick(self, now_s: float) -> list[Message]:
        """Let time go by: a lone Escape is a key, an unclosed paste is closed."""
        messages = self._collect(self._parser.tick())
        if self._escape_since is not None and now_s - self._escape_since >= ESCAPE_S:
            self._escape_since = None
            messages.append(events.Key("escape", _ESCAPE))
        if self._paste_since is not None and now_s - self._paste_since > PASTE_SILENCE_S:
            self._paste_since = None
            # The character after the end lets the parser hand the paste over.
            messages += self._collect(self._parser.feed(_PASTE_END + "\x00"))
        return messages

    def _parse(self, text: str) -> list[Message]:
        return self._collect(self._parser.feed(text)) if text else []

    def _collect(self, found: Iterable[Message]) -> list[Message]:
        messages: list[Message] = []
        try:
            messages.extend(found)
        except Exception:  # noqa: BLE001 - whatever it chokes on, the keyboard must go on
            self._parser = XTermParser()
        return [each for each in messages if not isinstance(each, events.MouseEvent)]

    def _watch_paste(self, text: str, now_s: float) -> None:
        seen = self._tail + text
        self._tail = seen[-len(_PASTE_START) :]
        start, end = seen.rfind(_PASTE_START), seen.rfind(_PASTE_END)
        if start > end:
            self._paste_since = now_s
        elif end > start:
            self._paste_since = None
        elif self._paste_since is not None:
            self._paste_since = now_s


class KioskDriver(LinuxDriver):
    """The driver of the kiosk. The app may hold `type_ahead`, bytes read before it started."""

    def start_application_mode(self) -> None:
        """Start, and make sure that no key or signal stops a till."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        for ignored in _IGNORED:
            signal.signal(ignored, signal.SIG_IGN)

    def run_input_thread(self) -> None:
        """Read until the app or the terminal ends."""
        reader = HardenedReader()
        self._emit(reader.feed(getattr(self._app, "type_ahead", b""), monotonic()))
        selector = selectors.SelectSelector()
        selector.register(self.fileno, selectors.EVENT_READ)
        heard_s = monotonic()
        try:
            while not self.exit_event.is_set():
                messages, quiet_s = self._gather(selector, reader)
                if messages:
                    heard_s = monotonic()
                messages += reader.tick(monotonic())
                if quiet_s is not None and quiet_s - heard_s < QUIET_TOLD_S:
                    messages.append(InputQuiet(quiet_s))
                self._emit(messages)
        except EOFError:
            self._app.post_message(TerminalGone())
        finally:
            selector.close()

    def _gather(
        self, selector: selectors.SelectSelector, reader: HardenedReader
    ) -> tuple[list[Message], float | None]:
        """Everything that is there, and since when there is nothing more (None: there may be).

        Raises EOFError when the terminal has gone.
        """
        messages: list[Message] = []
        patience_s = POLL_S
        for _ in range(GATHER_READS_MAX):
            if not selector.select(patience_s):
                return messages, monotonic()
            data = self._read()
            if not data:
                raise EOFError
            messages += reader.feed(data, monotonic())
            patience_s = GATHER_S
        return messages, None

    def _read(self) -> bytes:
        try:
            return os.read(self.fileno, READ_BYTES)
        except OSError:
            return b""

    def _emit(self, messages: list[Message]) -> None:
        for message in messages:
            self.process_message(message)


class InputQuiet(Message):
    """At this time everything that had arrived was handed over: the gate may trust the pause.

    A timer of the app could not: keys that were read may still wait to be handed over.
    """

    def __init__(self, at_s: float) -> None:
        super().__init__()
        self.at_s = at_s


class TerminalGone(Message):
    """The terminal was closed under the kiosk."""
