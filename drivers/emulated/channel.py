"""The device's end of a wire: a pty, a pair of sockets, or a TCP connection.

Responsible for: reading and writing the device's side without blocking, and pulling the plug.
Not responsible for: what the bytes mean. Invariant: nothing here raises when the host went away;
`read` answers `None` then.
"""

import contextlib
import os
import socket
import tty
from pathlib import Path
from typing import Protocol

READ_BYTES = 4096


class Channel(Protocol):
    """One end of a wire."""

    def fileno(self) -> int:
        """For `select`; -1 when closed."""
        ...

    def read(self, limit: int) -> bytes | None:
        """What the host sent, at most `limit` bytes; empty for nothing yet, None when it left."""
        ...

    def write(self, data: bytes) -> None:
        """Send to the host; what does not fit is lost, as on a real wire."""
        ...

    def close(self) -> None:
        """Pull the plug."""
        ...


class SocketChannel:
    """A connected socket, from `socketpair` or `accept`."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        connection.settimeout(0)

    def fileno(self) -> int:
        """For `select`; -1 when closed."""
        return self._socket.fileno()

    def read(self, limit: int) -> bytes | None:
        """See `Channel`."""
        try:
            return self._socket.recv(limit) or None
        except BlockingIOError:
            return b""
        except OSError:
            return None

    def write(self, data: bytes) -> None:
        """See `Channel`."""
        with contextlib.suppress(OSError):
            self._socket.send(data)

    def close(self) -> None:
        """See `Channel`."""
        self._socket.close()


class PtyChannel:
    """A pseudo terminal. `path` is what the host opens; `link`, if given, is a lasting name for it.

    The device keeps the host's side open too, else it would see a hang-up before the host comes.
    """

    def __init__(self, link: Path | None = None) -> None:
        self._device, self._host = os.openpty()
        tty.setraw(self._host)
        os.set_blocking(self._device, False)
        self.path = os.ttyname(self._host)
        self._link = link
        if link is not None:
            if link.is_symlink():  # left behind; anything else that has the name is somebody's
                link.unlink()
            link.symlink_to(self.path)

    def fileno(self) -> int:
        """For `select`; -1 when closed."""
        return self._device

    def read(self, limit: int) -> bytes | None:
        """See `Channel`."""
        try:
            return os.read(self._device, limit)
        except BlockingIOError:
            return b""
        except OSError:
            return None

    def write(self, data: bytes) -> None:
        """See `Channel`."""
        with contextlib.suppress(OSError):
            os.write(self._device, data)

    def close(self) -> None:
        """See `Channel`; the lasting name goes with it, as under /dev/serial/by-id."""
        if self._device >= 0:
            os.close(self._device)
            os.close(self._host)
            self._device = self._host = -1
            if self._link is not None:
                self._link.unlink(missing_ok=True)
