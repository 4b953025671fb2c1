"""What the printer sends back: classes of answers, splits, torn answers, garbage."""

import random

import pytest

from drivers.escpos.reply import (
    BLOCK_BYTES_MAX,
    PARTIAL_MS,
    Answer,
    AutoStatus,
    Barrier,
    Printed,
    RealTime,
    ReplyParser,
    Text,
)

STREAM = b"\x12\x11\x10\x00\x00\x0f\x00\x13\x37\x22ab1~\x00\x5fMODEL\x00\x1a\x18\x00\x0f\x0f\x03"
ANSWERS: list[Answer] = [
    RealTime(0x12),
    AutoStatus(b"\x10\x00\x00\x0f"),
    Barrier(0),
    Printed(b"ab1~"),
    Text(0x5F, b"MODEL"),
    RealTime(0x1A),
    AutoStatus(b"\x18\x00\x0f\x0f"),
    Barrier(3),
]


def test_one_stream_of_everything() -> None:
    """Status, barriers, blocks and flow control share one stream."""
    assert ReplyParser().feed(STREAM, 0) == ANSWERS


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_split_at_every_byte(cut: int) -> None:
    """A read may end anywhere."""
    parser = ReplyParser()
    assert parser.feed(STREAM[:cut], 0) + parser.feed(STREAM[cut:], 10) == ANSWERS
    assert parser.junk == 0


def test_a_torn_status_is_given_up_after_a_pause() -> None:
    """Half an automatic status does not swallow the answers after it."""
    parser = ReplyParser()
    assert parser.feed(b"\x10\x00", 0) == []
    assert parser.feed(b"\x12", PARTIAL_MS) == [RealTime(0x12)]
    assert parser.junk == 2


def test_a_status_interrupted_by_something_else() -> None:
    """A byte that cannot be in an automatic status ends it and is looked at anew."""
    parser = ReplyParser()
    assert parser.feed(b"\x10\x00\x12", 0) == [RealTime(0x12)]
    assert parser.feed(b"\x10\x13\x00\x00\x0f", 1) == [AutoStatus(b"\x10\x00\x00\x0f")]


def test_a_block_without_end_is_bounded() -> None:
    """A block head in noise does not collect for ever."""
    parser = ReplyParser()
    parser.feed(b"\x5f" + b"x" * (BLOCK_BYTES_MAX + 1), 0)
    assert parser.junk > BLOCK_BYTES_MAX
    assert parser.feed(b"\x12", 1) == [RealTime(0x12)]


@pytest.mark.parametrize("block", [b"\x37\x22ab1\x00", b"\x37\x21ab1~\x00", b"\x35\x00"])
def test_other_blocks_are_no_confirmation(block: bytes) -> None:
    """Only 37 22 and four characters confirm."""
    (answer,) = ReplyParser().feed(block, 0)
    assert isinstance(answer, Text)


def test_bytes_that_fit_nowhere_are_counted() -> None:
    """0x80 to 0xFF are no answers."""
    parser = ReplyParser()
    assert parser.feed(b"\x80\xff\x90", 0) == [] and parser.junk == 3


def test_garbage_never_raises(rng: random.Random) -> None:
    """Anything may come from a line."""
    parser = ReplyParser()
    for at in range(3_000):
        parser.feed(rng.randbytes(rng.randrange(12)), at * 7)
