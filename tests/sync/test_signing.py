"""Requests are believed exactly when the right key signed all of them, once, about now."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import signing
from sync.limits import SERVER_NONCE_S
from sync.signing import Message, SignatureError, Signer

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
SIGNER = Signer("T1_1", KEY)
NOW_S = 1_700_000_000
NONCE = "abcdefgh-_12"
SECRET = b"central's secret"


def message(**changes):
    fields = {
        "method": "POST",
        "authority": "central.example:8000",
        "target": "/v1/journal/T1/1?schema=1",
        "headers": {},
        "body": b'{"a":1}',
    }
    return Message(**(fields | changes))


def signed(**changes):
    request = message(**changes)
    signing.sign(request, SIGNER, created_s=NOW_S, nonce=NONCE)
    return request


def check(request, **changes):
    options = {
        "key_of": {"T1_1": PUBLIC}.get,
        "now_ms": NOW_S * 1000,
        "seen": lambda keyid, nonce: False,
    }
    return signing.verify(request, **(options | changes))


def changed(request, **changes):
    parts = {name: getattr(request, name) for name in ("method", "authority", "target", "body")}
    return Message(**(parts | {"headers": dict(request.headers)} | changes))


def fault(request, **changes):
    with pytest.raises(SignatureError) as caught:
        check(request, **changes)
    return caught.value.fault


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "GET", "body": b"", "target": "/v1/feed?bucket=0&after=0"},
        {"method": "GET", "body": b"", "target": "/v1/snapshot"},
        {"authority": "[::1]:9"},
    ],
)
def test_what_was_signed_is_believed(changes):
    """A signed request tells who sent it and when."""
    caller = check(signed(**changes))
    assert (caller.keyid, caller.nonce, caller.created_s) == ("T1_1", NONCE, NOW_S)


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"authority": "other.example"},
        {"target": "/v1/journal/T2/1?schema=1"},
        {"target": "/v1/journal/T1/1?schema=2"},
        {"target": "/v1/journal/T1/1"},
        {"body": b'{"a":2}'},
        {"body": b""},
    ],
)
def test_any_change_is_noticed(changes):
    """Method, host, path, query and body are covered."""
    assert fault(changed(signed(), **changes)) == "bad_signature"


def test_a_body_slipped_under_a_signature_without_one():
    """A request signed without a digest cannot be given a body."""
    headers = hand_signed(body=None)
    assert check(message(headers=headers, body=b"")).keyid == "T1_1"
    assert fault(message(headers=headers, body=b"x")) == "bad_signature"


def test_no_signature_and_half_a_signature():
    """Both header fields are needed, and they must be readable."""
    assert fault(message()) == "unsigned"
    assert fault(message(headers={"Signature": "a=:AA==:"})) == "unsigned"
    garbage = {"Signature": "?!", "Signature-Input": "?!"}
    assert fault(message(headers=garbage)) == "bad_signature"


def test_whose_key():
    """A stranger, a wrong key and a key that is none."""
    assert fault(signed(), key_of=lambda keyid: None) == "unknown_key"
    assert fault(signed(), key_of=lambda keyid: bytes(32)) == "bad_signature"
    assert fault(signed(), key_of=lambda keyid: b"short") == "bad_signature"


@pytest.mark.parametrize(("off_s", "believed"), [(300, True), (-300, True), (301, False)])
def test_the_clock_may_be_a_little_off(off_s, believed):
    """Five minutes either way; beyond it the terminal is told so."""
    now_ms = (NOW_S + off_s) * 1000
    if believed:
        assert check(signed(), now_ms=now_ms).nonce == NONCE
    else:
        assert fault(signed(), now_ms=now_ms) == "clock_off"
        assert fault(signed(), now_ms=(NOW_S - off_s) * 1000) == "clock_off"


def test_centrals_own_nonce_stands_for_the_time():
    """A terminal whose clock is years off signs the nonce that central gave it."""
    now_ms = (NOW_S + 10**9) * 1000
    nonce = signing.issue_nonce(SECRET, now_ms=now_ms, random=bytes(16))
    request = message()
    signing.sign(request, SIGNER, created_s=NOW_S, nonce=nonce)

    def own(nonce, later_s=0):
        return signing.is_own_nonce(nonce, SECRET, now_ms=now_ms + later_s * 1000)

    assert check(request, now_ms=now_ms, own_nonce=own).nonce == nonce
    assert own(nonce, SERVER_NONCE_S) and own(nonce, -SERVER_NONCE_S)
    assert not own(nonce, SERVER_NONCE_S + 1)
    assert not signing.is_own_nonce(nonce, b"another", now_ms=now_ms)
    assert not own(NONCE)
    assert not own("!")
    assert fault(signed(), now_ms=now_ms, own_nonce=own) == "clock_off"


def test_a_replay_is_noticed_and_strangers_fill_no_memory():
    """The same request twice is refused; only believed requests are remembered."""
    memory = set()

    def seen(keyid, nonce):
        known = (keyid, nonce) in memory
        memory.add((keyid, nonce))
        return known

    assert fault(signed(), seen=seen, key_of=lambda keyid: bytes(32)) == "bad_signature"
    assert fault(signed(), seen=seen, now_ms=0) == "clock_off"
    assert not memory
    assert check(signed(), seen=seen)
    assert fault(signed(), seen=seen) == "replayed"


def test_key_ids():
    """A key id names a terminal and its epoch."""
    assert signing.read_key_id(signing.key_id("T1", 12)) == ("T1", 12)
    assert signing.read_key_id("T1_0") is None
    assert signing.read_key_id("T1") is None


def hand_signed(
    *, body=b'{"a":1}', params=f';created={NOW_S};keyid="T1_1";nonce="{NONCE}"', without=""
):
    """A signature made by reading RFC 9421 and nothing else."""
    parts = {
        '"@method"': "POST",
        '"@authority"': "central.example:8000",
        '"@path"': "/v1/journal/T1/1",
        '"@query"': "?schema=1",
    }
    headers = {}
    if body is not None:
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        headers["Content-Digest"] = parts['"content-digest"'] = f"sha-256=:{digest}:"
    parts.pop(without, None)
    listed = f"({' '.join(parts)}){params}"
    base = "".join(f"{name}: {value}\n" for name, value in parts.items())
    signature = KEY.sign(f'{base}"@signature-params": {listed}'.encode())
    headers["Signature-Input"] = f"theirs={listed}"
    headers["Signature"] = f"theirs=:{base64.b64encode(signature).decode()}:"
    return headers


def test_a_foreign_client_is_believed():
    """Somebody else's reading of the RFC passes, whatever label it uses."""
    assert check(message(headers=hand_signed())).keyid == "T1_1"


