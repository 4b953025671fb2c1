"""A request as it came over the wire, and an answer as it goes.

Responsible for: who calls, unpacking and decoding a body, packing an answer, problem details
(RFC 9457). Not responsible for: any route. Invariants: a signature is checked over the bytes of the
wire before anything is unpacked; nothing unfolds beyond its limit; an answer to a body that cannot
be read is a problem, never a traceback.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from anyio import to_thread
from litestar import Request, Response
from litestar.exceptions import HTTPException

from central.auth import Called, Gate
from central.errors import OutOfService
from central.grouping import Group
from central.service import Central
from sync import coding
from sync.errors import Garbled
from sync.limits import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, SCHEMAS_SERVED, SMALL_REQUEST_BYTES_MAX
from sync.messages import encode
from sync.problems import MEDIA_TYPE, Problem, problem_type
from sync.signing import Message, SignatureError

T = TypeVar("T")
AnyRequest = Request[Any, Any, Any]

_LOG: Final = logging.getLogger(__name__)
_HUNG_UP: Final = "client disconnected prematurely"
"""What the framework says of a body that does not come to its end."""

_UNFOLDING: Final = 8
"""Look this far beyond the limit, so that a body that is merely too large gets 413, not 400."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What every route works with: one per process."""

    central: Central
    gate: Gate
    uploads: Group = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nobody waiting."""
        object.__setattr__(self, "uploads", Group(self.central))


class ProblemError(Exception):
    """A no on the level of HTTP; the exception handler turns it into problem details."""

    def __init__(self, status: int, reason: str, detail: str, **more: Any) -> None:
        """`more` are further fields of `sync.problems.Problem`."""
        super().__init__(detail)
        self.problem = Problem(
            type=problem_type(reason),
            status=status,
            title=reason.replace("_", " "),
            detail=detail,
            **more,
        )


def desk(request: AnyRequest) -> Desk:
    """The desk of this process."""
    found = request.app.state["desk"]
    assert isinstance(found, Desk)
    return found


def called(request: AnyRequest, body: bytes, *, any_epoch: bool = False) -> Called:
    """Who signed this request. `any_epoch`: a key of an earlier epoch will do, and a terminal that
    is fenced or revoked (journal uploads, hello).
    """
    message = _message(request, body)
    return _believed(request, message, any_epoch=any_epoch)


async def called_lately(request: AnyRequest) -> Called:
    """Who signed this request without a body, as of lately (`Gate.called`); for the event loop."""
    message = _message(request, b"")
    ask = partial(_believed, request, message, lately=True)
    gate = desk(request).gate
    if not gate.remembers(message):
        await to_thread.run_sync(gate.refresh)
    if gate.remembers(message):
        return ask()
    return await to_thread.run_sync(ask)


def _believed(
    request: AnyRequest,
    message: Message,
    *,
    any_epoch: bool = False,
    lately: bool = False,
) -> Called:
    check_schema(number(request, "schema", SCHEMAS_SERVED[-1], 2**31))
    gate = desk(request).gate
    try:
        caller = gate.called(message, lately=lately)
        if caller.epoch != caller.terminal.epoch and not any_epoch:
            raise SignatureError("unknown_key", "this terminal has been paired again since")
    except SignatureError as error:
        more = gate.server_time() if error.fault == "clock_off" else {}
        raise ProblemError(401, error.fault, str(error), **more) from error
    if caller.terminal.state == "revoked" and not any_epoch:
        raise revoked()
    if caller.terminal.state == "fenced" and not any_epoch:
        raise ProblemError(409, "fork", "this terminal is fenced after a fork; pair it again")
    return caller


def revoked() -> ProblemError:
    """What a revoked terminal is told, whatever it asks but to upload."""
    words = "head office has closed this terminal; what it still has may be uploaded"
    return ProblemError(403, "revoked", words)


def _message(request: AnyRequest, body: bytes) -> Message:
    query = request.scope["query_string"].decode("latin-1")
    path = request.scope["raw_path"].decode("latin-1")
    return Message(
        method=request.method,
        authority=request.headers.get("host", ""),
        target=f"{path}?{query}" if query else path,
        headers=dict(request.headers),
        body=body,
    )


def read(
    request: AnyRequest,
    body: bytes,
    decode: Callable[[bytes], T],
    *,
    limit: int = SMALL_REQUEST_BYTES_MAX,
) -> T:
    """The message in a body. Raises ProblemError: 413 `too_large`, 400 `garbled` or `schema`."""
    try:
        plain = coding.decode(
            body, request.headers.get("content-encoding"), limit=limit * _UNFOLDING
        )
        if len(plain) > limit:
            raise _too_large(limit)
        message = decode(plain)
    except Garbled as error:
        raise ProblemError(400, "garbled", str(error)) from error
    check_schema(getattr(message, "schema", SCHEMAS_SERVED[-1]))
    return message


def check_schema(schema: int) -> None:
    """Raise ProblemError for a contract that is not spoken here."""
    if schema not in SCHEMAS_SERVED:
        served = ", ".join(map(str, SCHEMAS_SERVED))
        raise ProblemError(400, "schema", f"schema {schema} is not served; served: {served}")


def _too_large(limit: int) -> ProblemError:
    limits = {"bytes": limit, "entries": BATCH_ENTRIES_MAX}
    return ProblemError(413, "too_large", f"a body has at most {limit} bytes", limits=limits)


def number(request: AnyRequest, name: str, default: int, most: int) -> int:
    """A whole number from the query, at most `most`. Raises ProblemError."""
    text = request.query_params.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 16:
        raise ProblemError(400, "garbled", f"{name} must be a whole number")
    return min(int(text), most)


def answer(request: AnyRequest, message: object, status: int = 200) -> Response[bytes]:
    """An answer, compressed as the caller accepts it."""
    return packed(*coding.encode(encode(message), accepted(request)), status)


def accepted(request: AnyRequest) -> str:
    """The Accept-Encoding of the caller."""
    return request.headers.get("accept-encoding", "")


def packed(body: bytes, how: str | None, status: int = 200) -> Response[bytes]:
    """An answer that is a body already; `how`: its Content-Encoding, None: as it is."""
    headers = {"vary": "accept-encoding", "cache-control": "no-store"}
    if how is not None:
        headers["content-encoding"] = how
    return Response(
        content=body, status_code=status, media_type="application/json", headers=headers
    )


def on_problem(_request: AnyRequest, error: ProblemError) -> Response[bytes]:
    """Problem details for a refusal."""
    return _respond(error.problem)


def on_http_error(_request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Problem details for what the framework refuses."""
    if error.status_code == 500 and error.detail == _HUNG_UP:
        # Nobody reads it. It is no failure of ours, and must not be counted and logged as one.
        return Response(content=b"", status_code=499)
    names = {404: "not_found", 405: "not_allowed", 413: "too_large"}
    reason = names.get(error.status_code, "garbled" if error.status_code < 500 else "internal")
    limits = {"bytes": BATCH_BYTES_MAX, "entries": BATCH_ENTRIES_MAX}
    return _respond(
        Problem(
            type=problem_type(reason),
            status=error.status_code,
            title=reason.replace("_", " "),
            detail="" if error.status_code >= 500 else error.detail,
            limits=limits if reason == "too_large" else None,
        )
    )


def on_outage(_request: AnyRequest, error: OutOfService) -> Response[bytes]:
    """Problem details while the database does not answer."""
    _LOG.error("out of service: %s", error)
    problem = ProblemError(503, "out_of_service", "try again soon", retry_after_s=5).problem
    return _respond(problem)


def on_bug(_request: AnyRequest, error: Exception) -> Response[bytes]:
    """Problem details for a bug: the log has it, the caller hears only that there is one."""
    _LOG.error("a bug in the service", exc_info=error)
    return _respond(ProblemError(500, "internal", "a bug in the service").problem)


def _respond(problem: Problem) -> Response[bytes]:
    headers = {"cache-control": "no-store"}
    if problem.retry_after_s is not None:
        headers["retry-after"] = str(problem.retry_after_s)
    return Response(
        content=msgspec.json.encode(problem),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )
