"""The central service as a process of its own, and terminals that are paired with it."""

import io
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from central import cli
from terminal import assembly, keys
from terminal.counter import ShopCounter
from terminal.datadir import DataDir
from terminal.enrol import enrol
from terminal.sync_worker import SyncWorker
from vouchers.ids import uuid7

MOBILE = "13800001234"
LAST4 = "1234"


@dataclass
class Central:
    """A running service. `run` is a `hexiao central` command on its database."""

    config: Path
    url: str
    posids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def run(self, *words: str) -> dict[str, Any]:
        return json.loads(run(self.config, *words))  # type: ignore[no-any-return]

    def issue(self, shares: int = 1, product: int = 1) -> dict[str, Any]:
        """A voucher to 138 0000 1234, sealed when this returns."""
        return self.run(
            *("issue", "--product", str(product), "--phone", MOBILE, "--shares", str(shares)),
            *(() if product == 1 else ("--home", "1")),
        )

    def code(self, posid: str | None = None, outlet: int = 1) -> str:
        """A pairing code; every terminal is a new one unless named."""
        name = posid or f"P{next(self.posids)}"
        made = self.run("enrol-code", "--outlet", str(outlet), "--posid", name, "--url", self.url)
        return str(made["code"])


def run(config: Path, *words: str) -> str:
    said = io.StringIO()
    with redirect_stdout(said):
        status = cli.main([*words, "--json", "--config", str(config)])
    assert status == 0, said.getvalue()
    return said.getvalue() or "{}"


@contextmanager
def serving(folder: Path) -> Iterator[Central]:
    """Make a merchant with two outlets and two products, and serve it on a free port."""
    config = folder / "central.toml"
    config.write_text('[central]\ndatabase = "sqlite:///central.db"\nport = 0\n')
    run(config, "init", "--name", "面包房 Bakery", "--vault-cost", "light")
    for name in ("East", "West"):
        run(config, "outlet", "add", "--name", name)
    for outlets in (("1",), ("1", "2")):
        places = [word for outlet in outlets for word in ("--outlet", outlet)]
        run(config, "product", "add", "--name", "Bread", "--price-fen", "1000", *places)
    command = [sys.executable, "-m", "hexiao", "central", "serve", "--json"]
    with subprocess.Popen(
        [*command, "--config", str(config)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            yield Central(config, json.loads(process.stdout.readline())["url"])
        finally:
            process.terminate()
            process.wait(10)


@dataclass
class Paired:
    """An enrolled terminal, open, with its sync worker not started."""

    counter: ShopCounter
    worker: SyncWorker

    @property
    def posid(self) -> str:
        return self.counter.parts.identity.posid


def pair(central: Central, root: Path, posid: str | None = None) -> DataDir:
    """Pair a data directory with central."""
    data = DataDir.at(root)
    enrol(data, central.url, central.code(posid), key_source="file", insecure_http=False)
    return data


@contextmanager
def opened(data: DataDir) -> Iterator[Paired]:
    """Open a paired terminal."""
    counter = ShopCounter(assembly.open_checked(data, assembly.Options()))
    instance = uuid7(counter.parts.clock.read().wall_ms, bytes(10))
    worker = SyncWorker(counter, keys.fetch(data), instance=instance, version="1")
    try:
        yield Paired(counter, worker)
    finally:
        worker.stop()
        counter.close(assembly.close)
