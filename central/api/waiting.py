"""Waiting for changes of a bucket, thousands at a time.

Responsible for: one look at the heads of all awaited buckets every quarter of a second, for all
who wait in this process. Not responsible for: reading pages. Invariants: waiting holds no thread
and no connection; nothing that happened before the waiting is missed, because the waiter says which
cursor it has; who came just now lets news gather while many wait, so that a feed in which something
always happens is not asked as often as the processor can answer; when the process stops, all
waiters go at once.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from anyio import to_thread

from central import feed
from central.errors import OutOfService
from central.service import Central

POLL_S: Final = 0.25
"""Half of it is the average delay that waiting adds; the promise is 2 s."""

ANSWERS_PER_S: Final = 1_000
"""A crowd is answered about as often, whatever its size: more than one core could do anyway."""

GATHER_S_MAX: Final = 1.0
"""The longest that news gathers for one who has just come; half of the promise."""


@dataclass(eq=False, slots=True)
class _Waiter:
    cursors: Mapping[int, str]
    since: float
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self, heads: Mapping[int, str]) -> None:
        """Wake up where a bucket is not where we know it, or is none."""
        if any(heads.get(bucket) != at for bucket, at in self.cursors.items()):
            self.woken.set()


class Waiters:
    """Those who wait in this process; all calls come from its event loop."""

    def __init__(self, central: Central) -> None:
        """Nobody waits yet."""
        self._central = central
        # In the order of coming: who waits longest is woken, and so answered, first.
        self._waiting: dict[_Waiter, None] = {}
        self._looking: asyncio.Task[None] | None = None
        self._stopped = False

    def __len__(self) -> int:
        """How many wait now."""
        return len(self._waiting)

    @property
    def stopped(self) -> bool:
        """Whether the process is about to end."""
        return self._stopped

    async def wait(self, cursors: Mapping[int, str], seconds: int) -> bool:
        """Wait until a bucket is not at its cursor; False when the time ran out first.

        The caller need not have looked before: what is old news already ends the wait within
        `POLL_S` and the time that news gathers, as does a cursor that cannot be served.
        """
        if self._stopped:
            return False
        waiter = _Waiter(cursors, asyncio.get_running_loop().time())
        self._waiting[waiter] = None
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(seconds):
                await waiter.woken.wait()
        except TimeoutError:
            return False
        finally:
            del self._waiting[waiter]
        return not self._stopped

    def stop(self) -> None:
        """Let everybody go: the process is about to end."""
        self._stopped = True
        for waiter in self._waiting:
            waiter.woken.set()

    async def _look(self) -> None:
        while self._waiting and not self._stopped:
            # Only who waited before the look began may be told by it that nothing has moved.
            present = tuple(self._waiting)
            with contextlib.suppress(OutOfService):
                heads = await to_thread.run_sync(self._heads, present)
                self._wake(present, heads)
            await asyncio.sleep(POLL_S)

    def _wake(self, present: Sequence[_Waiter], heads: Mapping[int, str]) -> None:
        gather_s = min(GATHER_S_MAX, len(present) / ANSWERS_PER_S)
        ripe = asyncio.get_running_loop().time() - gather_s
        for waiter in present:
            if waiter.since <= ripe:
                waiter.look(heads)

    def _heads(self, present: Sequence[_Waiter]) -> dict[int, str]:
        awaited = {bucket for waiter in present for bucket in waiter.cursors}
        with self._central.read() as work:
            return feed.heads(work, awaited)
