"""A till takes a big voucher list over a line that breaks twice, and redeems on the old one.

`python -m tests.terminal.bootstrap [--vouchers N] [--engine postgresql]`: central and the till are
processes of their own. Prints where each request for the file began, how long it took, what a
redemption took meanwhile and how much memory either side held at most. Fails when a byte was sent
twice or a redemption is not booked once.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from central import bench_ground, bench_snapshot
from central.service import open_central
from terminal.datadir import DataDir
from terminal.outcomes import Redeemed
from tests.central.breaks import Breaks
from tests.central.faulty_line import FaultyLine
from tests.terminal.service import LAST4, Central, opened, pair, run

PAUSE_S = 0.1
SHARES = 16
PATIENCE_S = 1_800
PORTION = 10_000
ALONE = 100


@contextmanager
def served(config: Path) -> Iterator[tuple[str, int]]:
    """Central as a process of its own: its address and its process id."""
    command = [sys.executable, "-m", "hexiao", "central", "serve", "--json", "--config"]
    with subprocess.Popen(
        [*command, str(config)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"], process.pid
        finally:
            process.terminate()
            process.wait(20)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def peaks(pid: int | str = "self") -> float:
    """MB that a process held at most since its peak was forgotten."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return round(int(line.split()[1]) / 1024, 1)


def forget_peak(pid: int | str = "self") -> float:
    """From now on; answers what it holds now."""
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")
    return peaks(pid)


@dataclass
class Clerk:
    """Redeems share after share, each by the code that the one before left."""

    codes: list[str]

    def redeem(self, till: Any) -> tuple[float, str]:
        """Milliseconds from the code to the durable commit, and the serial."""
        code = self.codes.pop(0)
        began = time.perf_counter()
        done = till.counter.redeem_presented(
            code, LAST4, 1, clerk="li", request=f"r{time.monotonic_ns()}", slip=False
        )
        took = (time.perf_counter() - began) * 1_000
        assert isinstance(done, Redeemed), done
        if done.successor_code is not None:
            self.codes.append(done.successor_code)
        return took, done.serial


def told(took: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(took, n=100)
    return {"samples": len(took), "p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1)}


def till(root: Path, codes: list[str]) -> None:
    """The till's process: redeems while the new list comes, until everything is sent."""
    clerk, pause, serials = Clerk(codes), threading.Event(), list[str]()

    def paced(condition: Any) -> list[float]:
        took = list[float]()
        while condition(took):
            ms, serial = clerk.redeem(one)
            took.append(ms)
            serials.append(serial)
            pause.wait(PAUSE_S)
        return took

    with opened(DataDir.at(root)) as one:
        file = one.counter.parts.data.replica
        central, one.counter.parts.online = one.counter.parts.online, None
        alone = paced(lambda took: len(took) < ALONE)
        one.counter.parts.online = central
        old, began = file.stat().st_ino, time.monotonic()
        before = forget_peak()
        one.worker.start()
        beside = paced(
            lambda _: file.stat().st_ino == old and time.monotonic() - began < PATIENCE_S
        )
        seconds = round(time.monotonic() - began, 1)
        assert file.stat().st_ino != old, "the new list never came"
        paced(lambda took: len(took) < 10)
        while one.counter.status().unacknowledged:
            one.worker.wake()
            pause.wait(PAUSE_S)
        print(
            json.dumps(
                {
                    "what": "till",
                    "until_installed_s": seconds,
                    "alone": told(alone),
                    "on_the_old_list": told(beside),
                    "before_mb": before,
                    "peak_mb": peaks(),
                    "serials": serials,
                }
            )
        )


def fill(url: str, vouchers: int) -> None:
    central = open_central(url)
    for start in range(0, vouchers, PORTION):
        bench_snapshot.fill(central, start, min(PORTION, vouchers - start))
    bench_ground.settle_down(central)
    central.database.close()


def measure(folder: Path, url: str, vouchers: int, redemptions: int) -> None:
    config = folder / "central.toml"
    config.write_text(f"[central]\ndatabase = {json.dumps(url)}\nport = 0\n")
    run(config, "init", "--name", "Bootstrap", "--vault-cost", "light")
    run(config, "outlet", "add", "--name", "East")
    run(config, "product", "add", "--name", "Bread", "--price-fen", "1000", "--outlet", "1")
    with served(config) as (address, _):
        line = FaultyLine(port_of(address))
        central = Central(config, line.url)
        data = pair(central, folder / "till")
        bought = [central.issue(SHARES)["code"] for _ in range(-(-redemptions // SHARES))]
        with opened(data) as first:
            assert first.worker.once().error is None
    fill(url, vouchers)
    run(config, "restored")
    with served(config) as (address, pid):
        line.port = port_of(address)
        breaks = Breaks(line, after=vouchers * 160, times=2)
        before = forget_peak(pid)
        done = subprocess.run(
            [sys.executable, "-m", "tests.terminal.bootstrap", "--till", str(data.root)],
            input=json.dumps(bought),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        peak = peaks(pid)
    line.close()
    said = json.loads(done.stdout)
    booked = [json.loads(row) for row in run(config, "report", "redemptions").splitlines()]
    assert sorted(row["serial"] for row in booked) == sorted(said.pop("serials"))
    assert {row["verdict"] for row in booked} == {"accepted"}
    assert len(breaks.asked) == 3 and breaks.asked == sorted(breaks.asked), breaks.asked
    after = [round(moment - breaks.moments[0], 1) for moment in breaks.moments]
    print(json.dumps(said))
    print(json.dumps({"what": "file", "asked_from": breaks.asked, "asked_after_s": after}))
    print(json.dumps({"what": "service", "before_mb": before, "peak_mb": peak}))
    print(json.dumps({"what": "load", "load": os.getloadavg()}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vouchers", type=int, default=1_000_000)
    parser.add_argument("--redemptions", type=int, default=3_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--till", type=Path)
    args = parser.parse_args()
    if args.till:
        till(args.till, json.load(sys.stdin))
    else:
        with tempfile.TemporaryDirectory() as work, bench_ground.database(args.engine) as database:
            measure(Path(work), database, args.vouchers, args.redemptions)
