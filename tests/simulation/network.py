"""A network that loses, doubles, delays, reorders and cuts: bytes in, bytes out.

Responsible for: carrying requests of terminals to central and answers back, and doing to them what
lines, proxies and power cuts do. Not responsible for: what is in them. `Wire` speaks for one
terminal in the place of `sync.transport.HttpCentral`: the same calls, encoders and decoders.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from sync import journal_messages, messages
from sync.errors import Busy, Garbled, Refused, Slow, Unreachable
from sync.feed import FeedPage, decode_page
from sync.policy import Scope
from sync.problems import decode_problem
from sync.snapshot_file import Download
from tests.simulation.seams import Crash
from tests.simulation.service import Answered, Asked, Caller, Service


class CentralDied(BaseException):
    """The central process ends in the middle of a request."""


@dataclass
class CentralFuse:
    """Burns down with every statement of central; at zero the process dies."""

    left: int | None = None

    def burn(self, *_: object) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise CentralDied


CENTRAL_FUSE = CentralFuse()


def watch(engine: Engine) -> None:
    """Let every statement and every commit of this engine burn the fuse."""

    def on_commit(_: Connection) -> None:
        CENTRAL_FUSE.burn()

    event.listen(engine, "before_cursor_execute", CENTRAL_FUSE.burn)
    event.listen(engine, "commit", on_commit)


_ASKED_ONCE = ("claims", "lookups", "enrolments")
"""Questions while a person waits; they are never repeated, so nothing can mix up their answers."""


@dataclass(frozen=True)
class Weather:
    """How likely each fault is, per exchange."""

    lost: float = 0.0
    unanswered: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    stale: float = 0.0
    garbled: float = 0.0
    busy: float = 0.0
    central_dies: float = 0.0
    till_dies: float = 0.0
    meanwhile: float = 0.0


@dataclass
class Network:
    """All lines to one central."""

    service: Service
    rng: random.Random
    weather: Weather
    down: set[str] = field(default_factory=set)
    late: list[Asked] = field(default_factory=list)
    overtaken: set[str] = field(default_factory=set)
    """Devices of which a hello may arrive after later messages."""
    previous: dict[tuple[str, str], Answered] = field(default_factory=dict)
    restarted: Callable[[], Service] = field(default=lambda: NotImplemented)
    meanwhile: Callable[[str, str], None] = lambda _till, _path: None
    granted: Callable[[Asked, Answered], None] = lambda _asked, _answer: None
    page_items: int = 5_000
    heard: Callable[[str, Asked, Answered], None] = lambda _till, _asked, _answer: None

    def deliver(self, asked: Asked) -> Answered:
        """Central handles one request; where it dies, another process takes its place."""
        try:
            answer = self.service.answer(asked)
        except CentralDied:
            self.service = self.restarted()
            raise Unreachable("central went away") from None
        if asked.path == "claims":
            self.granted(asked, answer)
        return answer

    def deliver_late(self) -> None:
        """One of the requests that hung somewhere arrives after all; nobody hears the answer."""
        if self.late:
            asked = self.late.pop(self.rng.randrange(len(self.late)))
            try:
                self.deliver(asked)
            except Unreachable:
                return

    def exchange(self, till: str, asked: Asked, alive: Callable[[], bool]) -> Answered:
        """One request and its answer, or what becomes of them."""
        if till in self.down:
            raise Unreachable("no line")
        weather, chance = self.weather, self.rng.random
        if chance() < weather.lost:
            raise Slow("the request was lost")
        if chance() < weather.late:
            self.late.append(asked)
            if asked.path == "hello":
                self.overtaken.add(asked.caller.posid)
            raise Slow("the request hangs somewhere")
        if chance() < weather.central_dies:
            CENTRAL_FUSE.left = self.rng.randrange(40)
        try:
            answer = self.deliver(asked)
            if chance() < weather.twice:
                answer = self.deliver(asked)
        finally:
            CENTRAL_FUSE.left = None
        if chance() < weather.meanwhile:
            self.meanwhile(till, asked.path)
        if not alive() or chance() < weather.till_dies:
            raise Crash
        return self._returned(till, asked, answer)

    def _returned(self, till: str, asked: Asked, answer: Answered) -> Answered:
        weather, chance = self.weather, self.rng.random
        key = (till, asked.path)
        before = self.previous.get(key)
        self.previous[key] = answer
        if chance() < weather.unanswered:
            raise Slow("the answer was lost")
        if chance() < weather.garbled:
            return Answered(answer.status, answer.body[: len(answer.body) // 2])
        if before is not None and asked.path not in _ASKED_ONCE and chance() < weather.stale:
            return before
        if chance() < weather.busy:
            raise Slow("a proxy gave up")
        if asked.path == "hello" or asked.path.startswith("journal"):
            self.heard(till, asked, answer)
        return answer


class Wire:
    """Central as one terminal reaches it: `ports.CentralPort` and the counter's calls."""

    def __init__(
        self, network: Network, till: str, caller: Caller, alive: Callable[[], bool]
    ) -> None:
        self._network, self._till, self._caller, self._alive = network, till, caller, alive

    def close(self) -> None:
        """Nothing is open."""

    def enrol(self, request: messages.EnrolmentRequest) -> messages.Enrolment:
        return messages.decode_enrolment(self._post("enrolments", request))

    def hello(self, request: messages.HelloRequest) -> messages.Hello:
        return messages.decode_hello(self._post("hello", request))

    def push(self, posid: str, epoch: int, batch: messages.Batch) -> messages.BatchAnswer:
        return messages.decode_batch_answer(self._post(f"journal/{posid}/{epoch}", batch))

    def set_aside(
        self, posid: str, epoch: int, aside: journal_messages.SetAside
    ) -> messages.BatchAnswer:
        path = f"journal/{posid}/{epoch}/aside"
        return messages.decode_batch_answer(self._post(path, aside))

    def held_journal(self, posid: str) -> journal_messages.HeldJournal:
        return journal_messages.decode_held_journal(self._get(f"held/{posid}"))

    def held_page(self, posid: str, epoch: int, after: int) -> journal_messages.HeldPage:
        body = self._get(f"held/{posid}/{epoch}", {"after": str(after)})
        return journal_messages.decode_held_page(body)

    def feed(
        self, bucket: int, *, after: str, limit: int, wait_s: int, watch: str = ""
    ) -> FeedPage:
        # Sometimes small pages, so that a bucket takes several of them.
        items = min(limit, self._network.page_items)
        query = {"bucket": str(bucket), "after": after, "limit": str(items)}
        return decode_page(self._get("feed", query))

    def manifest(
        self, differs: str | None = None, *, scope: Scope = "merchant"
    ) -> messages.Manifest:
        assert differs is None, f"a replica differs from central at {differs}"
        return messages.decode_manifest(self._get("snapshot", {"scope": scope}))

    def verdicts(self, after: str) -> messages.VerdictsPage:
        return messages.decode_verdicts_page(self._get("verdicts", {"after": after}))

    def download(self, manifest: messages.Manifest, path: Path) -> None:
        with Download(path, sha256=manifest.sha256, size=manifest.size) as download:
            body = self._get(f"snapshots/{manifest.sha256}")
            download.begin(200, "")
            download.write(body)
            download.finish()

    def claim(self, request: messages.ClaimRequest, *, budget_ms: int) -> messages.ClaimAnswer:
        return messages.decode_claim_answer(self._post("claims", request))

    def look_up(
        self, request: messages.LookupRequest, *, budget_ms: int
    ) -> messages.LookupAnswer | None:
        try:
            return messages.decode_lookup_answer(self._post("lookups", request))
        except Refused as refused:
            if refused.problem.status == 404:
                return None
            raise

    def _post(self, path: str, message: Any) -> bytes:
        return self._exchange(Asked(self._caller, path, body=messages.encode(message)))

    def _get(self, path: str, query: dict[str, str] | None = None) -> bytes:
        return self._exchange(Asked(self._caller, path, query or {}))

    def _exchange(self, asked: Asked) -> bytes:
        answer = self._network.exchange(self._till, asked, self._alive)
        if answer.status < 300:
            return answer.body
        problem = decode_problem(answer.body)
        if problem is None:
            raise Garbled(f"an answer {answer.status} that central does not give")
        raise Busy(problem) if problem.status in (429, 503) else Refused(problem)
