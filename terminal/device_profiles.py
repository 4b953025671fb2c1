"""The profile of a device by the name in the settings.

Responsible for: joining the files that are shipped (`config.profiles`), or a file of the owner's,
with the reading of them (`drivers`). Not responsible for: either of the two.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from config import profiles
from config.loader import Loaded
from drivers.errors import DriverError
from drivers.escpos.profile import PrinterProfile, read_printer_profile
from drivers.scanner.profile import ScannerProfile, read_scanner_profile
from terminal.errors import Misconfigured

P = TypeVar("P")

OWN_SUFFIX: Final = ".toml"
"""A name that ends so is a file of the owner's, relative to the settings file."""


def printer_of(loaded: Loaded) -> PrinterProfile:
    """The printer's profile that the settings name. Raises Misconfigured."""
    return _chosen(loaded, loaded.settings.printer.profile, read_printer_profile)


def scanner_of(loaded: Loaded) -> ScannerProfile:
    """The scanner's profile that the settings name. Raises Misconfigured."""
    return _chosen(loaded, loaded.settings.scanner.profile, read_scanner_profile)


def printer_profiles() -> tuple[PrinterProfile, ...]:
    """Every printer's profile that is shipped."""
    return _all(printer_profile)


def printer_profile(name: str) -> PrinterProfile:
    """A printer's profile. Raises Misconfigured, naming the profiles that there are."""
    return _read(name, read_printer_profile)


def scanner_profile(name: str) -> ScannerProfile:
    """A scanner's profile. Raises Misconfigured, naming the profiles that there are."""
    return _read(name, read_scanner_profile)


def scanner_profiles() -> tuple[ScannerProfile, ...]:
    """Every scanner's profile that is shipped."""
    return _all(scanner_profile)


def _all(read_one: Callable[[str], P]) -> tuple[P, ...]:
    found = []
    for name in profiles.names():
        with suppress(Misconfigured):  # of the other kind
            found.append(read_one(name))
    return tuple(found)


def _chosen(loaded: Loaded, name: str, read: Callable[[str], P]) -> P:
    if not name.endswith(OWN_SUFFIX):
        return _read(name, read)
    path = loaded.resolve(name)
    try:
        return read(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, DriverError) as error:
        raise Misconfigured(f"device profile {path}: {error}") from error


def _read(name: str, read: Callable[[str], P]) -> P:
    try:
        return read(profiles.profile_text(name))
    except (LookupError, DriverError) as error:
        raise Misconfigured(f"device profile {name!r}: {error}") from error
