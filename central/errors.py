"""When the central service says no, and when it cannot answer.

    Refused (a value)     a business refusal: nothing was changed, a person can read why
    CentralError
    ├── OutOfService      the database or the disk is not usable
    │   └── OutcomeUnknown  … since the moment in which it was to keep what was done
    └── Misconfigured     settings or the database are wrong; a person must change something

Refusals at the counter have a closed list of their own (`vouchers.reasons`); the reasons here are
those of the back office and of the sync API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Refused:
    """A no from the back office: machine name, English sentence, and what the sentence is about."""

    reason: str
    message: str
    detail: Mapping[str, object] = field(default_factory=dict)


class CentralError(Exception):
    """Base of all; `str()` is an English sentence that says what to do next."""


class OutOfService(CentralError):
    """Nothing was done: exit status 3."""


class OutcomeUnknown(OutOfService):
    """The COMMIT failed: it was done, or it was not. Whoever asks again by the same name (a serial,
    a claim, an order's id) gets what holds.
    """


class Misconfigured(CentralError):
    """Wrong settings, or a database that is not ours or not up to date: exit status 2."""
