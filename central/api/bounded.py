"""Connections that are bounded: in number, and in how long the rest of a request is awaited.

Responsible for: ending a connection that has not sent a whole request in time, however slowly it
trickles, and making room when there are too many. Not responsible for: what a request says, an
answer that nobody reads (the kernel bounds that: `serve`), or idle connections (uvicorn does).
Invariants: the time runs from the first byte, or from the connection, to the last byte of the body
and no byte renews it; a request that has come whole is never ended here, so a poll is held as long
as it likes; who gives way when it is full is who has kept the service waiting longest.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

WAIT_S: Final = 60.0
"""Enough for the largest upload at 40 kB/s before compression; a till compresses tenfold."""

_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 5\r\n"
    b"content-length: 0\r\n\r\n"
)


class Bounds:
    """What the connections of one server share: who owes the rest of a request, oldest first.

    `wait_s` is how long each may take, `most` how many there may be, `note` hears why one was
    ended (`slow` or `full`). All calls come from the event loop; one timer serves all, as everybody
    has the same time.
    """

    def __init__(self, wait_s: float, most: int, note: Callable[[str], None]) -> None:
        """Nobody has come yet."""
        self.wait_s, self.most, self._note = wait_s, most, note
        self._since: dict[Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, connection: "Connection") -> None:
        """More of a request is awaited from here; if it was already, its time runs on."""
        if connection in self._since:
            return
        loop = connection.loop
        self._since[connection] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self.wait_s, self._expire, loop)

    def end(self, connection: "Connection") -> None:
        """A request has come whole, or the connection is gone."""
        self._since.pop(connection, None)

    def make_room(self, present: int) -> bool:
        """Whether one more may come where so many are; who waited longest may have to go."""
        if present <= self.most:
            return True
        self._note("full")
        slowest = next(iter(self._since), None)
        if slowest is None:
            return False
        self.end(slowest)
        slowest.give_up()
        return True

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for connection, since in tuple(self._since.items()):
            if since + self.wait_s > loop.time():
                self._timer = loop.call_at(since + self.wait_s, self._expire, loop)
                return
            self._note("slow")
            self.end(connection)
            connection.give_up()


class Connection(H11Protocol):
    """One connection, within the `bounds` of its server."""

    bounds: Bounds

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._heard = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody comes; turned away where there is no room."""
        super().connection_made(transport)
        if self.bounds.make_room(len(self.connections)):
            self.bounds.begin(self)
        else:
            self._leave(_FULL)

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request."""
        self._heard = True
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """An answer went out; the next request may have begun behind its question."""
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self.bounds.end(self)
        super().connection_lost(exc)

    def give_up(self) -> None:
        """Wait no longer for the rest of a request."""
        begun = self.cycle is not None and self.cycle.response_started
        self._leave(_TOO_SLOW if self._heard and not begun else b"")

    def _look(self) -> None:
        if self._owes():
            self.bounds.begin(self)
        else:
            self.bounds.end(self)

    def _owes(self) -> bool:
        """Whether we wait for bytes: no whole request is being answered, and it is not idle."""
        cycle = self.cycle
        answering = cycle is not None and not cycle.response_complete and not cycle.more_body
        return not answering and self.timeout_keep_alive_task is None

    def _leave(self, words: bytes) -> None:
        if words:
            self.transport.write(words)
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # nobody reads: closing would wait for that
        else:
            self.transport.close()
        self.connections.discard(self)


def within(bounds: Bounds) -> type[Connection]:
    """The kind of connection of one server (uvicorn makes them without arguments of ours)."""
    return type("Connection", (Connection,), {"bounds": bounds})
