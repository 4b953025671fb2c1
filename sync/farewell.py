"""The last word of a terminal that destroyed what it held.

Responsible for: the statement, and the body of `POST /wiped` and its answer. Not responsible for:
destroying, or keeping what was said. Invariants: it is signed while the key still exists and sent
when it does not any more, so the request that carries it is unsigned; it names what the terminal's
journal ended with, so that head office sees what never arrived.
"""

from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.errors import Garbled
from sync.limits import SCHEMA
from sync.messages import decoded
from sync.shapes import Answer, Count, Moment, Posid, Positive, Request, Signature
from vouchers import canonical
from vouchers.ids import b64u, unb64u

WIPED_DOMAIN: Final = b"hexiao-wiped-v1"


class Wiped(Request, frozen=True, kw_only=True):
    """A terminal's journal of an epoch ended at `up_to` when it was destroyed."""

    posid: Posid
    epoch: Positive
    up_to: Count
    at: Moment


class WipedRequest(Request, frozen=True, kw_only=True):
    """`POST /wiped`: canonical `{posid, epoch, up_to, at}`, signed by the epoch's key."""

    schema: Positive = SCHEMA
    text: str
    sig: Signature


class WipedAnswer(Answer, frozen=True, kw_only=True):
    """Heard; `at` is when it was heard first."""

    at: Moment


_REQUEST: Final = msgspec.json.Decoder(WipedRequest)
_ANSWER: Final = msgspec.json.Decoder(WipedAnswer)


def compose(wiped: Wiped, key: Ed25519PrivateKey) -> WipedRequest:
    """The last word, signed."""
    text = canonical.encode(msgspec.to_builtins(wiped))
    return WipedRequest(text=text, sig=b64u(key.sign(WIPED_DOMAIN + text.encode())))


def read(text: str) -> Wiped:
    """What a last word says, before it is believed. Raises Garbled."""
    try:
        return msgspec.convert(canonical.decode_object(text), Wiped)
    except ValueError as error:  # msgspec's is one, too
        raise Garbled(f"a last word cannot be read: {error}") from error


def is_signed(said: WipedRequest, public_key: bytes) -> bool:
    """Whether the key of the terminal's epoch signed it."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            unb64u(said.sig), WIPED_DOMAIN + said.text.encode()
        )
    except InvalidSignature:
        return False
    return True


def decode_wiped_request(body: bytes) -> WipedRequest:
    """Raises `Garbled`."""
    return decoded(_REQUEST, body)


def decode_wiped_answer(body: bytes) -> WipedAnswer:
    """Raises `Garbled`."""
    return decoded(_ANSWER, body)
