"""A backlog drains while a counter redeems: `python -m tests.terminal.drain [--entries N]`.

Prints the redemption's p50 and p99 without and with the drain, in turns of the same run, how fast
the backlog went, and what memory it took. Central is a process of its own that signs for what it
gets and judges nothing, so that what is measured is the terminal.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sync import acks, messages
from terminal import assembly, keys
from terminal import identity as identities
from terminal.assembly import Options
from terminal.clock import Reading
from terminal.counter import ShopCounter
from terminal.outcomes import Redeemed, View
from terminal.sync_worker import SyncWorker
from tests.sync.peer import CENTRAL
from tests.sync.server import Answered, Asked, ScriptedServer
from tests.terminal.shop import NOW, FakeClock, Sample, Shop
from vouchers import entries
from vouchers.entries import Kind
from vouchers.ids import uuid7

PAUSE_S = 0.01
PORTION = 5_000


@dataclass
class TickingClock(FakeClock):
    """The shop's day, going on as time passes."""

    began: float = field(default_factory=time.monotonic)

    def read(self) -> Reading:
        passed = int((time.monotonic() - self.began) * 1_000)
        return Reading(self.wall_ms + passed, self.boot, self.mono_ms + passed)


def answer(asked: Asked) -> Answered:
    """Sign for what was sent; say hello; nothing else is there."""
    parts = asked.path.split("/")[2:]
    if parts == ["hello"]:
        request = messages.decode_hello_request(asked.body)
        text = acks.compose_time(NOW, request.nonce)
        signed = acks.sign(acks.TIME_DOMAIN, text, kid=1, key=CENTRAL)
        return Answered(body=messages.encode(messages.Hello(time=text, kid=1, sig=signed.sig)))
    if parts[0] == "journal" and len(parts) == 3:
        batch = messages.decode_batch(asked.body)
        up_to = batch.from_ + len(batch.entries) - 1
        head = entries.entry_hash(batch.entries[-1])
        text = acks.compose_ack(parts[1], int(parts[2]), up_to, head=head, at_ms=0)
        signed = acks.sign(acks.ACK_DOMAIN, text, kid=1, key=CENTRAL)
        verdicts = tuple(
            messages.Verdict(seq=seq, serial=f"{parts[1]}_1_{seq:08d}", verdict="accepted")
            for seq in range(batch.from_, up_to + 1)
        )
        said = messages.BatchAnswer(ack=text, kid=1, sig=signed.sig, verdicts=verdicts)
        return Answered(body=messages.encode(said))
    return Answered(503, b"{}")


def serve() -> None:
    """The process that signs."""
    with ScriptedServer(answer) as server:
        print(server.url, flush=True)
        sys.stdin.read()


def backlog(shop: Shop, count: int) -> None:
    """So many entries that nobody has seen."""
    parts = assembly.open_parts(shop.data, Options(), clock=shop.clock)
    stamp = parts.stamp(parts.clock.estimate(), "li")
    data: dict[str, object] = {"reason": "expired", "credential": "code", "voucher": None}
    for start in range(0, count, PORTION):
        with parts.journal.transaction() as connection:
            for _ in range(min(PORTION, count - start)):
                parts.journal.append(connection, Kind.REFUSED, data, stamp)
    assembly.close(parts)


def redeem(counter: ShopCounter, sample: Sample) -> float:
    """Milliseconds from the code to the durable commit."""
    began = time.perf_counter()
    seen = counter.look_up(sample.code(), sample.last4)
    assert isinstance(seen, View), seen
    done = counter.redeem(seen.handle, 1, clerk="li", request=sample.voucher)
    assert isinstance(done, Redeemed), done
    return (time.perf_counter() - began) * 1_000


def figures(name: str, took: list[float]) -> dict[str, Any]:
    cuts = statistics.quantiles(took, n=100)
    return {"what": name, "samples": len(took), "p50_ms": cuts[49], "p99_ms": cuts[98]}


def paced(counter: ShopCounter, samples: list[Sample]) -> list[float]:
    took, customer = [], threading.Event()
    for sample in samples:
        took.append(redeem(counter, sample))
        customer.wait(PAUSE_S)
    return took


def measure(root: Path, count: int, redemptions: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.terminal.drain", "--serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as central:
        assert central.stdout is not None and central.stdin is not None
        url = central.stdout.readline().strip()
        shop = Shop(root / "data", clock=TickingClock())
        samples = [shop.issue() for _ in range(2 * redemptions)]
        whole = msgspec.structs.replace(
            identities.load(shop.data, shop.key),
            url=url,
            server_keys={1: CENTRAL.public_key().public_bytes_raw()},
        )
        identities.save(shop.data, whole, shop.key)
        backlog(shop, count)
        counter = shop.open()
        paced(counter, samples[: redemptions // 10])
        print(
            json.dumps(figures("alone", paced(counter, samples[redemptions // 10 : redemptions])))
        )
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        worker = SyncWorker(
            counter, keys.fetch(shop.data), instance=uuid7(0, bytes(10)), version="1"
        )
        began, behind = time.perf_counter(), worker._uplink.behind()
        counter.parts.online = None
        worker.start()
        took = paced(counter, samples[redemptions:])
        seconds = time.perf_counter() - began
        left = worker._uplink.behind()
        print(json.dumps(figures("while draining", took)))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
        sent = behind - left
        rate = {"entries": sent, "left": left, "seconds": seconds, "per_s": sent / seconds}
        print(json.dumps({"what": "drained", **rate, "memory_kb": grown}))
        worker.stop()
        counter.close(assembly.close)
        central.stdin.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--redemptions", type=int, default=1_000)
    parser.add_argument("--serve", action="store_true")
    args = parser.parse_args()
    if args.serve:
        serve()
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), args.entries, args.redemptions)
