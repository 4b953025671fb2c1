"""The card reader's thread over real wires: each card once, faults named once."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers import idcard_reader
from drivers.emulated import register
from drivers.emulated.idcard import EmulatedIdCardReader
from drivers.events import DeviceEvent, Presence
from drivers.idcard import PREAMBLE, Card, CardKind, Command
from drivers.idcard_reader import IdCardReader
from tests.drivers.waiting import Seen, until

NUMBER = "11010519491231002X"  # a published example, not a person's
OTHER = "440524188001010014"  # another one


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same steps without the pauses that a person needs."""
    monkeypatch.setattr(idcard_reader, "POLL_MS", 1)


class Desk:
    """A reader on a wire and who listens to it."""

    def __init__(self, device: EmulatedIdCardReader, port: str) -> None:
        self.device = device
        self.cards: Seen[Card] = Seen()
        self.events: Seen[DeviceEvent] = Seen()
        self.reader = IdCardReader(port, 115_200, on_card=self.cards, on_event=self.events)
        self.reader.start()

    def searches(self, count: int = 5) -> None:
        """Wait until it has searched so many times more."""
        before = self._searches()
        until(lambda: self._searches() >= before + count)

    def _searches(self) -> int:
        return self.device.asked().count(Command.FIND)

    def close(self) -> None:
        self.reader.stop()
        self.device.stop()


@pytest.fixture
def desk() -> Iterator[Desk]:
    device = EmulatedIdCardReader()
    made = Desk(device, device.attach_pty())
    yield made
    made.close()


def test_each_card_is_told_once(desk: Desk) -> None:
    """Laid down, left lying, lifted, laid again; and another person's quickly after it."""
    assert desk.events.wait().presence is Presence.FOUND
    desk.device.lay(NUMBER)
    assert desk.cards.wait() == Card(CardKind.CITIZEN, NUMBER)
    desk.searches()
    desk.device.lift()
    desk.searches()
    desk.device.lay(NUMBER.lower())
    assert desk.cards.wait().number == NUMBER
    desk.device.lay(OTHER)
    assert desk.cards.wait().number == OTHER
    desk.device.lay("ABC123456789012", "foreigner")
    assert desk.cards.wait() == Card(CardKind.FOREIGNER, "ABC123456789012")
    desk.device.lay(NUMBER, "permit")
    assert desk.cards.wait() == Card(CardKind.UNKNOWN, "")
    assert len(desk.cards) == 5


def test_a_reader_that_finds_the_same_card_again(desk: Desk) -> None:
    """Some do: the card that lies there is not a new one."""
    desk.device.levers.again = True
    desk.device.lay(NUMBER)
    desk.cards.wait()
    desk.searches()
    assert len(desk.cards) == 1


@pytest.mark.parametrize("piece", [1, 7, 1_024])
def test_answers_in_pieces(desk: Desk, piece: int) -> None:
    """As network boxes send them."""
    desk.device.levers.piece = piece
    desk.device.lay(NUMBER)
    assert desk.cards.wait().number == NUMBER


def test_a_failed_read_is_tried_again(desk: Desk) -> None:
    """A card that was held askew."""
    desk.device.levers.fail_reads = 3
    desk.device.lay(NUMBER)
    assert desk.cards.wait().number == NUMBER
    assert desk.device.asked().count(Command.READ) == 4


def test_a_silent_reader_is_named_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The port is there, the reader is not: said once, and taken back when it answers."""
    assert desk.events.wait().presence is Presence.FOUND
    monkeypatch.setattr(idcard_reader, "ANSWER_MS", 10)
    desk.device.levers.silent = True
    lost = desk.events.wait()
    assert lost.presence is Presence.LOST and "no card reader answers" in lost.detail
    desk.searches(3)
    desk.device.levers.silent = False
    assert desk.events.wait().presence is Presence.FOUND
    assert len(desk.events) == 3


def test_a_late_answer_is_not_the_next_one_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader slower than the patience: its old answers are thrown away, and it is said."""
    monkeypatch.setattr(idcard_reader, "ANSWER_MS", 20)
    device = EmulatedIdCardReader()
    device.levers.delay_ms = 30
    device.lay(NUMBER)
    desk = Desk(device, device.attach_pty())
    assert desk.events.wait().presence is Presence.LOST
    desk.searches(4)
    assert not desk.cards
    device.levers.delay_ms = 0
    assert desk.cards.wait().number == NUMBER
    desk.close()


def test_unplugged_and_back() -> None:
    """Named once, found again without anybody doing anything; a card is read then."""
    bench = register()
    device = bench.card_reader("gate")
    desk = Desk(device, "emulated://idcard?name=gate")
    assert desk.events.wait().presence is Presence.FOUND
    device.unplug()
    assert desk.events.wait().presence is Presence.LOST
    device.replug()
    assert desk.events.wait().presence is Presence.FOUND
    device.lay(NUMBER)
    assert desk.cards.wait().number == NUMBER
    desk.reader.stop()
    bench.clear()


def test_a_card_and_a_pipe_in_the_port_s_name(tmp_path: Path) -> None:
    """For a demonstration: what lies there, and a pipe that takes orders."""
    bench = register()
    pipe = tmp_path / "cards"
    port = f"emulated://idcard?name=demo&card={NUMBER}&feed={pipe}"
    cards: Seen[Card] = Seen()
    reader = IdCardReader(port, 115_200, on_card=cards, on_event=lambda _: None)
    reader.start()
    assert cards.wait().number == NUMBER
    orders = os.open(pipe, os.O_WRONLY)
    os.write(orders, f"lift\nnonsense\nlay\n\nlay {OTHER}\n".encode())
    assert cards.wait().number == OTHER
    os.close(orders)
    reader.stop()
    bench.clear()


def test_what_the_emulated_reader_does_not_know(desk: Desk) -> None:
    """Other commands, a wrong checksum and noise are answered or passed over as on a real one."""
    desk.events.wait()
    desk.reader.stop()
    device = desk.device.device
    body = b"\x00\x03\x60\x00"
    check = bytes([body[0] ^ body[1] ^ body[2] ^ body[3]])
    device.receive(b"noise" + PREAMBLE + body + check + PREAMBLE + body + b"\x00", 0)
    assert device.asked[-2:] == [None, None]
    assert b"".join(device.advance(1) for _ in range(2)).count(b"\x21") == 2
    assert device.next_ms() is None


@pytest.mark.parametrize("port", ["nothing://", "/dev/not-there"])
def test_ports_that_do_not_open(port: str) -> None:
    """Wrong or missing is told once; stopping is prompt, also before it began."""
    events: Seen[DeviceEvent] = Seen()
    reader = IdCardReader(port, 115_200, on_card=events, on_event=events)
    reader.stop()
    reader = IdCardReader(port, 115_200, on_card=events, on_event=events)
    reader.start()
    wrong = port == "nothing://"
    assert events.wait().presence is (Presence.WRONG if wrong else Presence.LOST)
    reader.stop()
    assert len(events) == 1


def test_a_reader_that_takes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that is not taken is an answer that does not come."""
    desk.events.wait()
    monkeypatch.setattr("drivers.link.Link.write", lambda *_, **__: 0)
    assert desk.events.wait().presence is Presence.LOST
