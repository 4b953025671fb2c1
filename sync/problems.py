"""Problem details (RFC 9457): how central says no to a request.

Responsible for: their shape, the machine reasons in `type`, and reading any body as one. Not
responsible for: refusing a voucher; that is an ordinary answer.
Invariant: `type` ends in `/` and the machine reason.
"""

from typing import Final

import msgspec

MEDIA_TYPE: Final = "application/problem+json"
_PREFIX: Final = "/problems/"


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A no. Beyond RFC 9457: what the machine on the other side needs to go on.

    `retry_after_s` where waiting helps; `expected` with `gap`, the sequence central wants next;
    `limits` with `too_large`; `nonce` and the signed `time`, `kid`, `sig` with `clock_off`.
    """

    type: str
    status: int
    title: str = ""
    detail: str = ""
    retry_after_s: int | None = None
    expected: int | None = None
    limits: dict[str, int] | None = None
    nonce: str | None = None
    time: str | None = None
    kid: int | None = None
    sig: str | None = None

    @property
    def reason(self) -> str:
        """The machine name at the end of `type`."""
        return self.type.rpartition("/")[2]


_DECODER: Final = msgspec.json.Decoder(Problem)


def problem_type(reason: str) -> str:
    """The `type` of a reason: a reference that central resolves to words for people."""
    return _PREFIX + reason


def decode_problem(body: bytes) -> Problem | None:
    """Read problem details; None when the body is not one (a proxy's page, for instance)."""
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
