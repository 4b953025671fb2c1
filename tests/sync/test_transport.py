"""Over a real socket: what is sent can be believed, and any answer has a meaning."""

import hashlib
import ipaddress
import json
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from sync import coding, messages, signing
from sync.errors import Busy, Garbled, NoContact, Refused, Slow, Unreachable
from sync.limits import ANSWER_BYTES_MAX, SERVER_NONCE_S
from sync.messages import Batch, ClaimRequest, HelloRequest, LookupRequest, Manifest, SentHead
from sync.problems import Problem, problem_type
from sync.transport import HttpCentral, Terms, check_url
from tests.sync.peer import FIRST_PREV, Chain, Peer
from tests.sync.server import Answered, ScriptedServer

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
NOW_MS = 1_700_000_000_000
UUID = "01890a5d-ac96-774b-bcce-b302099a8057"
ROW = "C" * 21 + "A"
STATE = {
    "t": "state",
    "op": "put",
    "voucher": UUID,
    "version": 3,
    "state": "live",
    "generation": 1,
    "used": 2,
    "valid_from": "2026-11-22T03:04:05.678Z",
    "valid_until": "2026-11-22T03:04:05.678Z",
}
CLAIM = ClaimRequest(claim=UUID, row_key=ROW, voucher=UUID, generation=0, shares=1)
HELLO = HelloRequest(
    boot=1, instance=UUID, head=SentHead(epoch=1, seq=0, hash=FIRST_PREV), nonce="n" * 22
)


def terms(url, **changes):
    nonces = iter(range(10**6))
    options = {
        "url": url,
        "now_ms": lambda: NOW_MS,
        "monotonic_ms": lambda: 0,
        "nonce": lambda: f"nonce-{next(nonces):06d}",
        "answer_s": 5.0,
    }
    return Terms(**(options | changes))


@pytest.fixture
def connect():
    """Make clients that are closed at the end."""
    made = []

    def connected(url, *, signer=signing.Signer("T1_1", KEY), **changes):  # noqa: B008
        made.append(HttpCentral(terms(url, **changes), signer))
        return made[-1]

    yield connected
    for client in made:
        client.close()


def problem(reason, status, **more):
    body = messages.encode(Problem(type=problem_type(reason), status=status, **more))
    return Answered(status, body, {"Content-Type": "application/problem+json"})


def page(cursor="1.a.1"):
    return json.dumps({"from": "0", "cursor": cursor, "more": False, "items": []}).encode()


def test_a_push_is_signed_compressed_and_understood(connect):
    """The bytes on the wire verify with central's verifier and unfold to the batch."""
    chain, peer, callers = Chain().grown(50), Peer(), []

    def answer(asked):
        callers.append(
            signing.verify(
                asked.message,
                key_of={"T1_1": PUBLIC}.get,
                now_ms=NOW_MS,
                seen=lambda keyid, nonce: False,
            )
        )
        return Answered(body=messages.encode(peer.take(messages.decode_batch(asked.body))))

    with ScriptedServer(answer) as server:
        batch = Batch(from_=1, prev=FIRST_PREV, entries=tuple(chain.bodies), sig="S" * 85 + "A")
        got = connect(server.url).push("T1", 1, batch)
    assert json.loads(got.ack)["up_to"] == 50
    asked = server.asked[0]
    assert (asked.method, asked.target) == ("POST", "/v1/journal/T1/1")
    assert asked.headers["content-encoding"] == "zstd"
    assert asked.headers["content-type"] == "application/json"
    assert len(asked.raw) < len(asked.body)
    assert callers[0].keyid == "T1_1"


