"""Whoever does not finish a request is let go, however slowly it trickles; whoever waits is not.

The limit is real and tiny here: nothing below waits for anything but an end of its connection.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import make_url

from central.api import bounded, serve
from central.service import Central
from sync.limits import BATCH_BYTES_MAX
from tests.central import till as tills
from tests.central.conftest import issue, served
from tests.central.test_operations import figures

WAIT_S = 0.3
MOST = 6

BEGUN = b"POST /v1/journal/POS1/1 HTTP/1.1\r\nHost: x\r\nX-Slow: "
HALF = b"POST /v1/journal/POS1/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n{"
WHOLE = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
UNREAD = b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"


@pytest.fixture
def strict(central: Central) -> Iterator[str]:
    """A service that waits for nobody."""
    with served(central, wait_s=WAIT_S, most=MOST) as url:
        yield url


def connect(url: str) -> socket.socket:
    """A connection of its own."""
    address = make_url(url)
    assert address.host is not None and address.port is not None
    connection = socket.create_connection((address.host, address.port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def to_the_end(connection: socket.socket, drip: bytes = b"") -> tuple[bytes, int]:
    """What comes until the service ends it, and how many drips went out meanwhile."""
    heard = b""
    connection.settimeout(0.02 if drip else 10)
    for drips in itertools.count():
        assert drips < 500, "it is never ended"
        try:
            if drip:
                connection.sendall(drip)
            while piece := connection.recv(65_536):
                heard += piece
            break
        except TimeoutError:
            assert drip, "it is not ended"
        except OSError:  # it was ended while something was on its way
            break
    return heard, drips


def ended(url: str, why: str) -> float:
    """How many connections the service says it has ended for this reason."""
    return figures(url).get(f"hexiao_connections_ended_total {why}", 0)


@pytest.mark.parametrize(
    ("begin", "drip", "last"),
    [
        (BEGUN, b"x", b"HTTP/1.1 408 "),
        (HALF, b" ", b"HTTP/1.1 408 "),
        (HALF, b"", b"HTTP/1.1 408 "),
        (BEGUN, b"", b"HTTP/1.1 408 "),
        (b"", b"", b""),
        (UNREAD, b" ", b"HTTP/1.1 404 "),
        (WHOLE + BEGUN, b"x", b"HTTP/1.1 200 "),
        (WHOLE + HALF, b"", b"HTTP/1.1 200 "),
    ],
    ids=["head", "body", "half", "line", "mute", "unread", "next head", "next body"],
)
def test_a_request_that_never_ends(strict: str, begin: bytes, drip: bytes, last: bytes) -> None:
    """However it is done, its time is bounded, and no byte renews it."""
    with connect(strict) as connection:
        connection.sendall(begin)
        heard, drips = to_the_end(connection, drip)
    assert heard.startswith(last) and bool(heard) == bool(last)
    assert not drip or drips > 2, "it trickled"
    assert ended(strict, "slow") == 1
    for name, count in figures(strict).items():
        assert " 50" not in name or count == 0, "a client's fault is counted as ours"


def test_a_poll_may_last_longer(central: Central, strict: str) -> None:
    """Its request has come whole: it is answered when its time is up, not cut off before."""
    till = tills.pair(central, strict, "POS1")
    page = till.http.feed(1, after="0", limit=1, wait_s=0)
    while page.more:
        page = till.http.feed(1, after=page.cursor, limit=1_000, wait_s=0)
    assert till.http.feed(1, after=page.cursor, limit=1, wait_s=1).items == ()
    till.http.close()


def test_a_request_in_two_pieces_is_answered(strict: str) -> None:
    """Also the second on its connection, whose beginning came with the end of the first."""
    with connect(strict) as connection:
        for piece in (WHOLE[:10], WHOLE[10:] + WHOLE[:20], WHOLE[20:]):
            connection.sendall(piece)
        heard = b""
        while heard.count(b"HTTP/1.1 200 ") < 2:
            heard += connection.recv(65_536)
    assert ended(strict, "slow") == 0


def test_a_full_house_makes_room(central: Central, strict: str) -> None:
    """Those who dawdle go, the oldest first; a till is served as if they were not there."""
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connect(strict)) for _ in range(4 * MOST)]
        for one in crowd:
            one.sendall(BEGUN[:9])
        till = tills.pair(central, strict, "POS1")
        till.redeem(issue(central))
        assert len(till.push().verdicts) == 1
        heard, _ = to_the_end(crowd[0])
        assert heard == b"" or heard.startswith(b"HTTP/1.1 408 ")
        assert ended(strict, "full") >= 3 * MOST
        till.http.close()


def test_no_room_among_those_who_are_served(central: Central) -> None:
    """All others have asked: who comes now hears that it should come again, and none is ended."""
    with served(central, most=2) as url:
        till = tills.pair(central, url, "POS1")
        page = till.http.feed(1, after="0", limit=1_000, wait_s=0)
        polling = threading.Thread(
            target=till.http.feed,
            args=(1,),
            kwargs={"after": page.cursor, "limit": 1, "wait_s": 25},
        )
        polling.start()
        while figures(url)["hexiao_terminals_waiting"] == 0:
            pass
        with httpx.Client() as second:
            assert second.get(f"{url}/health").status_code == 200
            refused = httpx.get(f"{url}/health", timeout=10)
        assert refused.status_code == 503 and refused.headers["retry-after"] == "5"
        assert polling.is_alive()
    polling.join(10)
    till.http.close()


@pytest.mark.soak
@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere the kernel decides how long it tries"
)
def test_an_answer_that_nobody_reads(strict: str) -> None:
    """It asks and asks and takes nothing: the kernel ends it, within some probes of the limit."""
    with contextlib.closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        address = make_url(strict)
        connection.connect((address.host, address.port))
        connection.settimeout(20)
        with pytest.raises(ConnectionResetError):
            while True:
                connection.sendall(b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n" * 50)


def test_files_are_left_for_the_database() -> None:
    """A quarter of what the process may open; and somewhere it is not said how many that are."""
    files = serve._open_files()
    assert 0 < serve._room() < files and files - serve._room() >= files // 4
    assert bounded.WAIT_S * 40_000 > 2 * BATCH_BYTES_MAX
