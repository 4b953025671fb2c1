"""Pages of the feed for many readers at once.

Responsible for: reading a page once for all who want the same one at the same moment, and packing
it for each. Not responsible for: what a page says (`central.feed`), or who may read. Invariants: a
page is read after everybody who shares it asked for it, so nobody gets an older one than alone;
one read per place at a time, in a thread and with one connection, whoever else waits joins a
later one, in the order of asking; a wave is read when the one before it has been answered, so that
the last of a crowd gets what is true then; what differs between readers is read in the same moment.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from anyio import to_thread

from central import feed
from central.feed import Reader, Resync, SharedPage
from central.service import Central

WAVE: Final = 64
"""So many share a read. More would all get what was true before the first of them was answered."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins and how many rows it may have."""

    bucket: int
    after: str
    limit: int


@dataclass(eq=False, slots=True)
class _Flight:
    """A read that has not begun: those who share it."""

    readers: set[Reader] = field(default_factory=set)
    done: asyncio.Future[SharedPage | Resync] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class SharedReads:
    """The reads of this process; all calls come from its event loop."""

    def __init__(self, central: Central) -> None:
        """Nobody reads yet."""
        self._central = central
        self._next: dict[Place, deque[_Flight]] = {}
        self._running: dict[Place, asyncio.Task[None]] = {}
        self.reads = 0

    async def page(self, place: Place, reader: Reader) -> SharedPage | Resync:
        """The page at a place, as of now or later. Raises what reading raises."""
        flights = self._next.setdefault(place, deque())
        if not flights or len(flights[-1].readers) >= WAVE:
            flights.append(_Flight())
        flight = flights[-1]
        flight.readers.add(reader)
        if place not in self._running:
            self._running[place] = asyncio.create_task(self._run(place))
        # Shielded: one who hangs up must not take the page from the others.
        return await asyncio.shield(flight.done)

    async def _run(self, place: Place) -> None:
        """Read for those who ask, again and again, until nobody does."""
        try:
            while place in self._next:
                # Whoever was woken by the same news gets on board; the last wave is answered.
                await asyncio.sleep(0)
                flight = self._next[place].popleft()
                if not self._next[place]:
                    del self._next[place]
                await self._fly(place, flight)
        finally:
            del self._running[place]

    async def _fly(self, place: Place, flight: _Flight) -> None:
        self.reads += 1
        readers = frozenset(flight.readers)

        def read() -> SharedPage | Resync:
            with self._central.read() as work:
                return feed.read_shared(work, place.bucket, place.after, place.limit, readers)

        try:
            flight.done.set_result(await to_thread.run_sync(read))
        except Exception as error:  # noqa: BLE001 handed to everybody who waits for it
            flight.done.set_exception(error)
