"""The counter's screen: what a clerk and a scanner work with.

Responsible for: `run_kiosk`, the one way in. Not responsible for: vouchers, paper, synchronisation;
it knows the counter's port and nothing behind it. Textual is loaded only when the screen is shown.

How it fits together: `gate` makes scans of keys, `flow` (with `till` and `records`) decides what
follows, `worker` asks the counter, `pages` chooses what is said, `panel` and `bars` place it,
`app` and `widgets` put it on the screen, `plain` says it line by line.
"""

import logging
import os
import sys
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from terminal.kiosk.clock import now_ms
from terminal.kiosk.events import CardRead, Scanned
from terminal.kiosk.gate import GateSettings
from terminal.kiosk.pages import Sample, Setting
from terminal.kiosk.preflight import inspect
from terminal.kiosk.session import ScannerSide, Session
from terminal.loading import loading
from terminal.outcomes import CardSeen, Counter
from terminal.words import Language, say

__all__ = ["Around", "GateSettings", "Sample", "Setting", "run_kiosk"]

EXIT_DONE: Final = 0
EXIT_MISCONFIGURED: Final = 2
EXIT_OUT_OF_SERVICE: Final = 3

FAILURES_MAX: Final = 3
FAILURE_WINDOW_S: Final = 60.0
"""A screen that fails this often in this time is not started again."""

_ENVIRONMENT: Final = {
    # Without these Textual waits 100 ms after Escape, speaks a keyboard protocol that moves the
    # keypad to other codes, and animates (kiosk notes, B4, B13). They are read when it is loaded.
    "ESCDELAY": "20",
    "TEXTUAL_DISABLE_KITTY_KEY": "1",
    "TEXTUAL_ANIMATIONS": "none",
}


_FIXED_SIZE: Final = ("COLUMNS", "LINES")
"""Left behind by some shells and programs: they would fix the size of a window that changes."""


class ScanLike(Protocol):
    """What the kiosk needs of a scan: its text."""

    @property
    def text(self) -> str: ...


Screen = Callable[[Session, bytes], Exception | None]
Scans = Callable[[Callable[[ScanLike | CardSeen], None]], ScannerSide | None]


class Around(Struct, frozen=True):
    """What stands around the screen.

    `scans` is called once with a callback that takes scans and ID cards from any thread, also
    before there is a screen; it answers the scanner itself, if it can be spoken to. `begin` is
    called once, when the counter can be seen: it starts what nobody waits for. `customer` shows
    two lines to the customer.
    """

    scans: Scans = lambda _: None
    begin: Callable[[], None] = lambda: None
    customer: Callable[[str, str], None] | None = None


def run_kiosk(
    counter: Counter,
    setting: Setting,
    around: Around | None = None,
    *,
    gate: GateSettings | None = None,
    plain: bool = False,
) -> int:
    """Show the counter until the clerk closes it. Answers the exit status: 0, 2 or 3.

    `gate` is how a scanner types. `plain` reads and writes lines instead of drawing.
    """
    # Where nobody set up logging, a traceback must not land on the counter's screen.
    logging.getLogger().addHandler(logging.NullHandler())
    around = around or Around()
    session = Session(counter, setting)
    session.show_customer = around.customer
    session.gate = gate
    session.scanner = around.scans(lambda read: session.deliver(_event_of(read)))
    session.begin = around.begin
    return _run_plain(session) if plain else _run_screen(session)


def _event_of(read: ScanLike | CardSeen) -> Scanned | CardRead:
    if isinstance(read, CardSeen):
        return CardRead(read.number, now_ms())
    return Scanned(read.text, now_ms())


def _run_plain(session: Session) -> int:
    from terminal.kiosk.plain import run_plain

    session.open()
    try:
        return run_plain(session, sys.stdin, sys.stdout)
    finally:
        session.close()


def _run_screen(session: Session) -> int:
    finding = inspect(0, 2, os.environ)
    language = session.setting.language if finding.chinese else Language.EN
    if finding.problem is not None:
        _tell(say(finding.problem, language, **finding.fields))
        return EXIT_MISCONFIGURED
    if language is not session.setting.language:
        session.setting = replace(session.setting, language=language)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in _FIXED_SIZE:
        os.environ.pop(name, None)
    try:
        with loading():
            from terminal.kiosk.app import run_screen
    except ImportError as error:
        _tell(say("preflight.textual", language, missing=error.name or "textual"))
        return EXIT_MISCONFIGURED
    session.open()
    try:
        return _keep_showing(session, run_screen, finding.type_ahead)
    finally:
        session.close()


def _keep_showing(session: Session, run_screen: Screen, type_ahead: bytes) -> int:
    """Start the screen again when it failed, unless it fails again and again."""
    failures: deque[float] = deque(maxlen=FAILURES_MAX)
    while True:
        failure = run_screen(session, type_ahead)
        type_ahead = b""
        if failure is None:
            return EXIT_DONE
        failures.append(monotonic())
        often = len(failures) == FAILURES_MAX
        if often and failures[-1] - failures[0] < FAILURE_WINDOW_S:
            _tell(say("preflight.stopped", session.setting.language, times=FAILURES_MAX))
            return EXIT_OUT_OF_SERVICE
        logging.getLogger(__name__).warning("starting the kiosk's screen again")
        session.renew()


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
