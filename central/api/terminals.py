"""Routes about a terminal itself: `/enrolments`, `/hello`, `/notes`, `/verdicts`, `/wiped`."""

from litestar import Response, get, post
from litestar.params import RawBody

from central import ahead, notes, verdicts, wipes
from central import enrol as pairing
from central import hello as greeting
from central.api import wire
from central.api.wire import AnyRequest, ProblemError
from central.errors import Refused
from sync.farewell import WipedAnswer, decode_wiped_request
from sync.limits import NOTES_BYTES_MAX
from sync.messages import decode_enrolment_request, decode_hello_request
from sync.notes import NotesAnswer, decode_notes_request
from vouchers.times import format_utc

_STATUS = {"unknown_code": 403, "wrong_central": 409, "bad_proof": 403, "bad_key": 400}
_WIPED = {"garbled": 400, "unknown_key": 403, "bad_signature": 403, "not_ordered": 409}


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
    who = wire.called(request, body, any_epoch=True)
    asked = wire.read(request, body, decode_hello_request)
    central, terminal = wire.desk(request).central, who.terminal
    if who.epoch != terminal.epoch:
        return wire.answer(request, greeting.superseded(central, terminal.posid, who.epoch, asked))
    answer = greeting.hello(central, terminal, asked)
    if isinstance(answer, Refused):
        raise (
            wire.revoked()
            if answer.reason == "revoked"
            else ProblemError(409, answer.reason, answer.message)
        )
    return wire.answer(request, answer)


@post("/wiped", sync_to_thread=True, status_code=200)
def wiped(request: AnyRequest, body: RawBody) -> Response[bytes]:
    """The last word of a terminal that destroyed what it held; its own signature is inside."""
    said = wire.read(request, body, decode_wiped_request)
    at = wipes.hear(wire.desk(request).central, said)
    if isinstance(at, Refused):
        raise ProblemError(_WIPED[at.reason], at.reason, at.message)
    return wire.answer(request, WipedAnswer(at=format_utc(at)))


@post("/notes", sync_to_thread=True, status_code=200)
def send_notes(request: AnyRequest, body: RawBody) -> Response[bytes]:
    """Clerks' notes on this terminal's reversals; answers those that were deleted here."""
    who = wire.called(request, body, any_epoch=True)
    asked = wire.read(request, body, decode_notes_request, limit=NOTES_BYTES_MAX)
    gone = notes.take(wire.desk(request).central, who.terminal.posid, asked.notes)
    if isinstance(gone, Refused):
        raise ProblemError(403, gone.reason, gone.message)
    return wire.answer(request, NotesAnswer(gone=gone))


@get("/verdicts", sync_to_thread=True)
def changed_verdicts(request: AnyRequest) -> Response[bytes]:
    """Verdicts that are new or changed after a cursor."""
    who = wire.called(request, b"")
    after = wire.number(request, "after", 0, 2**53 - 1)
    central, posid = wire.desk(request).central, who.terminal.posid
    with central.read() as work:
        page = verdicts.changed_since(work, posid, after)
        is_ahead = not page.verdicts and ahead.is_ahead(work, posid, after)
    if is_ahead:
        ahead.report(central, posid, f"change {after} of its verdicts was heard")
    return wire.answer(request, page)
