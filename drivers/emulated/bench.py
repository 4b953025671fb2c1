"""Where the emulated devices of one process stand, by name.

Responsible for: making a device the first time its URL is opened, handing the host one end of a
wire, and letting a test or a demo reach the same device by name. Not responsible for: how a device
behaves. Invariant: a device is not thrown away when the host closes the port: like a real one it
keeps its paper, its buffer and its faults.
"""

import errno
import socket
import threading
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import serial

from drivers.emulated.idcard import EmulatedIdCardReader
from drivers.emulated.printer import EmulatedPrinter
from drivers.emulated.scanner import EmulatedScanner

WAIT_FREE_S = 0.2  # a host that just closed the port is noticed by the device's thread
DeviceMade = EmulatedPrinter | EmulatedScanner | EmulatedIdCardReader


class Bench:
    """The devices, made when first asked for."""

    def __init__(self) -> None:
        self._devices: dict[tuple[str, str], DeviceMade] = {}
        self._lock = threading.Lock()

    def connect(self, url: str) -> socket.socket:
        """The host's end of a new wire to the device that a URL names. Raises SerialException."""
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=False))
        kind = parts.netloc.lower()
        if kind not in ("printer", "scanner", "idcard"):
            raise ValueError(f"emulated://{kind}: there is only a printer, a scanner and an idcard")
        name = options.pop("name", kind)
        with self._lock:
            device = self._devices.get((kind, name)) or _made(kind, options)
            self._devices[kind, name] = device
        if not device.plugged:
            raise serial.SerialException(errno.ENOENT, f"{url} is not plugged in")
        if not device.free(WAIT_FREE_S):
            raise serial.SerialException(errno.EBUSY, f"{url} is open elsewhere")
        host, end = socket.socketpair()
        device.attach_socket(end)
        return host

    def clear_to_send(self, url: str) -> bool:
        """Whether the device that a URL names lets the host send; only printers hold it."""
        parts = urlsplit(url)
        name = dict(parse_qsl(parts.query)).get("name", parts.netloc.lower())
        with self._lock:
            device = self._devices.get((parts.netloc.lower(), name))
        return not isinstance(device, EmulatedPrinter) or device.clear_to_send()

    def printer(self, name: str = "printer", **options: str) -> EmulatedPrinter:
        """The printer of that name, made with these options if it is not there yet."""
        device = self._device("printer", name, options)
        assert isinstance(device, EmulatedPrinter)
        return device

    def scanner(self, name: str = "scanner", **options: str) -> EmulatedScanner:
        """The scanner of that name, made with these options if it is not there yet."""
        device = self._device("scanner", name, options)
        assert isinstance(device, EmulatedScanner)
        return device

    def card_reader(self, name: str = "idcard", **options: str) -> EmulatedIdCardReader:
        """The ID card reader of that name, made with these options if it is not there yet."""
        device = self._device("idcard", name, options)
        assert isinstance(device, EmulatedIdCardReader)
        return device

    def clear(self) -> None:
        """Stop and forget every device."""
        with self._lock:
            devices, self._devices = list(self._devices.values()), {}
        for device in devices:
            device.stop()

    def _device(self, kind: str, name: str, options: Mapping[str, str]) -> DeviceMade:
        with self._lock:
            if (kind, name) not in self._devices:
                self._devices[kind, name] = _made(kind, options)
            return self._devices[kind, name]


def _made(kind: str, options: Mapping[str, str]) -> DeviceMade:
    if kind == "printer":
        return EmulatedPrinter.from_options(options)
    if kind == "scanner":
        return EmulatedScanner.from_options(options)
    return EmulatedIdCardReader.from_options(options)


BENCH = Bench()
