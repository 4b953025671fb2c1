"""What describes `/v1`: OpenAPI for machines, one page for people, both from the wire types.

Responsible for: the list of calls. Not responsible for: serving it. Invariant: schemas come from
the very types that the decoders use, so a description cannot drift from what is accepted.
"""

import functools
import html
import typing
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from sync import farewell, journal_messages, messages, notes
from sync.feed import FeedPage, Gone, Put
from sync.problems import MEDIA_TYPE, Problem

_REF: Final = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True)
class Call:
    """One call: `query` names its parameters, `says` is for people."""

    method: str
    path: str
    says: str
    body: type | None = None
    answer: type | None = None
    query: tuple[str, ...] = ()
    signed: bool = True
    status: int = 200


CALLS: Final = (
    Call(
        "post",
        "/v1/enrolments",
        "Pair a terminal by a code that a person carried.",
        messages.EnrolmentRequest,
        messages.Enrolment,
        signed=False,
        status=201,
    ),
    Call(
        "post",
        "/v1/hello",
        "Say who holds the journal and where it ends; answers with signed time.",
        messages.HelloRequest,
        messages.Hello,
    ),
    Call(
        "get",
        "/v1/verdicts",
        "Verdicts that are new or changed after a cursor.",
        answer=messages.VerdictsPage,
        query=("after",),
    ),
    Call(
        "post",
        "/v1/notes",
        "Clerks' notes on reversals, beside the journal; an empty one was deleted.",
        notes.NotesRequest,
        notes.NotesAnswer,
    ),
    Call(
        "post",
        "/v1/wiped",
        "The last word of a terminal that destroyed what it held on central's order.",
        farewell.WipedRequest,
        farewell.WipedAnswer,
        signed=False,
    ),
    Call("get", "/v1/snapshot", "The signed manifest of a snapshot.", answer=messages.Manifest),
    Call("get", "/v1/snapshots/{sha256}", "The snapshot file, resumable by Range."),
    Call(
        "get",
        "/v1/feed",
        "A page of changes of one bucket after a cursor; wait long-polls.",
        answer=FeedPage,
        query=("bucket", "after", "limit", "wait"),
    ),
    Call(
        "post",
        "/v1/lookups",
        "The sealed row under a key that a replica does not have.",
        messages.LookupRequest,
        messages.LookupAnswer,
    ),
    Call(
        "post",
        "/v1/journal/{posid}/{epoch}",
        "Upload journal entries; answers with a signed acknowledgement and verdicts.",
        messages.Batch,
        messages.BatchAnswer,
    ),
    Call(
        "post",
        "/v1/journal/{posid}/{epoch}/aside",
        "Pass an entry that was refused alone: its hash and signature stand for it.",
        journal_messages.SetAside,
        messages.BatchAnswer,
    ),
    Call(
        "get",
        "/v1/journal/{posid}",
        "What central holds of the caller's own journal, for one whose disk was lost.",
        answer=journal_messages.HeldJournal,
    ),
    Call(
        "get",
        "/v1/journal/{posid}/{epoch}",
        "The caller's own entries after a sequence; the last one on a page is signed.",
        answer=journal_messages.HeldPage,
        query=("after",),
    ),
    Call(
        "post",
        "/v1/claims",
        "Hold shares for a terminal while it commits.",
        messages.ClaimRequest,
        messages.ClaimAnswer,
    ),
)


@functools.cache
def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    types = {kind for call in CALLS for kind in (call.body, call.answer) if kind is not None}
    items = (*typing.get_args(Put), *typing.get_args(Gone))
    _, components = msgspec.json.schema_components(
        sorted({*types, *items, Problem} - {FeedPage}, key=lambda kind: kind.__name__),
        ref_template=_REF,
    )
    components[FeedPage.__name__] = _feed_page(items)
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {"title": "hexiao central: the sync API", "version": "1"},
        "paths": paths,
        "components": {"schemas": components},
    }


def _feed_page(items: tuple[type, ...]) -> dict[str, Any]:
    """The page, whose items are told apart by two fields, which msgspec cannot describe."""
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["from", "cursor", "more", "items"],
        "properties": {
            "from": text,
            "cursor": text,
            "more": {"type": "boolean"},
            "sealed_through": {"anyOf": [text, {"type": "null"}]},
            "reflects": {"anyOf": [{"type": "object"}, {"type": "null"}]},
            "items": {"type": "array", "items": {"anyOf": [_ref(kind) for kind in items]}},
            "checkpoint": {"anyOf": [{"type": "object"}, {"type": "null"}]},
        },
    }


def _operation(call: Call) -> dict[str, Any]:
    in_path = [part[1:-1] for part in call.path.split("/") if part.startswith("{")]
    operation: dict[str, Any] = {
        "summary": call.says,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in in_path
        ]
        + [{"name": name, "in": "query", "schema": {"type": "string"}} for name in call.query],
        "responses": {
            str(call.status): {"description": "done", "content": _content(call.answer)},
            "default": {
                "description": "problem details (RFC 9457)",
                "content": {MEDIA_TYPE: {"schema": _ref(Problem)}},
            },
        },
    }
    if call.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(call.body)}
    if call.signed:
        operation["description"] = "Signed by the terminal (RFC 9421, Ed25519; RFC 9530 digest)."
    return operation


def _content(kind: type | None) -> dict[str, Any]:
    if kind is None:
        return {"application/vnd.sqlite3": {}}
    return {"application/json": {"schema": _ref(kind)}}


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}


@functools.cache
def page() -> str:
    """The page for people: every call in one line, with a link to the whole description."""
    rows = "".join(
        f"<tr><td><code>{call.method.upper()}</code></td><td><code>{html.escape(call.path)}</code>"
        f"</td><td>{html.escape(call.says)}</td><td>{'yes' if call.signed else 'no'}</td></tr>"
        for call in CALLS
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>hexiao sync API</title>"
        "<style>body{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}"
        "td,th{padding:.3rem .8rem;text-align:left;border-bottom:1px solid #ccc}</style>"
        "<h1>The sync API of the central service</h1>"
        "<p>Machines read <a href=/openapi.json>/openapi.json</a>. Errors are problem details "
        "(RFC 9457) whose <code>type</code> ends in the machine reason.</p>"
        f"<table><tr><th>method<th>path<th>what it does<th>signed</tr>{rows}</table></html>"
    )
