"""The bench with tiny counts: it runs on real files and says what it should.

Goal: every comparison is made and has its shape, in JSON and in words, and leaves nothing behind.
Method: the command itself, on real databases, and for the kiosk a real pseudo-terminal. Nothing
here says how fast anything is: that is for a quiet machine and a person.
"""

import json
from argparse import Namespace
from pathlib import Path

import pytest

from sync import receiver
from sync.feed import StatePut
from terminal import (
    bench,
    bench_beside,
    bench_filling,
    bench_memory,
    bench_reading,
    bench_redeem,
    bench_rows,
    bench_screen,
    bench_shop,
    bench_start,
    bench_window,
)
from terminal.arguments import BENCHES
from terminal.bench import Plan
from terminal.bench_rows import Amount, Goal, Row, Skipped, Timing, turn_about
from terminal.bench_shop import Stock
from terminal.datadir import DataDir
from terminal.desk import Io
from terminal.errors import OutOfService
from terminal.replica import Replica

TINY = Plan(
    light=bench_redeem.Effort(rounds=2, each=2, rows=30),
    default=bench_redeem.Effort(rounds=1, each=1, rows=20),
    look_up=bench_reading.Effort(rounds=2, each=3, rows=40, small=10),
    journal=bench_reading.Check(rounds=1, entries=30),
    bootstrap=bench_filling.Effort(rounds=1, rows=30),
    delta=bench_filling.Effort(rounds=1, rows=30),
    beside=bench_beside.Effort(redemptions=2, rows=20, delta=30),
    start=bench_start.Effort(starts=1, rows=5),
    scan=bench_screen.Effort(customers=2, rows=5),
    memory=bench_screen.Effort(customers=1, rows=5),
    received=(20, 20),
)
FIELDS = {
    "what": str,
    "measured_us": float,
    "measured_p99_us": float,
    "bare": str,
    "bare_us": float,
    "bare_p99_us": float,
    "ratio": float,
    "goal": str,
    "met": bool,
    "samples": int,
}


