"""Which port is which device.

Responsible for: turning a configured port into a path or URL that can be opened now. A path or URL
stands for itself; `usb:VID:PID[:SERIAL]` and `usb-at:LOCATION` are looked up each time, because the
number in /dev/ttyUSB0 changes with the order of plugging. Not responsible for: opening anything.

Identity order: vid:pid:serial where the adapter has a serial number of its own; else the USB
location, because two CH340 adapters cannot be told apart; else the path a person configured.
A path that was opened once is followed by its identity from then on (`Whereabouts`): what is
plugged in second may get the number of what was pulled out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from serial.tools import list_ports


@dataclass(frozen=True, slots=True)
class PortFound:
    """A serial port that the system lists now. `location` is the USB path such as `1-2.3`."""

    path: str
    vid: int
    pid: int
    serial: str
    location: str
    product: str


def discover() -> tuple[PortFound, ...]:
    """Every USB serial port the system knows; ptys and network ports are never listed. Cheap."""
    return tuple(
        PortFound(
            path=port.device,
            vid=port.vid,
            pid=port.pid,
            serial=port.serial_number or "",
            location=port.location or "",
            product=port.product or "",
        )
        for port in list_ports.comports()
        if port.vid is not None and port.pid is not None
    )


def resolve(spec: str, ports: Iterable[PortFound] | None = None) -> str:
    """The path or URL to open for a configured port; the spec itself when nothing matches now."""
    if not spec.startswith(("usb:", "usb-at:")):
        return spec
    for port in discover() if ports is None else ports:
        if _matches(spec, port):
            return port.path
    return spec


def identity(port: PortFound, others: Iterable[PortFound]) -> str:
    """The most lasting way to name a port among the others that are plugged in."""
    twins = [
        other
        for other in others
        if other.path != port.path
        and (other.vid, other.pid, other.serial) == (port.vid, port.pid, port.serial)
    ]
    if port.serial and not twins:
        return f"usb:{port.vid:04x}:{port.pid:04x}:{port.serial}"
    return f"usb-at:{port.location}" if port.location else port.path


class Whereabouts:
    """Where one configured port is now. Used by one thread."""

    def __init__(self, spec: str) -> None:
        self._spec = spec

    def path(self) -> str:
        """The path or URL to open now; a lost device's identity while it is not plugged in."""
        return resolve(self._spec)

    def opened(self) -> None:
        """It was opened: whatever is there now is the device that is meant."""
        found = discover()
        self._spec = next(
            (identity(port, found) for port in found if port.path == self._spec), self._spec
        )


def _matches(spec: str, port: PortFound) -> bool:
    scheme, _, rest = spec.partition(":")
    if scheme == "usb-at":
        return rest == port.location
    vid, _, tail = rest.partition(":")
    pid, _, number = tail.partition(":")
    same_kind = (vid.lower(), pid.lower()) == (f"{port.vid:04x}", f"{port.pid:04x}")
    return same_kind and number in ("", port.serial)
