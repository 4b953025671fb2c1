"""Signed requests that say nonsense: a problem each, never a 5xx, and nothing is changed."""

import functools
import json
import random

import httpx
from sqlalchemy import func, select

from central import schema
from central.service import Central
from sync import messages, signing
from tests.central import till as tills
from tests.central.conftest import Pair, issue
from tests.central.till import Till
from vouchers import ids

SEED = 20_261_122
VALUES = (
    None,
    True,
    "",
    "3",
    3,
    -1,
    0,
    2**53,
    2**200,
    1.5,
    "x" * 5_000,
    "\x00\x1b[2J",
    "🎉",
    "\ud800",
    [],
    {},
    [[[[[]]]]],
)


def send(till: Till, method: str, target: str, body: bytes, **headers: str) -> httpx.Response:
    """Send a truly signed request with any body."""
    fields = {"Host": till.url.removeprefix("http://"), **headers}
    message = signing.Message(method, fields["Host"], target, fields, body)
    signer = signing.Signer(signing.key_id(till.posid, till.epoch), till.key)
    nonce = tills.terms(till.url).nonce()
    signing.sign(message, signer, created_s=tills.now_ms() // 1000, nonce=nonce)
    return client().request(method, till.url + target, content=body or None, headers=fields)


@functools.cache
def client() -> httpx.Client:
    return httpx.Client(trust_env=False, verify=False)


def check(answer: httpx.Response) -> None:
    assert answer.status_code < 500, (answer.request.url, answer.request.content, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"].startswith("/problems/")


def good_bodies(central: Central, till: Till) -> dict[str, dict[str, object]]:
    voucher = issue(central, shares=2)
    till.redeem(voucher)
    whole = {
        "/v1/hello": messages.HelloRequest(
            boot=1,
            instance=ids.uuid7(1, bytes(10)),
            head=messages.SentHead(epoch=1, seq=0, hash=till.heads[0]),
            nonce="0123456789",
        ),
        "/v1/journal/POS1/1": till.batch(),
        "/v1/claims": messages.ClaimRequest(
            claim=ids.uuid7(1, bytes(10)),
            row_key=till.row_key(voucher.code, "1234"),
            voucher=voucher.voucher,
            generation=0,
            shares=1,
        ),
        "/v1/lookups": messages.LookupRequest(row_key=till.row_key(voucher.code, "0000")),
    }
    return {path: json.loads(messages.encode(body)) for path, body in whole.items()}


def test_no_field_of_any_body_can_break_the_service(central: Central, pair: Pair) -> None:
    """Design 7: every endpoint that moves value decodes strictly."""
    till = pair("POS1")
    chance = random.Random(SEED)
    for path, body in good_bodies(central, till).items():
        for name in [*body, "unknown"]:
            for value in chance.sample(VALUES, 5):
                text = json.dumps(body | {name: value})
                check(send(till, "POST", path, text.encode()))
        for raw in (b"", b"null", b"[]", b'{"a":1,"a":2}', b"[" * 10_000, b"\xff", b"NaN"):
            check(send(till, "POST", path, raw))
        check(send(till, "POST", path, b"x", **{"Content-Encoding": "br"}))
        check(send(till, "PUT", path, b"{}"))


TARGETS = (
    "/v1/feed?bucket=-1",
    "/v1/feed?bucket=99999999999999999999",
    "/v1/feed?bucket=1&after=1.zz.1",
    "/v1/feed?bucket=1&after=1.00.9999999999999999",
    "/v1/feed?bucket=1&limit=0&after=0",
    "/v1/feed?bucket=1&limit=x",
    "/v1/feed?bucket=1&wait=99999&after=0",
    "/v1/feed?bucket=1&wait=1&after=0&watch=x",
    "/v1/feed?bucket=1&wait=1&after=0&watch=" + "9:0," * 300,
    "/v1/feed?bucket=%00",
    "/v1/verdicts?after=x",
    "/v1/verdicts?after=9007199254740991",
    "/v1/snapshot?schema=9",
    "/v1/snapshot?schema=x",
    "/v1/snapshots/" + "0" * 64,
    "/v1/snapshots/..%2f..%2fcentral.db",
    "/v1/snapshots/%00",
)


def test_no_query_can_break_the_service(central: Central, pair: Pair) -> None:
    issue(central)
    till = pair("POS1")
    for target in TARGETS:
        check(send(till, "GET", target, b""))


def test_a_batch_for_somebody_else_is_refused(central: Central, pair: Pair) -> None:
    """A terminal uploads its own journal only; an epoch that never was is not found."""
    till = pair("POS1")
    pair("POS2")
    body = good_bodies(central, till)["/v1/journal/POS1/1"]
    text = json.dumps(body).encode()
    for path, status in (
        ("/v1/journal/POS2/1", 403),
        ("/v1/journal/POS1/7", 404),
        ("/v1/journal/POS1/x", 404),
        ("/v1/journal/POS1/-1", 404),
        ("/v1/journal/POS1/99999999999999999999", 404),
    ):
        answer = send(till, "POST", path, text)
        check(answer)
        assert answer.status_code == status, path
    with central.read() as work:
        stored = work.connection.execute(select(func.count()).select_from(schema.entries)).scalar()
    assert stored == 0


def test_a_snapshot_is_cut_at_any_range(central: Central, pair: Pair) -> None:
    issue(central)
    till = pair("POS1")
    manifest = till.http.manifest()
    path = f"/v1/snapshots/{manifest.sha256}"
    whole = send(till, "GET", path, b"").content
    assert len(whole) == manifest.size
    for header, status, part in (
        ("bytes=0-9", 206, whole[:10]),
        ("bytes=100-", 206, whole[100:]),
        (f"bytes={manifest.size - 1}-{manifest.size + 50}", 206, whole[-1:]),
        ("bytes=-5", 200, whole),
        ("rows=1-2", 200, whole),
    ):
        answer = send(till, "GET", path, b"", Range=header)
        assert (answer.status_code, answer.content) == (status, part), header
    for header in (f"bytes={manifest.size}-", "bytes=9-3"):
        answer = send(till, "GET", path, b"", Range=header)
        check(answer)
        assert answer.status_code == 416
