"""Routes about a terminal itself: `/enrolments`, `/hello`, `/verdicts`."""

from litestar import Response, get, post
from litestar.params import RawBody

from central import enrol as pairing
from central import hello as greeting
from central import verdicts
from central.api import wire
from central.api.wire import AnyRequest, ProblemError
from central.errors import Refused
from sync.messages import decode_enrolment_request, decode_hello_request

_STATUS = {"unknown_code": 403, "wrong_central": 409, "bad_proof": 403, "bad_key": 400}


@post("/enrolments", sync_to_thread=True)
def enrol(request: AnyRequest, body: RawBody) -> Response[bytes]:
    """Pair a terminal by a code that a person carried."""
    asked = wire.read(request, body, decode_enrolment_request)
    answer = pairing.enrol(wire.desk(request).central, asked)
    if isinstance(answer, Refused):
        raise ProblemError(_STATUS[answer.reason], answer.reason, answer.message)
    return wire.answer(request, answer, 201)


@post("/hello", sync_to_thread=True)
def hello(request: AnyRequest, body: RawBody) -> Response[bytes]:
    """Who speaks, and where its journal ends; answers with signed time."""
    who = wire.called(request, body, even_revoked=True)
    asked = wire.read(request, body, decode_hello_request)
    answer = greeting.hello(wire.desk(request).central, who.terminal, asked)
    if isinstance(answer, Refused):
        raise (
            wire.revoked()
            if answer.reason == "revoked"
            else ProblemError(409, answer.reason, answer.message)
        )
    return wire.answer(request, answer)


@get("/verdicts", sync_to_thread=True)
def changed_verdicts(request: AnyRequest) -> Response[bytes]:
    """Verdicts that are new or changed after a cursor."""
    who = wire.called(request, b"")
    after = wire.number(request, "after", 0, 2**53 - 1)
    with wire.desk(request).central.read() as work:
        page = verdicts.changed_since(work, who.terminal.posid, after)
    return wire.answer(request, page)
