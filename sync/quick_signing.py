"""Believing a request fast: nearly all of them are signed exactly as our own terminals sign.

Responsible for: checking such a signature in a third of the time, most of it Ed25519 itself. Not
responsible for: anything not quite like it, or not believed; that is left to the library, which
reads all of RFC 9421 and says what is wrong. Invariant: what is believed here, `signing.verify`
believes alike without it; None says nothing about a request.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_INPUT: Final = re.compile(
    r'hexiao=(\("@method" "@authority" "@path" "@query" "content-digest"\)'
    r';created=([1-9]\d{0,11});keyid="(\w{1,48})";alg="ed25519";nonce="([A-Za-z0-9_-]{8,64})")',
    re.ASCII,
)
_SIGNATURE: Final = re.compile(r"hexiao=:([A-Za-z0-9+/]{86}==):", re.ASCII)
_METHOD: Final = re.compile(r"[A-Z]+", re.ASCII)
# Only what has one form: no default port, no address in brackets, no escapes, no capitals.
_AUTHORITY: Final = re.compile(r"[a-z0-9.-]+(?::(?!443$)[1-9]\d{0,4})?", re.ASCII)
_TARGET: Final = re.compile(
    r"(/[A-Za-z0-9._~!$&'()*+,;=:@/-]*)(?:\?([A-Za-z0-9._~!$&'()*+,;=:@/?-]*))?", re.ASCII
)


class Signed(NamedTuple):
    """What was signed, as the library's answer says it too; `created` in seconds UTC."""

    keyid: str
    nonce: str
    created: int


def believed(
    line: tuple[str, str, str],
    headers: Mapping[str, str],
    body: bytes,
    key_of: Callable[[str], bytes | None],
) -> Signed | None:
    """A request that is signed as ours are, or None: it needs a closer look.

    `line` are method, authority and target; the names in `headers` are in lower case.
    """
    given = _INPUT.fullmatch(headers.get("signature-input", ""))
    signature = _SIGNATURE.fullmatch(headers.get("signature", ""))
    target = _TARGET.fullmatch(line[2])
    if given is None or signature is None or target is None or not _is_plain(line):
        return None
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    raw = base64.b64decode(signature[1])
    # Bits beyond the last byte may be anything in base64, and only zero in a structured field.
    if headers.get("content-digest") != digest or base64.b64encode(raw).decode() != signature[1]:
        return None
    base = (
        f'"@method": {line[0]}\n"@authority": {line[1]}\n"@path": {target[1]}\n'
        f'"@query": ?{target[2] or ""}\n"content-digest": {digest}\n"@signature-params": {given[1]}'
    )
    key = key_of(given[3])
    if key is None or not _holds(raw, base.encode("ascii"), key):
        return None
    return Signed(given[3], given[4], int(given[2]))


def _is_plain(line: tuple[str, str, str]) -> bool:
    return _METHOD.fullmatch(line[0]) is not None and _AUTHORITY.fullmatch(line[1]) is not None


def _holds(signature: bytes, base: bytes, key: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, base)
    except (InvalidSignature, ValueError):
        return False
    return True
