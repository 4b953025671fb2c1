"""When the terminal cannot answer.

    TerminalError
    ├── OutOfService     the journal, disk, key or device needed is not usable; nothing was done
    ├── OutcomeUnknown   a COMMIT raised: whether it stands is decided after reopening
    ├── Misconfigured    settings, enrolment or keys are wrong; a person must change something
    └── HeldElsewhere    another process holds the data directory

Refusals are values (`vouchers.reasons`), bugs are assertions; everything else is one of these.
"""


class TerminalError(Exception):
    """Base of all; `str()` is an English sentence that says what to do next."""


class OutOfService(TerminalError):
    """Nothing was done; the person is told what to do before trying again."""


class OutcomeUnknown(TerminalError):
    """A commit raised; the request id finds the answer once the journal is open again."""

    def __init__(self, message: str, request: str | None = None) -> None:
        super().__init__(message)
        self.request = request


class Misconfigured(TerminalError):
    """Wrong settings or keys: exit status 2."""


def said_of(error: OSError) -> str:
    """What the system says is wrong, and with which file, for people."""
    return f"{error.strerror or error}: {error.filename or 'the data directory'}"


class HeldElsewhere(TerminalError):
    """Another process holds the data directory and did not let go in time."""

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid
