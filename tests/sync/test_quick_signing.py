"""Believed fast is believed: what the short way takes, the library takes alike."""

import base64
import string

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sync import quick_signing, signing
from sync.signing import Message, SignatureError, Signer

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
NOW_S = 1_700_000_000
NONCE = "abcdefgh-_12"


def signed(method="POST", authority="central.example:8000", target="/v1/a?schema=1", body=b"x"):
    """A request as it comes in: its field names in lower case."""
    request = Message(method, authority, target, {}, body)
    signing.sign(request, Signer("T1_1", KEY), created_s=NOW_S, nonce=NONCE)
    request_headers = {name.lower(): value for name, value in request.headers.items()}
    return Message(method, authority, target, request_headers, body)


def quickly(request, key=PUBLIC):
    line = request.method, request.authority, request.target
    return quick_signing.believed(line, request.headers, request.body, {"T1_1": key}.get)


def slowly(request):
    """What the library says of it, without the short way."""
    try:
        return signing._caller(signing._verified(request, {"T1_1": PUBLIC}.get))
    except SignatureError:
        return None


def with_header(request, name, value):
    headers = request.headers | {name: value}
    return Message(request.method, request.authority, request.target, headers, request.body)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "GET", "target": "/v1/feed?bucket=1&after=1.ab.7&watch=2:1.cd.9", "body": b""},
        {"target": "/v1/snapshot"},
        {"target": "/v1/snapshot?"},
        {"authority": "127.0.0.1:65535"},
        {"authority": "central.example"},
        {"authority": "central.example:4430"},
    ],
)
def test_what_terminals_send_is_believed_at_once(changes):
    """Else nothing were gained."""
    found = quickly(signed(**changes))
    assert found is not None
    assert (found.keyid, found.nonce, found.created) == ("T1_1", NONCE, NOW_S)
    assert slowly(signed(**changes)) == signing.Caller(*found)


@pytest.mark.parametrize(
    "changes",
    [
        {"authority": "[::1]:9"},
        {"authority": "central.example:443"},
        {"authority": "Central.example"},
        {"target": "/v1/%41"},
        {"target": "/v1/a?b=%20"},
    ],
)
def test_what_has_two_forms_is_left_to_the_library(changes):
    """It believes these; here nothing is said of them."""
    assert quickly(signed(**changes)) is None
    assert slowly(signed(**changes)) is not None


def test_a_method_that_is_none_is_left_too():
    """No client writes one, but a line of text may."""
    request = signed()
    odd = Message("post", request.authority, request.target, request.headers, request.body)
    assert quickly(odd) is None


def test_bits_that_mean_nothing():
    """The last letter of a signature holds four bits too many; they are zero or it is no other."""
    request = signed()
    text = request.headers["signature"]
    at = len("hexiao=:") + 85
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    other = letters[letters.index(text[at]) ^ 1]
    odd = with_header(request, "signature", text[:at] + other + text[at + 1 :])
    same = base64.b64decode(text[8:-1]) == base64.b64decode(odd.headers["signature"][8:-1])
    assert same and quickly(odd) is None


def test_keys_that_are_none():
    """An unknown one, a wrong one and one that is no key."""
    for key in (None, bytes(32), b"short"):
        assert quickly(signed(), key) is None


@given(
    part=st.sampled_from(["method", "authority", "target", "body", "signature", "signature-input"])
    | st.just("content-digest"),
    where=st.integers(0, 400),
    what=st.sampled_from(list(string.printable)),
)
def test_whatever_is_changed_both_agree(part, where, what):
    """Any one letter of a request: the short way believes nothing that the library does not."""
    request = signed()
    if part in request.headers:
        text = request.headers[part]
        odd = with_header(request, part, text[:where] + what + text[where + 1 :])
    else:
        fields = {name: getattr(request, name) for name in ("method", "authority", "target")}
        text = request.body.decode() if part == "body" else fields[part]
        text = text[:where] + what + text[where + 1 :]
        body = text.encode() if part == "body" else request.body
        if part != "body":
            fields[part] = text
        odd = Message(**fields, headers=request.headers, body=body)
    found = quickly(odd)
    assert found is None or signing.Caller(*found) == slowly(odd)
