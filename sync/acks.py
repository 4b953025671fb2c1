"""What central puts its signature under: acknowledgements, time, manifests, directives.

Responsible for: composing these statements as canonical text and believing them only under a known
key. Not responsible for: keeping the keys, or comparing an acknowledgement with the journal (the
sender does).
Invariants: each kind of statement is signed under its own domain, so none can pass for another;
the text is verified as received and never serialised again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.errors import Garbled
from vouchers import canonical, times
from vouchers.ids import b64u, unb64u

ACK_DOMAIN: Final = b"hexiao-ack-v1"
TIME_DOMAIN: Final = b"hexiao-time-v1"
MANIFEST_DOMAIN: Final = b"hexiao-manifest-v1"
DIRECTIVE_DOMAIN: Final = b"hexiao-directive-v1"


@dataclass(frozen=True, slots=True)
class Signed:
    """A canonical text, the id of the key and the signature over domain and text (base64url)."""

    text: str
    kid: int
    sig: str


@dataclass(frozen=True, slots=True)
class Ack:
    """Central holds this stream up to and including `up_to`, whose hash is `head`. `at` is ms."""

    posid: str
    epoch: int
    up_to: int
    head: str
    at: int
    signed: Signed


@dataclass(frozen=True, slots=True)
class ServerTime:
    """Central's clock (ms UTC) when it answered the request that carried `nonce`."""

    now: int
    nonce: str
    signed: Signed


def compose_ack(posid: str, epoch: int, up_to: int, *, head: str, at_ms: int) -> str:
    """The text of an acknowledgement; sign it under `ACK_DOMAIN`."""
    return canonical.encode(
        {
            "posid": posid,
            "epoch": epoch,
            "up_to": up_to,
            "head": head,
            "at": times.format_utc(at_ms),
        }
    )


def compose_time(now_ms: int, nonce: str) -> str:
    """The text of central's time; sign it under `TIME_DOMAIN`."""
    return canonical.encode({"now": times.format_utc(now_ms), "nonce": nonce})


def compose_directive(do: str, posid: str, epoch: int, *, nonce: str) -> str:
    """The text of a directive that cannot be undone, for one terminal and one question."""
    return canonical.encode({"do": do, "posid": posid, "epoch": epoch, "nonce": nonce})


def check_directive(
    signed: Signed, keys: Mapping[int, bytes], *, do: str, posid: str, epoch: int, nonce: str
) -> None:
    """Raise `Garbled` unless central signed just this directive in answer to this question."""
    verify(DIRECTIVE_DOMAIN, signed, keys)
    if signed.text != compose_directive(do, posid, epoch, nonce=nonce):
        raise Garbled(f"a signed directive is not {do} for this terminal and question")


def compose_manifest(
    *, sha256: str, size: int, cursor: Mapping[str, str], sealed_through: str, schema: int
) -> str:
    """The text a manifest's signature is over, under `MANIFEST_DOMAIN`."""
    return canonical.encode(
        {
            "sha256": sha256,
            "size": size,
            "cursor": dict(cursor),
            "sealed_through": sealed_through,
            "schema": schema,
        }
    )


def sign(domain: bytes, text: str, *, kid: int, key: Ed25519PrivateKey) -> Signed:
    """Put a signature under a statement (central)."""
    return Signed(text, kid, b64u(key.sign(domain + text.encode())))


def verify(domain: bytes, signed: Signed, keys: Mapping[int, bytes]) -> None:
    """Raise `Garbled` unless a known key signed this text under this domain.

    `keys` are raw Ed25519 public keys (32 bytes) by kid.
    """
    raw = keys.get(signed.kid)
    if raw is None:
        raise Garbled(f"signed with an unknown key {signed.kid}")
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(
            unb64u(signed.sig), domain + signed.text.encode()
        )
    except (InvalidSignature, ValueError) as error:
        raise Garbled("a signature of central does not verify") from error


def read_ack(signed: Signed, keys: Mapping[int, bytes]) -> Ack:
    """Verify and read an acknowledgement. Raises `Garbled`."""
    fields = _fields(ACK_DOMAIN, signed, keys)
    try:
        return Ack(
            posid=_text(fields, "posid"),
            epoch=_number(fields, "epoch"),
            up_to=_number(fields, "up_to"),
            head=_text(fields, "head"),
            at=times.parse_utc(_text(fields, "at")),
            signed=signed,
        )
    except ValueError as error:
        raise Garbled(f"an acknowledgement cannot be read: {error}") from error


def read_time(signed: Signed, keys: Mapping[int, bytes], *, nonce: str) -> ServerTime:
    """Verify and read central's time; it must answer our `nonce`. Raises `Garbled`."""
    fields = _fields(TIME_DOMAIN, signed, keys)
    try:
        if _text(fields, "nonce") != nonce:
            raise Garbled("central's time answers another question")
        return ServerTime(times.parse_utc(_text(fields, "now")), nonce, signed)
    except ValueError as error:
        raise Garbled(f"central's time cannot be read: {error}") from error


def _fields(domain: bytes, signed: Signed, keys: Mapping[int, bytes]) -> dict[str, object]:
    verify(domain, signed, keys)
    try:
        return canonical.decode_object(signed.text)
    except ValueError as error:
        raise Garbled(f"a signed statement is not canonical: {error}") from error


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a text")
    return value


def _number(fields: Mapping[str, object], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} is not a number")
    return value
