"""Asking, waiting and giving up; the condition in bits; handshake, window and outbox alone."""

import pytest

from drivers.escpos import encode
from drivers.escpos.handshake import ANSWER_MS as HANDSHAKE_MS
from drivers.escpos.handshake import BURST_MS, MACRO_BARRIERS, TRIES, Handshake
from drivers.escpos.layout import Block
from drivers.escpos.outbox import Kind, Outbox
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.reply import AutoStatus, Barrier, Printed, RealTime, Text
from drivers.escpos.status import Condition, PrinterStatus, from_auto, from_real_time
from drivers.escpos.watch import (
    ANSWER_MS,
    KEEP_ALIVE_MS,
    POLL_MS,
    QUIET_MS,
    Question,
    Watch,
    question_bytes,
)
from drivers.escpos.window import Match, Window, identifiers

OK = 0x12


def watch(*status: str) -> Watch:
    return Watch(PrinterProfile(status=status))


def ask(one: Watch, now_ms: int, *, busy: bool = False) -> Question | None:
    question = one.question(now_ms, busy=busy)
    if question is not None:
        one.asked(now_ms, 0)
    return question


def test_offline_is_followed_by_the_reasons() -> None:
    """DLE EOT 1 says offline; 2, 3 and 4 say why; online again forgets the reasons."""
    one = watch("dle_eot")
    assert one.silent and ask(one, 0) is Question.PRINTER
    one.heard(RealTime(OK | 0x08), 1)
    for question, value in ((2, OK | 0x24), (3, OK), (4, OK | 0x6C)):
        assert ask(one, 1) == question
        one.heard(RealTime(value), 1)
    assert one.condition == Condition(offline=True, cover_open=True, paper_out=True, near_end=True)
    assert one.question(2, busy=False) is None
    assert ask(one, 1 + POLL_MS) is Question.PRINTER
    one.heard(RealTime(OK), 2_000)
    assert one.condition == Condition(near_end=True)
    assert ask(one, 2_000) is Question.PAPER


def test_two_misses_make_silence_and_an_answer_ends_it() -> None:
    """One missed answer is nothing; after a miss there is quiet."""
    one = watch("dle_eot")
    ask(one, 0)
    one.heard(RealTime(OK), 5)
    assert ask(one, 5) is Question.PAPER
    one.heard(RealTime(OK), 5)
    one.heard(RealTime(OK | 0x0C), 5)  # nobody asked: counts as life, says nothing
    assert not one.condition.near_end
    now = 5 + POLL_MS
    for miss in (1, 2):
        assert ask(one, now) is Question.PRINTER
        one.tick(now + ANSWER_MS - 1)
        assert one.question(now + ANSWER_MS - 1, busy=False) is None
        one.tick(now + ANSWER_MS)
        assert one.silent is (miss == 2)
        assert one.question(now + ANSWER_MS + QUIET_MS - 1, busy=False) is None
        now += ANSWER_MS + QUIET_MS
    one.heard(Text(0x5F, b""), now)
    assert not one.silent


def test_a_late_answer_buys_more_time() -> None:
    """A printer that answers late is given twice the time it took."""
    one = watch("dle_eot")
    ask(one, 0)
    one.tick(ANSWER_MS)
    one.heard(RealTime(OK | 0x08), 800)
    assert not one.condition.offline, "a late answer may be to an older question"
    later = 800 + POLL_MS + QUIET_MS
    ask(one, later)
    assert one.due_ms() == later + 1_600


def test_in_order_questions_wait_while_a_job_is_under_way() -> None:
    """Keep-alive by GS a or GS r takes buffer space and would be mistaken for a confirmation."""
    for status, question in (("asb", Question.AUTO), ("gs_r", Question.BARRIER)):
        one = watch(status)
        assert ask(one, 0, busy=True) is None
        assert ask(one, POLL_MS) is question
        assert one.barrier_open is (status == "gs_r")
        one.heard(AutoStatus(b"\x10\x00\x00\x0f") if status == "asb" else Barrier(0), POLL_MS + 1)
        assert one.due_ms() == POLL_MS + 1 + KEEP_ALIVE_MS
        assert not one.barrier_open


def test_with_automatic_status_the_paper_is_not_asked_for() -> None:
    """What tells changes by itself is asked only whether it is there."""
    one = watch("asb", "dle_eot")
    one.heard(AutoStatus(b"\x10\x00\x03\x0f"), 0)
    ask(one, POLL_MS)
    one.heard(RealTime(OK), POLL_MS)
    assert one.question(POLL_MS + 1, busy=False) is None
    assert one.condition == Condition(near_end=True)


def test_a_question_thrown_away_is_asked_again() -> None:
    """A question that never left is not a missed answer; one that left stays open."""
    one = watch("dle_eot")
    one.question(0, busy=False)
    assert one.due_ms() is None
    one.withdrawn()
    assert ask(one, 0) is Question.PRINTER
    one.withdrawn()
    assert one.question(1, busy=False) is None


