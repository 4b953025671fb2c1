"""ID card frames in any pieces, the three steps, and nothing but the number."""

import random

import pytest

from drivers.emulated.idcard import text_block as emulated_block
from drivers.idcard import (
    ABSENT_FINDS,
    PAUSE_MS,
    PREAMBLE,
    Card,
    CardKind,
    CardPoll,
    Command,
    Reply,
    SamParser,
    command,
    read_card,
)

NUMBER = "11010519491231002X"  # a published example, not a person's
NONE = Card(CardKind.UNKNOWN, "")


def frame(status: int, data: bytes = b"") -> bytes:
    body = (len(data) + 4).to_bytes(2, "big") + bytes([0, 0, status]) + data
    check = 0
    for byte in body:
        check ^= byte
    return PREAMBLE + body + bytes([check])


def text_block(number: str = NUMBER, mark: str = " ") -> bytes:
    block = bytearray(" ".encode("utf-16-le") * 128)
    block[0:30] = "张 三".ljust(15).encode("utf-16-le")
    block[122:158] = number.ljust(18).encode("utf-16-le")
    block[248:250] = mark.encode("utf-16-le")
    return bytes(block)


def card_data(block: bytes, photo: bytes = bytes(1024)) -> bytes:
    return len(block).to_bytes(2, "big") + len(photo).to_bytes(2, "big") + block + photo


@pytest.mark.parametrize(
    ("what", "frame_hex"),
    [
        (Command.RESET, "aaaaaa9669000310ffec"),
        (Command.STATUS, "aaaaaa9669000311ffed"),
        (Command.SAM_NUMBER, "aaaaaa9669000312ffee"),
        (Command.FIND, "aaaaaa96690003200122"),
        (Command.SELECT, "aaaaaa96690003200221"),
        (Command.READ, "aaaaaa96690003300132"),
    ],
)
def test_commands_are_the_published_frames(what: Command, frame_hex: str) -> None:
    """Checksum by XOR of everything after the preamble."""
    assert command(what).hex() == frame_hex


def test_the_answer_of_a_read_has_the_published_head() -> None:
    """1,295 bytes, beginning as every published good read."""
    answer = frame(0x90, card_data(text_block()))
    assert len(answer) == 1295
    assert answer.hex().startswith("aaaaaa9669050800009001000400")


@pytest.mark.parametrize("size", [1, 7, 1024, 2000])
def test_frames_in_any_pieces(size: int) -> None:
    """Byte by byte, or 1,024 and 271 as network boxes send them, with a heartbeat in front."""
    photo = PREAMBLE + bytes(1024 - len(PREAMBLE))  # the preamble occurs in the photo
    stream = b"AAAA" + frame(0x9F) + frame(0x90, card_data(text_block(), photo)) + frame(0x80)
    parser, replies = SamParser(), []
    for start in range(0, len(stream), size):
        replies += parser.feed(stream[start : start + size], 0)
    assert [reply.status for reply in replies] == [0x9F, 0x90, 0x80]
    assert read_card(replies[1].data) == Card(CardKind.CITIZEN, NUMBER)


def test_damage_is_dropped_and_the_next_frame_read() -> None:
    """Wrong checksum, impossible length, torn frame."""
    damaged = bytearray(frame(0x9F))
    damaged[-1] ^= 1
    parser = SamParser()
    stream = bytes(damaged) + PREAMBLE + b"\xff\xff" + frame(0x80)
    assert [reply.status for reply in parser.feed(stream, 0)] == [0x80]
    assert parser.feed(frame(0x90)[:8], 10) == []
    assert [reply.status for reply in parser.feed(frame(0x9F), 10 + PAUSE_MS)] == [0x9F]


def test_garbage_never_raises(rng: random.Random) -> None:
    """Anything may come, also after a preamble."""
    parser = SamParser()
    for at in range(500):
        for reply in parser.feed(rng.choice([b"", PREAMBLE]) + rng.randbytes(20), at):
            read_card(reply.data)
        read_card(rng.randbytes(rng.randrange(600)))


def test_find_select_read_and_once_for_each_card() -> None:
    """The order of the three steps; a card that stays is told once, taken away and back again."""
    poll = CardPoll()
    good = Reply(0x90, card_data(text_block()))

    def round_of(find: int) -> Card | None:
        assert poll.next_command() == command(Command.FIND)
        assert poll.heard(Reply(find, b"")) is None
        if find != 0x9F:
            return None
        assert poll.next_command() == command(Command.SELECT)
        assert poll.heard(Reply(0x90, b"")) is None
        assert poll.next_command() == command(Command.READ)
        return poll.heard(good)

    assert poll.searching
    assert round_of(0x9F) == Card(CardKind.CITIZEN, NUMBER)
    assert round_of(0x9F) is None
    for _ in range(ABSENT_FINDS - 1):
        assert round_of(0x80) is None
    assert round_of(0x9F) is None, "some readers find a card that lies there every other time"
    for _ in range(ABSENT_FINDS):
        assert round_of(0x80) is None
    assert round_of(0x9F) is not None
    good = Reply(0x90, card_data(text_block("ABC123456789012", "I")))
    assert round_of(0x9F) is not None, "another card, as quick as a hand can be"
    poll.heard(Reply(0x9F, b""))
    assert not poll.searching
    assert poll.heard(Reply(0x81, b"")) is None
    assert poll.next_command() == command(Command.FIND)
    poll.heard(Reply(0x9F, b""))
    poll.heard(Reply(0x90, b""))
    assert poll.heard(Reply(0x90, bytes(12))) is None, "the late answer of a select is no card"
    poll.heard(Reply(0x9F, b""))
    poll.silence()
    assert poll.next_command() == command(Command.FIND)


@pytest.mark.parametrize(
    ("block", "card"),
    [
        (text_block(), Card(CardKind.CITIZEN, NUMBER)),
        (text_block(NUMBER.lower()), Card(CardKind.CITIZEN, NUMBER)),
        (text_block("110105194912310021"), Card(CardKind.CITIZEN, "110105194912310021")),
        (text_block("ABC123456789012", "I"), Card(CardKind.FOREIGNER, "ABC123456789012")),
        (text_block("张三张三张三张三张", "I"), NONE),
        (text_block("", "I"), NONE),
        (text_block(mark="J"), NONE),
        (text_block()[:200], None),
        (b"", None),
    ],
)
def test_only_a_certain_number_is_taken(block: bytes, card: Card | None) -> None:
    """Another layout gives no number rather than something that is none."""
    assert read_card(card_data(block)) == card
    assert read_card(b"\x01") is None


def test_personal_data_is_not_shown() -> None:
    """A card or a frame in a log line shows no number and no name."""
    assert NUMBER not in repr(Card(CardKind.CITIZEN, NUMBER))
    assert "data" not in repr(Reply(0x90, card_data(text_block())))


def test_the_emulated_card_is_laid_out_as_published() -> None:
    """The emulator's block and this file's, written apart, are the same."""
    assert emulated_block(NUMBER) == text_block()
    assert emulated_block("ABC123456789012", "foreigner") == text_block("ABC123456789012", "I")
