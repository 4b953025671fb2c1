"""What can go wrong between this machine and a device.

    DriverError
    ├── Misconfigured   the port, a profile or a setting is wrong: a person must change something
    ├── NotPermitted    the port is there but may not be opened (group, udev rule still to come)
    ├── Claimed         another program holds the port
    ├── Unplugged       the port is not there, or went away while it was used
    └── Stalled         the device took fewer bytes than offered before the deadline

Responsible for: the only exceptions that leave this package; `SerialException`, `OSError`,
`termios.error` and the stray `TypeError` of a closed port are translated in `drivers.link`.
`NotPermitted`, `Claimed` and `Unplugged` may heal by themselves and are tried again;
`Misconfigured` is not. What a printer or scanner *says* (paper out, cover open) is a value, never
an exception.
"""


class DriverError(Exception):
    """Base of all; `str()` is an English sentence about one port."""


class Misconfigured(DriverError):
    """Trying again will not help."""


class NotPermitted(DriverError):
    """Opening the port is not allowed to this account, or not yet."""


class Claimed(DriverError):
    """The port is held by another program."""


class Unplugged(DriverError):
    """The port is gone."""


class Stalled(DriverError):
    """Not everything was taken in time. Bytes taken may be on paper and are never sent again."""

    def __init__(self, message: str, *, taken: int, offered: int) -> None:
        super().__init__(f"{message} ({taken} of {offered} bytes taken)")
        self.taken = taken
        self.offered = offered
