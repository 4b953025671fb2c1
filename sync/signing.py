"""Who sent a request: HTTP Message Signatures (RFC 9421) with Ed25519, content digests (RFC 9530).

Responsible for: signing a terminal's request and believing it at central. Not responsible for:
what the request asks; journal entries carry signatures of their own.
Invariants: covered are method, authority, path, query and, with a body, its digest as it went over
the wire (after compression); `created`, `nonce` and `keyid` are always there. The scheme is not
covered, so a TLS-terminating proxy changes nothing. Nothing here reads a clock or remembers: the
caller passes the time and is asked whether a nonce was seen.
"""

import datetime
import functools
import hmac
import re
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    VerifyResult,
    algorithms,
)

from sync import quick_signing
from sync.limits import NONCE_BYTES, SERVER_NONCE_S, SKEW_S_MAX
from vouchers.ids import b64u, is_posid, unb64u

SignatureFault = Literal["unsigned", "bad_signature", "unknown_key", "clock_off", "replayed"]
"""Machine reasons of a 401. After `clock_off` central sends a nonce to sign instead of the time."""

_COVERED: Final = ("@method", "@authority", "@path", "@query")
_LABEL: Final = "hexiao"
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
_KEYID: Final = re.compile(r"([A-Za-z0-9]{1,32})_([1-9]\d{0,8})", re.ASCII)
_NONCE_DOMAIN: Final = b"hexiao-nonce-v1"
_MAC_BYTES: Final = 16
_TIME_BYTES: Final = 8


class SignatureError(Exception):
    """A request is not believed; `fault` says why."""

    def __init__(self, fault: SignatureFault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault: SignatureFault = fault


@dataclass(frozen=True, slots=True)
class Message:
    """A request as it goes over the wire. `target` is path and query; `body` is still encoded.

    `authority` is the Host header; `headers` must hold the signature's fields when verifying.
    """

    method: str
    authority: str
    target: str
    headers: MutableMapping[str, str]
    body: bytes

    @property
    def url(self) -> str:
        """The absolute form. The scheme is fixed: it is not signed, a proxy may change it."""
        return f"https://{self.authority}{self.target}"


@dataclass(frozen=True, slots=True)
class Signer:
    """A terminal's name and key."""

    keyid: str
    key: Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a request, and when by its own clock (seconds UTC)."""

    keyid: str
    nonce: str
    created_s: int


def key_id(posid: str, epoch: int) -> str:
    """The `keyid` of a terminal: its key changes with its epoch."""
    assert is_posid(posid) and epoch >= 1
    return f"{posid}_{epoch}"


def read_key_id(keyid: str) -> tuple[str, int] | None:
    """POSID and epoch of a `keyid`; None when it is none."""
    found = _KEYID.fullmatch(keyid)
    return (found[1], int(found[2])) if found else None


def sign(message: Message, signer: Signer, *, created_s: int, nonce: str) -> None:
    """Add Content-Digest, Signature-Input and Signature to the message's headers."""
    HTTPMessageSigner(
        signature_algorithm=algorithms.ED25519, key_resolver=_OwnKey(signer.key)
    ).sign(
        message,
        key_id=signer.keyid,
        created=datetime.datetime.fromtimestamp(created_s, tz=datetime.UTC),
        nonce=nonce,
        label=_LABEL,
        covered_component_ids=_COVERED,
        body=message.body,
    )


def verify(
    message: Message,
    *,
    key_of: Callable[[str], bytes | None],
    now_ms: int,
    seen: Callable[[str, str], bool],
    own_nonce: Callable[[str], bool] = lambda nonce: False,  # noqa: ARG005
) -> Caller:
    """Believe a request, or raise `SignatureError` with the reason for a 401.

    `key_of(keyid)` gives the raw public key (32 bytes) or None. `seen(keyid, nonce)` remembers the
    pair for `limits.REPLAY_MEMORY_S` and says whether it was there before; it is asked last, so
    that strangers cannot fill the memory. `own_nonce(nonce)` says whether central issued the nonce
    just now (`is_own_nonce`): then the terminal's clock does not matter.
    """
    key_of = functools.cache(key_of)
    caller = _quickly(message, key_of) or _caller(_verified(message, key_of))
    if not own_nonce(caller.nonce) and abs(caller.created_s * 1000 - now_ms) > SKEW_S_MAX * 1000:
        raise SignatureError("clock_off", f"signed at {caller.created_s} by the sender's clock")
    if seen(caller.keyid, caller.nonce):
        raise SignatureError("replayed", "this nonce was used before")
    return caller


def issue_nonce(secret: bytes, *, now_ms: int, random: bytes) -> str:
    """A nonce that any process of central that knows `secret` recognises, without remembering it.

    `random` are `limits.NONCE_BYTES` fresh bytes.
    """
    assert len(random) == NONCE_BYTES
    stamp = now_ms.to_bytes(_TIME_BYTES, "big") + random
    return b64u(stamp + _mac(secret, stamp))


def is_own_nonce(nonce: str, secret: bytes, *, now_ms: int) -> bool:
    """Whether `issue_nonce` made this nonce at most `limits.SERVER_NONCE_S` ago."""
    try:
        raw = unb64u(nonce)
    except ValueError:
        return False
    stamp, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(secret, stamp)):
        return False
    age_ms = now_ms - int.from_bytes(stamp[:_TIME_BYTES], "big")
    # Another process of central may have issued it, with a clock a little ahead of ours.
    return abs(age_ms) <= SERVER_NONCE_S * 1000


