"""The line mode: the same flow, one prompt at a time."""

import io
import queue
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread
from zoneinfo import ZoneInfo

import pytest

from terminal.kiosk.events import Pressed, Scanned, Typed
from terminal.kiosk.pages import Setting
from terminal.kiosk.plain import events_of, run_plain
from terminal.kiosk.session import Session
from terminal.kiosk.states import Act, Asking, Ready
from terminal.words import Language
from tests.kiosk.memory_counter import GOOD, LAST4, MemoryCounter, with_samples
from tests.kiosk.scenery import VIEW
from tests.kiosk.terminal_window import REPOSITORY


class Conversation:
    """A person who reads up to the prompt and then answers."""

    def __init__(self, counter: MemoryCounter) -> None:
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.heard: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.said = ""
        setting = Setting(Language.EN, ZoneInfo("Asia/Shanghai"))
        self.session = Session(counter, setting)
        self.session.open()
        self.status: int | None = None
        self.thread = Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.status = run_plain(self.session, iter(self.lines.get, None), self)  # type: ignore[arg-type]

    def write(self, text: str) -> None:
        self.heard.put(text)

    def flush(self) -> None:
        """Nothing waits."""

    def until(self, wanted: str) -> str:
        """Read until this was said."""
        seen = ""
        while wanted not in seen:
            seen += self.heard.get(timeout=5)
        self.said += seen
        return seen

    def answer(self, line: str) -> "Conversation":
        self.lines.put(line + "\n")
        return self


@pytest.fixture
def talk() -> Iterator[Conversation]:
    """A conversation that is ended."""
    conversation = Conversation(with_samples())
    conversation.until("> ")
    yield conversation
    conversation.lines.put(None)
    conversation.thread.join(5)
    conversation.session.close()


def test_the_journey_by_lines(talk: Conversation) -> None:
    """Code, last four, what is left, count, confirm, outcome, close."""
    talk.answer(GOOD).until("last four> ")
    talk.answer(LAST4).until("- cancel> ")
    assert "Left: 5 of 5" in talk.said
    talk.answer("3").until("Redeem 3 of 5?")
    talk.until("> ")
    talk.answer("2").until("Redeem 2 of 5?")
    talk.until("> ")
    while "[REDEEMED]" not in talk.answer("+").until("> "):
        assert "press + again" in talk.said
    assert "921 0000 0022" in talk.said
    assert "scan not taken" not in talk.said.lower()
    talk.answer("q").until("no> ")
    while talk.thread.is_alive():
        talk.answer("+")
        talk.thread.join(0.1)
    assert talk.status == 0
    assert LAST4 not in talk.said


def test_a_scan_at_a_question_is_not_an_answer(talk: Conversation) -> None:
    """A whole code is a scan, typed or not."""
    talk.answer(GOOD).until("last four> ")
    talk.answer(LAST4).until("- cancel> ")
    assert "SCAN NOT TAKEN" in talk.answer(GOOD).until("- cancel> ")
    assert "Nothing was redeemed" in talk.answer("-").until("> ")


def test_an_unknown_outcome_is_asked_for_until_it_is_known() -> None:
    """The line mode waits and says why."""
    counter = with_samples()
    counter.unknown_answers = 1
    talk = Conversation(counter)
    talk.until("> ")
    talk.answer(GOOD).until("last four> ")
    talk.answer(LAST4).until("- cancel> ")
    while "[WAIT]" not in talk.answer("+").until("> "):
        pass
    talk.until("[REDEEMED]")
    talk.lines.put(None)
    talk.thread.join(5)


def test_history_and_help_are_lists(talk: Conversation) -> None:
    """The chosen row and rows that need attention are marked in text."""
    text = talk.answer("h").until("- cancel> ")
    assert "> 11:20" in text and "! 11:00" in text
    assert "F12" in talk.answer("?").until("> ")


def test_lines_become_events() -> None:
    """Commands, scans, digits; a new count replaces the one before."""
    assert isinstance(events_of(GOOD, Ready())[0], Scanned)
    assert isinstance(events_of("1" * 9000, Ready())[0], Scanned)
    assert [type(each) for each in events_of("12", Ready())] == [Typed, Typed]
    first, *rest = events_of("3", Asking(VIEW, "2", 0))
    assert isinstance(first, Pressed) and first.act is Act.ERASE and len(rest) == 1
    (confirm,) = events_of(" + ", Ready())
    assert isinstance(confirm, Pressed) and confirm.act is Act.CONFIRM


def test_it_needs_no_textual() -> None:
    """Line mode on a machine without Textual: also as a process, from a pipe."""
    code = (
        "import sys; sys.modules['textual'] = None; sys.modules['rich'] = None\n"
        "sys.argv = ['show', '--plain', '--language', 'en']\n"
        "from tests.kiosk.show import main; raise SystemExit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input="13800138000\n",
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "mobile number" in done.stdout and io.StringIO(done.stdout).readline()
