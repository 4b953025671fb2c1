"""pyserial's handler for `emulated://`: the class that `serial_for_url` makes.

Responsible for: being a pyserial port whose other end is a device on the bench. It has a file
descriptor, so `drivers.link` treats it exactly like a serial port; the methods below serve other
pyserial programs. Not responsible for: the device.
"""

import select
import socket
from typing import Any

from serial.serialutil import (
    PortNotOpenError,
    SerialBase,
    SerialException,
    SerialTimeoutException,
    Timeout,
)

from drivers.emulated.bench import BENCH


class Serial(SerialBase):  # type: ignore[misc]
    """A port to an emulated device."""

    is_open: bool

    def open(self) -> None:
        """Connect to the device; raises SerialException when it is unplugged or in use."""
        if self.is_open:
            raise SerialException("the port is already open")
        self._socket: socket.socket | None = BENCH.connect(str(self._port))
        self._socket.settimeout(0)
        self.is_open = True

    def close(self) -> None:
        """Disconnect."""
        if self.is_open:
            self._connected().close()
            self.is_open, self._socket = False, None

    def fileno(self) -> int:
        """The descriptor of the wire."""
        return self._connected().fileno()

    @property
    def in_waiting(self) -> int:
        """At least how many bytes can be read at once."""
        return len(select.select([self._connected()], [], [], 0)[0])

    @property
    def cts(self) -> bool:
        """The device lets this side send."""
        return BENCH.clear_to_send(str(self._port))

    def read(self, size: int = 1) -> bytes:
        """Bytes until `size` or the timeout."""
        wire, data, timeout = self._connected(), bytearray(), Timeout(self._timeout)
        while len(data) < size:
            ready = select.select([wire], [], [], timeout.time_left())[0]
            if not ready:
                break
            try:
                piece = wire.recv(size - len(data))
            except OSError:
                piece = b""
            if not piece:
                raise SerialException("the device was unplugged")
            data += piece
        return bytes(data)

    def write(self, data: Any) -> int:
        """Send all or raise SerialTimeoutException."""
        wire, rest, timeout = self._connected(), bytes(data), Timeout(self._write_timeout)
        total = len(rest)
        while rest:
            if not select.select([], [wire], [], timeout.time_left())[1]:
                raise SerialTimeoutException("the device takes no more")
            try:
                rest = rest[wire.send(rest) :]
            except OSError as fault:
                raise SerialException(f"the device was unplugged: {fault}") from fault
        return total

    def flush(self) -> None:
        """Nothing to wait for: the device has what was sent."""

    def reset_input_buffer(self) -> None:
        """Throw away what the device has sent."""
        wire = self._connected()
        while select.select([wire], [], [], 0)[0] and wire.recv(4096):
            pass

    def reset_output_buffer(self) -> None:
        """Nothing waits on this side."""

    def _reconfigure_port(self) -> None:
        """An emulated wire has no settings."""

    def _connected(self) -> socket.socket:
        if not self.is_open or self._socket is None:
            raise PortNotOpenError()
        return self._socket
