"""The application: all routes under `/v1`, what describes them, and how errors are answered."""

from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from central.api import journal, operations, replica, terminals, wire
from central.api.reading import SharedReads
from central.api.waiting import Waiters
from central.auth import Gate
from central.errors import OutOfService
from central.metrics import Metrics
from central.service import Central
from central.snapshot import Offers
from sync.limits import BATCH_BYTES_MAX


def build(central: Central, waiters: Waiters, metrics: Metrics) -> Litestar:
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
            terminals.send_notes,
            terminals.wiped,
            replica.manifest,
            replica.snapshot_file,
            replica.feed,
            replica.look_up,
            journal.upload,
            journal.set_aside,
            journal.held_journal,
            journal.held_page,
            journal.claim,
        ],
    )
    return Litestar(
        route_handlers=[
            v1,
            operations.health,
            operations.ready,
            operations.metrics,
            operations.openapi,
            operations.docs,
        ],
        exception_handlers=handlers,
        openapi_config=None,
        request_max_body_size=2 * BATCH_BYTES_MAX,
        state=State(
            {
                "desk": wire.Desk(central, Gate(central)),
                "waiters": waiters,
                "reads": SharedReads(central),
                "offers": Offers(central),
                "metrics": metrics,
            }
        ),
        logging_config=None,
    )
