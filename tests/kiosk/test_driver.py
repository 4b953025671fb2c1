"""The hardened driver, and what it relies on in textual 8.2.8 that is not public."""

import inspect
from importlib.metadata import version

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual import constants, events
from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from terminal.kiosk.driver import PASTE_SILENCE_S, HardenedReader


def keys(messages: list[Message]) -> list[str]:
    """The names of the keys."""
    return [each.key for each in messages if isinstance(each, events.Key)]


def test_the_pinned_version_is_the_one_that_was_looked_at() -> None:
    """A new version needs a new look at every name below."""
    assert version("textual") == "8.2.8"


def test_the_private_names_are_there_and_mean_what_they_did() -> None:
    """The driver's thread, the parser's two calls, the app's event hook and its last resort."""
    assert (
        "run_input_thread" in vars(LinuxDriver)
        and "exit_event" in LinuxDriver.__init__.__code__.co_names
    )
    source = inspect.getsource(LinuxDriver._run_input_thread)
    assert "self.run_input_thread()" in source
    assert list(inspect.signature(XTermParser.feed).parameters) == ["self", "data"]
    assert list(inspect.signature(XTermParser.tick).parameters) == ["self"]
    assert inspect.iscoroutinefunction(App.on_event)
    assert list(inspect.signature(App._handle_exception).parameters) == ["self", "error"]
    assert "_exit_renderables" in App._print_error_renderables.__code__.co_names
    assert "_close_messages_no_wait" in inspect.getsource(App._fatal_error)
    assert hasattr(constants, "ESCAPE_DELAY") and hasattr(constants, "DISABLE_KITTY_KEY")


def test_a_stock_parser_still_chokes_where_ours_goes_on() -> None:
    """When this fails, textual was repaired and the driver can shrink."""
    for data in ("\x1b[1114112u", "\x1b[::u"):
        with pytest.raises((ValueError, OverflowError, TypeError, ParseError)):
            list(XTermParser().feed(data))
        reader = HardenedReader()
        reader.feed(data.encode(), 0.0)
        assert keys(reader.feed(b"7", 0.0)) == ["7"]


def test_bad_bytes_become_a_mark_and_nothing_else() -> None:
    """A byte that is not UTF-8 ends a stock app."""
    reader = HardenedReader()
    found = reader.feed(b"\xff1\xc4\xe32", 0.0)
    typed = [each.character for each in found if isinstance(each, events.Key)]
    assert typed == ["\ufffd", "1", "\ufffd", "\ufffd", "2"]


def test_a_character_may_arrive_in_pieces() -> None:
    """UTF-8 is decoded across reads."""
    reader = HardenedReader()
    assert keys(reader.feed("券".encode()[:2], 0.0)) == []
    (event,) = reader.feed("券".encode()[2:], 0.0)
    assert isinstance(event, events.Key) and event.character == "券"


def test_mouse_reports_are_dropped() -> None:
    """The kiosk asks for none; a report after a resize to zero pixels ends a stock app."""
    reader = HardenedReader()
    found = reader.feed(b"\x1b[48;24;80;0;0t\x1b[<0;5;5M\x1b[<0;5;5m", 0.0)
    assert not any(isinstance(each, events.MouseEvent) for each in found)
    assert keys(reader.feed(b"1", 0.0)) == ["1"]


def test_an_unclosed_paste_is_closed_after_a_silence() -> None:
    """It would swallow the keyboard for ever."""
    reader = HardenedReader()
    assert reader.feed(b"\x1b[200~92100000022", 1.0) == []
    assert reader.tick(1.0 + PASTE_SILENCE_S) == []
    reader.feed(b"\r", 1.1)
    found = reader.tick(1.11 + PASTE_SILENCE_S)
    (paste,) = [each for each in found if isinstance(each, events.Paste)]
    assert paste.text.startswith("92100000022")
    assert "1" in keys(reader.feed(b"1", 2.0))


def test_a_closed_paste_is_handed_over() -> None:
    """Also when its marks arrive in pieces."""
    reader = HardenedReader()
    found: list[Message] = []
    for piece in (b"\x1b[20", b"0~921", b"00000022\x1b[2", b"01~", b"7"):
        found += reader.feed(piece, 1.0)
    assert [each.text for each in found if isinstance(each, events.Paste)] == ["92100000022"]
    assert keys(found) == ["7"]


@given(
    scan=st.from_regex(r"[0-9]{6,11}\r", fullmatch=True),
    cut=st.integers(0, 12),
    pause=st.floats(0, 0.05),
)
def test_escape_and_a_scan_are_never_fused(scan: str, cut: int, pause: float) -> None:
    """At any distance: the cancel is kept and the code whole (a stock parser loses both)."""
    reader = HardenedReader()
    data = b"\x1b" + scan.encode()
    found = reader.feed(data[: cut + 1], 1.0)
    found += reader.tick(1.0 + pause)
    found += reader.feed(data[cut + 1 :], 1.0 + pause)
    assert keys(found) == ["escape", *scan[:-1], "enter"]


def test_keys_that_begin_with_escape_are_still_keys() -> None:
    """Function keys in one piece and in two, Escape twice, Escape before a function key."""
    reader = HardenedReader()
    assert keys(reader.feed(b"\x1bOP\x1b[15~\x1b[21~", 1.0)) == ["f1", "f5", "f10"]
    assert keys(reader.feed(b"\x1b", 2.0) + reader.feed(b"OS", 2.01)) == ["f4"]
    assert keys(reader.feed(b"\x1b", 3.0) + reader.tick(3.01) + reader.tick(3.03)) == ["escape"]


@settings(max_examples=60, deadline=None)
@given(chunks=st.lists(st.binary(max_size=200), max_size=8))
def test_no_bytes_stop_the_reader(chunks: list[bytes]) -> None:
    """After anything at all, and a paste end, digits are digits."""
    reader = HardenedReader()
    now = 0.0
    for chunk in chunks:
        reader.feed(chunk, now)
        now += 1.0
        reader.tick(now)
    reader.feed(b"\x1b[201~", now)
    reader.feed(b"\x00" * 8, now)
    reader.tick(now + 1.0)
    assert keys(reader.feed(b"9999999", now + 2.0))[-1:] == ["9"]
