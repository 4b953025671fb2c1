"""A crowd of simulated terminals: each signs its requests, holds one open and follows the feed.

Responsible for: enrolling them by rows instead of by codes, waiting on sockets without a thread
each, and remembering what they heard and when. Not responsible for: replicas; a page is unpacked
and its cursor read, not applied. Invariants: one request of a terminal at a time, as of a real one;
a terminal whose connection was closed asks again on a new one, as a real one does, and is counted.
"""

import asyncio
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Final, NoReturn
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central import schema
from central.clock import now_ms
from central.service import Central
from sync import coding, signing
from sync.limits import ANSWER_BYTES_MAX, FEED_WAIT_S_MAX
from sync.signing import Message, Signer
from sync.transport import HttpCentral, Terms
from vouchers import ids

_GLANCE_S: Final = 0.1
_CUTS_MAX: Final = 5
"""A service that is merely slow answers in between."""

_CURSOR: Final = re.compile(rb'"cursor":"(1\.[0-9a-f]+\.(\d+))"')


@dataclass(frozen=True, slots=True)
class Crowd:
    """Enrolled terminals; all sign with one key, which costs as much as many."""

    posids: tuple[str, ...]
    key: Ed25519PrivateKey


@dataclass(slots=True)
class Seen:
    """What each terminal heard: the sequence that a page led to, and when (monotonic seconds).

    `cut` are the requests that the service closed the connection on instead of answering.
    """

    pages: list[list[tuple[int, float]]] = field(default_factory=list)
    requests: int = 0
    cut: int = 0
    began: float = 0.0
    ended: float = 0.0


def enrol(central: Central, count: int) -> Crowd:
    """Enrol that many terminals at outlet 1."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    posids = tuple(f"CROWD{number}" for number in range(count))
    with central.write() as work:
        base = {"merchant": work.merchant, "outlet": 1, "epoch": 1}
        work.connection.execute(
            schema.terminals.insert(),
            [
                base
                | {"posid": posid, "state": "active", "sign_key": public, "seal_key": bytes(32)}
                | {"enrolled_at": work.now, "seen_at": work.now, "missed_from": 0, "missed": 0}
                for posid in posids
            ],
        )
        work.connection.execute(
            schema.streams.insert(),
            [
                base
                | {"posid": posid, "public_key": public, "first_prev": "0" * 64, "seq": 0}
                | {"head": "0" * 64, "totals": "{}", "opened_at": work.now, "entered_at": work.now}
                for posid in posids
            ],
        )
    return Crowd(posids, key)


def pull(crowd: Crowd, address: str) -> int:
    """Pull bucket 1 from its beginning as a terminal does; answers the items."""
    terms = Terms(
        url=address,
        now_ms=now_ms,
        monotonic_ms=lambda: time.monotonic_ns() // 1_000_000,
        nonce=lambda: secrets.token_urlsafe(16),
    )
    http = HttpCentral(terms, Signer(signing.key_id(crowd.posids[0], 1), crowd.key))
    items, after, more = 0, "0", True
    while more:
        page = http.feed(1, after=after, limit=5_000, wait_s=0)
        items, after, more = items + len(page.items), page.cursor, page.more
    http.close()
    return items


def listen(crowd: Crowd, address: str, start: str, *, seconds: int) -> Seen:
    """Let all wait for news of bucket 1 from the cursor `start` on, for so many seconds.

    The seconds begin when everybody has been answered once: how a crowd of strangers comes in is
    another question than how it is served.
    """
    return asyncio.run(_listen(crowd, address, start, seconds))


async def _listen(crowd: Crowd, address: str, start: str, seconds: int) -> Seen:
    seen = Seen()
    tasks = []
    for posid in crowd.posids:
        caller = Caller(Signer(signing.key_id(posid, 1), crowd.key), address, seen, start)
        tasks.append(asyncio.create_task(caller.follow()))
    while not all(seen.pages) and not any(task.done() for task in tasks):
        await asyncio.sleep(_GLANCE_S)
    seen.began, seen.requests, seen.cut = time.monotonic(), 0, 0
    await asyncio.sleep(seconds)
    seen.ended = time.monotonic()
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    failed = [end for end in ends if isinstance(end, Exception)]
    assert not failed, failed[:3]
    return seen


class Caller:
    """One terminal on one connection."""

    def __init__(self, signer: Signer, address: str, seen: Seen, start: str) -> None:
        self._signer, self._seen, self._cursor = signer, seen, start
        self._host = urlsplit(address).netloc
        self._pages: list[tuple[int, float]] = []
        seen.pages.append(self._pages)

    async def follow(self) -> None:
        """Ask for what comes next, again and again. Raises ConnectionError when the service is
        gone, or has closed `_CUTS_MAX` connections in a row.
        """
        host, _, port = self._host.rpartition(":")
        cuts = 0
        while cuts < _CUTS_MAX:
            heard = len(self._pages)
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                await self._keep_asking(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                self._seen.cut += 1
            finally:
                writer.close()
            cuts = 1 if len(self._pages) > heard else cuts + 1
        raise ConnectionAbortedError(f"{cuts} connections in a row were closed without an answer")

    async def _keep_asking(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> NoReturn:
        while True:
            body = await self._ask(reader, writer, self._cursor)
            found = _CURSOR.search(body)
            assert found is not None, body[:200]
            self._cursor = found[1].decode()
            self._pages.append((int(found[2]), time.monotonic()))

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cursor: str
    ) -> bytes:
        target = f"/v1/feed?schema=1&bucket=1&after={cursor}&limit=5000&wait={FEED_WAIT_S_MAX}"
        message = Message("GET", self._host, target, {"Host": self._host}, b"")
        nonce = ids.b64u(secrets.token_bytes(16))
        signing.sign(message, self._signer, created_s=now_ms() // 1000, nonce=nonce)
        lines = [f"GET {target} HTTP/1.1", "Accept-Encoding: zstd"]
        lines += [f"{name}: {value}" for name, value in message.headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        self._seen.requests += 1
        assert head.startswith(b"HTTP/1.1 200"), head
        fields = dict(
            line.decode("latin-1").lower().split(": ", 1) for line in head.split(b"\r\n")[1:-2]
        )
        body = await reader.readexactly(int(fields["content-length"]))
        return coding.decode(body, fields.get("content-encoding"), limit=ANSWER_BYTES_MAX)
