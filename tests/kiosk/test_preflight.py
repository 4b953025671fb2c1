"""Whether the terminal can show the kiosk is asked of the terminal."""

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Iterator
from threading import Thread

import pytest

from terminal.kiosk.preflight import inspect

XTERM = {"TERM": "xterm-256color"}


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A pty of 80 x 24: our end and the program's."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def answering(ours: int, answer: bytes) -> Thread:
    """A terminal that answers the question where its cursor is."""

    def run() -> None:
        asked = b""
        while b"\x1b[6n" not in asked:
            asked += os.read(ours, 100)
        os.write(ours, answer)

    thread = Thread(target=run, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("answer", "chinese", "problem"),
    [
        (b"\x1b[1;3R", True, None),
        (b"\x1b[1;2R", False, None),
        (b"\x1b[1;4R", True, "preflight.utf8"),
    ],
)
def test_the_width_of_a_chinese_character_is_measured(
    terminal: tuple[int, int], answer: bytes, chinese: bool, problem: str | None
) -> None:
    """Two cells: good; one: no Chinese; three: not UTF-8."""
    ours, theirs = terminal
    answering(ours, answer)
    finding = inspect(theirs, theirs, XTERM)
    assert (finding.chinese, finding.problem) == (chinese, problem)


def test_what_was_typed_meanwhile_is_kept(terminal: tuple[int, int]) -> None:
    """A scan during the start is not lost."""
    ours, theirs = terminal
    answering(ours, b"921000\x1b[1;3R00022\r")
    before = termios.tcgetattr(theirs)
    finding = inspect(theirs, theirs, XTERM)
    assert finding.type_ahead.replace(b"\n", b"\r") == b"92100000022\r"
    assert termios.tcgetattr(theirs) == before


def test_a_silent_terminal_is_taken_as_good(terminal: tuple[int, int]) -> None:
    """Not every terminal answers; the wait is short."""
    finding = inspect(terminal[1], terminal[1], XTERM)
    assert finding.problem is None and finding.chinese


def test_what_cannot_show_the_kiosk_is_named(terminal: tuple[int, int]) -> None:
    """Pipes, dumb terminals, small windows, the console of the kernel."""
    _, theirs = terminal
    reading, writing = os.pipe()
    assert inspect(reading, theirs, XTERM).problem == "preflight.tty"
    os.close(reading)
    os.close(writing)
    assert inspect(theirs, theirs, {"TERM": "dumb"}).problem == "preflight.dumb"
    assert inspect(theirs, theirs, {}).problem == "preflight.dumb"
    assert inspect(theirs, theirs, {"TERM": "linux"}).chinese is False
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
    small = inspect(theirs, theirs, XTERM)
    assert small.problem == "preflight.size" and small.fields["columns"] == 40
