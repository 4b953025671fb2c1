"""A merchant for journeys: central as a process, and its tills, on real files.

Responsible for: making them once (`prepare`), giving each test a copy of its own, starting and
stopping central on the same address, running `hexiao` as a person would, and devices on real ptys.
Not responsible for: what is tested. Invariants: nothing waits for time to pass, only for files,
processes and output; a traceback in any command fails the test that ran it.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from config.loader import load
from drivers.emulated.idcard import EmulatedIdCardReader
from drivers.emulated.machine import Build
from drivers.emulated.printer import EmulatedPrinter
from drivers.emulated.scanner import EmulatedScanner
from drivers.emulated.station import Station as EmulatedStation
from hexiao import main
from terminal.commands import serve
from terminal.commands_run import held_station
from terminal.station import Station

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
OUTLETS = {"T1": 1, "T2": 1, "T3": 2}
"""The tills of the prepared merchant and their outlets."""


@dataclass(frozen=True)
class Done:
    """How a command ended: its status and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Standard output as the JSON objects that it is."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def row(self) -> dict[str, Any]:
        """The one object on standard output."""
        (row,) = self.rows
        return row


@dataclass(frozen=True)
class Voucher:
    """What a customer holds, and the order behind it."""

    code: str
    last4: str
    order: str
    voucher: str
    qr: str
    shares: int


def hexiao(*words: str, stdin: str = "") -> Done:
    """Run one command to its end, here, as the console script does: starting Python for each
    would be most of the time of a journey. What goes on is a process of its own (`Process`)."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name, stream in (("stdin", io.StringIO(stdin)), ("stdout", out), ("stderr", err)):
            patch.setattr(sys, name, stream)
        status = main(list(words))
    return Done(status, out.getvalue(), err.getvalue())


def hexiao_process(*words: str, stdin: bytes = b"", **environment: str) -> Done:
    """Run one command to its end in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "hexiao", *words],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, **environment},
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in err + out, err
    return Done(done.returncode, out, err)


def hexiao_all(*lines: list[str]) -> list[dict[str, Any]]:
    """Run several commands that must succeed; the JSON of each."""
    rows = []
    for line in lines:
        done = hexiao(*line)
        assert done.status == 0, done
        rows += done.rows
    return rows


class Process:
    """A command that goes on; everything it writes is kept."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hexiao", *words],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.text = ""

    def until(self, pattern: str) -> str:
        """Wait until it wrote this (a regular expression); answers the first group."""
        assert self.process.stdout is not None
        deadline = monotonic() + PATIENCE_S
        while (found := re.search(pattern, self.text)) is None:
            left = deadline - monotonic()
            ready = select.select([self.process.stdout], [], [], max(0.0, left))[0]
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert data, f"{pattern} never came; it wrote:\n{self.text}"
            self.text += data.decode("utf-8", "replace")
        return found[1] if found.groups() else found[0]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and wait for its end; answers the status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        rest, _ = self.process.communicate(timeout=PATIENCE_S)
        self.text += rest.decode("utf-8", "replace")
        assert "Traceback" not in self.text, self.text
        return self.process.returncode


@dataclass
class Till:
    """One enrolled terminal: its settings, its data directory and its devices."""

    root: Path
    devices: list[EmulatedStation] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """Its settings file."""
        return self.root / "hexiao.toml"

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.root / "data"

    def settings(self, **sections: dict[str, object]) -> None:
        """Write the settings file; what is not given has its default."""
        base: dict[str, dict[str, object]] = {
            "paths": {"data": "data"},
            "keys": {"source": "file"},
            "kiosk": {"language": "en"},
        }
        for name, values in sections.items():
            base[name] = base.get(name, {}) | values
        lines = []
        for name, values in base.items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def run(self, *words: str, stdin: str = "") -> Done:
        """Run a command on this terminal."""
        return hexiao(*words, "--config", str(self.config), stdin=stdin)

    def ask(self, *words: str) -> dict[str, Any]:
        """Run a command that must succeed; its JSON."""
        done = self.run(*words, "--json")
        assert done.status == 0, done
        return done.row

    def redeem(self, code: str, last4: str, shares: int = 1, *more: str) -> dict[str, Any]:
        """Redeem by command."""
        return self.ask("redeem", code, last4, "--shares", str(shares), *more)

    def refused(self, *words: str) -> str:
        """Run a command that must be refused; the reason."""
        done = self.run(*words, "--json")
        assert (done.status, done.row["ok"]) == (1, False) and done.row["message"], done
        return str(done.row["reason"])

    def entries(self, kind: str = "redeemed") -> list[dict[str, Any]]:
        """The journal's entries of a kind, oldest first."""
        return self.run("journal", "list", "--kind", kind, "--json").rows

    def verify(self) -> int:
        """The journal holds together; the number of its entries."""
        return int(self.ask("journal", "verify")["entries"])

    @contextmanager
    def running(self) -> Iterator[Process]:
        """`hexiao run`: the terminal without a screen, as a process."""
        process = Process("run", "--config", str(self.config))
        try:
            process.until("is running")
            yield process
        finally:
            process.stop()

    @contextmanager
    def station(self) -> Iterator[Station]:
        """The same in this process, to look at its status line."""
        with held_station(load(str(self.config)), serve, wait_s=5) as station:
            yield station

    def printer(self, build: Build | None = None) -> EmulatedPrinter:
        """A printer on a pty of its own; `hexiao` is told of it by the settings."""
        printer = EmulatedPrinter(build)
        printer.attach_pty(self.root / "printer")
        self.devices.append(printer)
        return printer

    def scanner(self) -> EmulatedScanner:
        """A serial scanner on a pty of its own."""
        scanner = EmulatedScanner()
        scanner.attach_pty(self.root / "scanner")
        self.devices.append(scanner)
        return scanner

    def card_reader(self) -> EmulatedIdCardReader:
        """An ID card reader on a pty of its own."""
        reader = EmulatedIdCardReader()
        reader.attach_pty(self.root / "reader")
        self.devices.append(reader)
        return reader

    @property
    def wired(self) -> dict[str, dict[str, object]]:
        """Settings that name both ptys."""
        return {
            "printer": {"port": str(self.root / "printer"), "profile": "emulated"},
            "scanner": {"port": str(self.root / "scanner"), "profile": "generic-serial"},
            "receipt": {"language": "both"},
        }