def test_ours_is_what_the_rfc_says():
    """Our own signature verifies over the base composed by hand."""
    request = signed()
    params = request.headers["Signature-Input"].partition("=")[2].partition(")")[2]
    theirs = hand_signed(params=params)
    assert request.headers["Content-Digest"] == theirs["Content-Digest"]
    assert request.headers["Signature"].partition("=")[2] == (theirs["Signature"].partition("=")[2])


@pytest.mark.parametrize(
    "changes",
    [{"without": name} for name in ('"@method"', '"@authority"', '"@path"', '"@query"')]
    + [{"without": '"content-digest"'}]
    + [
        {"params": f';keyid="T1_1";nonce="{NONCE}"'},
        {"params": f';created={NOW_S};nonce="{NONCE}"'},
        {"params": f';created={NOW_S};keyid="T1_1"'},
        {"params": f';created={NOW_S};keyid="T1_1";nonce="short"'},
        {"params": f';created={NOW_S};keyid="T1_1";nonce="{NONCE}";alg="hmac-sha256"'},
        {"params": f';created="{NOW_S}";keyid="T1_1";nonce="{NONCE}"'},
    ],
)
def test_a_signature_that_covers_too_little(changes):
    """A component or a parameter left out is a hole, so it is refused."""
    assert fault(message(headers=hand_signed(**changes))) == "bad_signature"
