"""Synchronising in the background, and once on demand.

Responsible for: two daemon threads that push and pull for as long as the terminal runs, waking
them, and saying in one word how the network is. Not responsible for: the protocol or its pauses
(`sync`). Invariants: a redemption never waits for these threads; each ends at once when told to;
what the network does wrong is a word in the status line, never an exception at the counter.
"""

import threading
from collections.abc import Callable
from typing import Final

from sync.downlink import Downlink
from sync.errors import NoContact, Refused, Slow, SyncError
from sync.pacing import Pace, after_failure
from sync.ports import Ports
from sync.run import Result, sync_once
from sync.sender import Fence
from sync.transport import HttpCentral
from sync.uplink import Uplink
from terminal import farewell, wiping
from terminal.counter import ShopCounter
from terminal.datadir import DataDir
from terminal.errors import TerminalError
from terminal.holding import WIPE, HolderOfTerminal
from terminal.replica_writer import ReplicaWriter
from terminal.syncing import (
    ClockOfTerminal,
    JournalOfTerminal,
    OnlineCentral,
    ReplicaOfTerminal,
    connect,
)
from vouchers import times

POLL_S: Final = 25
"""How long central may hold a poll open; well below what proxies cut."""

_WAIT_MAX_S: Final = 60.0
_PROMPT_MS: Final = 2_000
"""An upload that was answered within this shows that central is worth a clerk's wait."""


class SyncWorker:
    """The followers that carry the journal to central and central's word to the replica."""

    def __init__(
        self,
        counter: ShopCounter,
        database_key: bytes,
        *,
        instance: str,
        version: str,
        insecure_http: bool = False,
    ) -> None:
        self._counter = counter
        self._central: HttpCentral = connect(counter, insecure_http=insecure_http)
        self._writer = ReplicaWriter(
            counter.parts.data.replica,
            database_key,
            make_way=counter.make_way,
            outlet=counter.parts.confined_to,
        )
        self._ports = Ports(
            journal=JournalOfTerminal(counter),
            replica=ReplicaOfTerminal(counter, self._writer),
            clock=ClockOfTerminal(counter),
            holder=HolderOfTerminal(counter, database_key, instance=instance, version=version),
            central=self._central,
        )
        self._uplink, self._downlink = Uplink(self._ports), Downlink(self._ports)
        self._insecure_http = insecure_http
        self._stopping, self._leaving = threading.Event(), threading.Event()
        self._wake_up, self._wake_down = threading.Event(), threading.Event()
        self._contact = False
        self._threads: list[threading.Thread] = []
        self._online = OnlineCentral(
            self._central,
            counter.parts,
            believed_up=self.believed_up,
            in_contact=lambda: self.network() in ("online", "slow"),
            stopped=self._stopped,
        )
        counter.parts.online = self._online

    def start(self) -> None:
        """Start pushing and pulling."""
        for name, loop in (("push", self._push), ("pull", self._pull)):
            thread = threading.Thread(target=loop, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End both threads; a request under way is cut."""
        self._leaving.set()
        self._end()

    def _end(self) -> None:
        self._stopping.set()
        self._wake_up.set()
        self._wake_down.set()
        self._central.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=2.0)
        self._writer.close()

    def wake(self) -> None:
        """There is something new to push."""
        self._wake_up.set()

    def once(self) -> Result:
        """One full round now, for `hexiao sync --once`, beside the threads' own rounds."""
        result = sync_once(self._ports)
        self._wipe_if_ordered()
        self._contact = result.error is None
        if self._contact:
            self._online.answers_again()
        return result

    def believed_up(self) -> bool:
        """Whether central may be asked while the clerk waits: not after a failure. Before the first
        word from it nothing speaks against it: a till that just started claims like any other.
        """
        error = self._uplink.error or self._downlink.error
        return self._online.trouble is None and (error is None or _word(error) == "slow")

    def network(self) -> str:
        """The network in one word (`outcomes.Status`)."""
        error = self._uplink.error or self._downlink.error or self._online.trouble
        if error is None:
            return "online" if self._contact else "offline"
        return _word(error)

    @property
    def fence(self) -> str | None:
        """Why this terminal must stop, if central or its own disk say so."""
        fence = self._uplink.fence
        return None if fence is None else f"{fence.trouble}: {fence.detail}"

    def _push(self) -> None:
        def step() -> int:
            clock, before = self._ports.clock, self._uplink.pushed
            began_ms = clock.monotonic_ms()
            wait_ms = self._uplink.step()
            if self._uplink.pushed > before and clock.monotonic_ms() - began_ms < _PROMPT_MS:
                self._online.answers_again()
            self._wipe_if_ordered()
            return wait_ms

        self._loop(self._wake_up, step)

    def _wipe_if_ordered(self) -> None:
        """Central's order waits until central holds all that happened here."""
        parts = self._counter.parts
        if parts.wiped or self._counter.exclusive(lambda _: parts.fence()) != WIPE:
            return
        if self._uplink.behind() > 0:
            return
        now = parts.clock.estimate().now
        word = farewell.compose(parts, now, insecure_http=self._insecure_http)
        wiping.order(parts.data, parts.identity.posid, times.format_utc(now), word)
        self._end()
        self._counter.close(wiping.destroy)
        self._say_farewell(parts.data)

    def _say_farewell(self, data: DataDir) -> None:
        """Tell central that nothing is left; in the background until it has heard it. Else the
        next start tells it.
        """
        pace = Pace()
        while not farewell.say(data) and threading.current_thread() in self._threads:
            pace = after_failure(pace, now_ms=0, chance=self._ports.clock.random())
            if self._leaving.wait(pace.not_before_ms / 1000):
                return

    def _pull(self) -> None:
        def step() -> int:
            wait_ms = self._downlink.step(POLL_S)
            if self._ports.mailbox.fence is not None or self._ports.mailbox.greet:
                self._wake_up.set()
            return wait_ms

        self._loop(self._wake_down, step)

    def _stopped(self, fence: Fence) -> None:
        """Central said so while a clerk waited: at once, before that redemption is decided."""
        self._ports.holder.fenced(self._counter.parts.identity.epoch, fence)
        self._ports.mailbox.fence = fence
        self._wake_up.set()

    def _loop(self, wake: threading.Event, step: Callable[[], int]) -> None:
        while not self._stopping.is_set():
            wake.clear()
            try:
                wait_ms = step()
                self._contact = self._contact or self._uplink.error is None
            except (TerminalError, OSError):
                # The journal or the disk is out; the counter says so itself. Try again later.
                wait_ms = 1_000
            wake.wait(min(wait_ms / 1000, _WAIT_MAX_S))


def _word(error: SyncError) -> str:
    if isinstance(error, Slow):
        return "slow"
    if isinstance(error, NoContact):
        return "offline"
    return "refused" if isinstance(error, Refused) else "offline"
