"""One terminal of the simulation: a disk, a clock, and now and then a running process.

Responsible for: starting and ending the product's terminal on a directory, and what people do to
disks: copy them, put copies back. Not responsible for: what the terminal does. A process that dies
leaves exactly what was committed: its connections are closed without another statement of ours.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sync.downlink import Downlink
from sync.ports import Ports
from sync.run import Result, sync_once
from sync.sender import Fence
from sync.uplink import Uplink
from terminal import assembly, startup
from terminal.assembly import Options
from terminal.counter import ShopCounter
from terminal.datadir import DataDir
from terminal.errors import OutOfService
from terminal.holding import HolderOfTerminal
from terminal.keys import fetch
from terminal.parts import Parts
from terminal.replica_writer import ReplicaWriter
from terminal.syncing import (
    ClockOfTerminal,
    JournalOfTerminal,
    OnlineCentral,
    ReplicaOfTerminal,
)
from tests.simulation.network import Network, Wire
from tests.simulation.seams import FUSE, TillClock
from tests.simulation.service import Caller
from vouchers import ids

_NOT_COPIED = shutil.ignore_patterns("*-shm", "lock", "incoming")


@dataclass
class Process:
    """A running terminal, wired as `terminal.sync_worker` wires it, without its threads."""

    counter: ShopCounter
    writer: ReplicaWriter
    ports: Ports
    uplink: Uplink
    downlink: Downlink

    @property
    def parts(self) -> Parts:
        return self.counter.parts


@dataclass
class Till:
    """A terminal. `name` is unlike for a clone, `posid` is not. `witness` lies on another medium
    when it is not in the directory.
    """

    name: str
    posid: str
    outlet: int
    disk: Path
    clock: TillClock
    network: Network
    witness: Path | None = None
    process: Process | None = None
    refused: str | None = None
    lives: int = 1
    copies: int = 0
    backups: list[Path] = field(default_factory=list)
    online: bool = True
    retired: bool = False
    """Taken away: another disk goes on under this name."""

    @property
    def data(self) -> DataDir:
        return DataDir.at(self.disk, self.witness)

    @property
    def on(self) -> bool:
        return self.process is not None

    def start(self, instance: bytes) -> None:
        """Start the terminal; `refused` says why it does not open for redeeming."""
        assert self.process is None
        self.clock.reboot()
        self.refused = None
        try:
            parts = assembly.open_checked(self.data, Options(), clock=self.clock)
        except OutOfService as error:
            self.refused = str(error)
            return
        counter = ShopCounter(parts, clerk="li")
        self.process = self._wired(counter, ids.uuid7(self.clock.time.now_ms, instance))
        counter.exclusive(lambda _: startup.started(parts, "simulated", clerk="li"))

    def _wired(self, counter: ShopCounter, instance: str) -> Process:
        parts = counter.parts
        caller = Caller(self.posid, parts.identity.epoch)
        wire: Any = Wire(self.network, self.name, caller, lambda: self._runs(counter))
        writer = ReplicaWriter(
            self.data.replica, fetch(self.data, None), outlet=counter.parts.confined_to
        )
        ports = Ports(
            journal=JournalOfTerminal(counter),
            replica=ReplicaOfTerminal(counter, writer),
            clock=ClockOfTerminal(counter),
            holder=HolderOfTerminal(
                counter, fetch(self.data, None), instance=instance, version="simulated"
            ),
            central=wire,
        )

        def stopped(fence: Fence) -> None:
            ports.holder.fenced(parts.identity.epoch, fence)
            ports.mailbox.fence = fence

        parts.online = OnlineCentral(
            wire,
            parts,
            believed_up=lambda: self.online,
            in_contact=lambda: self.online,
            stopped=stopped,
        )
        return Process(counter, writer, ports, Uplink(ports), Downlink(ports))

    def _runs(self, counter: ShopCounter) -> bool:
        return self.process is not None and self.process.counter is counter

    def end(self) -> None:
        """The process is gone; nothing more is written."""
        FUSE.disarm()
        process, self.process = self.process, None
        if process is not None:
            process.counter.close(assembly.close)
            process.writer.close()

    def round(self) -> Result:
        """One full round of sync."""
        assert self.process is not None
        return sync_once(self.process.ports)

    def push(self) -> None:
        """Say hello and push everything, without regard to pauses after earlier failures."""
        assert self.process is not None
        Uplink(self.process.ports).drain()

    def pull(self) -> None:
        """Pull everything."""
        assert self.process is not None
        Downlink(self.process.ports).drain()

    def back_up(self, to: Path) -> Path:
        """Copy the disk as it is now, running or not."""
        self.copies += 1
        copy = to / f"{self.name}.{self.copies}"
        shutil.copytree(self.disk, copy, ignore=_NOT_COPIED)
        return copy

    def restore(self, backup: Path) -> None:
        """Put a backup back in place of the disk. The terminal must be off."""
        assert self.process is None
        shutil.rmtree(self.disk)
        shutil.copytree(backup, self.disk)
        self.lives += 1