def test_a_printer_that_cannot_answer_is_not_asked() -> None:
    """status = []: never silent, never asked."""
    one = watch()
    assert not one.silent and one.due_ms() is None and one.question(0, busy=False) is None


def test_question_bytes() -> None:
    """DLE EOT for 1 to 4; GS a and GS r for those answered in order."""
    assert question_bytes(Question.ERROR) == b"\x10\x04\x03"
    assert question_bytes(Question.AUTO) == encode.ASB_ON
    assert question_bytes(Question.BARRIER) == encode.BARRIER


@pytest.mark.parametrize(
    ("auto", "word"),
    [
        (b"\x10\x00\x00\x0f", PrinterStatus.READY),
        (b"\x10\x00\x03\x0f", PrinterStatus.NEAR_END),
        (b"\x18\x00\x0f\x0f", PrinterStatus.PAPER_OUT),
        (b"\x38\x00\x0f\x0f", PrinterStatus.COVER_OPEN),
        (b"\x18\x08\x00\x0f", PrinterStatus.FAULT),
        (b"\x18\x20\x00\x0f", PrinterStatus.FAULT),
        (b"\x18\x40\x00\x0f", PrinterStatus.READY),
        (b"\x18\x00\x00\x0f", PrinterStatus.FAULT),
    ],
)
def test_automatic_status_in_a_word(auto: bytes, word: PrinterStatus) -> None:
    """Hand-checked against the manuals; heat alone is no alarm, offline alone is a fault."""
    condition = from_auto(auto)
    assert condition.word() is word
    assert condition.blocked is (word not in (PrinterStatus.READY, PrinterStatus.NEAR_END)
                                 or condition.hot)  # fmt: skip


def test_real_time_bits() -> None:
    """Cause of error, drawer pin."""
    assert from_real_time(Condition(), 1, OK | 0x04).drawer_pin_high
    error = from_real_time(Condition(), 3, OK | 0x68)
    assert (error.cutter, error.broken, error.hot) == (True, True, True)


def handshake(confirm: str, status: tuple[str, ...] = ("dle_eot",)) -> Handshake:
    return Handshake(PrinterProfile(confirm=confirm, status=status), identifiers(0))


def test_a_barrier_alone_proves_after_the_time() -> None:
    """A barrier could be late from before, so the conclusion waits; a name is certain."""
    one = handshake("gs_h")
    one.start()
    one.asked(0, 100)
    assert one.heard(Barrier(0), 110) and not one.done
    assert not one.tick(99 + HANDSHAKE_MS, stopped=False) and not one.done
    one.tick(100 + HANDSHAKE_MS, stopped=False)
    assert (one.done, one.confirm) == (True, "gs_r")
    assert not one.heard(Barrier(0), 3_000) and not one.macro


def test_no_answer_to_the_question_but_to_others() -> None:
    """Asked again a few times; only a printer that is alive all the while is concluded mute."""
    one = handshake("gs_r")
    one.start()
    one.asked(0, 0)
    assert not one.tick(HANDSHAKE_MS, stopped=False), "nothing was heard: no conclusion"
    assert not one.heard(RealTime(OK), 2_500)
    assert one.tick(2 * HANDSHAKE_MS, stopped=False), "alive again: ask anew"
    for attempt in range(1, TRIES + 1):
        one.start()
        one.asked(0, 0)
        one.heard(RealTime(OK), 5)
        assert one.tick(HANDSHAKE_MS, stopped=False) is (attempt < TRIES)
    assert (one.done, one.confirm) == (True, "none")
    assert one.heard(Printed(b"none"), 9_000) is False


def test_a_stopped_printer_is_not_judged() -> None:
    """Out of paper it answers nothing in order."""
    one = handshake("gs_h")
    one.start()
    one.asked(0, 0)
    one.heard(RealTime(OK), 5)
    assert not one.tick(HANDSHAKE_MS, stopped=True) and not one.done and not one.fresh


def test_without_confirmation_there_is_nothing_to_ask() -> None:
    """confirm = none in the profile."""
    one = handshake("none")
    assert one.start() == b"" and one.done
    one.asked(0, 0)
    assert one.due_ms is None and not one.fresh
    one.forget()
    assert not one.done


@pytest.mark.parametrize(("barriers", "macro"), [(1, False), (2, False), (3, True), (4, True)])
@pytest.mark.parametrize("confirm", ["gs_h", "gs_r"])
def test_the_number_of_barriers_tells_of_the_macro(
    confirm: str, barriers: int, macro: bool
) -> None:
    """One for the macro as it is recorded or not, two for its runs, one plain."""
    one = handshake(confirm)
    request = one.start()
    assert encode.RUN_MACRO not in request and b"\x1d^\x02\x00\x00" in request
    one.asked(0, 0)
    for number in range(barriers):
        assert one.heard(Barrier(0), number) and not one.done
    if confirm == "gs_h":
        assert one.heard(Printed(next(identifiers(0))), 10) and one.confirm == "gs_h"
    else:
        early = barriers - 1 + BURST_MS
        assert not one.tick(early, stopped=False)
        assert one.done is (barriers > MACRO_BARRIERS), "all are there, and none is left over"
        one.tick(HANDSHAKE_MS, stopped=False)
    assert one.done and one.macro is macro
    one.without_macro()
    assert encode.macro_trial(PrinterProfile()) not in one.start() and not one.macro


