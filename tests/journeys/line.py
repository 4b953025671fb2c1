"""The line between a till and central, and what can be wrong with it.

Responsible for: passing bytes on, holding back answers until told, answering nonsense, and counting
what was asked. Not responsible for: being a proxy of HTTP; it forwards bytes. Invariant: nothing is
changed on the way; what is held back is passed on whole when the line is released.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading

_ASKED = re.compile(rb"(?:GET|POST) /v1/([a-z]+)")

NONSENSE = {
    "noise": b"\x00\xff\x16\x03\x01 this is not HTTP\r\n\r\n",
    "login_page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 27\r\n\r\n"
    b"<html>Please log in.</html>",
    "other_json": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b'Content-Length: 14\r\n\r\n{"ack": [1,2]}',
    "failure": b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nOops",
    "endless": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{",
}
"""Answers that central never gives, by name."""


class Line:
    """Listens where the tills look for central; central itself is behind it."""

    def __init__(self, port: int, central: str) -> None:
        self._target = int(central.rpartition(":")[2])
        self._listener = socket.create_server(("127.0.0.1", port))
        self._open = threading.Event()
        self._open.set()
        self._nonsense: bytes | None = None
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self.asked: list[str] = []
        """What tills asked for: `claims`, `journal`, `feed` and so on, in order of arrival."""
        self._thread = threading.Thread(target=self._serve, name="line", daemon=True)
        self._thread.start()

    def hold(self) -> None:
        """From now on questions arrive and no answer comes."""
        self._open.clear()

    def release(self) -> None:
        """Pass on what was held back, and everything after."""
        self._open.set()

    def talk(self, nonsense: bytes | None) -> None:
        """From now on answer this to everything; None: let central answer again."""
        self._nonsense = nonsense
        self._cut()

    def close(self) -> None:
        """Take the line away."""
        self.release()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut()
        self._thread.join(5)

    def _cut(self) -> None:
        with self._lock:
            ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        nonsense = self._nonsense
        if nonsense is not None:
            self._answer(near, nonsense)
            return
        try:
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        with self._lock:
            self._ends += [near, far]
        back = threading.Thread(target=self._pass, args=(far, near, False), daemon=True)
        back.start()
        self._pass(near, far, True)
        back.join()
        near.close()
        far.close()

    def _answer(self, near: socket.socket, nonsense: bytes) -> None:
        with near, contextlib.suppress(OSError):
            self._note(near.recv(65536))
            near.sendall(nonsense)
            near.shutdown(socket.SHUT_WR)
            while near.recv(65536):
                pass

    def _pass(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if up:
                    self._note(data)
                else:
                    self._open.wait()
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _note(self, data: bytes) -> None:
        self.asked += [found.decode() for found in _ASKED.findall(data)]
