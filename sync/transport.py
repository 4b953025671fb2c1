"""Central over HTTP: the one place that opens a connection.

Responsible for: signed, compressed, bounded requests; time budgets that hold even where a name
does not resolve or an answer trickles; turning every outcome into a message or one of
`sync.errors`. Not responsible for: trying again (the state machines do), except once with the
nonce that central gives to a terminal whose clock is off.
Invariants: a redirect is never followed; plain http only to this machine itself or where a lab
allows it; nothing of a body is ever logged.
"""

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx

from sync import coding, farewell, journal_messages, messages, notes, signing
from sync.errors import Busy, Garbled, Refused, Slow, Unreachable
from sync.feed import FeedPage, decode_page
from sync.limits import ANSWER_BYTES_MAX, SCHEMA
from sync.policy import Scope
from sync.problems import decode_problem
from sync.snapshot_file import Download

T = TypeVar("T")

CONNECT_S: Final = 5.0
"""To open a connection: beyond it the line is down as far as a counter is concerned."""

ANSWER_S: Final = 30.0
"""For a whole exchange that moves data."""

WAIT_MARGIN_S: Final = 10.0
"""What a long-poll may take beyond its wait."""

_BUDGET_THREADS: Final = 4
_CHUNK_BYTES: Final = 64 * 1024
_BUSY: Final = frozenset({429, 503})
_OPENED: Final = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})
_PROXY: Final = frozenset({502, 503, 504})
_WEB_PAGE: Final = "not central but a web page answers: does this network ask for a login?"


@dataclass(frozen=True, slots=True)
class Terms:
    """How to reach central. `now_ms` is the estimated time, `monotonic_ms` only grows.

    `tls` is a context for tests and private authorities; None takes the system's.
    """

    url: str
    now_ms: Callable[[], int]
    monotonic_ms: Callable[[], int]
    nonce: Callable[[], str]
    insecure_http: bool = False
    tls: ssl.SSLContext | None = None
    answer_s: float = ANSWER_S


@dataclass(frozen=True, slots=True)
class _Ask:
    """One request before it is signed."""

    method: str
    path: str
    query: Mapping[str, str | int]
    body: bytes = b""
    answer_s: float = ANSWER_S


def check_url(url: str, *, insecure_http: bool = False) -> httpx.URL:
    """The base URL of central. Raises ValueError with words for the person who set it."""
    try:
        base = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"central's address cannot be read: {error}") from error
    if base.scheme not in ("http", "https") or not base.host:
        raise ValueError("central's address must begin with https://")
    if base.scheme == "http" and not (insecure_http or _is_loopback(base.host)):
        raise ValueError("central's address must be https (http only on this machine itself)")
    return base


