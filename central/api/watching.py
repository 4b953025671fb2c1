"""Every request, counted and written down once.

Responsible for: the counters of requests and the access log. Not responsible for: what is answered.
Invariants: a line says when, which route, which status and how long, and nothing of what was asked:
no query, no body, no header, no address; a request that breaks the service is counted too.
"""

import logging
import time
from typing import Any, Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from central.metrics import Metrics

_LOG: Final = logging.getLogger("central.access")

_NO_ROUTE: Final = "none"
"""The route of a path that there is not: paths are the caller's words and no label."""


class Watched:
    """The application with an eye on it (ASGI)."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, and take note."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: Any, status: int, seconds: float) -> None:
        route = str(scope.get("path_template") or _NO_ROUTE)
        method = str(scope["method"])
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        told = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1)}
        level = logging.WARNING if status >= 500 else logging.INFO
        _LOG.log(level, "%s %s %s", method, route, status, extra=told)
