"""From the journal to the paper of the emulated printer, and back."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from config import profiles
from drivers import emulated
from drivers.emulated.printer import EmulatedPrinter
from drivers.escpos.profile import PrinterProfile, read_printer_profile
from terminal.counter import ShopCounter
from terminal.printing import PrintWorker
from terminal.slips import SlipStyle
from tests.terminal.asking import all_entries, job_of, redeem, reverse
from tests.terminal.shop import Shop
from vouchers.policy import Policy, Receipt
from vouchers.times import MINUTE_MS

PATIENCE_S = 5.0


@dataclass
class Desk:
    """A counter with a printer beside it."""

    counter: ShopCounter
    printer: EmulatedPrinter
    port: str
    profile: PrinterProfile
    statistics: Path

    @contextmanager
    def working(self, *, backlog_minutes: int = 15) -> Iterator[PrintWorker]:
        worker = PrintWorker(
            self.counter,
            self.port,
            self.profile,
            style=SlipStyle("both"),
            backlog_minutes=backlog_minutes,
            statistics=self.statistics,
        )
        self.changed = threading.Event()
        worker.on_change = self.changed.set
        self.counter.on_entry = worker.wake
        worker.start()
        try:
            yield worker
        finally:
            worker.stop()

    def waits_in_the_driver(self, worker: PrintWorker) -> bool:
        """Wait until the oldest slip was handed to the printer's driver."""
        for _ in range(500):
            if worker._handed is not None:
                return True
            self.changed.wait(0.01)
        return False

    def until(self, serial: str, *states: str) -> str:
        """Wait for a slip to get into one of these states."""
        return self.when(lambda: job_of(self.counter, serial).state, *states)

    def when(self, ask: Callable[[], str], *states: str) -> str:
        for _ in range(500):
            found = self.counter.exclusive(lambda _: ask())
            if found in states:
                return found
            self.changed.wait(0.01)
            self.changed.clear()
        raise AssertionError(f"{found}, not {states}")


@pytest.fixture
def desk(shop: Shop, counter: ShopCounter, tmp_path: Path) -> Iterator[Desk]:
    bench = emulated.register()
    name = f"till{id(shop)}"
    profile = read_printer_profile(profiles.profile_text("emulated"))
    port = f"emulated://printer?name={name}&columns=32"
    yield Desk(counter, bench.printer(name), port, profile, tmp_path / "printer.json")
    bench.clear()


def test_a_redemption_comes_out_as_paper(shop: Shop, desk: Desk) -> None:
    """The slip is on the paper with the new code, the job is printed, and the code is forgotten."""
    sample = shop.issue(5)
    with desk.working() as worker:
        done = redeem(desk.counter, sample, 2)
        assert desk.until(done.serial, "printed", "unknown", "failed") == "printed"
        assert worker.status == "ready"
    paper = desk.printer.paper_text()
    assert done.serial in paper and sample.code(1) in paper and "离线 最多剩余" in paper
    assert sample.code() not in paper and sample.last4 not in paper.replace(sample.code(1), "")
    assert job_of(desk.counter, done.serial).code is None
    assert desk.counter.history(1)[0].slip == "printed"


def test_slips_are_counted_across_restarts(shop: Shop, desk: Desk) -> None:
    """The printer's statistics go on where the last start left them."""
    for printed in (1, 2):
        sample = shop.issue(1)
        with desk.working():
            desk.until(redeem(desk.counter, sample, 1).serial, "printed")
        assert json.loads(desk.statistics.read_text()) == {"slips_printed_count": printed}


def test_a_redemption_and_its_reversal_come_out_in_order(shop: Shop, desk: Desk) -> None:
    """A slip that waits while its redemption is undone is printed before the reversal's."""
    sample = shop.issue(5)
    done = redeem(desk.counter, sample, 2)
    undone = reverse(desk.counter, done.serial)
    with desk.working():
        desk.until(undone.serial, "printed")
    paper = desk.printer.paper_text()
    assert paper.index("REDEMPTION") < paper.index("REVERSAL")
    assert paper.count(sample.code(1)) == 1