def test_every_call_goes_where_the_contract_says(connect):
    """Method, path, query and schema of each call; a base path is kept."""
    answers = {
        "/base/v1/hello": {"time": "{}", "kid": 1, "sig": "S" * 85 + "A"},
        "/base/v1/feed": json.loads(page()),
        "/base/v1/verdicts": {"verdicts": [], "cursor": "7"},
        "/base/v1/claims": {"claim": UUID, "granted": False, "reason": "in_progress"},
        "/base/v1/lookups": {"record": "ag", "voucher": UUID, "state": STATE},
    }
    with ScriptedServer(lambda a: Answered(body=json.dumps(answers[a.path]).encode())) as server:
        central = connect(server.url + "/base/")
        assert central.hello(HELLO).kid == 1
        assert central.feed(3, after="0", limit=9, wait_s=0).cursor == "1.a.1"
        central.feed(3, after="0", limit=9, wait_s=1, watch="0:1.b.2")
        central.feed(3, after="0", limit=9, wait_s=1)
        assert central.verdicts("x y").cursor == "7"
        assert central.verdicts("").cursor == "7"
        assert central.claim(CLAIM, budget_ms=4_000).reason == "in_progress"
        found = central.look_up(LookupRequest(row_key=ROW), budget_ms=4_000)
        assert found.state.used == 2
    targets = [asked.target for asked in server.asked]
    assert targets[1:6] == [
        "/base/v1/feed?schema=1&bucket=3&after=0&limit=9",
        "/base/v1/feed?schema=1&bucket=3&after=0&limit=9&wait=1&watch=0%3A1.b.2",
        "/base/v1/feed?schema=1&bucket=3&after=0&limit=9&wait=1",
        "/base/v1/verdicts?schema=1&after=x+y",
        "/base/v1/verdicts?schema=1",
    ]
    assert all(asked.method == "POST" for asked in (server.asked[0], *server.asked[6:]))
    assert json.loads(server.asked[0].body)["schema"] == 1


def test_enrolment_is_unsigned(connect):
    """Before it is paired a terminal has no name to sign with."""
    with ScriptedServer() as server:
        central = connect(server.url, signer=None)
        request = messages.EnrolmentRequest(
            code="12345678", sign_key="A" * 43, seal_key="A" * 43, proof="B" * 85 + "A"
        )
        with pytest.raises(Garbled):
            central.enrol(request)
    assert "signature" not in server.asked[0].headers
    assert json.loads(server.asked[0].body)["code"] == "12345678"


@pytest.mark.parametrize("accepted", ["zstd", "gzip", ""])
def test_compressed_answers(connect, accepted):
    """Whatever central compresses with, the answer unfolds."""
    body = json.dumps(json.loads(page()) | {"padding": "x" * 5_000}).encode()
    encoded, name = coding.encode(body, accepted)
    headers = {"Content-Encoding": name} if name else {}
    with ScriptedServer(lambda a: Answered(body=encoded, headers=headers)) as server:
        assert connect(server.url).feed(0, after="0", limit=1, wait_s=0).cursor == "1.a.1"
    assert server.asked[0].headers["accept-encoding"] == "zstd, gzip"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (Answered(body=b"<html>please log in</html>"), Garbled),
        (Answered(body=b""), Garbled),
        (Answered(body=b"\x00\xff" * 100), Garbled),
        (Answered(body=page(), headers={"Content-Encoding": "zstd"}), Garbled),
        (Answered(body=page(), headers={"Content-Encoding": "br"}), Garbled),
        (Answered(302, b"", {"Location": "https://portal.example/"}), Garbled),
        (Answered(404, b"<html>"), Garbled),
        (Answered(500, b"Traceback"), Garbled),
        (Answered(502, b"<html>Bad Gateway"), Unreachable),
        (Answered(body=b"x" * (ANSWER_BYTES_MAX + 1)), Garbled),
        (Answered(body=page(), cut=10), Unreachable),
        (problem("gap", 409, expected=4), Refused),
        (problem("busy", 503, retry_after_s=4), Busy),
        (problem("misses", 429), Busy),
        (Answered(400, problem("gap", 409).body), Garbled),
    ],
)
def test_any_answer_has_a_meaning(connect, given, error):
    """Portals, proxies, rubbish and refusals each become one typed error."""
    with ScriptedServer(lambda a: given) as server, pytest.raises(error) as caught:
        connect(server.url).feed(0, after="0", limit=1, wait_s=0)
    assert caught.type is error


@pytest.mark.parametrize(
    "given",
    [
        Answered(200, b"<html>log in", {"Content-Type": "text/html; charset=utf-8"}),
        Answered(302, b"", {"Location": "https://portal.example/"}),
        Answered(511, b"<html>log in", {"Content-Type": "Text/HTML"}),
    ],
)
def test_a_login_page_is_named(connect, given):
    """A person at the counter can do something about a hotspot's page."""
    with (
        ScriptedServer(lambda a: given) as server,
        pytest.raises(Garbled, match="does this network ask for a login"),
    ):
        connect(server.url).feed(0, after="0", limit=1, wait_s=0)