def test_a_barrier_is_enough_where_no_macro_is_tried() -> None:
    """continuity = none in the profile."""
    one = Handshake(PrinterProfile(confirm="gs_r", continuity="none"), identifiers(0))
    assert one.start() == encode.BARRIER + encode.ASB_ON
    one.asked(0, 0)
    assert one.heard(Barrier(0), 5) and one.done and not one.macro


def test_the_window_counts_bytes_and_order() -> None:
    """Two blocks fit, the third waits; the first confirmed makes room; a skipped one is a gap."""
    profile = PrinterProfile(window=100)
    window = Window((Block(b"a" * 35, 1),) * 3, profile, identifiers(5), confirm="gs_h")
    names = [Printed(name) for _, name in zip(range(3), identifiers(5), strict=False)]
    assert window.next_block() and window.next_block() and window.next_block() is None
    assert window.unconfirmed_bytes == 2 * (35 + 11)
    assert window.heard(names[0], 0) is Match.STRAY, "it has not left yet"
    window.block_taken(10)
    window.block_taken(20)
    assert window.heard(Printed(b"...."), 0) is Match.STRAY
    assert window.heard(Barrier(0), 0) is Match.STRAY, "no block asked for one"
    assert window.heard(names[1], 0) is Match.GAP
    assert window.heard(names[0], 30) is Match.NEXT
    assert window.due_ms is not None
    window.hold()
    assert window.due_ms is None
    window.allow(40)
    assert window.grace(50) and not window.grace(60)


@pytest.mark.parametrize("name_first", [True, False])
def test_a_block_with_a_macro_needs_both_answers(name_first: bool) -> None:
    """Nothing leaves before the macro was run; then a name and the macro for each, in any order."""
    blocks = (Block(b"a" * 35, 1), Block(b"b" * 35, 1))
    window = Window(blocks, PrinterProfile(), identifiers(5), confirm="gs_h", macro=True)
    names = [Printed(name) for _, name in zip(range(3), identifiers(5), strict=False)]
    assert window.proving
    assert window.next_block() == encode.ask_confirmation(names[0].identifier) + encode.RUN_MACRO
    assert window.next_block() is None, "not before it is answered"
    window.block_taken(0)
    for name in names:
        answers: list[Printed | Barrier] = [name, Barrier(0)]
        first, second = answers if name_first else answers[::-1]
        assert window.heard(first, 1) is Match.HALF and not window.done
        assert window.heard(name, 1) is (Match.STRAY if name_first else Match.NEXT)
        if name_first:
            assert window.heard(second, 1) is Match.NEXT
        if name is names[0]:
            assert not window.proving
            for block in blocks:
                data = window.next_block()
                assert data is not None and data.startswith(block.data)
                window.block_taken(1)
    assert window.done


def test_a_name_before_the_macro_of_the_block_in_front_is_a_gap() -> None:
    """Its power failed behind the first name: the macro is gone, the second name is answered."""
    blocks = (Block(b"a", 1), Block(b"b", 1))
    window = Window(blocks, PrinterProfile(), identifiers(5), confirm="gs_h", macro=True)
    names = [Printed(name) for _, name in zip(range(3), identifiers(5), strict=False)]
    window.next_block()
    window.block_taken(0)
    window.heard(names[0], 0)
    window.heard(Barrier(0), 0)
    for _ in blocks:
        window.next_block()
        window.block_taken(0)
    assert window.heard(names[1], 1) is Match.HALF
    assert window.heard(names[2], 1) is Match.GAP


def test_a_block_larger_than_the_window_goes_alone() -> None:
    """A single command may be larger; nothing is with it under way."""
    blocks = (Block(b"x" * 500, 1), Block(b"y", 1))
    window = Window(blocks, PrinterProfile(window=100), identifiers(0), confirm="none")
    assert window.next_block() and window.next_block() is None and window.unsure
    window.block_taken(0)
    window.passed(1)
    assert not window.done
    assert window.next_block() == b"y" and window.next_block() is None


def test_the_outbox_never_breaks_a_segment() -> None:
    """A question goes between segments, in front when none has begun."""
    box = Outbox()
    assert box.head() == b"" and box.taken(0, 0) == [] and box.head_kind is None
    box.put(b"block", Kind.BLOCK)
    box.put_first(b"?", Kind.QUESTION)
    assert box.head() == b"?" and box.pending and box.has(Kind.QUESTION)
    assert box.taken(1, 0) == [Kind.QUESTION]
    assert box.taken(2, 0) == []
    box.put_first(b"!", Kind.CONTROL)
    assert box.head() == b"ock"
    assert box.taken(0, 5) == [] and box.taken(0, 9) == [] and box.stalled_since == 5
    assert box.taken(3, 9) == [Kind.BLOCK] and box.stalled_since is None
    assert box.head_kind is Kind.CONTROL
    box.clear()
    assert not box.pending
