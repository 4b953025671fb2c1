"""The screen as Textual runs it: few journeys, whole; and what happens when it fails."""

import logging
import wave
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from textual import events
from textual.pilot import Pilot

from terminal import kiosk
from terminal.kiosk.actions import ACTIONS, meaning
from terminal.kiosk.app import KioskApp
from terminal.kiosk.events import Pressed, Scanned, Tone, Typed
from terminal.kiosk.gate import TERMINATORS, Stroke
from terminal.kiosk.pages import Setting
from terminal.kiosk.session import Session
from terminal.kiosk.sound import Sound, samples
from terminal.kiosk.states import Act, Committing, Done, Fault, Last4, Ready
from terminal.words import Language
from tests.kiosk.memory_counter import GOOD, LAST4, MemoryCounter, with_samples
from tests.kiosk.test_pages import drawn

ZONE = ZoneInfo("Asia/Shanghai")


def session_on(counter: MemoryCounter) -> Session:
    """A session that has begun."""
    session = Session(counter, Setting(Language.EN, ZONE))
    session.open()
    return session


async def settle(pilot: Pilot[int], session: Session, wanted: type) -> None:
    """Wait until the stage is of a kind."""
    for _ in range(200):
        await pilot.pause(0.02)
        if isinstance(session.shown.stage, wanted):
            return
    raise AssertionError(f"{wanted} never came: {session.shown}")


def text(app: KioskApp) -> str:
    """What the canvases hold."""
    return "\n".join(drawn(line) for part in app._parts.values() for line in part._lines)


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
def test_a_serial_scan_is_redeemed_by_keys(size: tuple[int, int]) -> None:
    """A scan from another thread, four digits, F12."""
    session = session_on(with_samples())
    app = KioskApp(session, driver=None)

    async def work() -> None:
        async with app.run_test(size=size) as pilot:
            session.deliver(Scanned(GOOD, 0))
            await settle(pilot, session, Last4)
            for key in LAST4:
                await pilot.press(key)
                await pilot.pause(0.05)
            for _ in range(100):
                await pilot.pause(0.1)
                await pilot.press("f12")
                if isinstance(session.shown.stage, Done):
                    break
            await pilot.pause(0.05)
            assert "REDEEMED" in text(app) and "T0007_1_00000043" in text(app)
            await pilot.press("f9")
            assert "核销成功" in text(app)

    run(work())
    session.close()


def run(coroutine: object) -> None:
    """Run one test's coroutine."""
    import asyncio

    asyncio.run(coroutine)  # type: ignore[arg-type]


def test_a_paste_is_a_scan_and_a_mouse_is_nothing() -> None:
    """Both arrive at the gate; no widget sees them."""
    session = session_on(with_samples())
    app = KioskApp(session, driver=None)

    async def work() -> None:
        async with app.run_test() as pilot:
            await pilot.click()
            app.post_message(events.Paste(GOOD))
            await settle(pilot, session, Last4)

    run(work())
    session.close()


