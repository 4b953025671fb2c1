"""When the terminal cannot answer.

    TerminalError
    ├── OutOfService     the journal, disk, key or device needed is not usable; nothing was done
    ├── OutcomeUnknown   a COMMIT raised: whether it stands is decided after reopening
    ├── Misconfigured    settings, enrolment or keys are wrong; a person must change something
    └── HeldElsewhere    another process holds the data directory

Refusals are values (`vouchers.reasons`), bugs are assertions; everything else is one of these.
"""

from collections.abc import Mapping

from msgspec import Struct, field


class TerminalError(Exception):
    """Base of all; `str()` is an English sentence that says what to do next."""


class OutOfService(TerminalError):
    """Nothing was done; the person is told what to do before trying again.

    `phrase` names the words for a clerk (`words.trouble`) and `detail` fills them in; where it is
    empty, only who installs or repairs the terminal meets the error.
    """

    phrase = ""

    def __init__(self, message: str, phrase: str = "", **detail: object) -> None:
        super().__init__(message)
        self.phrase = phrase or self.phrase
        self.detail = detail


class JournalOut(OutOfService):
    """The journal cannot be read or written."""

    phrase = "journal"


class ScanAgain(OutOfService):
    """What was on the screen is no longer open."""

    phrase = "scan_again"


class OutcomeUnknown(TerminalError):
    """A commit raised; the request id finds the answer once the journal is open again."""

    def __init__(self, message: str, request: str | None = None) -> None:
        super().__init__(message)
        self.request = request


class Misconfigured(TerminalError):
    """Wrong settings or keys: exit status 2."""


class Trouble(Struct, frozen=True):
    """An error as a value: its English sentence, and the words for a clerk where it has some."""

    message: str
    phrase: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


def trouble_of(error: Exception) -> Trouble:
    """What a screen or a command shows of an error; of a bug only its name."""
    if isinstance(error, OutOfService):
        return Trouble(str(error), error.phrase, error.detail)
    return Trouble(str(error) if isinstance(error, TerminalError) else type(error).__name__)


def said_of(error: OSError) -> str:
    """What the system says is wrong, and with which file, for people."""
    return f"{error.strerror or error}: {error.filename or 'the data directory'}"


class HeldElsewhere(TerminalError):
    """Another process holds the data directory and did not let go in time."""

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid
