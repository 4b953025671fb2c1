"""Paper out, cover, cutter, heat, silence, late answers, small buffers, XOFF and noise.

Promise under test: a printer that keeps its power finishes the slip by itself and nothing is sent
twice; what cannot be known is `unknown`; the word for the counter is right at each moment.
"""

import re

import pytest

from drivers.emulated.machine import ALL_ANSWERS, Build
from drivers.escpos.engine import Engine
from drivers.escpos.job import Discard, Job, JobState
from drivers.escpos.layout import lay_out
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.status import HOT_ALARM_MS, PrinterStatus
from tests.drivers.rig import Rig, check_honest, numbered, wanted

SLIP = numbered(20)


def rig(**build: object) -> Rig:
    profile = PrinterProfile(baud=115200, cut="partial", line_ms=25)
    return Rig(profile, Build(baud=115200, line_ms=25, **build))  # type: ignore[arg-type]


def with_profile(build: Build | None = None, **profile: object) -> Rig:
    base = {"baud": 115200, "cut": "partial", "line_ms": 25}
    made = PrinterProfile(**(base | profile))  # type: ignore[arg-type]
    return Rig(made, build or Build(baud=115200, line_ms=25))


def begun(one: Rig, lines: int) -> None:
    """Print until so many lines are on paper."""
    one.plug()
    one.submit("a", SLIP)
    while one.machine.count.printed_lines < lines:
        one.run(1)


@pytest.mark.parametrize("status", [("asb", "dle_eot"), ("asb",), ("dle_eot",)])
@pytest.mark.parametrize("line", range(1, 21))
def test_paper_out_at_every_line(line: int, status: tuple[str, ...]) -> None:
    """The slip waits for paper as long as it takes and then finishes, each line once."""
    one = with_profile(status=status)
    one.machine.levers.paper_lines = line
    one.plug()
    one.submit("a", SLIP)
    one.run(90_000)
    assert one.state("a") is JobState.PRINTING
    assert one.engine.status is PrinterStatus.PAPER_OUT
    assert one.lines() == wanted(SLIP)[:line]
    one.machine.load_paper()
    one.run(30_000, "a")
    assert one.state("a") is JobState.PRINTED
    check_honest(one, "a", SLIP)


@pytest.mark.parametrize(
    ("lever", "word"),
    [
        ("cover_open", PrinterStatus.COVER_OPEN),
        ("cutter_error", PrinterStatus.FAULT),
        ("broken", PrinterStatus.FAULT),
    ],
)
@pytest.mark.parametrize("status", [("asb", "dle_eot"), ("dle_eot",)])
def test_a_person_clears_what_stopped_it(
    lever: str, word: PrinterStatus, status: tuple[str, ...]
) -> None:
    """Cover, cutter and error: shown at once, and the slip goes on when cleared."""
    one = with_profile(status=status)
    begun(one, 5)
    setattr(one.machine.levers, lever, True)
    one.run(20_000)
    assert (one.engine.status, one.state("a")) == (word, JobState.PRINTING)
    setattr(one.machine.levers, lever, False)
    one.run(20_000, "a")
    assert one.state("a") is JobState.PRINTED
    check_honest(one, "a", SLIP)


@pytest.mark.parametrize("status", [("asb", "dle_eot"), ("asb",), ("dle_eot",)])
def test_a_jam_is_over_when_the_cover_was_opened_and_closed(status: tuple[str, ...]) -> None:
    """The printer goes on only when it is told to; nobody has to switch it off, which loses it."""
    one = with_profile(status=status)
    begun(one, 5)
    one.machine.levers.cutter_error = True
    one.run(10_000)
    assert one.machine.levers.cutter_error, "not told to go on with the jam still in it"
    one.machine.levers.cover_open = True
    one.run(10_000)
    assert one.machine.levers.cutter_error
    one.machine.levers.cover_open = False
    one.run(20_000, "a")
    assert not one.machine.levers.cutter_error
    assert one.state("a") is JobState.PRINTED
    check_honest(one, "a", SLIP)


def test_a_hot_head_is_waited_for_without_alarm() -> None:
    """Heat heals by itself: no alarm for half a minute, then a fault, then the slip goes on."""
    one = rig()
    begun(one, 5)
    one.machine.levers.hot = True
    one.run(HOT_ALARM_MS - 2_000)
    assert one.engine.status is PrinterStatus.READY
    one.run(5_000)
    assert one.engine.status is PrinterStatus.FAULT
    one.machine.levers.hot = False
    one.run(20_000, "a")
    assert (one.state("a"), one.engine.status) == (JobState.PRINTED, PrinterStatus.READY)
    check_honest(one, "a", SLIP)


@pytest.mark.parametrize("status", [("asb", "dle_eot"), ("dle_eot",), ("asb",)])
def test_near_end_is_a_word_and_no_more(status: tuple[str, ...]) -> None:
    """Paper near its end: shown, and printing goes on."""
    one = with_profile(status=status)
    one.machine.levers.near_end = True
    one.plug()
    one.run(10_000)
    assert one.engine.status is PrinterStatus.NEAR_END
    one.submit("a", SLIP)
    one.run(20_000, "a")
    assert one.state("a") is JobState.PRINTED


def test_paper_out_before_the_slip_keeps_it_queued() -> None:
    """A slip does not begin with a printer that cannot print."""
    one = rig()
    one.machine.levers.paper_out = True
    one.plug()
    one.submit("a", SLIP)
    one.run(30_000)
    assert (one.state("a"), one.engine.status) == (JobState.QUEUED, PrinterStatus.PAPER_OUT)
    assert one.journal == []
    one.machine.load_paper()
    one.run(20_000, "a")
    check_honest(one, "a", SLIP)
    assert one.state("a") is JobState.PRINTED


def test_a_printer_that_goes_silent_leaves_the_slip_unknown() -> None:
    """No answer is not good and not bad."""
    one = rig()
    begun(one, 3)
    one.machine.levers.silent = True
    one.run(60_000, "a")
    assert one.state("a") is JobState.UNKNOWN
    one.run(6_000)
    assert one.engine.status is PrinterStatus.SILENT
    check_honest(one, "a", SLIP)


def test_silent_while_out_of_paper_is_unknown_in_the_end() -> None:
    """Switched off while it waited for paper: it will not go on by itself."""
    one = rig()
    one.machine.levers.paper_lines = 4
    begun(one, 4)
    one.run(5_000)
    one.machine.power_off()
    one.run(60_000, "a")
    assert (one.state("a"), one.engine.status) == (JobState.UNKNOWN, PrinterStatus.SILENT)


@pytest.mark.parametrize("late_ms", [100, 400, 900, 1_500])
def test_late_answers_are_waited_for(late_ms: int) -> None:
    """Answers up to a second and a half late still confirm the slip."""
    one = rig()
    one.machine.levers.late_ms = late_ms
    one.plug()
    one.submit("a", SLIP)
    one.run(120_000, "a")
    assert one.state("a") is JobState.PRINTED
    check_honest(one, "a", SLIP)


def test_very_late_answers_never_make_a_lie() -> None:
    """Seven seconds late: unknown or still waiting, but never wrongly printed or doubled."""
    for confirm in ("gs_h", "gs_r"):
        one = with_profile(confirm=confirm)
        one.machine.levers.late_ms = 7_000
        one.plug()
        for job in ("a", "b", "c"):
            one.submit(job, numbered(6, tag=job))
        one.run(300_000)
        for job in ("a", "b", "c"):
            assert one.state(job) is not None
            if one.state(job) is JobState.PRINTED:
                assert [line for line in one.lines() if line.startswith(job)] == wanted(
                    numbered(6, tag=job)
                )[:-1]


