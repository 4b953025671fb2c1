"""When the other side gives no usable answer.

    SyncError
    ├── NoContact        no answer that means anything; try again later
    │   ├── Unreachable  no connection, or it broke before the answer was whole
    │   ├── Slow         the time allowed ran out
    │   └── Garbled      an answer that is not of this protocol, or not signed by who it should be
    ├── Outdated         an answer older than one that came before it; ask again
    └── Refused          central said no, with a problem; `reason` is its machine name
        └── Busy         it said: not now (429 or 503), see `retry_after_s`

A refusal about a voucher is a value, not one of these, and so is a stream that must stop
(`sender.Fence`). `str()` is an English sentence.
"""

from typing import Literal

from sync.problems import Problem

Trouble = Literal["fork", "rolled_back", "revoked"]
"""Why a stream stopped. `fork`: two histories under one name; `rolled_back`: central knows more of
this terminal than its own disk; `revoked`: central no longer takes this terminal."""


class SyncError(Exception):
    """Base of all. `retry_after_s`: how long the other side asks to be left alone, if it does."""

    def __init__(self, message: str = "", retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NoContact(SyncError):
    """Nothing was learned: the request may or may not have had an effect."""


class Unreachable(NoContact):
    """No connection, or it broke."""


class Slow(NoContact):
    """No whole answer within the time allowed."""


class Garbled(NoContact):
    """What came is not an answer of this protocol."""


class Outdated(SyncError):
    """What came was read before something that is known already."""


class Refused(SyncError):
    """Central answered with problem details (RFC 9457)."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(
            f"central refused: {problem.reason} ({problem.status}) {problem.detail}",
            problem.retry_after_s,
        )
        self.problem = problem

    @property
    def reason(self) -> str:
        """The machine name at the end of the problem's type."""
        return self.problem.reason


class Busy(Refused):
    """Central wants to be asked again later."""
