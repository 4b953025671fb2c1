"""The kiosk in a real terminal: bytes in, a picture out."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest

from tests.kiosk.memory_counter import GOOD, LAST4
from tests.kiosk.terminal_window import REPOSITORY, Window
from vouchers.codes import damm_digit

KEY_PAUSE_S = 0.12
"""How fast a hand types: slower than a scanner by far."""

READY = "请扫券"
LAST_FOUR = "请输入手机后四位"
ESCAPE_S = 0.15


def kiosk(tmp_path: Path, *options: str, size: tuple[int, int] = (80, 24)) -> Window:
    """A window with the kiosk in it, ready to scan."""
    log, trace = str(tmp_path / "asked"), str(tmp_path / "trace")
    return Window(["-m", "tests.kiosk.show", "--log", log, "--trace", trace, *options], *size)


def asked(tmp_path: Path, what: str) -> list[dict[str, object]]:
    """What the counter was asked, in order."""
    path = tmp_path / "asked"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    return [each for each in found if each["what"] == what]


def by_hand(window: Window, keys: str) -> None:
    """Type like a person, one key after the other."""
    for key in keys:
        window.type(key)
        pace(window, KEY_PAUSE_S)


def pace(window: Window, seconds: float) -> None:
    """Let real time go by while the window is read: the speed of the input is what is tested."""
    until = monotonic() + seconds
    while (left := until - monotonic()) > 0:
        window.pump(left)


def to_question(window: Window) -> None:
    """Scan and type the last four, up to the question."""
    window.type(GOOD + "\r").until(LAST_FOUR)
    by_hand(window, LAST4)
    window.until("确认核销")


def codes(count: int) -> list[str]:
    """Different codes whose check digit is right."""
    return [f"{body}{damm_digit(str(body))}" for body in range(20_000_000, 20_000_000 + count)]


def test_the_journey_by_keys_and_scan(tmp_path: Path) -> None:
    """Scan, last four, what is left, two shares, confirm, outcome; then undo and leave."""
    with kiosk(tmp_path) as window:
        window.until(READY)
        to_question(window)
        assert "剩余 5 份" in window.text and LAST4 not in window.text
        by_hand(window, "2")
        window.until("核销 2 份")
        pace(window, 0.4)
        window.type("+").until("核销成功")
        window.until("剩余 3 份。旧码已作废")
        window.until("921 0000 0022")
        (order,) = asked(tmp_path, "redeem")
        assert (order["shares"], order["clerk"]) == (2, "chen")
        pace(window, 0.1)
        window.type("\x1bOS").until("原因是")
        by_hand(window, "1")
        window.until("撤销 2 份")
        pace(window, 0.4)
        window.type("+").until("已撤销 2 份")
        assert asked(tmp_path, "reverse")[0]["reason_code"] == "mistake"
        pace(window, 0.1)
        window.type("\x1b[21~").until("关闭收银核销")
        pace(window, 0.4)
        window.type("+")
        assert window.ended() == 0


@pytest.mark.parametrize(("per_second", "count"), [(20, 30), (100, 120)])
def test_no_scan_is_lost_or_merged_at_speed(tmp_path: Path, per_second: int, count: int) -> None:
    """20 and 100 scans a second, with stalls: every one is looked at, whole, in order."""
    sent = codes(count)
    with kiosk(tmp_path) as window:
        window.until(READY)
        for number, code in enumerate(sent):
            if number % 20 == 10:
                # A stall of the whole program while the scanner goes on.
                os.kill(window.process.pid, signal.SIGSTOP)
            window.type(code + "\r")
            pace(window, 1 / per_second)
            if number % 20 == 15:
                os.kill(window.process.pid, signal.SIGCONT)
        os.kill(window.process.pid, signal.SIGCONT)
        window.until(LAST_FOUR)
        window.until(lambda _: len(asked(tmp_path, "check")) >= count)
    assert [each["credential"] for each in asked(tmp_path, "check")] == sent
    assert asked(tmp_path, "redeem") == [] and asked(tmp_path, "look_up") == []


def test_a_second_scan_never_confirms_the_first(tmp_path: Path) -> None:
    """While the question is open, scans with every suffix are refused on the screen."""
    with kiosk(tmp_path) as window:
        window.until(READY)
        to_question(window)
        pace(window, 0.4)
        for code, end in zip(codes(24), ["\r", "\n", "\r\n", "\t"] * 6, strict=True):
            window.type(code + end)
            pace(window, 0.01)
        window.type("+\r").type("1+\r")
        window.until("没有接受")
        window.quiet()
        assert "确认核销" in window.text
        assert asked(tmp_path, "redeem") == []
        pace(window, 0.2)
        window.type("+").until("核销成功")
        assert len(asked(tmp_path, "redeem")) == 1


BAD_BYTES = [
    b"\xff",
    b"\xc4\xe3\xba\xc3",
    b"\xed\xa0\x80",
    b"\x1b[1114112u",
    b"\x1b[::u",
    b"\x1b[48;24;80;0;0t\x1b[<0;1;1M\x1b[M !!",
    b"\x1b[200~never closed",
    bytes(range(0x20)),
    b"\x1b[" + b"9" * 4000 + b"m",
    b"1" * 5000 + b"\r",
    "😀\u202e\x1b]0;title\x07\x1bP+q\x1b\\".encode(),
    bytes((i * 7919 + 13) % 256 for i in range(6000)),
]


def test_no_byte_ends_the_kiosk(tmp_path: Path) -> None:
    """Bytes that end a stock Textual app; after all of them a scan is redeemed."""
    with kiosk(tmp_path) as window:
        window.until(READY)
        for data in BAD_BYTES:
            window.type(data)
            pace(window, 0.1)
            assert window.process.poll() is None, data[:20]
        window.type("\x1b[201~")
        pace(window, 0.6)
        for _ in range(3):
            window.type("-")
            pace(window, 0.15)
        window.until(READY)
        to_question(window)
        pace(window, 0.4)
        window.type("+").until("核销成功")


def test_control_keys_and_signals_do_not_stop_a_till(tmp_path: Path) -> None:
    """Ctrl+C, Ctrl+Q, Ctrl+Z and their signals are ignored; SIGTERM ends in order."""
    with kiosk(tmp_path) as window:
        window.until(READY)
        for key in ("\x03", "\x11", "\x1a", "\x1c", "\x04", "\x10"):
            window.type(key)
            pace(window, 0.05)
        for name in (signal.SIGINT, signal.SIGTSTP, signal.SIGQUIT, signal.SIGUSR1):
            os.kill(window.process.pid, name)
        pace(window, 0.3)
        window.type(GOOD + "\r").until(LAST_FOUR)
        os.kill(window.process.pid, signal.SIGTERM)
        assert window.ended() == 0


def test_escape_cancels_and_a_scan_after_it_is_whole(tmp_path: Path) -> None:
    """Even in one write: stock Textual fuses the two, and confirms what was cancelled."""
    with kiosk(tmp_path) as window:
        window.until(READY)
        to_question(window)
        window.type("\x1b10000000003\r").until("100 **** ****")
        assert asked(tmp_path, "check")[-1]["credential"] == "10000000003"
        pace(window, ESCAPE_S)
        window.type("\x1b").until("没有核销")


def test_the_window_changes_its_size(tmp_path: Path) -> None:
    """Larger, too small, back again: nothing is lost, the question stays open."""
    with kiosk(tmp_path) as window:
        window.until(READY)
        to_question(window)
        window.resize(120, 36)
        window.until(lambda text: "F10 关闭" in text.splitlines()[-1])
        window.resize(30, 8)
        window.until("请把窗口放大")
        window.resize(80, 24)
        window.until("确认核销")
        pace(window, 0.4)
        window.type("+").until("核销成功")


def test_the_terminal_goes_away(tmp_path: Path) -> None:
    """Closing the window ends the process instead of leaving it to spin."""
    window = kiosk(tmp_path)
    window.until(READY)
    os.close(window.master)
    assert window.process.wait(10) in (0, -signal.SIGHUP)


def test_a_lost_answer_is_asked_for_again(tmp_path: Path) -> None:
    """AX-03: the same request until the answer is there, then the outcome."""
    with kiosk(tmp_path, "--unknown", "2") as window:
        window.until(READY)
        to_question(window)
        pace(window, 0.4)
        window.type("+").until("结果还不确定")
        window.until("核销成功")
    requests = [each["request"] for each in asked(tmp_path, "redeem")]
    assert len(requests) == 3 and len(set(requests)) == 1


def test_a_bug_of_the_counter_shows_nothing_secret(tmp_path: Path) -> None:
    """An order that fails in an unexpected way is an unknown outcome; no text of it is shown."""
    with kiosk(tmp_path, "--bug") as window:
        window.until(READY)
        to_question(window)
        pace(window, 0.4)
        window.type("+").until("结果还不确定")
        assert LAST4 not in window.text and "secret" not in window.text
    assert LAST4 not in (tmp_path / "trace").read_text("utf-8")


def test_an_outage_says_what_to_do(tmp_path: Path) -> None:
    """The counter cannot answer: nothing was done, and the sentence of the outage is shown."""
    with kiosk(tmp_path, "--broken") as window:
        window.until(READY)
        window.type(GOOD + "\r").until(LAST_FOUR)
        by_hand(window, LAST4)
        window.until("暂停服务")
        assert "没有核销" in window.text and "journal is not usable" in window.text


def test_without_a_terminal_it_says_so(tmp_path: Path) -> None:
    """Exit status 2 and a sentence, no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.kiosk.show", "--language", "en"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        cwd=REPOSITORY,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and "--plain" in done.stderr and "Traceback" not in done.stderr


DEAF = (
    "import os, runpy, signal, sys;"
    "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH]);"
    "sys.argv = sys.argv[1:]; runpy.run_module('tests.kiosk.show', run_name='__main__')"
)
"""The kiosk in a process that no change of the window is ever told to."""


def test_a_change_of_size_whose_signal_was_lost_is_seen(tmp_path: Path) -> None:
    """The window is followed at the next tick, also when nobody said that it changed."""
    paths = ["--log", str(tmp_path / "asked"), "--trace", str(tmp_path / "trace")]
    with Window(["-c", DEAF, "show", *paths]) as window:
        window.until(READY)
        window.resize(120, 36)
        window.until(lambda text: "F10 关闭" in text.splitlines()[-1])


def test_a_size_in_the_environment_does_not_fix_the_window(tmp_path: Path) -> None:
    """COLUMNS and LINES of a shell are not the size of a window that changes."""
    paths = ["--log", str(tmp_path / "asked"), "--trace", str(tmp_path / "trace")]
    with Window(["-m", "tests.kiosk.show", *paths], COLUMNS="80", LINES="24") as window:
        window.until(READY)
        window.resize(120, 36)
        window.until(lambda text: "F10 关闭" in text.splitlines()[-1])
