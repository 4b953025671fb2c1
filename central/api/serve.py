"""Running the service: uvicorn in this process, with the background jobs beside it.

Responsible for: the socket, the printed address, a graceful end. Not responsible for: the routes
or the jobs. Invariants: the address is told only when connections are taken; SIGTERM and SIGINT end
it within seconds, however many terminals wait; who takes no byte of an answer for as long as a
request may take is cut off (by the kernel, on Linux).
"""

import contextlib
import functools
import signal
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Final

import uvicorn
from litestar.concurrency import set_asyncio_executor
from sqlalchemy import update

from central import jobs, schema
from central.api import app
from central.api.bounded import WAIT_S, Bounds, within
from central.api.waiting import Waiters
from central.api.watching import Watched
from central.errors import OutOfService
from central.metrics import Metrics
from central.service import Central

_GRACE_S: Final = 5
_BACKLOG: Final = 2_048
_SWITCH_S: Final = 0.0005

_FILES_UNTOLD: Final = 8_192
"""Where the system does not say how many files a process may open."""

_FILES_OF_OUR_OWN: Final = 256

_THREADS: Final = 64
"""Calls at work at the same time; those of one moment share a transaction (`grouping`)."""


class Service:
    """A bound socket and what serves it. Raises OutOfService when the address is taken.

    `url` is what terminals are told (behind a proxy); None: the socket's own address. `wait_s` is
    how long a request may take to come whole, `most` how many connections there may be.
    """

    def __init__(
        self,
        central: Central,
        host: str,
        port: int,
        *,
        url: str | None = None,
        wait_s: float = WAIT_S,
        most: int | None = None,
    ) -> None:
        """Bind the socket; connections wait from now on and are served by `run`."""
        self._central = central
        self._listening = _listen(host, port, wait_s)
        self.url = url or _address(host, self._listening.getsockname()[1])
        self._waiters = Waiters(central)
        self._jobs_stop = threading.Event()
        metrics = Metrics(central, lambda: len(self._waiters))
        bounds = Bounds(wait_s, most or _room(), lambda why: metrics.ended.labels(why).inc())
        config = uvicorn.Config(
            Watched(app.build(central, self._waiters, metrics), metrics),
            http=within(bounds),
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_S,
            server_header=False,
            lifespan="off",
        )
        self._server = _Server(config, self._waiters)

    @property
    def waiting(self) -> int:
        """How many terminals hold a request for news."""
        return len(self._waiters)

    def run(self, ready: Callable[[str], None]) -> None:
        """Serve until a signal or `stop`. `ready(url)` is called once connections are taken."""
        _remember(self._central, self.url)
        _prepare_process()
        set_asyncio_executor(_threads())
        worker = threading.Thread(
            target=jobs.loop, args=(self._central, self._jobs_stop), name="jobs", daemon=True
        )
        worker.start()
        ready(self.url)
        try:
            self._server.run(sockets=[self._listening])
        finally:
            self._jobs_stop.set()
            worker.join(timeout=_GRACE_S)
            self._listening.close()

    def stop(self) -> None:
        """End `run` from another thread; calls under way are answered first."""
        self._waiters.stop()
        self._server.should_exit = True


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """The threads of all services of this process: Litestar knows one pool of them."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="call")


class _Server(uvicorn.Server):
    """Lets the waiting terminals go as soon as it is told to end."""

    def __init__(self, config: uvicorn.Config, waiters: Waiters) -> None:
        super().__init__(config)
        self._waiters = waiters

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        # Not the original: it raises the signal again at the end, and a wanted end is exit 0.
        self._waiters.stop()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _prepare_process() -> None:
    """Room for thousands of connections, and an event loop that does not wait for its own threads.

    Each compression and each signature lets other threads run; one that computes then keeps the
    loop out for a whole switch interval, by default 5 ms, a thousand times a second.
    """
    sys.setswitchinterval(_SWITCH_S)
    if sys.platform != "win32":
        import resource

        most = _open_files()
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _open_files() -> int:
    """How many files this process may have open once it has raised its limit."""
    if sys.platform == "win32":
        return _FILES_UNTOLD
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _FILES_UNTOLD if most == resource.RLIM_INFINITY else most


def _room() -> int:
    """How many connections leave files enough for the database and for snapshots on their way."""
    files = _open_files()
    return files - max(_FILES_OF_OUR_OWN, files // 4)


def _listen(host: str, port: int, wait_s: float) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # With the protocol named, asyncio turns Nagle's algorithm off on what it accepts; without
        # it every answer waits 40 ms for a delayed acknowledgement.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform == "linux":  # what is accepted inherits it
            ms = int(wait_s * 1000)
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, ms)
        listening.bind((host, port))
        # Listening before anybody is told: an early connection waits instead of failing.
        listening.listen(_BACKLOG)
    except OSError as error:
        raise OutOfService(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listening


def _address(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def _remember(central: Central, url: str) -> None:
    """Keep the address that pairing codes name."""
    table = schema.merchants
    with central.write() as work:
        work.connection.execute(
            update(table).where(table.c.merchant == work.merchant).values(url=url)
        )