def _mac(secret: bytes, stamp: bytes) -> bytes:
    return hmac.digest(secret, _NONCE_DOMAIN + stamp, "sha256")[:_MAC_BYTES]


def _quickly(message: Message, key_of: Callable[[str], bytes | None]) -> Caller | None:
    line = message.method, message.authority, message.target
    found = quick_signing.believed(line, message.headers, message.body, key_of)
    return None if found is None else Caller(found.keyid, found.nonce, found.created)


def _verified(message: Message, key_of: Callable[[str], bytes | None]) -> VerifyResult:
    names = {name.lower() for name in message.headers}
    if not {"signature", "signature-input"} <= names:
        raise SignatureError("unsigned", "the request carries no signature")
    try:
        # With `body` given the library requires the digest to be covered wherever there is one.
        results = _Verifier(
            signature_algorithm=algorithms.ED25519, key_resolver=_TheirKeys(key_of)
        ).verify(message, max_age=None, require_components=_COVERED, body=message.body)
    except HTTPMessageSignaturesException as error:
        if isinstance(error.__cause__, _UnknownKeyError):
            raise SignatureError("unknown_key", str(error.__cause__)) from error
        raise SignatureError("bad_signature", str(error)) from error
    return results[0]


def _caller(result: VerifyResult) -> Caller:
    keyid, created = result.parameters["keyid"], result.parameters.get("created")
    if not isinstance(keyid, str) or not isinstance(created, int):
        raise SignatureError("bad_signature", "keyid and created are needed")
    if result.nonce is None or not _NONCE.fullmatch(result.nonce):
        raise SignatureError("bad_signature", "a nonce of 8 to 64 characters is needed")
    return Caller(keyid, result.nonce, created)


class _UnknownKeyError(Exception):
    pass


class _OwnKey(HTTPSignatureKeyResolver):
    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def resolve_private_key(self, key_id: str) -> Ed25519PrivateKey:  # noqa: ARG002
        return self._key


class _TheirKeys(HTTPSignatureKeyResolver):
    def __init__(self, key_of: Callable[[str], bytes | None]) -> None:
        self._key_of = key_of

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey:
        raw = self._key_of(key_id)
        if raw is None:
            raise _UnknownKeyError(f"no key {key_id[:50]!r}")
        return Ed25519PublicKey.from_public_bytes(raw)


class _Verifier(HTTPMessageVerifier):
    """The library's verifier without its clock: times are checked by `verify`, as values."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Leave the times alone."""
