"""The profile of a device by the name in the settings.

Responsible for: joining the files that are shipped (`config.profiles`) with the reading of them
(`drivers`). Not responsible for: either of the two.
"""

from collections.abc import Callable
from typing import TypeVar

from config import profiles
from drivers.errors import DriverError
from drivers.escpos.profile import PrinterProfile, read_printer_profile
from drivers.scanner.profile import ScannerProfile, read_scanner_profile
from terminal.errors import Misconfigured

P = TypeVar("P")


def printer_profile(name: str) -> PrinterProfile:
    """A printer's profile. Raises Misconfigured, naming the profiles that there are."""
    return _read(name, read_printer_profile)


def scanner_profile(name: str) -> ScannerProfile:
    """A scanner's profile. Raises Misconfigured, naming the profiles that there are."""
    return _read(name, read_scanner_profile)


def scanner_profiles() -> tuple[ScannerProfile, ...]:
    """Every scanner's profile that is shipped."""
    found = []
    for name in profiles.names():
        try:
            found.append(scanner_profile(name))
        except Misconfigured:
            continue  # a printer's
    return tuple(found)


def _read(name: str, read: Callable[[str], P]) -> P:
    try:
        return read(profiles.profile_text(name))
    except (LookupError, DriverError) as error:
        raise Misconfigured(f"device profile {name!r}: {error}") from error
