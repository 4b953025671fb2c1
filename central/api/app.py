"""The application: all routes under `/v1`, what describes them, and how errors are answered."""

from typing import Any

from litestar import Litestar, Response, Router, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from central.api import describe, journal, replica, terminals, wire
from central.api.waiting import Waiters
from central.auth import Gate
from central.errors import OutOfService
from central.service import Central
from sync.limits import BATCH_BYTES_MAX


@get("/health", sync_to_thread=True)
def health(request: wire.AnyRequest) -> Response[bytes]:
    """Whether the service and its database answer."""
    with wire.desk(request).central.read() as work:
        now = work.now
    return wire.answer(request, {"ok": True, "now_ms": now})


@get("/openapi.json", sync_to_thread=False)
def openapi(request: wire.AnyRequest) -> Response[bytes]:
    """The description of `/v1` for machines."""
    return wire.answer(request, describe.openapi())


@get("/docs", sync_to_thread=False)
def docs() -> Response[str]:
    """The description of `/v1` for people."""
    return Response(content=describe.page(), media_type="text/html; charset=utf-8")


def build(central: Central, waiters: Waiters) -> Litestar:
    """The application for one process."""
    handlers: dict[int | type[Exception], Any] = {
        wire.ProblemError: wire.on_problem,
        HTTPException: wire.on_http_error,
        OutOfService: wire.on_outage,
        Exception: wire.on_bug,
    }
    v1 = Router(
        "/v1",
        route_handlers=[
            terminals.enrol,
            terminals.hello,
            terminals.changed_verdicts,
            replica.manifest,
            replica.snapshot_file,
            replica.feed,
            replica.look_up,
            journal.upload,
            journal.held_journal,
            journal.held_page,
            journal.claim,
        ],
    )
    return Litestar(
        route_handlers=[v1, health, openapi, docs],
        exception_handlers=handlers,
        openapi_config=None,
        request_max_body_size=2 * BATCH_BYTES_MAX,
        state=State({"desk": wire.Desk(central, Gate(central)), "waiters": waiters}),
        logging_config=None,
    )
