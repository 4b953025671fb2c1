"""The whole way of an ID card: bytes of a reader on a pty, the kiosk, a slip, central's booking."""

from __future__ import annotations

from drivers.emulated.idcard import EmulatedIdCardReader
from drivers.idcard import ABSENT_FINDS, Command
from tests.drivers.waiting import until
from tests.journeys.test_counter import confirm, finished
from tests.journeys.world import PATIENCE_S, Till, World
from tests.kiosk.terminal_window import Window
from vouchers.id_card import upstream_hash

FAMILY = "11010519491231002X"
REFUNDED = "440524188001010014"
STRANGER = "53010219200508011X"
"""Published examples, no person's numbers."""


def kiosk(till: Till) -> Window:
    """The real kiosk in a real terminal window, wide enough for all that is well."""
    return Window(["-m", "hexiao", "kiosk", "--config", str(till.config)], 120, 36)


def searched(reader: EmulatedIdCardReader, times: int) -> None:
    """Wait until the kiosk has looked for a card so many times more."""
    before = reader.asked().count(Command.FIND)
    until(lambda: reader.asked().count(Command.FIND) >= before + times, PATIENCE_S)


def lay(reader: EmulatedIdCardReader, number: str) -> None:
    """Take away what lies there, for as long as a hand needs, and lay down a card."""
    reader.lift()
    searched(reader, ABSENT_FINDS + 1)
    reader.lay(number)


def ready(window: Window) -> Window:
    """Back to the screen that waits for a customer."""
    window.type("-").until("Scan a voucher")
    return window


def files_with(world: World, *texts: str) -> list[str]:
    """The files of the whole merchant, tills and central, that hold one of these."""
    wanted = [each.encode() for text in texts for each in (text, text.lower())]
    return [
        str(path)
        for path in world.root.rglob("*")
        if path.is_file() and any(each in path.read_bytes() for each in wanted)
    ]


def test_a_card_to_the_slip_and_the_booking(world: World, till: Till) -> None:
    """EV-032, EV-049: chosen of two, a part and then the rest by the same card without a network,
    a stranger's card charged, a refunded voucher refused; central books what was redeemed, once.
    """
    world.start()
    three, one = world.sell(3, 1, id_card=FAMILY)
    world.tell("refund", world.issue(2, id_card=upstream_hash(REFUNDED)).order)
    till.ask("sync")
    world.stop()
    till.settings(**till.wired, id_card={"port": str(till.root / "reader")})
    printer, reader = till.printer(), till.card_reader()
    with kiosk(till) as window:
        window.until("Or lay the ID card on the reader")
        window.until("cards ready")
        reader.lay(FAMILY)
        window.until("2 vouchers of this ID card")
        lay(reader, STRANGER)
        window.until("CARD NOT TAKEN")
        window.type("\r")
        confirm(window, 1, of=3)
        window.until("REDEEMED")
        paper = finished(printer, 1)
        lay(reader, FAMILY)
        window.until("2 of 3")
        window.type("\r")
        confirm(window, 2, of=2)
        window.until("Nothing is left")
        lay(reader, FAMILY)
        window.until("Redeem this voucher?")
        ready(window)
        lay(reader, STRANGER)
        window.until("No voucher is known for this ID card")
        ready(window)
        lay(reader, REFUNDED)
        window.until("Already refunded")
        ready(window)
        reader.lift()
        world.start()
        until(lambda: len(world.booked()) == 2, PATIENCE_S)
    assert "新券码稍后发送至顾客手机" in "".join(paper.split()) and "[qr " not in paper
    booked, entries = world.booked(), till.entries()
    assert [row["serial"] for row in booked] == [row["serial"] for row in entries]
    assert {(row["credential"], row["verdict"], row["voucher"]) for row in booked} == {
        ("id_card", "accepted", three.voucher)
    }
    assert [(row["shares"], row["mode"]) for row in booked] == [(1, "lone"), (2, "lone")]
    said = [(row["data"]["generation"], row["data"]["successor"]) for row in entries]
    assert said == [(0, False), (1, False)]
    refused = [
        (row["data"]["reason"], row["data"]["credential"]) for row in till.entries("refused")
    ]
    assert refused == [("unknown_or_wrong", "id_card"), ("refunded", "id_card")]
    assert till.verify() > 0
    numbers = (FAMILY, REFUNDED, STRANGER)
    assert files_with(world, *numbers, *map(upstream_hash, numbers)) == []
    assert till.ask("lookup", one.code, one.last4)["left"] == 1


def test_a_card_with_the_network_there(world: World, till: Till) -> None:
    """Claimed by the card's row and booked as online; the old code is dead, a number not typed."""
    world.start()
    voucher = world.issue(2, id_card=FAMILY)
    till.ask("sync")
    till.settings(id_card={"port": str(till.root / "reader")})
    reader = till.card_reader()
    with kiosk(till) as window:
        window.until("cards ready")
        window.until("online")
        reader.lay(FAMILY)
        confirm(window, 1, of=2)
        window.until("REDEEMED")
        until(lambda: len(world.booked()) == 1, PATIENCE_S)
    (booked,) = world.booked()
    assert (booked["mode"], booked["credential"]) == ("online", "id_card")
    assert till.refused("redeem", voucher.code, voucher.last4) == "replaced"
    till.settings()
    until(lambda: till.ask("sync")["behind"] == 0, PATIENCE_S)
    assert till.run("redeem", FAMILY, voucher.last4).status == 1, "typed, a number is no credential"
    assert world.booked() == [booked]
