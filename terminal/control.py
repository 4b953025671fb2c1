"""The control socket: how a command reaches the process that holds the data directory.

Responsible for: carrying a command line to the holder and its output back (design, section 5, "One
holder"). Not responsible for: what commands do. Invariants: only the same user (or root) is
answered; the socket is 0600; a command that was taken is run to its end even if the asker goes.
"""

import contextlib
import hashlib
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from terminal.datadir import DataDir

_PATH_BYTES_MAX: Final = 100
"""AF_UNIX paths end at 104 to 108 bytes, depending on the system."""

_REQUEST_BYTES_MAX: Final = 1024 * 1024
_BACKLOG: Final = 128
_CONNECT_S: Final = 2.0


class Asked(Struct, frozen=True):
    """A command line as the asker typed it, and the lines it read from its standard input."""

    argv: tuple[str, ...]
    lines: tuple[str, ...]


Write = Callable[[str], None]
Handler = Callable[[Asked, Write, Write], int]
"""Runs a command with writers for standard output and error; answers the exit status."""


def socket_path(data: DataDir) -> Path:
    """In the data directory, or under a hash in the run-time directory where that is too long."""
    path = data.root / "control.sock"
    if len(os.fsencode(path)) <= _PATH_BYTES_MAX:
        return path
    base = os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/hexiao-{os.getuid()}"
    name = hashlib.sha256(os.fsencode(data.root)).hexdigest()[:24]
    return Path(base) / f"hexiao-{name}.sock"


def ask(data: DataDir, asked: Asked, out: Write, err: Write) -> int | None:
    """Have the holder run a command; None when nobody holds the directory.

    Raises ConnectionError when the holder went away before it answered.
    """
    if not hasattr(socket, "AF_UNIX"):
        return None
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(_CONNECT_S)
        try:
            link.connect(str(socket_path(data)))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        link.settimeout(None)
        link.sendall(_line({"argv": asked.argv, "lines": asked.lines}))
        with link.makefile("r", encoding="utf-8") as answers:
            for answer in answers:
                status = _take(json.loads(answer), out, err)
                if status is not None:
                    return status
    raise ConnectionError("the terminal ended before it answered")


def _take(answer: dict[str, object], out: Write, err: Write) -> int | None:
    if "exit" in answer:
        status = answer["exit"]
        assert isinstance(status, int)
        return status
    if "out" in answer:
        out(str(answer["out"]))
    else:
        err(str(answer.get("err", "")))
    return None


class ControlServer:
    """Serves commands for as long as the terminal runs; each in a thread of its own."""

    def __init__(self, data: DataDir, handler: Handler) -> None:
        self._path, self._handler = socket_path(data), handler
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Begin to answer. The caller holds the data directory, so an old socket is a dead one."""
        if not hasattr(socket, "AF_UNIX"):
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            listener.bind(str(self._path))
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
        self._listener = listener
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self._stopping.set()
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    def _serve(self) -> None:
        assert self._listener is not None
        while not self._stopping.is_set():
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    def _answer(self, link: socket.socket) -> None:
        with link, contextlib.suppress(OSError):
            if not _same_user(link):
                return
            with link.makefile("rb") as lines:
                asked = _read(lines.readline(_REQUEST_BYTES_MAX))
            if asked is None:
                return
            status = self._handler(asked, _writer(link, "out"), _writer(link, "err"))
            link.sendall(_line({"exit": status}))


def _writer(link: socket.socket, name: str) -> Write:
    def write(text: str) -> None:
        # The asker may be gone; what was asked is carried out all the same.
        with contextlib.suppress(OSError):
            link.sendall(_line({name: text}))

    return write


def _read(line: bytes) -> Asked | None:
    try:
        raw = json.loads(line)
        argv, lines = _texts(raw["argv"]), _texts(raw["lines"])
    except (ValueError, KeyError, TypeError):
        return None
    return Asked(argv, lines)


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("a command line is a list of texts")
    return tuple(str(value) for value in values)


def _line(message: dict[str, object]) -> bytes:
    return json.dumps(message, ensure_ascii=True).encode() + b"\n"


def _same_user(link: socket.socket) -> bool:
    """The socket's mode keeps others out already; the peer's uid is checked where it is told."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    raw = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", raw)
    return uid in (os.getuid(), 0)
