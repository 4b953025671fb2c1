"""A line to central that cuts, changes, holds and repeats bytes.

Responsible for: doing to one connection at a time what a test asks for. Not responsible for: HTTP.
Invariant: what is not asked for is passed on unchanged.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

Change = Callable[[bytes, int], tuple[bytes, bool]]
"""Given a piece and how many bytes went before it: what goes on instead, and whether more may."""


def passed(piece: bytes, _before: int) -> tuple[bytes, bool]:
    """Nothing is done to it."""
    return piece, True


def swallowed(_piece: bytes, _before: int) -> tuple[bytes, bool]:
    """It never arrives, and the line stays open."""
    return b"", True


def cut_after(count: int) -> Change:
    """The connection ends after so many bytes."""

    def cut(piece: bytes, before: int) -> tuple[bytes, bool]:
        room = max(0, count - before)
        return piece[:room], len(piece) < room

    return cut


def flipped_at(place: int) -> Change:
    """One bit of one byte is another one."""

    def flip(piece: bytes, before: int) -> tuple[bytes, bool]:
        at = place - before
        if not 0 <= at < len(piece):
            return piece, True
        return piece[:at] + bytes([piece[at] ^ 0x04]) + piece[at + 1 :], True

    return flip


@dataclass
class FaultyLine:
    """Listens on `url` and forwards to a port of this machine. Close it at the end."""

    port: int
    up: Change = passed
    down: Change = passed
    drawn: Callable[[], tuple[Change, Change]] | None = None
    """What is done to each new connection, there and back; instead of `up` and `down`."""
    carried: list[int] = field(default_factory=lambda: [0, 0])
    """Bytes of the last connection, there and back, as they came."""
    asked: bytearray = field(default_factory=bytearray)
    """What the last connection asked, byte for byte."""
    held: threading.Event = field(default_factory=threading.Event)
    """While it is not set, answers stay here."""

    def __post_init__(self) -> None:
        self.held.set()
        self._ends: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._thread = threading.Thread(target=self._serve, name="faulty line", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where tills find central."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def close(self) -> None:
        """Take the line away."""
        self.held.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)
        for end in self._ends:
            end.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.port))
            except OSError:  # central is down
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._ends.append(end)
            self.carried[:] = [0, 0]
            self.asked.clear()
            up, down = (self.up, self.down) if self.drawn is None else self.drawn()
            for args in ((near, far, 0, up), (far, near, 1, down)):
                threading.Thread(target=self._pipe, args=args, daemon=True).start()

    def _pipe(self, source: socket.socket, sink: socket.socket, way: int, change: Change) -> None:
        before = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                if way == 0:
                    self.asked.extend(piece)
                else:
                    self.held.wait(30)
                instead, more = change(piece, before)
                before += len(piece)
                self.carried[way] += len(piece)
                sink.sendall(instead)
                if not more:
                    break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
