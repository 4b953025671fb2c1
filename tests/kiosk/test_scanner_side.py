"""What the scanner in the clerk's hand hears of a redemption, over a real line."""

import queue
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from drivers.emulated.scanner import EmulatedScanner
from drivers.scanner.profile import ScannerProfile
from drivers.scanner.scan import Scan
from terminal.kiosk.clock import now_ms
from terminal.kiosk.events import Event, Pressed, Scanned, Typed
from terminal.kiosk.pages import Setting
from terminal.kiosk.session import Session
from terminal.kiosk.states import Act, Asking, Done, Last4, Ready, Refused
from terminal.kiosk.till import ARM_MS
from terminal.scanning import ScannerWorker
from terminal.words import Language
from tests.drivers.waiting import until
from tests.kiosk.memory_counter import GOOD, LAST4, with_samples
from tests.kiosk.scenery import VIEW
from vouchers.reasons import Reason, Refusal


class Counter:
    """A session with a Datalogic scanner, whose commands are single letters."""

    def __init__(self) -> None:
        self.device = EmulatedScanner()
        self.scans: queue.Queue[Scan] = queue.Queue()
        profile = ScannerProfile(commands="datalogic")
        self.worker = ScannerWorker(self.device.attach_pty(), profile, self.scans.put)
        self.worker.start()
        until(lambda: self.device.heard() == b"E")
        self.answers: queue.Queue[Event] = queue.Queue()
        self.counter = with_samples()
        self.session = Session(self.counter, Setting(Language.EN, ZoneInfo("Asia/Shanghai")))
        self.session.attach(self.answers.put)
        self.session.scanner = self.worker
        self.session.open()

    def scan(self, code: str) -> None:
        self.device.scan(code)
        self.session.feed(Scanned(self.scans.get(timeout=5).text, now_ms()))

    def last4(self, digits: str, wanted: type) -> None:
        """Type them and wait for what the counter says."""
        for digit in digits:
            self.session.feed(Typed(digit, now_ms()))
        self.session.feed(Pressed(Act.ACCEPT, now_ms()))
        self.until(wanted)

    def until(self, wanted: type) -> None:
        while not isinstance(self.session.shown.stage, wanted):
            self.session.take(self.answers.get(timeout=5))

    def heard(self, wanted: bytes) -> None:
        until(lambda: self.device.heard() == wanted)


@pytest.fixture
def at() -> Iterator[Counter]:
    made = Counter()
    yield made
    made.session.close()
    made.worker.stop()
    made.device.stop()


def test_a_question_silences_the_scanner_and_a_redemption_beeps(at: Counter) -> None:
    """Quiet from the first of the last four on; then a good beep, and it reads again."""
    at.scan(GOOD)
    assert isinstance(at.session.shown.stage, Last4)
    at.heard(b"E")
    at.last4(LAST4, Asking)
    at.heard(b"ED")
    at.session.feed(Pressed(Act.CONFIRM, now_ms() + ARM_MS))
    at.until(Done)
    at.heard(b"EDBE")


def test_a_refusal_beeps_badly_and_the_scanner_reads_again(at: Counter) -> None:
    """A wrong number can be scanned again at once. A bad beep disables this family: undone."""
    at.scan(GOOD)
    at.last4("0000", Refused)
    at.heard(b"ED" + b"FD" + b"E")


def test_a_spent_voucher_holds_the_scanner_until_it_is_cleared(at: Counter) -> None:
    """The next code of a queue is not read over an alarm that nobody has looked at."""
    spent = replace(VIEW, left=0, max_now=0, refusal=Refusal(Reason.USED_UP))
    at.counter.vouchers[GOOD] = spent
    at.scan(GOOD)
    at.last4(LAST4, Refused)
    at.heard(b"ED" + b"FD")
    at.session.feed(Pressed(Act.CLEAR, now_ms()))
    assert isinstance(at.session.shown.stage, Ready)
    at.heard(b"EDFDE")


def test_a_key_struck_too_early_is_not_the_scanner_s_business(at: Counter) -> None:
    """Only a yes and a no are beeped; a hand on the keys is not."""
    at.session.feed(Pressed(Act.CONFIRM, now_ms()))
    at.scan(GOOD)
    at.heard(b"E")
