"""Routes for whoever runs the service: `/health`, `/ready`, `/metrics`, the description.

Responsible for: saying whether the process lives, whether it can serve, and its figures. Not
responsible for: terminals. Invariant: `/health` asks nobody, so that a database that is away never
makes a supervisor restart a process that would only wait for it again.
"""

from typing import Final

from litestar import Response, get
from prometheus_client import CONTENT_TYPE_LATEST

from central.api import describe, wire
from central.api.waiting import Waiters
from central.api.wire import AnyRequest, ProblemError
from central.errors import Misconfigured
from central.metrics import Metrics
from central.service import check_revision

_AGAIN_S: Final = 5


@get("/health", sync_to_thread=False)
def health(request: AnyRequest) -> Response[bytes]:
    """The process answers."""
    return wire.answer(request, {"ok": True})


@get("/ready", sync_to_thread=True)
def ready(request: AnyRequest) -> Response[bytes]:
    """The service can serve: its database answers and is at this program's version, no end near."""
    waiters = request.app.state["waiters"]
    assert isinstance(waiters, Waiters)
    if waiters.stopped:
        raise ProblemError(503, "out_of_service", "about to end", retry_after_s=_AGAIN_S)
    try:
        with wire.desk(request).central.read() as work:
            check_revision(work.connection)
            now = work.now
    except Misconfigured as error:
        raise ProblemError(503, "out_of_service", str(error)) from error
    return wire.answer(request, {"ok": True, "now_ms": now})


@get("/metrics", sync_to_thread=True)
def metrics(request: AnyRequest) -> Response[bytes]:
    """The figures, for Prometheus."""
    found = request.app.state["metrics"]
    assert isinstance(found, Metrics)
    return Response(content=found.text(), media_type=CONTENT_TYPE_LATEST)


@get("/openapi.json", sync_to_thread=False)
def openapi(request: AnyRequest) -> Response[bytes]:
    """The description of `/v1` for machines."""
    return wire.answer(request, describe.openapi())


@get("/docs", sync_to_thread=False)
def docs() -> Response[str]:
    """The description of `/v1` for people."""
    return Response(content=describe.page(), media_type="text/html; charset=utf-8")