class Said:
    """What a command wrote."""

    def __init__(self) -> None:
        self.out, self.err = "", ""
        self.io = Io(self._out, self._err)

    def _out(self, text: str) -> None:
        self.out += text

    def _err(self, text: str) -> None:
        self.err += text


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the bench makes its files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_memory_is_not_told_where_nobody_tells(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Linux's books it is said why there is no figure."""
    monkeypatch.setattr(bench_memory, "_FORGET", temporary / "none")
    row = bench_memory.from_file(5)
    assert isinstance(row, Skipped) and "held at most" in row.why


def test_a_receiver_that_ends_early_is_an_outage(temporary: Path) -> None:
    """The process that receives finds no file; the bench does not wait for its answer."""
    with pytest.raises(OSError, match="ended early"):
        bench_memory._apart(bench_memory._take, temporary)


def test_every_comparison_is_one_object(
    said: Said, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but those of the kiosk, which have tests of their own."""
    for module, name in ((bench_start, "kiosk_start"), (bench_screen, "scan")):
        monkeypatch.setattr(module, name, lambda _: Skipped("a kiosk", "not here"))
    held = Amount("memory", "mb", 60.0, "a bare program", 30.0, Goal(120, unit="MB"))
    monkeypatch.setattr(bench_screen, "memory", lambda _: held)
    assert bench.run(TINY, said.io, as_json=True) == 0
    *rows, start, scan, memory, by_file, by_feed, slip = map(json.loads, said.out.splitlines())
    assert start == scan == {"what": "a kiosk", "skipped": "not here", "met": None}
    assert memory == {
        "what": "memory",
        "measured_mb": 60.0,
        "bare": "a bare program",
        "bare_mb": 30.0,
        "ratio": 2.0,
        "goal": "<= 120 MB",
        "met": True,
    }
    for received in (by_file, by_feed):
        assert 10 < received["bare_mb"] <= received["measured_mb"], received
    assert slip["met"] and 0 < slip["bare_bytes"] < slip["measured_bytes"] <= 1_000
    assert [row["what"].split(",")[0] for row in rows] == [
        "redeem",
        "redeem",
        "point look-up in 40 vouchers",
        "journal check at start",
        "replica from a ready-made file of 30 vouchers",
        "replica from the feed",
        "redeem",
    ]
    for row in rows:
        assert {name: type(row[name]) for name in FIELDS} == FIELDS
        assert 0 < row["measured_us"] <= row["measured_p99_us"]
    assert [row["samples"] for row in rows] == [4, 1, 6, 1, 1, 1, 2]
    assert rows[0]["commit_us"] > 0 and rows[3]["entries_per_s"] > 0
    assert list(temporary.iterdir()) == []


def test_the_kiosk_s_start_beside_a_bare_program(temporary: Path) -> None:
    """Both are started in pseudo-terminals and ended; or the row says why not."""
    pytest.importorskip("pty")
    row = bench_start.kiosk_start(TINY.start)
    assert isinstance(row, Row), row
    assert row.measured.p50 > 0 and row.bare.p50 > 0
    assert row.what == "kiosk start to ready-to-scan, 5 vouchers"
    assert list(temporary.iterdir()) == []


def test_scanning_at_a_kiosk(temporary: Path) -> None:
    """A real serial line, a real window: every customer is answered, and every scan counted."""
    pytest.importorskip("pty")
    row = bench_screen.scan(TINY.scan)
    assert isinstance(row, Row), row
    assert (len(row.measured.taken), len(row.bare.taken)) == (2, 2)
    assert row.sound and row.more == {"lost_scans": 0.0}
    assert list(temporary.iterdir()) == []


def test_a_lost_scan_meets_no_goal() -> None:
    """However quick the others were."""
    quick = Row("a", "b", Timing((1,)), Timing((1,)), 1.0, Goal(4))
    assert quick.met
    assert not Row("a", "b", Timing((1,)), Timing((1,)), 1.0, Goal(4), sound=False).met


def test_the_memory_of_a_kiosk(temporary: Path) -> None:
    """After a customer, beside a program that does nothing."""
    pytest.importorskip("pty")
    row = bench_screen.memory(TINY.memory)
    assert isinstance(row, Amount), row
    assert 5 < row.bare < row.measured
    assert row.text().endswith("goal <= 120 MB: met\n")
    assert list(temporary.iterdir()) == []


def test_a_kiosk_that_does_not_come_is_said(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of its rows ends in a traceback."""
    monkeypatch.setattr(bench_screen, "_SETTINGS", "[nonsense]\n")
    for row in (bench_screen.scan(TINY.scan), bench_screen.memory(TINY.memory)):
        assert isinstance(row, Skipped) and "nonsense" in row.why
    monkeypatch.setattr(bench_window, "pty", None)
    for row in (bench_screen.scan(TINY.scan), bench_screen.memory(TINY.memory)):
        assert isinstance(row, Skipped) and "pseudo-terminals" in row.why


def test_the_feed_of_a_bench_is_one_that_a_terminal_follows() -> None:
    """Every page continues the one before; the vouchers are new ones."""
    after, vouchers = bench_shop.cursors()[bench_shop.BUCKET], set[str]()
    for page in bench_shop.delta(6_000, after):
        receiver.check_page(page, after=after)
        vouchers |= {item.voucher for item in page.items if isinstance(item, StatePut)}
        after = page.cursor
    assert len(vouchers) == 6_000 and after.endswith(".12001")


def test_a_kiosk_that_ends_is_said(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it wrote last."""
    monkeypatch.setattr(bench_start, "_SETTINGS", "[nonsense]\n")
    monkeypatch.setattr(bench_start, "_seed", lambda root, _: seeded_without_terminal(root))
    row = bench_start.kiosk_start(TINY.start)
    assert isinstance(row, Skipped)
    assert "did not appear" in row.why and "nonsense" in row.why


def seeded_without_terminal(root: Path) -> Path:
    root.mkdir()
    (root / "hexiao.toml").write_text(bench_start._SETTINGS, encoding="utf-8")
    return root


def test_without_pseudo_terminals_the_start_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so."""
    monkeypatch.setattr(bench_window, "pty", None)
    assert bench_start.kiosk_start(TINY.start) == Skipped(
        bench_start.WHAT, "this system has no pseudo-terminals"
    )


@pytest.mark.parametrize(
    ("side", "rows", "why"),
    [
        ("central", 1, "measures the terminal"),
        ("terminal", 0, "--rows"),
        ("terminal", -1, "--rows"),
    ],
)
def test_what_cannot_be_measured_is_wrong_use(said: Said, side: str, rows: int, why: str) -> None:
    """Exit status 2, with a message."""
    args = Namespace(side=side, rows=rows, feed=1, only=[], json=False)
    assert bench.bench(args, said.io) == 2
    assert why in said.err and said.out == ""
    args.side, args.rows, args.feed = "terminal", 1, 0
    assert bench.bench(args, said.io) == 2 and "--feed" in said.err


def test_rows_go_where_their_number_matters() -> None:
    """`--rows` is the number of vouchers held, `--feed` of those that come."""
    plan = bench.planned(7, 9)
    assert plan.light.rows == plan.default.rows == plan.look_up.rows == plan.start.rows == 7
    assert plan.bootstrap.rows == plan.beside.rows == plan.scan.rows == plan.memory.rows == 7
    assert plan.delta.rows == plan.beside.delta == 9


def test_a_full_disk_is_an_outage(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a traceback."""
    import apsw

    def full(_: object) -> Row:
        raise apsw.FullError("database or disk is full")

    monkeypatch.setattr(bench_redeem, "light", full)
    with pytest.raises(OutOfService, match="disk is full"):
        bench.run(TINY, said.io, as_json=False)


def test_the_same_stock_is_the_same_replica(tmp_path: Path) -> None:
    """The vouchers, their keys and what is presented do not depend on the day."""
    first, second = DataDir.at(tmp_path / "a"), DataDir.at(tmp_path / "b")
    stock = Stock(rows=50, vouchers=3)
    assert bench_shop.make(first, stock) == bench_shop.make(second, stock)
    keys = list(bench_shop.row_keys(47))
    assert keys == sorted(set(keys)) and {len(key) for key in keys} == {16}


def test_a_stock_holds_as_many_rows_as_asked_for(tmp_path: Path) -> None:
    """Those presented are among them, and the rest are found by their keys."""
    data = DataDir.at(tmp_path / "a")
    bench_shop.make(data, Stock(rows=50, vouchers=3))
    replica = Replica(data.replica, (data.root / "database.key").read_bytes(), bench_shop.POSID)
    for number, key in enumerate(bench_shop.row_keys(47)):
        assert replica.sealed(key) is not None
        assert replica.state(bench_shop.voucher_of(number)) is not None
    assert replica._one("SELECT count(*) FROM sealed") == (50,)
    assert replica._one("SELECT count(*) FROM state") == (50,)
    replica.close()


def test_turns_are_taken_one_by_one() -> None:
    """Each begins as often as the others, and `between` comes before each round."""
    order: list[str] = []

    def turn(name: str) -> bench_rows.Turn:
        return lambda: (order.append(name), len(order))[1]

    first, second = turn_about(
        [turn("a"), turn("b")], rounds=2, each=2, between=lambda: order.append("-")
    )
    assert "".join(order) == "-abba-abba"
    assert (len(first.taken), len(second.taken)) == (4, 4)


def test_a_timing_is_told_by_its_median_and_its_worst_hundredth() -> None:
    """In microseconds."""
    timing = Timing(tuple(range(1_000, 101_000, 1_000)))
    assert (timing.p50, timing.p99) == (50.5, 99.0)
    assert Timing((5_000,)).p99 == 5.0


@pytest.mark.parametrize(
    ("goal", "value", "met", "words"),
    [
        (Goal(5), 5.0, True, "<= 5 x"),
        (Goal(5), 5.1, False, "<= 5 x"),
        (Goal(100_000, least=True, unit="entries/s"), 99_999, False, ">= 100,000 entries/s"),
        (Goal(1.5, least=True), 1.5, True, ">= 1.5 x"),
    ],
)
def test_a_goal_is_a_bound(goal: Goal, value: float, met: bool, words: str) -> None:
    """Kept at the bound itself; said as it is written in the design."""
    assert goal.met(value) is met
    assert str(goal) == words


def test_a_row_for_a_person() -> None:
    """What, figures with units that fit, ratio, goal, and whether it was met."""
    row = Row("a thing", "another", Timing((20_000_000,)), Timing((1_500,)), 9.5, Goal(5))
    assert row.text() == (
        "a thing\n  20.0 ms (p99 20.0) against 1.5 us (p99 1.5) for another\n"
        "  ratio 9.50, goal <= 5 x: NOT met\n"
    )
    assert Skipped("a thing", "because").text() == "a thing\n  skipped: because\n"


def test_one_comparison_can_be_asked_for(said: Said) -> None:
    """The command line knows the names of all, and runs those that were named."""
    assert tuple(bench._comparisons(TINY)) == BENCHES
    args = Namespace(side="terminal", rows=1, feed=1, only=["slip"], json=True)
    assert bench.bench(args, said.io) == 0
    (row,) = said.out.splitlines()
    assert "slip" in json.loads(row)["what"]
