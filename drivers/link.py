"""One open port: bytes in by a reader thread, bytes out with a deadline and a count.

Responsible for: opening any pyserial URL or path, exclusively where the system can; the reader
thread; writes that end at a deadline and say how many bytes were taken; translating every
exception of pyserial and the system into `drivers.errors`. Not responsible for: what the bytes
mean, opening again after a loss, or choosing a port.

Invariants: `on_lost` is called at most once, and no `on_bytes` follows it; after `close` no
callback runs; a byte counted as taken is never offered again by this module. pyserial's `write` is
not used where there is a file descriptor: with a full buffer it spins without end (timeout 0 or
None) or raises a timeout although everything was taken. Where there is none (`rfc2217://`,
`spy://`, `loop://`, Windows) a chunk whose write timed out counts as taken, because its fate is
not known.
"""

import contextlib
import errno
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import serial

from drivers.errors import Claimed, DriverError, Misconfigured, NotPermitted, Unplugged

try:  # POSIX only; elsewhere every port uses pyserial's own methods
    import fcntl
    import termios

    _FAULTS: tuple[type[Exception], ...] = (
        OSError,
        TypeError,
        ValueError,
        NotImplementedError,
        termios.error,
    )
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]
    termios = None  # type: ignore[assignment]
    _FAULTS = (OSError, TypeError, ValueError, NotImplementedError)

CHUNK_BYTES = 256  # small enough that a deadline is met at 9600 baud, large enough for a raster
READ_BYTES = 4096
POLL_S = 0.1  # how often a port without a descriptor looks whether it is being closed
JOIN_S = 2.0
_OWN_WRITE_TIMEOUT = "rfc2217://"  # refuses a write timeout and gives up after 5 s by itself
_DESCRIPTOR_SCHEMES = frozenset({"", "socket", "emulated", "hwgrep"})


@dataclass(frozen=True, slots=True)
class LineSettings:
    """How the wire is set. `flow` is `none`, `rtscts` or `xonxoff`."""

    baud: int = 9600
    bits: int = 8
    parity: str = "N"
    stop: int = 1
    flow: str = "none"