def test_a_screen_that_fails_shows_and_logs_nothing_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The traceback is logged without locals; the order is resumed by the next screen."""
    session = session_on(with_samples())
    secret = "4711"
    calls = []

    def broken(*_: object) -> None:
        hidden = secret
        calls.append(hidden)
        raise RuntimeError("the painter broke")

    app = KioskApp(session, driver=None)

    async def work() -> None:
        async with app.run_test() as pilot:
            monkeypatch.setattr("terminal.kiosk.app.page_of", broken)
            await pilot.press("f1")
            await pilot.pause()

    with caplog.at_level(logging.CRITICAL), pytest.raises(RuntimeError):
        run(work())
    assert isinstance(app.failure, RuntimeError) and calls
    assert "the painter broke" in caplog.text and secret not in caplog.text
    session.close()


def test_a_screen_that_keeps_failing_is_given_up() -> None:
    """Three times in a minute: exit status 3; once or twice: it is started again."""
    session = session_on(with_samples())
    failures: list[Exception | None] = [ValueError(), ValueError(), None]
    assert kiosk._keep_showing(session, lambda *_: failures.pop(0), b"") == 0
    failures[:] = [ValueError(), ValueError(), ValueError()]
    assert kiosk._keep_showing(session, lambda *_: failures.pop(0), b"") == 3
    session.close()


def test_a_new_screen_resumes_the_open_order() -> None:
    """The session outlives its screen: the same order is asked again."""
    counter = with_samples()
    counter.gate.clear()
    session = session_on(counter)
    session.feed(Scanned(GOOD, 0))
    stage = session.shown.stage
    assert isinstance(stage, Last4)
    counter.gate.set()
    answers: list[object] = []
    session.attach(answers.append)
    for digit in LAST4:
        session.feed(Typed(digit, 0))
    _until(lambda: any(type(each).__name__ == "LookedUp" for each in answers))
    for each in answers:
        session.feed(each)  # type: ignore[arg-type]
    counter.gate.clear()
    session.feed(Pressed(Act.CONFIRM, 10**15))
    assert isinstance(session.shown.stage, Committing)
    session.renew()
    resumed = session.shown.stage
    assert isinstance(resumed, Committing) and resumed.tries == 1
    counter.gate.set()
    session.close()
    assert len(counter.results) == 1


def _until(done: object) -> None:
    from time import monotonic

    end = monotonic() + 5
    while not done() and monotonic() < end:  # type: ignore[operator]
        pass


def test_every_key_has_one_meaning_and_no_terminator_confirms() -> None:
    """The registry is consistent: no key twice, none that a scanner sends at its end."""
    keys = [key for action in ACTIONS for key in (*action.keys, *action.characters)]
    assert len(keys) == len(set(keys))
    assert {action.act for action in ACTIONS} == set(Act)
    for action in ACTIONS:
        for key in action.keys:
            assert meaning(Stroke(key, None, 1.0)) == Pressed(action.act, 1000)
            assert not key.startswith(("ctrl+", "alt+")) or key == "ctrl+h"
    (confirm,) = [action for action in ACTIONS if action.act is Act.CONFIRM]
    assert not set(confirm.keys) & TERMINATORS


@pytest.mark.parametrize(
    ("stroke", "event"),
    [
        (Stroke("plus", "+", 1.0), Pressed(Act.CONFIRM, 1000)),
        (Stroke("x", "＋", 1.0), Pressed(Act.CONFIRM, 1000)),
        (Stroke("full_stop", ".", 1.0, fast=True), Pressed(Act.CLEAR, 1000, True)),
        (Stroke("7", "7", 1.0), Typed("7", 1000)),
        (Stroke("7", "７", 1.0), Typed("７", 1000)),
        (Stroke("home", None, 1.0), Typed("7", 1000, numlock_off=True)),
        (Stroke("backspace", "\x7f", 1.0), Pressed(Act.ERASE, 1000)),
        (Stroke("ctrl+c", "\x03", 1.0), None),
        (Stroke("f11", None, 1.0), None),
    ],
)
def test_what_a_key_means(stroke: Stroke, event: object) -> None:
    """Full-width signs count; control keys mean nothing."""
    assert meaning(stroke) == event


def test_sounds_are_wav_files_and_fall_back_to_the_bell() -> None:
    """One short high, two low, three fast; without a player the bell rings."""
    for tone in Tone:
        with wave.open(BytesIO(samples(tone))) as file:
            assert 1_000 < file.getnframes() < 16_000
    rung: list[int] = []
    Sound(lambda: rung.append(1), players=()).play(Tone.GOOD)
    assert rung == [1]


def test_a_player_that_fails_rings_the_bell(tmp_path: Path) -> None:
    """The sound is played in a thread; a broken player is not noticed by the screen."""
    from threading import Event

    rung = Event()
    sound = Sound(rung.set, players=(("false",),))
    for _ in range(5):
        sound.play(Tone.BAD)
    assert rung.wait(5)
    assert not Sound(rung.set, players=((str(tmp_path / "none"),),))._command


def test_ready_and_fault_are_states_of_a_new_session() -> None:
    """A session begins ready; nothing is delivered before a screen listens."""
    session = session_on(with_samples())
    session.look_around()
    assert session.shown.stage == Ready() and not isinstance(session.shown.stage, Fault)
    session.close()


def test_a_scan_that_comes_before_the_screen_waits_for_it() -> None:
    """A serial scanner is open before there is anything to see."""
    session = session_on(with_samples())
    session.deliver(Scanned(GOOD, 0))
    app = KioskApp(session, driver=None)

    async def work() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await settle(pilot, session, Last4)

    run(work())
    session.close()


def test_what_waits_for_the_counter_begins_once() -> None:
    """Devices are started when there is something to see, and not again for a new screen."""
    session, begun = session_on(with_samples()), list[str]()

    def begin() -> None:
        begun.append(session.shown.stage.__class__.__name__)

    session.begin = begin

    async def work() -> None:
        app = KioskApp(session, driver=None)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            assert "Scan a voucher" in text(app)

    run(work())
    assert begun == ["Ready"]
    session.renew()
    run(work())
    assert begun == ["Ready"]
    session.close()
