"""The one contract of everything that turns bytes into scans, and which profile uses which.

Responsible for: the port between `serial_scanner` and the framers. Pure.
"""

from typing import Protocol

from drivers.scanner.framer import Framer
from drivers.scanner.profile import ScannerProfile
from drivers.scanner.scan import Scan
from drivers.scanner.ssi import SsiFramer


class Framing(Protocol):
    """Bytes and time in, scans and replies out."""

    def feed(self, data: bytes, now_ms: int) -> list[Scan]:
        """Take bytes that arrived now."""
        ...

    def tick(self, now_ms: int) -> list[Scan]:
        """Time passed."""
        ...

    def due_ms(self) -> int | None:
        """When `tick` has something to do, or None."""
        ...

    def reset(self) -> None:
        """The link was lost."""
        ...

    def replies(self) -> bytes:
        """Bytes to send back to the scanner now."""
        ...


def framer_for(profile: ScannerProfile) -> Framing:
    """The framer a profile asks for."""
    return SsiFramer(profile) if profile.framing == "ssi" else Framer(profile)
