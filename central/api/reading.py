"""Pages of the feed for many readers at once.

Responsible for: reading a page once for all who want the same one at the same moment, and packing
it for each. Not responsible for: what a page says (`central.feed`), or who may read. Invariants: a
page is read after everybody who shares it asked for it, so nobody gets an older one than alone;
one read per place at a time, in a thread and with one connection, whoever else waits joins the
next; what differs between readers is read in the same moment.
"""

import asyncio
from dataclasses import dataclass, field

from anyio import to_thread

from central import feed
from central.feed import Reader, Resync, SharedPage
from central.service import Central


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
        self._next: dict[Place, _Flight] = {}
        self._running: dict[Place, asyncio.Task[None]] = {}
        self.reads = 0

    async def page(self, place: Place, reader: Reader) -> SharedPage | Resync:
        """The page at a place, as of now or later. Raises what reading raises."""
        flight = self._next.get(place)
        if flight is None:
            flight = self._next[place] = _Flight()
        flight.readers.add(reader)
        if place not in self._running:
            self._running[place] = asyncio.create_task(self._run(place))
        # Shielded: one who hangs up must not take the page from the others.
        return await asyncio.shield(flight.done)

    async def _run(self, place: Place) -> None:
        """Read for those who ask, again and again, until nobody does."""
        try:
            while place in self._next:
                await asyncio.sleep(0)  # whoever was woken by the same news gets on board
                flight = self._next.pop(place)
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