class World:
    """One merchant: central, its address, and tills T1 and T2 (outlet 1) and T3 (outlet 2)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "central.toml"
        self.tills = {name: Till(root / name) for name in OUTLETS}
        self._served: Process | None = None

    @property
    def port(self) -> int:
        """Where the tills look for central, always the same."""
        return int((self.root / "port").read_text("ascii"))

    def use(self, database: str) -> None:
        """Write central's settings: the address of its database."""
        self.config.write_text(f"[central]\ndatabase = {json.dumps(database)}\n", "utf-8")

    def asked(self, words: Sequence[str]) -> list[str]:
        """The whole command line of a command of central."""
        return ["central", *words, "--json", "--config", str(self.config)]

    def central(self, *words: str) -> Done:
        """Run a command of central."""
        return hexiao(*self.asked(words))

    def tell(self, *words: str) -> dict[str, Any]:
        """Run a command of central that must succeed; its JSON."""
        done = self.central(*words)
        assert done.status == 0, done
        return done.row

    def issue(self, shares: int = 1, *, phone: str = "13800008642", **more: int | str) -> Voucher:
        """Sell a voucher of the product that is good everywhere; at home at outlet 1."""
        (sold,) = self.sell(shares, phone=phone, **more)
        return sold

    def sell(self, *shares: int, phone: str = "13800008642", **more: int | str) -> list[Voucher]:
        """Sell several vouchers at once."""
        options = {"product": 1, "home": 1} | more
        words = [
            text
            for name, value in options.items()
            for text in (f"--{name.replace('_', '-')}", str(value))
        ]
        sales = [["issue", "--phone", phone, "--shares", str(count), *words] for count in shares]
        rows = hexiao_all(*map(self.asked, sales))
        return [
            Voucher(
                code=made["code"],
                last4=made["last4"],
                order=made["order"],
                voucher=made["voucher"],
                qr=made["qr"],
                shares=made["shares"],
            )
            for made in rows
        ]

    def booked(self) -> list[dict[str, Any]]:
        """Every redemption that central has booked."""
        return self.central("report", "redemptions").rows

    def start(self, port: int | None = None) -> str:
        """Start central, at the tills' own address unless another port is given; its address."""
        where = str(self.port if port is None else port)
        process = Process(*self.asked(["serve", "--port", where]))
        self._served = process
        return process.until(r'"url": "([^"]+)"')

    def stop(self) -> None:
        """Stop central, if it runs."""
        if self._served is not None:
            process, self._served = self._served, None
            assert process.stop() == 0, process.text

    @property
    def url(self) -> str:
        """Where the tills look for central."""
        return f"http://127.0.0.1:{self.port}"

    def enrol(self, name: str) -> dict[str, Any]:
        """Pair a till with central, which must run; anew if it was paired before."""
        made = self.tell("enrol-code", "--outlet", str(OUTLETS[name]), "--posid", name)
        return self.tills[name].ask("enrol", self.url, made["code"])

    def close(self) -> None:
        """Stop everything."""
        for till in self.tills.values():
            for device in till.devices:
                device.stop()
        self.stop()


def prepare(root: Path, rng: random.Random, database: str = "sqlite:///central.db") -> World:
    """Make a merchant: two outlets, a product good at both, three paired tills; central stopped."""
    root.mkdir()
    (root / "port").write_text(str(_free_port(rng)), "ascii")
    world = World(root)
    world.use(database)
    central = [
        ["init", "--name", "面包房 Bakery", "--vault-cost", "light"],
        ["outlet", "add", "--name", "东门 East"],
        ["outlet", "add", "--name", "西门 West"],
        ["product", "add", "--name", "面包 Bread", "--price-fen", "1000", "--outlet", "1", "2"],
    ]
    hexiao_all(*map(world.asked, central))
    world.start()
    try:
        _pair(world)
    finally:
        world.stop()
    return world


def _pair(world: World) -> None:
    wanted = [
        ["enrol-code", "--outlet", str(outlet), "--posid", name] for name, outlet in OUTLETS.items()
    ]
    codes = [row["code"] for row in hexiao_all(*map(world.asked, wanted))]
    lines = []
    for till, code in zip(world.tills.values(), codes, strict=True):
        till.root.mkdir()
        till.settings()
        lines.append(["enrol", world.url, code, "--json", "--config", str(till.config)])
        lines.append(["sync", "--json", "--config", str(till.config)])
    hexiao_all(*lines)


def copy(prepared: World, root: Path) -> World:
    """A merchant of one's own: the same keys and address, on files of its own."""
    shutil.copytree(prepared.root, root)
    return World(root)


def _free_port(rng: random.Random) -> int:
    """A port below those that systems hand out, so that it is still free when central is back."""
    while True:
        port = rng.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