class Link:
    """A port that is open, or not yet, or no longer. Build it, `open` it, `close` it once."""

    def __init__(
        self,
        port: str,
        settings: LineSettings,
        *,
        on_bytes: Callable[[bytes], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self.port = port
        self._settings = settings
        self._on_bytes = on_bytes
        self._on_lost = on_lost
        self._serial: Any = None
        self._fd: int | None = None
        self._wake: tuple[int, int] | None = None
        self._closing = threading.Event()
        self._reader: threading.Thread | None = None

    def open(self) -> None:
        """Open and start reading. Raises Misconfigured, NotPermitted, Claimed or Unplugged."""
        assert self._serial is None, "a link is opened once"
        device = _configured(self.port, self._settings)
        try:
            device.open()
            descriptor = _descriptor(device, self.port)
        except _FAULTS as fault:
            _close_quietly(device)
            raise _translated(self.port, fault) from None
        self._serial, self._fd = device, descriptor
        _claim(descriptor, self.port)
        if descriptor is not None:
            self._wake = os.pipe()
        self._reader = threading.Thread(target=self._read, name=f"read {self.port}", daemon=True)
        self._reader.start()

    def write(self, data: bytes, *, timeout_ms: int) -> int:
        """Offer bytes until all are taken or the time is up; how many were taken.

        Fewer than offered means that the device does not take more now. Raises Unplugged.
        """
        if self._serial is None or self._closing.is_set():
            raise Unplugged(f"{self.port} is not open")
        try:
            if self._fd is None:
                return self._write_by_methods(data, timeout_ms)
            return self._write_descriptor(self._fd, data, timeout_ms)
        except _FAULTS as fault:
            raise Unplugged(f"{self.port} went away while writing: {fault}") from None

    def held(self) -> bool:
        """Whether the device's wire holds the host back now; False where that cannot be seen."""
        return self._clear_to_send() is False

    def sees_wire(self) -> bool:
        """Whether `held` can be told at all. A pty and a network socket have no such wire."""
        return self._clear_to_send() is not None

    def _clear_to_send(self) -> bool | None:
        if self._settings.flow != "rtscts" or self._serial is None:
            return None
        try:
            return bool(self._serial.cts)
        except AttributeError:
            return None
        except _FAULTS:  # a pty has no such wire
            return None

    def discard_output(self) -> None:
        """Throw away what the system took but the device has not: it must not come out later."""
        if self._serial is not None:
            with contextlib.suppress(*_FAULTS, AttributeError):
                self._serial.reset_output_buffer()

    def close(self) -> None:
        """Stop reading and let go of the port. Harmless when it is lost or was closed before."""
        self._closing.set()
        if self._wake is not None:
            os.write(self._wake[1], b"x")
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(JOIN_S)
        if self._serial is not None:
            _release(self._fd)
            _close_quietly(self._serial)
        if self._wake is not None:
            for end in self._wake:
                os.close(end)
        self._serial, self._wake, self._fd = None, None, None

    def _write_descriptor(self, descriptor: int, data: bytes, timeout_ms: int) -> int:
        deadline = time.monotonic() + timeout_ms / 1000
        taken = 0
        while taken < len(data) and (remaining := deadline - time.monotonic()) > 0:
            writable = select.select([], [descriptor], [], remaining)[1]
            if not writable:
                break
            try:
                taken += os.write(descriptor, data[taken : taken + CHUNK_BYTES])
            except BlockingIOError:  # a tty may say "writable" and yet take nothing
                self._closing.wait(0.002)
        return taken

    def _write_by_methods(self, data: bytes, timeout_ms: int) -> int:
        deadline = time.monotonic() + timeout_ms / 1000
        taken = 0
        while taken < len(data) and (remaining := deadline - time.monotonic()) > 0:
            chunk = data[taken : taken + CHUNK_BYTES]
            if not self.port.lower().startswith(_OWN_WRITE_TIMEOUT):
                self._serial.write_timeout = max(remaining, 0.01)
            try:
                self._serial.write(chunk)
            except serial.SerialTimeoutException:
                return taken + len(chunk)
            taken += len(chunk)
        return taken

    def _read(self) -> None:
        reason = f"{self.port} was closed by the other side"
        incoming = self._by_methods() if self._fd is None else self._by_descriptor(self._fd)
        while True:
            try:
                data = next(incoming, None)
            except _FAULTS as fault:
                reason = f"{self.port} went away: {fault}"
                break
            if data is None or self._closing.is_set():
                break
            self._on_bytes(data)  # outside the try: a fault in there is a bug, not a loss
        if not self._closing.is_set():
            self._on_lost(reason)

    def _by_descriptor(self, descriptor: int) -> Iterator[bytes]:
        assert self._wake is not None
        wake = self._wake[0]
        while True:
            ready = select.select([descriptor, wake], [], [])[0]
            if wake in ready:
                return
            try:
                data = os.read(descriptor, READ_BYTES)
            except BlockingIOError:
                continue
            if not data:  # readable and yet nothing: the device is gone
                return
            yield data

    def _by_methods(self) -> Iterator[bytes]:
        while not self._closing.is_set():
            data = self._serial.read(max(1, min(self._serial.in_waiting, READ_BYTES)))
            if data:
                yield bytes(data)


def _configured(port: str, settings: LineSettings) -> Any:
    plain = "://" not in port
    try:
        return serial.serial_for_url(
            port,
            do_not_open=True,
            baudrate=settings.baud,
            bytesize=settings.bits,
            parity=settings.parity,
            stopbits=settings.stop,
            rtscts=settings.flow == "rtscts",
            xonxoff=settings.flow == "xonxoff",
            timeout=POLL_S,
            exclusive=True if plain and fcntl is not None else None,
        )
    except _FAULTS as fault:
        raise Misconfigured(f"{port} is not a port that can be opened: {fault}") from None


def _descriptor(device: Any, port: str) -> int | None:
    scheme = port.partition("://")[0].lower() if "://" in port else ""
    if fcntl is None or scheme not in _DESCRIPTOR_SCHEMES:
        return None
    descriptor: int = device.fileno()
    os.set_blocking(descriptor, False)
    return descriptor


def _claim(descriptor: int | None, port: str) -> None:
    # flock keeps out those who ask for it; TIOCEXCL keeps out everybody but root.
    if descriptor is not None and "://" not in port:
        with contextlib.suppress(*_FAULTS):
            fcntl.ioctl(descriptor, termios.TIOCEXCL)


def _release(descriptor: int | None) -> None:
    if descriptor is not None:
        with contextlib.suppress(*_FAULTS):
            fcntl.ioctl(descriptor, termios.TIOCNXCL)


def _close_quietly(device: Any) -> None:
    with contextlib.suppress(*_FAULTS, AttributeError):
        device.close()


def _translated(port: str, fault: Exception) -> DriverError:
    """The driver error for a failed open: what may heal by waiting is kept apart."""
    number = _number(fault)
    if number in (errno.EAGAIN, errno.EBUSY):
        return Claimed(f"{port} is held by another program")
    if number in (errno.EACCES, errno.EPERM):
        return NotPermitted(f"{port} may not be opened by this account: {fault}")
    wrong = any(isinstance(cause, ValueError | TypeError) for cause in _causes(fault))
    if wrong or number in (errno.ENOTTY, errno.EISDIR, errno.EINVAL):
        return Misconfigured(f"{port} cannot be used as a serial port: {fault}")
    return Unplugged(f"{port} could not be opened: {fault}")


def _causes(fault: BaseException) -> Iterator[BaseException]:
    """A fault and what it was raised from: pyserial keeps the reason only there."""
    cause: BaseException | None = fault
    while cause is not None:
        yield cause
        cause = cause.__context__


def _number(fault: BaseException) -> int | None:
    """The system's error number."""
    for cause in _causes(fault):
        number = getattr(cause, "errno", None) or (cause.args[0] if cause.args else None)
        if isinstance(number, int):
            return number
    return None
