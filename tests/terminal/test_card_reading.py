"""The card reader of a terminal: its lamp, which numbers are believed, and where they go."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from config.loader import Loaded
from config.schema import IdCard, Paths, Settings
from drivers import idcard_reader
from drivers.emulated import register
from drivers.emulated.bench import Bench
from drivers.emulated.idcard import EmulatedIdCardReader
from terminal.card_reading import CardWorker
from terminal.outcomes import CardSeen, View
from terminal.place import Place
from terminal.station import Station
from tests.drivers.waiting import Seen, until
from tests.terminal.shop import Shop

NUMBER = "11010519491231002X"  # a published example, not a person's


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same steps without the pauses that a person needs."""
    monkeypatch.setattr(idcard_reader, "POLL_MS", 1)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = register()
    yield made
    made.clear()


def test_numbers_that_can_be_one() -> None:
    """A wrong check character and another layout are told as a card without a number."""
    device, seen = EmulatedIdCardReader(), Seen[CardSeen]()
    worker = CardWorker(device.attach_pty(), 115_200, seen)
    assert worker.state == "lost"
    worker.start()
    for number, kind, told in (
        (NUMBER, "citizen", NUMBER),
        (NUMBER[:17] + "1", "citizen", ""),
        ("ABC123456789012", "foreigner", "ABC123456789012"),
        (NUMBER, "permit", ""),
    ):
        device.lay(number, kind)
        assert seen.wait() == CardSeen(told)
    assert worker.state == "ready" and NUMBER not in repr(seen)
    device.unplug()
    until(lambda: worker.state == "lost")
    worker.stop()
    device.stop()


def station(shop: Shop, **id_card: str) -> Station:
    """The shop's terminal by its settings."""
    settings = Settings(paths=Paths(data=shop.root.name), id_card=IdCard(**id_card))
    return Station(Place(Loaded(settings, Path("hexiao.toml"), shop.root.parent)))


def test_off_unless_a_port_is_set(shop: Shop) -> None:
    """By default nothing looks for a reader, and the status line does not speak of one."""
    opened, seen = station(shop), Seen[CardSeen]()
    opened.read_cards(seen)
    assert opened.counter.status().reader == "none"
    opened.stop()


def test_a_station_reads_cards_and_opens_vouchers(shop: Shop, bench: Bench) -> None:
    """From the bytes of a card to the view of a voucher; the lamp says whether it answers."""
    shop.link_card(NUMBER, shop.issue(valid=(0, 2**43)))
    opened, seen = station(shop, port="emulated://idcard"), Seen[CardSeen]()
    assert opened.counter.status().reader == "none"
    opened.read_cards(seen)
    bench.card_reader().lay(NUMBER)
    found = opened.counter.look_up_card(seen.wait().number)
    assert isinstance(found, list) and isinstance(found[0], View)
    until(lambda: opened.counter.status().reader == "ready")
    opened.stop()


def test_a_reader_that_cannot_be_started_is_a_word(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code is missing: the counter is there all the same."""
    monkeypatch.setitem(__import__("sys").modules, "terminal.card_reading", None)
    opened, ended = station(shop, port="emulated://idcard"), Seen[str]()
    opened.start_behind(lambda: ended("ended"))
    ended.wait()
    assert opened.counter.status().reader == "not_set_up"
    opened.stop()
