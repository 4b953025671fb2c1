"""What a device's thread tells the rest of the program about the device itself.

Responsible for: one frozen value for "found", "lost" and "wrong". Not responsible for: scans, jobs
and printer status, which have values of their own.
"""

from dataclasses import dataclass
from enum import StrEnum


class Presence(StrEnum):
    """Whether the port is there and usable."""

    FOUND = "found"
    LOST = "lost"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """The presence of a device changed. `detail` is an English sentence for the log and doctor."""

    device: str
    presence: Presence
    detail: str
    at: int