@pytest.mark.parametrize("status", [403, 413, 429, 503])
@pytest.mark.parametrize(
    ("said", "asked_s"),
    [("7", 7), ("Wed, 21 Oct 2015 07:28:00 GMT", None), ("\u00b2", None), ("-7", None), ("", None)],
)
def test_a_proxy_may_ask_for_a_pause(connect, status, said, asked_s):
    """Its seconds are kept, as central's are; a date means nothing where clocks differ."""
    given = Answered(status, b"later", {"Retry-After": said})
    with ScriptedServer(lambda a: given) as server, pytest.raises(NoContact) as caught:
        connect(server.url).feed(0, after="0", limit=1, wait_s=0)
    assert caught.value.retry_after_s == asked_s


def test_a_refusal_carries_the_problem(connect):
    """The reason, and what a machine needs to go on."""
    with (
        ScriptedServer(lambda a: problem("gap", 409, expected=4, detail="send 4")) as server,
        pytest.raises(Refused, match=r"gap \(409\) send 4") as caught,
    ):
        connect(server.url).feed(0, after="0", limit=1, wait_s=0)
    assert (caught.value.reason, caught.value.problem.expected) == ("gap", 4)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"fro',
        b"\x16\x03\x01 this is not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_a_connection_that_breaks(connect, raw):
    """Cut anywhere: nothing was learned, and it is said so."""
    with ScriptedServer(raw=lambda handler: handler.wfile.write(raw)) as server:
        central = connect(server.url)
        with pytest.raises(Unreachable):
            central.feed(0, after="0", limit=1, wait_s=0)