@pytest.mark.parametrize("buffer_bytes", [256, 1024, 4096])
@pytest.mark.parametrize("paper_after", [None, 3, 11])
def test_small_buffers_never_overflow(buffer_bytes: int, paper_after: int | None) -> None:
    """With the window of the profile not one byte is dropped, with or without paper."""
    profile = PrinterProfile(baud=115200, cut="partial", line_ms=25, window=buffer_bytes // 2)
    one = Rig(profile, Build(baud=115200, line_ms=25, buffer_bytes=buffer_bytes))
    slip = numbered(60)
    one.machine.levers.paper_lines = paper_after
    one.plug()
    one.submit("a", slip)
    one.run(10_000)
    one.machine.load_paper()
    one.run(60_000, "a")
    assert one.machine.count.dropped == 0
    assert one.state("a") is JobState.PRINTED
    check_honest(one, "a", slip)


def test_a_window_too_large_loses_lines_and_is_found_out() -> None:
    """Control: with a window larger than the buffer bytes are lost, and it is not told printed."""
    one = with_profile(Build(baud=0, line_ms=25, buffer_bytes=256), window=4096)
    slip = numbered(60)
    one.plug()
    one.submit("a", slip)
    one.run(60_000, "a")
    assert one.machine.count.dropped > 0
    assert one.state("a") is JobState.UNKNOWN


@pytest.mark.parametrize("held_ms", [1_000, 10_000])
def test_xoff_held_and_released(held_ms: int) -> None:
    """The printer takes nothing for a while: silent to the counter, then the slip goes on."""
    one = Rig(kernel_bytes=64)
    one.machine.levers.xoff = False
    begun(one, 1)
    one.machine.levers.xoff = True
    one.run(held_ms)
    one.machine.levers.xoff = False
    one.run(60_000, "a")
    assert one.state("a") is JobState.PRINTED
    check_honest(one, "a", SLIP)


def test_xoff_for_ever_is_unknown_and_nothing_comes_later() -> None:
    """After giving up, what the host still held is thrown away."""
    one = Rig(kernel_bytes=64)
    begun(one, 1)
    one.machine.levers.xoff = True
    one.run(120_000, "a")
    assert one.state("a") is JobState.UNKNOWN
    one.run(5_000)
    before = one.lines()
    one.machine.levers.xoff = False
    one.run(20_000)
    later = one.lines()[len(before) :]
    assert len(later) <= 64 // 20, f"came out later: {later}"


def test_what_the_system_still_holds_never_comes_out_later() -> None:
    """The host's own buffer took everything; after giving up it is thrown away, not printed."""
    one = with_profile(flow="xonxoff", continuity="none")
    one.plug()
    one.run(2_000)
    one.machine.levers.xoff = True
    one.submit("a", SLIP)
    one.run(120_000, "a")
    assert one.state("a") is JobState.UNKNOWN
    one.machine.levers.xoff = False
    one.run(20_000)
    assert one.lines() == []
    one.submit("b", numbered(2))
    one.run(20_000, "b")
    assert one.state("b") is JobState.PRINTED and one.lines() == wanted(numbered(2))


@pytest.mark.parametrize("noise", [b"\x00", b"\xff\xfe", b"\x11\x13", b"\x10\x00", b"\x37\x22ab"])
def test_noise_between_answers(noise: bytes) -> None:
    """Garbage and flow control in front of an answer do not confirm or hide anything."""
    one = rig()
    one.plug()
    one.submit("a", SLIP)
    for _ in range(200):
        one.machine.levers.noise = noise
        one.run(5)
    one.run(20_000, "a")
    assert one.state("a") in (JobState.PRINTED, JobState.UNKNOWN)
    check_honest(one, "a", SLIP)


def test_a_dropped_byte_is_not_told_printed_when_it_was_a_confirmation() -> None:
    """Bytes lost on the wire: the block they were in is never confirmed by another."""
    for skip in range(0, 480, 7):
        one = rig()
        one.plug()
        one.submit("a", SLIP)
        while one.machine.count.received < 1100 + skip:
            one.run(1)
        one.machine.levers.drop_next = 12
        one.run(60_000, "a")
        assert one.state("a") in (JobState.PRINTED, JobState.UNKNOWN)
        assert one.journal == ["a"]


@pytest.mark.parametrize(
    ("answers", "confirm"),
    [
        (ALL_ANSWERS, "gs_h"),
        (ALL_ANSWERS - {"gs_h"}, "gs_r"),
        (ALL_ANSWERS - {"gs_h", "gs_r"}, "none"),
        (ALL_ANSWERS - {"gs_r"}, "gs_h"),
    ],
)
def test_the_printer_is_asked_how_it_confirms(answers: frozenset[str], confirm: str) -> None:
    """A profile that promises too much is found out before the first slip."""
    one = rig(answers=answers)
    one.plug()
    one.submit("a", SLIP)
    one.run(60_000, "a")
    assert one.engine.confirm == confirm
    expected = JobState.UNCONFIRMED if confirm == "none" else JobState.PRINTED
    assert one.state("a") is expected
    assert one.lines() == wanted(SLIP)


def test_a_printer_that_never_answers_prints_unconfirmed() -> None:
    """status = [] in the profile: print, pace by time, and say that nobody confirmed it."""
    one = with_profile(
        Build(baud=115200, line_ms=25, answers=frozenset()), status=(), confirm="none", window=256
    )
    one.plug()
    one.submit("a", SLIP)
    one.run(60_000, "a")
    assert (one.state("a"), one.engine.status) == (JobState.UNCONFIRMED, PrinterStatus.READY)
    assert one.lines() == wanted(SLIP)
    assert one.machine.count.dropped == 0


def test_a_slip_of_which_no_byte_left_is_queued_again() -> None:
    """The link went before it took anything: nothing can be on paper, so it waits once more."""
    one = rig()
    one.plug()
    one.run(2_000)
    one.kernel_bytes = 0
    one.submit("a", SLIP)
    one.run(100)
    assert one.state("a") is JobState.PRINTING
    one.unplug()
    assert (one.state("a"), one.detail("a")) == (JobState.QUEUED, "not_started")
    one.kernel_bytes = 4096
    one.plug()
    one.run(20_000, "a")
    assert one.state("a") is JobState.PRINTED and one.lines() == wanted(SLIP)
    assert one.journal == ["a", "a"], "the journal is told each time before the first byte"


def leave(engine: Engine, now_ms: int) -> list[bytes]:
    """Take all that the engine offers; the identifiers it asks to be confirmed."""
    sent = b""
    while data := engine.outgoing():
        sent += data
        engine.taken(len(data), now_ms)
    return re.findall(rb"\x1d\(H\x06\x0000(....)", sent)


def test_a_block_that_is_skipped_is_lost() -> None:
    """A confirmation that jumps over a block proves that the block is not on paper."""
    profile = PrinterProfile()
    engine = Engine(profile)
    engine.link_up(0)
    (name,) = leave(engine, 0)
    engine.received(b"\x10\x00\x00\x0f\x37\x22" + name + b"\x00\x00", 1)
    engine.submit(Job("a", lay_out(numbered(30), profile)), 2)
    assert engine.startable(2) == "a"
    engine.begin("a", 2)
    first, second, *_ = leave(engine, 3)
    engine.received(b"\x37\x22" + second + b"\x00", 4)
    assert engine.events()[-1] == Discard()
    assert engine.job_id is None and engine.events() == []
    assert first != second and leave(engine, 5), "it greets the printer anew"


def test_status_by_barrier_alone() -> None:
    """A printer that only knows GS r: it is there or silent, and its barriers confirm."""
    one = with_profile(
        Build(baud=115200, line_ms=25, answers=frozenset({"gs_r"})),
        status=("gs_r",),
        confirm="gs_r",
    )
    one.plug()
    one.run(20_000)
    assert one.engine.status is PrinterStatus.READY
    one.submit("a", SLIP)
    one.run(20_000, "a")
    assert one.state("a") is JobState.PRINTED
    one.machine.power_off()
    one.run(30_000)
    assert one.engine.status is PrinterStatus.SILENT


def test_junk_is_counted() -> None:
    """What fits nowhere is a hint at a wrong baud rate."""
    one = rig()
    one.plug()
    one.machine.levers.noise = b"\xff\xfe\xfd"
    one.run(3_000)
    assert one.engine.junk == 3


def test_giving_up_what_is_not_there_tells_nothing() -> None:
    """A job that ended, or never was."""
    one = rig()
    one.plug()
    one.engine.abandon("nobody", one.now)
    one.engine.refuse("nobody", "journal")
    one.run(100)
    assert one.told == []