def test_a_reprint_is_marked_on_paper(shop: Shop, desk: Desk) -> None:
    """AX-19: the copy says 补打 REPRINT and no longer shows the new code."""
    sample = shop.issue(5)
    with desk.working():
        done = redeem(desk.counter, sample, 2)
        desk.until(done.serial, "printed")
        desk.counter.reprint(done.serial, clerk="li")
        desk.when(lambda: str(job_of(desk.counter, done.serial).copy), "2")
        desk.until(done.serial, "printed")
    first, copy = desk.printer.paper_text().split("补打 REPRINT #2")
    assert sample.code(1) in first and sample.code(1) not in copy


def test_decision_10_the_owner_s_policy_is_on_the_slip(shop: Shop, desk: Desk) -> None:
    """Decision 10: with `receipt.successor = never` no code is printed, and the merchant's own
    line is; both come with the policy of the feed, while the terminal runs."""
    sample = shop.issue(5)
    with desk.working():
        policy = Policy(version=2, receipt=Receipt(successor="never"), slip_text="Open till six")
        desk.counter.exclusive(lambda parts: setattr(parts, "policy", policy))
        done = redeem(desk.counter, sample, 2)
        desk.until(done.serial, "printed")
    paper = desk.printer.paper_text()
    assert sample.code(1) not in paper and "Open till six" in paper
    assert "新券码已发送至顾客手机" in paper.replace("\n", "")


def test_a_backlog_is_not_spat_out(shop: Shop, desk: Desk) -> None:
    """After an outage old slips stay in the history, their codes are forgotten, and one notice
    says how many; a young one is printed."""
    old = [redeem(desk.counter, shop.issue(3)) for _ in range(3)]
    shop.clock.pass_ms(15 * MINUTE_MS + 1)
    young = redeem(desk.counter, shop.issue(3))
    with desk.working():
        desk.until(young.serial, "printed")
    for done in old:
        job = job_of(desk.counter, done.serial)
        assert (job.state, job.code) == ("abandoned", None)
        assert done.serial not in desk.printer.paper_text()
    (notice,) = desk.counter.status().notices
    assert (notice.kind, notice.detail) == ("print_backlog", {"count": 3})
    assert desk.counter.reprint(old[0].serial, clerk="li")


def test_a_slip_handed_over_before_an_outage_is_not_spat_out_either(shop: Shop, desk: Desk) -> None:
    """The slip that the driver already held when the cable came out is as stale as the others."""
    desk.printer.unplug()
    with desk.working() as worker:
        held = redeem(desk.counter, shop.issue(3))
        assert desk.waits_in_the_driver(worker)
        later = redeem(desk.counter, shop.issue(3))
        shop.clock.pass_ms(15 * MINUTE_MS + 1)
        desk.printer.replug()
        for done in (held, later):
            assert desk.until(done.serial, "abandoned", "printed") == "abandoned"
        young = redeem(desk.counter, shop.issue(3))
        desk.until(young.serial, "printed")
    paper = desk.printer.paper_text()
    assert held.serial not in paper and later.serial not in paper and young.serial in paper
    (notice,) = desk.counter.status().notices
    assert (notice.kind, notice.detail) == ("print_backlog", {"count": 2})


@pytest.mark.parametrize("reprint", [False, True])
def test_a_slip_settled_while_the_driver_held_it_stays_off_the_paper(
    shop: Shop, desk: Desk, reprint: bool
) -> None:
    """What a person gave up meanwhile is not printed; a copy asked for is the only one, marked."""
    desk.printer.unplug()
    with desk.working() as worker:
        done = redeem(desk.counter, shop.issue(3))
        assert desk.waits_in_the_driver(worker)
        desk.counter.settle_slip(done.serial, reprint=reprint, clerk="li")
        desk.printer.replug()
        desk.until(redeem(desk.counter, shop.issue(3)).serial, "printed")
    paper = desk.printer.paper_text()
    assert paper.count(done.serial) == paper.count("REPRINT #2") == int(reprint)
    assert job_of(desk.counter, done.serial).state == ("printed" if reprint else "abandoned")