def test_nobody_is_there(connect):
    """A closed port, and a client that was closed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Unreachable):
        connect(url).manifest()
    central = connect(url)
    central.close()
    with pytest.raises(Unreachable, match="closed"):
        central.manifest()
    with pytest.raises(Unreachable, match="closed"):
        central.claim(CLAIM, budget_ms=1_000)


def test_a_bug_is_not_an_outage(connect):
    """An error of our own comes out as it is."""

    def broken():
        raise RuntimeError("bug")

    with ScriptedServer() as server, pytest.raises(RuntimeError, match="bug"):
        connect(server.url, now_ms=broken).manifest()


def test_a_slow_central(connect):
    """No answer within the time allowed is Slow, not an error of another kind."""
    with ScriptedServer(raw=lambda handler: server.released.wait(5)) as server:
        with pytest.raises(Slow):
            connect(server.url, answer_s=0.05).manifest()
        server.released.set()


@pytest.mark.parametrize("secure", [False, True])
def test_closing_cuts_a_call_under_way(connect, tmp_path, secure):
    """A poll that central holds open ends at once when the terminal stops."""
    held, ended = threading.Event(), []

    def hold(handler):
        held.set()
        server.released.wait(10)

    server = ScriptedServer(raw=hold)
    context = None
    if secure:
        cert, private = certificate(tmp_path)
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(cert, private)
        server.wrap(serving)
        context = ssl.create_default_context(cafile=str(cert))
    with server:
        url = server.url.replace("http:", "https:") if secure else server.url
        central = connect(url, tls=context, answer_s=30.0)

        def poll():
            with pytest.raises(Unreachable):
                central.feed(0, after="0", limit=1, wait_s=25)
            ended.append(True)

        polling = threading.Thread(target=poll)
        polling.start()
        assert held.wait(5)
        central.close()
        polling.join(5)
        assert ended


def test_an_answer_that_trickles(connect):
    """Each byte is in time, the whole is not: the clock of the exchange ends it."""
    ticks = iter(range(0, 10**9, 3_000))
    body = page()
    with ScriptedServer(lambda a: Answered(body=body)) as server, pytest.raises(Slow):
        connect(server.url, monotonic_ms=lambda: next(ticks), answer_s=2.0).manifest()


def test_a_budget_holds(connect):
    """A claim answers within its milliseconds although central holds its answer back."""
    holding = threading.Event()

    def hold(handler):
        holding.set()
        server.released.wait(5)

    with ScriptedServer(raw=hold) as server:
        central = connect(server.url)
        with pytest.raises(Slow):
            central.claim(CLAIM, budget_ms=40)
        with pytest.raises(Slow):
            central.look_up(LookupRequest(row_key=ROW), budget_ms=40)
        assert holding.wait(5)
        server.released.set()


def test_a_look_up_that_finds_nothing(connect):
    """404 is an answer; any other refusal is one too, of another kind."""
    with ScriptedServer(lambda a: problem("unknown_row", 404)) as server:
        assert connect(server.url).look_up(LookupRequest(row_key=ROW), budget_ms=4_000) is None
    with (
        ScriptedServer(lambda a: problem("misses", 429)) as server,
        pytest.raises(Busy),
    ):
        connect(server.url).look_up(LookupRequest(row_key=ROW), budget_ms=4_000)


def test_a_clock_that_is_off(connect):
    """401 with a nonce: signed again with it, once, and then believed."""
    secret, later_ms = b"secret", NOW_MS + 10**12
    nonce = signing.issue_nonce(secret, now_ms=later_ms, random=bytes(16))
    faults = []

    def answer(asked):
        try:
            signing.verify(
                asked.message,
                key_of={"T1_1": PUBLIC}.get,
                now_ms=later_ms + SERVER_NONCE_S * 500,
                seen=lambda keyid, used: False,
                own_nonce=lambda used: signing.is_own_nonce(used, secret, now_ms=later_ms),
            )
        except signing.SignatureError as error:
            faults.append(error.fault)
            return problem(error.fault, 401, nonce=nonce)
        return Answered(body=page())

    with ScriptedServer(answer) as server:
        assert connect(server.url).feed(0, after="0", limit=1, wait_s=0).cursor == "1.a.1"
        assert faults == ["clock_off"]
        assert len(server.asked) == 2


def test_a_central_that_never_believes(connect):
    """The nonce is tried once, not for ever."""
    with (
        ScriptedServer(lambda a: problem("clock_off", 401, nonce="n" * 22)) as server,
        pytest.raises(Refused, match="clock_off"),
    ):
        connect(server.url).manifest()
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("url", "insecure", "fine"),
    [
        ("https://central.example", False, True),
        ("http://127.0.0.1:8000", False, True),
        ("http://[::1]:8000", False, True),
        ("http://localhost", False, True),
        ("http://192.168.1.5", False, False),
        ("http://central.example", False, False),
        ("http://central.example", True, True),
        ("ftp://central.example", True, False),
        ("central.example", False, False),
        ("http://[", False, False),
        ("https://central.example:port", False, False),
        ("", False, False),
    ],
)
def test_plain_http_stays_on_this_machine(url, insecure, fine):
    """https, except on loopback or in a lab that says so."""
    if fine:
        assert check_url(url, insecure_http=insecure)
    else:
        with pytest.raises(ValueError, match="central's address"):
            check_url(url, insecure_http=insecure)


def certificate(tmp_path, *, address="127.0.0.1", ends_in_days=1):
    """A certificate for an address that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "central")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=3))
        .not_valid_after(now + timedelta(days=ends_in_days))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, private = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert, private


def test_tls_is_checked(connect, tmp_path):
    """A certificate that nobody vouches for is no central; one that is trusted is."""
    cert, private = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, private)
    server = ScriptedServer(lambda a: Answered(body=page()))
    server.wrap(context)
    with server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(Unreachable, match=r"(?i)certificate"):
            connect(url).manifest()
        trusted = ssl.create_default_context(cafile=str(cert))
        got = connect(url, tls=trusted).feed(0, after="0", limit=1, wait_s=0)
        assert got.cursor == "1.a.1"


@pytest.mark.parametrize("wrong", [{"address": "127.0.0.2"}, {"ends_in_days": -1}])
def test_a_trusted_certificate_that_is_wrong(connect, tmp_path, wrong):
    """Of another place, or out of date: nothing is sent to it."""
    cert, private = certificate(tmp_path, **wrong)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, private)
    server = ScriptedServer(lambda a: Answered(body=page()))
    server.wrap(context)
    with server:
        url = server.url.replace("http:", "https:")
        trusted = ssl.create_default_context(cafile=str(cert))
        with pytest.raises(Unreachable, match=r"(?i)certificate"):
            connect(url, tls=trusted).feed(0, after="0", limit=1, wait_s=0)
        assert server.asked == []


