"""The thread behind an emulated device: one wire, perhaps a TCP door and a named pipe for orders.

Responsible for: accepting one host at a time, moving bytes between the wire and the device, waking
the device when its time has come, and pulling the plug. Not responsible for: what a device does;
that is a `Device`. Invariants: the device is touched by one thread at a time, under `lock`; the
thread ends with `stop`, and a host that leaves does not disturb the device.
"""

import contextlib
import os
import select
import socket
import threading
import time
from pathlib import Path
from typing import Protocol

from drivers.emulated.channel import READ_BYTES, Channel, PtyChannel, SocketChannel

TICK_MS_MAX = 1_000.0
JOIN_S = 2.0


class Device(Protocol):
    """What a station serves. Times are milliseconds of one monotonic clock."""

    def room(self) -> int:
        """How many bytes it takes now."""
        ...

    def receive(self, data: bytes, now_ms: float) -> None:
        """The host sent bytes."""
        ...

    def advance(self, now_ms: float) -> bytes:
        """Time passed; bytes for the host."""
        ...

    def next_ms(self) -> float | None:
        """When to be called again, or None."""
        ...

    def order(self, line: str) -> None:
        """A line written to the named pipe."""
        ...

    def settled(self) -> None:
        """Everything that was due is done; a moment to write files."""
        ...


def now_ms() -> float:
    """The monotonic clock of the emulated world."""
    return time.monotonic() * 1000


class Station:
    """Build it with a device; attach a wire; `stop` it."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.lock = threading.RLock()
        self.plugged = True
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_out, False)
        self._channel: Channel | None = None
        self._listener: socket.socket | None = None
        self._pipe: int | None = None
        self._pipe_rest = b""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="emulated device", daemon=True)
        self._thread.start()

    @property
    def connected(self) -> bool:
        """A host has the port open."""
        return self._channel is not None

    def free(self, patience_s: float) -> bool:
        """Whether no host has the port open, waiting a moment for one that is just leaving."""
        deadline = time.monotonic() + patience_s
        pause = threading.Event()
        while self.connected and time.monotonic() < deadline:
            self.wake()
            pause.wait(0.002)
        return not self.connected

    def attach(self, channel: Channel) -> None:
        """Give the device a wire; the one before is pulled."""
        with self.lock:
            if self._channel is not None:
                self._channel.close()
            self._channel, self.plugged = channel, True
        self.wake()

    def attach_socket(self, end: socket.socket) -> None:
        """Give the device one end of a pair of sockets."""
        self.attach(SocketChannel(end))

    def attach_pty(self, link: Path | None = None) -> str:
        """Give the device a pseudo terminal; the path for the host."""
        channel = PtyChannel(link)
        self.attach(channel)
        return channel.path

    def listen(self, host: str, port: int) -> int:
        """Open a TCP door; the port number (0 asks for a free one). One host at a time."""
        listener = socket.create_server((host, port), backlog=4)
        listener.settimeout(0)
        with self.lock:
            self._listener = listener
        self.wake()
        return int(listener.getsockname()[1])

    def take_orders(self, path: Path) -> None:
        """Read orders from a named pipe, made if it is not there. Raises ValueError."""
        if not path.exists():
            os.mkfifo(path, 0o600)
        if not path.is_fifo():  # a file never ends being read
            self.stop()
            raise ValueError(f"{path} is no named pipe")
        # Opened for both directions so that it never reads as ended between two writers.
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.wake()

    def unplug(self) -> None:
        """Pull the plug: the host sees the port go away."""
        with self.lock:
            self.plugged = False
            if self._channel is not None:
                self._channel.close()
                self._channel = None
        self.wake()

    def replug(self) -> None:
        """Put the plug back: an `emulated://` or TCP port may be opened again."""
        self.plugged = True
        self.wake()

    def stop(self) -> None:
        """End the thread and let go of everything."""
        self._stopping = True
        self.wake()
        if self._thread is not threading.current_thread():
            self._thread.join(JOIN_S)

    def wake(self) -> None:
        """Look again now: a lever was pulled."""
        with contextlib.suppress(OSError):
            os.write(self._wake_out, b"x")

    def _run(self) -> None:
        while not self._stopping:
            try:
                ready = select.select(self._watched(), [], [], self._patience_s())[0]
            except (OSError, ValueError):  # the wire was pulled while waiting for it
                continue
            with self.lock:
                self._round(ready)
        self._let_go()

    def _watched(self) -> list[int]:
        with self.lock:
            watched = [self._wake_in]
            if self._pipe is not None:
                watched.append(self._pipe)
            if self._channel is not None and self.device.room() > 0:
                watched.append(self._channel.fileno())
            if self._channel is None and self._listener is not None and self.plugged:
                watched.append(self._listener.fileno())
        return watched

    def _patience_s(self) -> float:
        with self.lock:
            due = self.device.next_ms()
        wait_ms = TICK_MS_MAX if due is None else due - now_ms()
        return min(max(wait_ms, 0.0), TICK_MS_MAX) / 1000

    def _round(self, ready: list[int]) -> None:
        if self._wake_in in ready:
            os.read(self._wake_in, 4096)
        if self._pipe is not None and self._pipe in ready:
            self._read_orders(self._pipe)
        if self._listener is not None and self._listener.fileno() in ready:
            self._accept(self._listener)
        if self._channel is not None and self._channel.fileno() in ready:
            self._read_wire(self._channel)
        reply = self.device.advance(now_ms())
        if reply and self._channel is not None:
            self._channel.write(reply)
        self.device.settled()

    def _read_wire(self, channel: Channel) -> None:
        room = min(self.device.room(), READ_BYTES)
        if room == 0:  # it filled up since it was asked; reading nothing would look like an end
            return
        data = channel.read(room)
        if data is None:
            channel.close()
            self._channel = None
        elif data:
            self.device.receive(data, now_ms())

    def _read_orders(self, pipe: int) -> None:
        lines = (self._pipe_rest + os.read(pipe, 4096)).split(b"\n")
        self._pipe_rest = lines.pop()
        for line in lines:
            self.device.order(line.decode("utf-8", "replace"))

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection = listener.accept()[0]
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.attach(SocketChannel(connection))

    def _let_go(self) -> None:
        with self.lock:
            if self._channel is not None:
                self._channel.close()
            if self._listener is not None:
                self._listener.close()
            for descriptor in (self._pipe, self._wake_in, self._wake_out):
                if descriptor is not None:
                    os.close(descriptor)
            self._channel = self._listener = self._pipe = None
            self.device.settled()
