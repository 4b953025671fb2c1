"""Central's side of the network: the routes of `/v1`, without a socket and without signatures.

Responsible for: calling the route functions of `central.api` with bytes, and giving back bytes.
Not responsible for: anything a route decides. What is left out: Litestar, uvicorn, TLS and the
signatures of requests; who calls is taken on trust. The routes of the feed and of snapshots wait,
or have threads of their own, so their few lines are written again here.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

import msgspec

from central import feed as pages
from central import keys, snapshot
from central.api import journal, replica, terminals, wire
from central.api.wire import ProblemError
from central.auth import Called
from central.errors import OutOfService
from central.feed import Reader, Resync
from central.hello import Terminal
from central.service import Central
from sync import messages
from sync.limits import FEED_ITEMS_MAX
from sync.signing import Message, SignatureError


@dataclass(frozen=True)
class Caller:
    """Who a request says it is from; in the field its signature proves it."""

    posid: str
    epoch: int


@dataclass(frozen=True)
class Asked:
    """A request as bytes. `path` is below `/v1`."""

    caller: Caller
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answered:
    """An answer as bytes."""

    status: int
    body: bytes


@dataclass(frozen=True)
class _Gate:
    """Believes who calls; loads what the real one loads."""

    central: Central
    ring: keys.Keyring

    def called(self, message: Message, **_how: object) -> Called:
        row = self._row(message.headers["posid"])
        if row is None:
            raise SignatureError("unknown_key", "no such terminal")
        return Called(Terminal(*row), int(message.headers["epoch"]))

    def _row(self, posid: str) -> Any:
        """Without SQLAlchemy: asked for every request, this alone was a fifteenth of a world."""
        connection = self.central.database.engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(
                "SELECT posid, epoch, outlet, state FROM terminals WHERE posid = ?", (posid,)
            )
            return cursor.fetchone()
        finally:
            connection.close()


_TERMINAL: Final = "SELECT posid, epoch, outlet, state FROM terminals WHERE posid = ?"


class Service:
    """A central process. Make a new one for a restart."""

    def __init__(self, central: Central) -> None:
        self.central = central
        with central.read() as work:
            ring = keys.load(work)
        self.desk = wire.Desk(central, _Gate(central, ring))  # type: ignore[arg-type]

    def answer(self, asked: Asked) -> Answered:
        """Handle one request, as the application would."""
        try:
            return Answered(200, self._route(asked))
        except ProblemError as error:
            return Answered(error.problem.status, msgspec.json.encode(error.problem))
        except OutOfService:
            problem = ProblemError(503, "out_of_service", "try again soon", retry_after_s=5).problem
            return Answered(503, msgspec.json.encode(problem))

    def _route(self, asked: Asked) -> bytes:
        request: Any = SimpleNamespace(
            app=SimpleNamespace(state={"desk": self.desk}),
            query_params=asked.query,
            headers={"posid": asked.caller.posid, "epoch": str(asked.caller.epoch)},
            scope={"query_string": b"", "raw_path": asked.path.encode()},
            method="",
        )
        match asked.path.split("/"):
            case ["feed"]:
                return self._feed(request)
            case ["snapshot"]:
                who = wire.called(request, b"")
                own = asked.query.get("scope") == "outlet"
                here = snapshot.buckets_at(self.central, who.terminal.outlet) if own else None
                built = snapshot.current(self.central, here)
                return messages.encode(snapshot.manifest(built, self.desk.gate.ring))
            case ["snapshots", sha256]:
                wire.called(request, b"")
                path = snapshot.file_of(self.central, sha256)
                assert path is not None
                return path.read_bytes()
            case [name]:
                route = _ROUTES[name]
                values = (asked.body,) if name in _WITH_BODY else ()
                return _content(route.fn(request, *values))
            case parts:
                return _journal(request, asked, parts)

    def _feed(self, request: Any) -> bytes:
        who = wire.called(request, b"")
        bucket = wire.number(request, "bucket", 0, 2**31 - 1)
        limit = max(1, wire.number(request, "limit", FEED_ITEMS_MAX, FEED_ITEMS_MAX))
        reader = Reader(who.terminal.posid, who.terminal.epoch)
        with self.central.read() as work:
            page = pages.read_page(
                work, bucket, request.query_params["after"], limit=limit, reader=reader
            )
        if isinstance(page, Resync):
            raise ProblemError(410, page.reason, "take a new snapshot")
        return _content(wire.answer(request, page))


_ROUTES: Final[dict[str, Any]] = {
    "enrolments": terminals.enrol,
    "hello": terminals.hello,
    "verdicts": terminals.changed_verdicts,
    "claims": journal.claim,
    "lookups": replica.look_up,
}
_WITH_BODY: Final = ("enrolments", "hello", "claims", "lookups")


def _journal(request: Any, asked: Asked, parts: list[str]) -> bytes:
    match parts:
        case ["journal", posid, epoch]:
            return _content(journal.upload.fn(request, asked.body, posid, int(epoch)))
        case ["journal", posid, epoch, "aside"]:
            return _content(journal.set_aside.fn(request, asked.body, posid, int(epoch)))
        case ["held", posid]:
            return _content(journal.held_journal.fn(request, posid))
        case ["held", posid, epoch]:
            return _content(journal.held_page.fn(request, posid, int(epoch)))
    raise AssertionError(asked.path)


def _content(response: Any) -> bytes:
    assert isinstance(response.content, bytes)
    return response.content