FILE = bytes(range(256)) * 2_000


def manifest(content=FILE, **changes):
    fields = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "cursor": {},
        "sealed_through": "2026-11-22T03:04:05.678Z",
        "schema": 1,
        "kid": 1,
        "sig": "S" * 85 + "A",
    }
    return Manifest(**(fields | changes))


def ranged(asked):
    """A server that can continue a file."""
    wanted = asked.headers.get("range")
    if wanted is None:
        return Answered(body=FILE)
    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
    span = f"bytes {start}-{len(FILE) - 1}/{len(FILE)}"
    return Answered(206, FILE[start:], {"Content-Range": span})


def test_a_snapshot_arrives_whole(connect, tmp_path):
    """Verified, under its name, and nothing else is left behind."""
    with ScriptedServer(ranged) as server:
        connect(server.url).download(manifest(), tmp_path / "replica.new")
    assert (tmp_path / "replica.new").read_bytes() == FILE
    assert [path.name for path in tmp_path.iterdir()] == ["replica.new"]
    assert server.asked[0].target == f"/v1/snapshots/{manifest().sha256}?schema=1"
    assert server.asked[0].headers["accept-encoding"] == "identity"


def test_a_download_that_was_cut_is_continued(connect, tmp_path):
    """The part that came is kept; only the rest is asked for."""
    cuts = iter([100_000, 200_000, None])

    def answer(asked):
        given = ranged(asked)
        given.cut = next(cuts)
        return given

    with ScriptedServer(answer) as server:
        central = connect(server.url)
        for _ in range(2):
            with pytest.raises(Unreachable):
                central.download(manifest(), tmp_path / "new")
        central.download(manifest(), tmp_path / "new")
    assert (tmp_path / "new").read_bytes() == FILE
    starts = [asked.headers.get("range") for asked in server.asked]
    assert starts[0] is None
    assert 0 < int(starts[1][6:-1]) <= 100_000 < int(starts[2][6:-1]) <= 300_000


@pytest.mark.parametrize(
    "given",
    [
        Answered(body=FILE[:-1]),
        Answered(body=FILE + b"x"),
        Answered(body=FILE[:-1] + b"x"),
        Answered(206, FILE),
        Answered(206, FILE, {"Content-Range": "bytes 5-9/10"}),
        Answered(204, b""),
    ],
)
def test_a_snapshot_that_does_not_verify(connect, tmp_path, given):
    """Short, long, changed, or another part than was asked for: the name stays free."""
    with ScriptedServer(lambda a: given) as server, pytest.raises(Garbled):
        connect(server.url).download(manifest(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_part_that_turned_bad_does_not_block(connect, tmp_path):
    """A rotten part fails once and is forgotten; a part of another file is begun again."""
    part = tmp_path / "new.part"
    part.write_bytes(b"rotten" * 10)
    with ScriptedServer(ranged) as server:
        central = connect(server.url)
        with pytest.raises(Garbled, match="another hash"):
            central.download(manifest(), tmp_path / "new")
        central.download(manifest(), tmp_path / "new")
        (tmp_path / "new").unlink()
        part.write_bytes(bytes(len(FILE) + 5))
        central.download(manifest(), tmp_path / "new")
    assert (tmp_path / "new").read_bytes() == FILE


def test_a_server_that_knows_no_ranges(connect, tmp_path):
    """200 to a Range: the whole file again, from the start."""
    (tmp_path / "new.part").write_bytes(FILE[:1_000])
    with ScriptedServer(lambda a: Answered(body=FILE)) as server:
        connect(server.url).download(manifest(), tmp_path / "new")
    assert (tmp_path / "new").read_bytes() == FILE


def test_a_snapshot_that_central_dropped(connect, tmp_path):
    """A refusal is a refusal, also of a file."""
    with (
        ScriptedServer(lambda a: problem("no_snapshot", 404)) as server,
        pytest.raises(Refused, match="no_snapshot"),
    ):
        connect(server.url).download(manifest(), tmp_path / "new")