def test_a_printer_that_dies_half_way_leaves_a_question(shop: Shop, desk: Desk) -> None:
    """Power off in the middle: the fate is unknown, journalled, and asked of the clerk."""
    sample = shop.issue(5)
    with desk.working() as worker:
        desk.printer.pull(paper_lines=4)
        done = redeem(desk.counter, sample, 2)
        desk.when(lambda: str(worker.status), "paper_out")
        desk.until(done.serial, "printing")
        desk.printer.power_off()
    assert job_of(desk.counter, done.serial).state == "unknown"
    entry = all_entries(desk.counter)[-1]
    assert (entry.kind, entry.data) == ("printed_unknown", {"serial": done.serial, "copy": 1})
    (notice,) = desk.counter.status().notices
    assert (notice.kind, notice.serial) == ("slip_unknown", done.serial)
    assert job_of(desk.counter, done.serial).code == sample.code(1), "still needed for the copy"
    state = desk.counter.parts.witness.compare(desk.counter.parts.journal).state
    assert state == "agrees"


def test_a_slip_that_was_put_back_waits_again_in_the_journal(
    shop: Shop, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power that failed between two slips: nothing had left, and a start then would ask nobody."""
    connection = desk.counter.parts.journal.connection
    connection.execute(
        "CREATE TEMP TABLE seen (state TEXT);"
        "CREATE TEMP TRIGGER see AFTER UPDATE OF state ON print_job"
        " BEGIN INSERT INTO seen VALUES (NEW.state); END"
    )
    with desk.working() as worker:
        begin = worker.printing

        def power_fails_then(job_id: str) -> None:
            begin(job_id)
            if connection.execute("SELECT count(*) FROM seen").fetchone() == (1,):
                desk.printer.power_off()
                desk.printer.power_on()

        monkeypatch.setattr(worker, "printing", power_fails_then)
        done = redeem(desk.counter, shop.issue())
        desk.until(done.serial, "printed")
    seen = [state for (state,) in connection.execute("SELECT state FROM seen")]
    assert seen == ["printing", "queued", "printing", "printed"]
    assert desk.printer.paper_text().count("REDEMPTION") == 1


def test_printing_is_durable_before_the_first_byte(shop: Shop, desk: Desk) -> None:
    """When the state cannot be recorded nothing goes to paper: the job fails and keeps its code."""
    sample = shop.issue(5)
    done = redeem(desk.counter, sample, 2)
    desk.counter.parts.journal.connection.execute(
        "CREATE TEMP TRIGGER stop BEFORE UPDATE ON print_job WHEN NEW.state = 'printing'"
        " BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with desk.working():
        assert desk.until(done.serial, "failed", "printed") == "failed"
    assert done.serial not in desk.printer.paper_text()
    assert job_of(desk.counter, done.serial).code == sample.code(1)
    told = [(notice.kind, notice.serial) for notice in desk.counter.status().notices]
    assert told == [("slip_failed", done.serial)]


def test_without_paper_the_job_waits(shop: Shop, desk: Desk) -> None:
    """A slip waits for paper and is printed once when it is there."""
    desk.printer.pull(paper_out=True)
    with desk.working() as worker:
        done = redeem(desk.counter, shop.issue())
        desk.when(lambda: str(worker.status), "paper_out")
        assert job_of(desk.counter, done.serial).state in ("queued", "printing")
        desk.printer.pull(paper_out=False)
        desk.until(done.serial, "printed")
    assert desk.printer.paper_text().count("REDEMPTION") == 1


def test_many_slips_come_out_once_each_in_order(shop: Shop, desk: Desk) -> None:
    """Ten redemptions in a row are ten slips in the order of the journal."""
    with desk.working():
        serials = [redeem(desk.counter, shop.issue()).serial for _ in range(10)]
        desk.until(serials[-1], "printed")
    paper = desk.printer.paper_text()
    places = [paper.index(serial) for serial in serials]
    assert places == sorted(places) and all(paper.count(serial) == 1 for serial in serials)
    printed = "SELECT count(*) FROM print_job WHERE state = 'printed'"
    assert desk.counter.parts.journal.connection.execute(printed).fetchall() == [(10,)]