class HttpCentral:
    """Implements `ports.CentralPort`, and the calls a counter makes within a budget.

    Safe to use from several threads. `signer` is None before enrolment.
    """

    def __init__(self, terms: Terms, signer: signing.Signer | None) -> None:
        base = check_url(terms.url, insecure_http=terms.insecure_http)
        self._terms = terms
        self._signer = signer
        self._prefix = base.path.rstrip("/") + "/v1"
        self._client = httpx.Client(
            base_url=base.copy_with(path="/"),
            # Loading the authorities takes 30 ms, for nothing where no redirect leaves plain http.
            verify=terms.tls if terms.tls is not None else base.scheme == "https",
            follow_redirects=False,
            # A proxy set for the whole machine must not swallow what never leaves it.
            trust_env=not _is_loopback(base.host),
            headers={"Accept": "application/json", "User-Agent": "hexiao"},
        )
        self._sockets: set[socket.socket] = set()
        self._opening = threading.Lock()
        self._budgeted = ThreadPoolExecutor(_BUDGET_THREADS, thread_name_prefix="central")

    def close(self) -> None:
        """Cut all connections: a call under way in another thread ends at once (`Unreachable`)."""
        self._budgeted.shutdown(wait=False, cancel_futures=True)
        for opened in self._sockets:
            # Closing a socket does not wake a thread that reads from it; shutting it down does.
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        self._client.close()

    def enrol(self, request: messages.EnrolmentRequest) -> messages.Enrolment:
        """`POST /enrolments`, unsigned: the proof inside speaks for the key."""
        return messages.decode_enrolment(self._post("/enrolments", request))

    def wiped(self, request: farewell.WipedRequest) -> farewell.WipedAnswer:
        """`POST /wiped`, unsigned: the key that signed what is inside is gone."""
        return farewell.decode_wiped_answer(self._post("/wiped", request))

    def hello(self, request: messages.HelloRequest) -> messages.Hello:
        """`POST /hello`."""
        return messages.decode_hello(self._post("/hello", request))

    def push(self, posid: str, epoch: int, batch: messages.Batch) -> messages.BatchAnswer:
        """`POST /journal/{posid}/{epoch}`."""
        path = f"/journal/{quote(posid, safe='')}/{epoch}"
        return messages.decode_batch_answer(self._post(path, batch))

    def set_aside(
        self, posid: str, epoch: int, aside: journal_messages.SetAside
    ) -> messages.BatchAnswer:
        """`POST /journal/{posid}/{epoch}/aside`."""
        path = f"/journal/{quote(posid, safe='')}/{epoch}/aside"
        return messages.decode_batch_answer(self._post(path, aside))

    def send_notes(self, sent: Sequence[notes.Note]) -> notes.NotesAnswer:
        """`POST /notes`."""
        body = notes.NotesRequest(notes=tuple(sent))
        return notes.decode_notes_answer(self._post("/notes", body))

    def held_journal(self, posid: str) -> journal_messages.HeldJournal:
        """`GET /journal/{posid}`: what central holds of this terminal."""
        ask = self._get(f"/journal/{quote(posid, safe='')}", {})
        return journal_messages.decode_held_journal(self._exchange(ask))

    def held_page(self, posid: str, epoch: int, after: int) -> journal_messages.HeldPage:
        """`GET /journal/{posid}/{epoch}`: this terminal's own entries after a sequence."""
        ask = self._get(f"/journal/{quote(posid, safe='')}/{epoch}", {"after": after})
        return journal_messages.decode_held_page(self._exchange(ask))

    def feed(
        self, bucket: int, *, after: str, limit: int, wait_s: int, watch: str = ""
    ) -> FeedPage:
        """`GET /feed`; a long-poll where `wait_s` is above 0."""
        query: dict[str, str | int] = {"bucket": bucket, "after": after, "limit": limit}
        if wait_s > 0:
            query |= {"wait": wait_s}
            query |= {"watch": watch} if watch else {}
        answer_s = max(self._terms.answer_s, wait_s + WAIT_MARGIN_S)
        return decode_page(self._exchange(self._get("/feed", query, answer_s)))

    def manifest(
        self, differs: str | None = None, *, scope: Scope = "merchant"
    ) -> messages.Manifest:
        """`GET /snapshot`; tells central where a checkpoint differed."""
        query = {} if differs is None else {"differs": differs}
        query |= {} if scope == "merchant" else {"scope": scope}
        return messages.decode_manifest(self._exchange(self._get("/snapshot", query)))

    def verdicts(self, after: str) -> messages.VerdictsPage:
        """`GET /verdicts`."""
        query = {"after": after} if after else {}
        return messages.decode_verdicts_page(self._exchange(self._get("/verdicts", query)))

    def download(self, manifest: messages.Manifest, path: Path) -> None:
        """`GET /snapshots/{sha256}` to `path`; a part that an earlier try left is continued."""
        with Download(path, sha256=manifest.sha256, size=manifest.size) as download:
            ask = self._get(f"/snapshots/{manifest.sha256}", {})
            extra = {"Accept-Encoding": "identity"}
            if download.have:
                extra["Range"] = f"bytes={download.have}-"
                extra["If-Range"] = f'"{manifest.sha256}"'
            with self._errors(), self._opened(ask, self._terms.nonce(), extra) as response:
                if response.status_code >= httpx.codes.BAD_REQUEST:
                    raise _refusal(response, self._whole(response, self._deadline(ask)))
                download.begin(response.status_code, response.headers.get("Content-Range", ""))
                for chunk in response.iter_raw(_CHUNK_BYTES):
                    download.write(chunk)
            download.finish()

    def claim(self, request: messages.ClaimRequest, *, budget_ms: int) -> messages.ClaimAnswer:
        """`POST /claims`, answered within the budget or `Slow`."""
        return messages.decode_claim_answer(
            self._within(budget_ms, lambda: self._post("/claims", request, budget_ms / 1000))
        )

    def look_up(
        self, request: messages.LookupRequest, *, budget_ms: int
    ) -> messages.LookupAnswer | None:
        """`POST /lookups`, within the budget or `Slow`. None: central does not know the row."""
        try:
            body = self._within(
                budget_ms, lambda: self._post("/lookups", request, budget_ms / 1000)
            )
        except Refused as refused:
            if refused.problem.status == httpx.codes.NOT_FOUND:
                return None
            raise
        return messages.decode_lookup_answer(body)

    def _get(
        self, path: str, query: Mapping[str, str | int], answer_s: float | None = None
    ) -> _Ask:
        return _Ask(
            "GET",
            path,
            {"schema": SCHEMA, **query},
            answer_s=self._terms.answer_s if answer_s is None else answer_s,
        )

    def _post(self, path: str, message: object, answer_s: float | None = None) -> bytes:
        body = messages.encode(message)
        limit = self._terms.answer_s if answer_s is None else answer_s
        return self._exchange(_Ask("POST", path, {}, body, limit))

    def _within(self, budget_ms: int, work: Callable[[], T]) -> T:
        # A thread bounds what no socket option does: resolving a name, and a slow trickle.
        with self._errors():
            future: Future[T] = self._budgeted.submit(work)
        try:
            return future.result(timeout=budget_ms / 1000)
        except FutureTimeout:
            future.cancel()
            raise Slow(f"no answer within {budget_ms} ms") from None

    def _exchange(self, ask: _Ask) -> bytes:
        """One request and its whole answer; a second try only with a nonce from central."""
        nonce, tries = self._terms.nonce(), 2
        while True:
            tries -= 1
            with self._errors(), self._opened(ask, nonce, {}) as response:
                body = self._whole(response, self._deadline(ask))
            if response.status_code < httpx.codes.MULTIPLE_CHOICES:
                if _is_web_page(response):
                    raise Garbled(_WEB_PAGE)
                return body
            refusal = _refusal(response, body)
            if not (isinstance(refusal, Refused) and refusal.problem.nonce and tries):
                raise refusal
            nonce = refusal.problem.nonce

    def _deadline(self, ask: _Ask) -> int:
        return self._terms.monotonic_ms() + int(ask.answer_s * 1000)

    @contextlib.contextmanager
    def _opened(self, ask: _Ask, nonce: str, extra: Mapping[str, str]) -> Iterator[httpx.Response]:
        body, encoding = coding.encode(ask.body)
        request = self._client.build_request(
            ask.method,
            self._prefix + ask.path,
            params=ask.query or None,
            content=body or None,
            headers={"Accept-Encoding": coding.ACCEPTED, **extra},
            timeout=httpx.Timeout(ask.answer_s, connect=min(CONNECT_S, ask.answer_s)),
            extensions={"trace": self._trace},
        )
        if encoding is not None:
            request.headers["Content-Encoding"] = encoding
        if body:
            request.headers["Content-Type"] = "application/json"
        self._sign(request, body, nonce)
        response = self._client.send(request, stream=True)
        try:
            yield response
        finally:
            response.close()

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember the sockets of open connections, to be able to cut them."""
        if event in _OPENED:
            opened = info["return_value"].get_extra_info("socket")
            with self._opening:
                alive = {known for known in self._sockets if known.fileno() >= 0}
                self._sockets = alive | {opened}

    def _sign(self, request: httpx.Request, body: bytes, nonce: str) -> None:
        if self._signer is None:
            return
        message = signing.Message(
            method=request.method,
            authority=request.headers["Host"],
            target=request.url.raw_path.decode("ascii"),
            headers=request.headers,
            body=body,
        )
        signing.sign(message, self._signer, created_s=self._terms.now_ms() // 1000, nonce=nonce)

    def _whole(self, response: httpx.Response, deadline_ms: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        for chunk in response.iter_raw(_CHUNK_BYTES):
            parts.append(chunk)
            size += len(chunk)
            if size > ANSWER_BYTES_MAX:
                raise Garbled(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
            if self._terms.monotonic_ms() > deadline_ms:
                raise Slow("an answer trickled in too slowly")
        encoding = response.headers.get("Content-Encoding")
        return coding.decode(b"".join(parts), encoding, limit=ANSWER_BYTES_MAX)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise Slow(f"central is slow: {type(error).__name__}") from error
        except (httpx.RemoteProtocolError, httpx.DecodingError) as error:
            raise Unreachable(f"the connection broke: {error}") from error
        except httpx.HTTPError as error:
            raise Unreachable(f"central cannot be reached: {error}") from error
        except RuntimeError as error:
            if not self._client.is_closed:
                raise
            raise Unreachable("this client was closed") from error


def _refusal(response: httpx.Response, body: bytes) -> Exception:
    status = response.status_code
    problem = decode_problem(body)
    if problem is None or problem.status != status:
        later_s = _later_s(response)
        if status in _PROXY:
            return Unreachable(f"a proxy answered {status}: central is not behind it", later_s)
        if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            return Slow("something on the way to central refuses a body of this size", later_s)
        if response.is_redirect or _is_web_page(response):
            return Garbled(f"{_WEB_PAGE} ({status})", later_s)
        return Garbled(f"an answer {status} that central does not give", later_s)
    return Busy(problem) if status in _BUSY else Refused(problem)


def _later_s(response: httpx.Response) -> int | None:
    """What a proxy on the way asks for, in seconds; a date means nothing where clocks differ."""
    asked = response.headers.get("Retry-After", "")
    return int(asked) if asked.isascii() and asked.isdigit() else None


def _is_web_page(response: httpx.Response) -> bool:
    kind: str = response.headers.get("Content-Type", "")
    return kind.strip().lower().startswith("text/html")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
