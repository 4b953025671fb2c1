"""Whatever the line does to an upload, every entry is booked once and the books agree.

Cut and changed at every byte (each offset once in `make soak`, every so many here), held back,
repeated byte for byte, and beside a crowd that never finishes a request.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import select

from central import schema
from central.service import Central
from sync import acks, messages, signing
from sync.coding import encode
from sync.errors import Garbled, Refused, Slow, SyncError
from sync.messages import BatchAnswer
from sync.transport import HttpCentral
from tests.central import till as tills
from tests.central.conftest import Pair, issue
from tests.central.faulty_line import Change, FaultyLine, cut_after, flipped_at, passed, swallowed
from tests.central.test_bad_requests import check, send
from tests.central.till import Till
from vouchers import ids


class Shop:
    """A till whose line to central can be faulty, and what it has redeemed."""

    def __init__(self, central: Central, till: Till, line: FaultyLine) -> None:
        self.central, self.till, self.line = central, till, line
        self.signer = signing.Signer(signing.key_id(till.posid, till.epoch), till.key)

    def redeem(self, count: int = 2) -> None:
        """So many entries more."""
        for _ in range(count):
            self.till.redeem(issue(self.central))

    def push(self, *, answer_s: float = 5.0) -> BatchAnswer:
        """Upload all that is not held yet, over the line, on a connection of its own."""
        terms = replace(tills.terms(self.line.url), answer_s=answer_s)
        client = HttpCentral(terms, self.signer)
        first = self.held() + 1
        try:
            return client.push(self.till.posid, self.till.epoch, self.till.batch(first))
        finally:
            client.close()

    def held(self) -> int:
        """Entries that central has."""
        return len(self.stored())

    def stored(self) -> list[str]:
        """Their bodies, in order."""
        table = schema.entries
        with self.central.read() as work:
            rows = work.connection.execute(
                select(table.c.body).where(table.c.posid == self.till.posid).order_by(table.c.seq)
            )
            return [bytes(row.body).decode() for row in rows]

    def believes(self, answer: BatchAnswer) -> bool:
        """Whether a till would take this for an acknowledgement."""
        key = self.till.enrolment.server_keys[0]
        signed = acks.Signed(answer.ack, answer.kid, answer.sig)
        try:
            ack = acks.read_ack(signed, {key.kid: ids.unb64u(key.key)})
        except Garbled:
            return False
        return (ack.up_to, ack.head) == (len(self.till.bodies), self.till.heads[-1])

    def check(self) -> None:
        """Every entry is there once, as it was written, and every voucher is used as often."""
        assert self.stored() == self.till.bodies
        bookings, vouchers = schema.bookings, schema.vouchers
        with self.central.read() as work:
            booked = work.connection.execute(
                select(bookings.c.seq, bookings.c.verdict).where(
                    bookings.c.posid == self.till.posid
                )
            ).all()
            used = work.connection.execute(select(vouchers.c.used)).scalars().all()
        assert sorted(row.seq for row in booked) == list(range(1, len(self.till.bodies) + 1))
        assert {row.verdict for row in booked} == {"accepted"}
        assert set(used) <= {1} and sum(used) == len(self.till.bodies)


@pytest.fixture
def shop(central: Central, url: str, pair: Pair) -> Iterator[Shop]:
    """A till behind a line."""
    line = FaultyLine(int(url.rpartition(":")[2]))
    yield Shop(central, pair("POS1"), line)
    line.close()


def everywhere(shop: Shop, change: Callable[[int], Change], step: int) -> int:
    """Spoil one upload at every `step`-th byte of it, then of its answer; answers how many hurt."""
    hurt = 0
    shop.redeem()
    shop.push()
    for way, most in enumerate(tuple(shop.line.carried)):
        for at in range(way % step, most, step):
            shop.redeem(1)
            faults = {"up": passed, "down": passed} | {("up", "down")[way]: change(at)}
            shop.line.up, shop.line.down = faults["up"], faults["down"]
            try:
                taken = shop.push()
            except SyncError:
                hurt += 1
            else:
                hurt += not shop.believes(taken)
            shop.line.up = shop.line.down = passed
            if shop.held() < len(shop.till.bodies):
                assert shop.believes(shop.push())
    shop.check()
    return hurt


@pytest.mark.parametrize("change", [cut_after, flipped_at])
def test_spoiled_at_many_bytes(shop: Shop, change: Callable[[int], Change]) -> None:
    """Every 53rd byte: most uploads suffer, none is lost or doubled."""
    assert everywhere(shop, change, 53) > 20


@pytest.mark.soak
@pytest.mark.parametrize("change", [cut_after, flipped_at])
def test_spoiled_at_every_byte(shop: Shop, change: Callable[[int], Change]) -> None:
    """Each offset once."""
    assert everywhere(shop, change, 1) > 1_000


def test_an_answer_that_comes_too_late(shop: Shop) -> None:
    """Central has booked it; the till has given up, sends it again, and it is booked once."""
    shop.redeem()
    shop.line.held.clear()
    with pytest.raises(Slow):
        shop.push(answer_s=0.3)
    shop.line.held.set()
    assert shop.held() == 2
    shop.redeem()
    assert shop.believes(shop.push())
    shop.check()


@pytest.mark.parametrize("pause_s", [0, pytest.param(31, marks=pytest.mark.soak)])
def test_an_upload_that_stalls_and_goes_on(shop: Shop, pause_s: int) -> None:
    """All but its end arrives; the till sends it again, it is booked; then the end comes too."""
    shop.redeem()
    shop.line.up = swallowed
    with pytest.raises(Slow):
        shop.push(answer_s=0.5)
    request, shop.line.up = bytes(shop.line.asked), passed
    with socket.create_connection(("127.0.0.1", shop.line.port), timeout=10) as stalled:
        stalled.sendall(request[:-100])
        threading.Event().wait(pause_s)
        assert shop.believes(shop.push())
        stalled.sendall(request[-100:])
        assert answered(stalled).startswith(b"HTTP/1.1 200 "), "it was signed in time"
    shop.check()


def compressed(shop: Shop, coding: str) -> Callable[[bytes], int]:
    """Sends an upload of these bytes, truly signed; the status of the answer, never a 5xx."""
    target = f"/v1/journal/{shop.till.posid}/{shop.till.epoch}"

    def sent(body: bytes) -> int:
        answer = send(shop.till, "POST", target, body, **{"Content-Encoding": coding})
        check(answer)
        return answer.status_code

    return sent


@pytest.mark.parametrize("coding", ["zstd", "gzip"])
def test_compression_that_ends_early_under_a_good_signature(shop: Shop, coding: str) -> None:
    """The digest fits, for it was signed so: refused in words, and never half of it is taken."""
    shop.redeem(3)
    whole, named = encode(messages.encode(shop.till.batch()), coding)
    sent = compressed(shop, coding)
    assert named == coding
    assert {sent(whole[:at]) for at in range(0, len(whole), 11)} == {400}
    assert shop.held() == 0
    assert sent(whole) == 200
    shop.check()


@pytest.mark.parametrize("coding", ["zstd", "gzip"])
def test_compression_that_unfolds_to_something_else(shop: Shop, coding: str) -> None:
    """A till whose memory turns a bit signs the request: what it never wrote counts for nothing."""
    shop.redeem(3)
    whole, _ = encode(messages.encode(shop.till.batch()), coding)
    sent, refused = compressed(shop, coding), 0
    for at in range(0, len(whole), 11):
        refused += sent(flipped_at(at)(whole, 0)[0]) >= 400
        if shop.held():
            break
    if shop.held() == 0:
        assert refused > 20 and sent(whole) == 200
    table = schema.bookings
    with shop.central.read() as work:
        booked = work.connection.execute(select(table.c.seq, table.c.verdict)).all()
        used = work.connection.execute(select(schema.vouchers.c.used)).scalars().all()
    stored, accepted = shop.stored(), [row.seq for row in booked if row.verdict == "accepted"]
    assert [stored[seq - 1] for seq in accepted] == [shop.till.bodies[seq - 1] for seq in accepted]
    assert sum(used) == len(accepted)


def test_a_request_repeated_byte_for_byte(shop: Shop) -> None:
    """Whoever recorded an upload can do nothing with it."""
    shop.redeem()
    shop.push()
    again = raw(shop.line.port, bytes(shop.line.asked))
    assert again.startswith(b"HTTP/1.1 401 ") and b"replay" in again
    shop.check()


def test_a_body_that_is_not_what_was_signed(shop: Shop) -> None:
    """Cut short, with a length that fits: the digest tells."""
    shop.redeem()
    shop.line.up = swallowed
    with pytest.raises(Slow):
        shop.push(answer_s=0.5)
    head, _, body = bytes(shop.line.asked).partition(b"\r\n\r\n")
    shorter = head.replace(
        b"Content-Length: %d" % len(body), b"Content-Length: %d" % (len(body) - 1)
    )
    assert shorter != head
    answer = raw(shop.line.port, shorter + b"\r\n\r\n" + body[:-1])
    assert answer.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 400 ")), answer[:200]
    assert shop.held() == 0


def test_a_crowd_that_never_finishes_its_request(shop: Shop) -> None:
    """Three hundred connections that trickle hold up nobody; `test_bounded`: they are let go."""
    request = b"POST /v1/journal/POS1/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
    crowd = [socket.create_connection(("127.0.0.1", shop.line.port)) for _ in range(300)]
    try:
        for number, one in enumerate(crowd):
            one.sendall(request[: 5 + number % (len(request) - 8)])
        for drop in range(3):
            shop.redeem()
            assert shop.believes(shop.push(answer_s=5.0))
            for number, one in enumerate(crowd):
                at = 5 + number % (len(request) - 8) + drop
                one.sendall(request[at : at + 1])
        assert httpx.get(f"http://127.0.0.1:{shop.line.port}/ready").status_code == 200
    finally:
        for one in crowd:
            one.close()
    shop.check()


def test_a_journal_of_somebody_else(shop: Shop, pair: Pair) -> None:
    """Signed by one till, for another one's journal: refused, and nothing is stored."""
    other = pair("POS2")
    other.redeem(issue(shop.central))
    with pytest.raises(Refused):
        shop.till.http.push("POS2", other.epoch, other.batch())
    assert shop.held() == 0


def raw(port: int, request: bytes) -> bytes:
    """What central answers to these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return answered(connection)


def answered(connection: socket.socket) -> bytes:
    """The next answer on a connection."""
    with connection.makefile("rb") as answer:
        head = b"".join(iter(answer.readline, b"\r\n"))
        length = re.search(rb"(?i)content-length: (\d+)", head)
        assert length is not None, head
        return head + answer.read(int(length[1]))
