"""A central of bytes: a real HTTP server in a thread whose answers a test scripts.

It checks what arrives with the product's own verifier, so that both ends of every message are real.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sync import coding
from sync.limits import REQUEST_BYTES_MAX
from sync.signing import Message


@dataclass
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> bytes:
        return coding.decode(
            self.raw, self.headers.get("content-encoding"), limit=REQUEST_BYTES_MAX
        )

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def message(self) -> Message:
        return Message(self.method, self.headers["host"], self.target, self.headers, self.raw)


@dataclass
class Answered:
    """An answer; `cut` ends the connection after so many bytes of the body."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


class ScriptedServer:
    """`with ScriptedServer(answer) as server:`; `answer(asked)` gives an `Answered`.

    `raw` instead writes bytes of its own to the socket, headers and all.
    """

    def __init__(
        self,
        answer: Callable[[Asked], Answered] = lambda asked: Answered(),
        *,
        raw: Callable[[object], None] | None = None,
    ) -> None:
        self.asked: list[Asked] = []
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, self.rfile.read(length))
                outer.asked.append(asked)
                if raw is not None:
                    raw(self)
                    self.close_connection = True
                    return
                self.answer(answer(asked))

            do_POST = do_GET

            def answer(self, given: Answered) -> None:
                self.send_response(given.status)
                for name, value in given.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(given.body)))
                self.end_headers()
                self.wfile.write(given.body[: given.cut])
                if given.cut is not None:
                    self.close_connection = True

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def wrap(self, context: object) -> None:
        """Speak TLS."""
        self._server.socket = context.wrap_socket(  # type: ignore[attr-defined]
            self._server.socket, server_side=True
        )

    def __enter__(self) -> "ScriptedServer":
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
