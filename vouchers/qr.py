"""The signed QR of a voucher: `HX1:` + base45(CBOR array + Ed25519 signature).

Responsible for: composing it at central, reading and verifying it at a terminal, and the keyed tag
that ties it to the last four digits (design, section 6). Not responsible for: whether a QR is
enough to redeem; that is `rules`. Invariant: the text holds nothing that a finder could test a
guess of the last four digits against without the tag key.
"""

import hmac
from collections.abc import Mapping
from typing import Final

import base45
import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from vouchers.ids import uuid_bytes, uuid_text
from vouchers.limits import CODE_DIGITS_MAX, CODE_DIGITS_MIN, QR_CHARS_MAX, SHARES_MAX

PREFIX: Final = "HX1:"
TAG_BYTES: Final = 8
SIGNATURE_BYTES: Final = 64
_DOMAIN: Final = b"hexiao-voucher-v1"
_FIELDS: Final = 13
_TIME_MAX_S: Final = 253_402_300_799  # the last second of the year 9999


class QrError(ValueError):
    """A text that is not a QR of ours: wrong form, unknown key or bad signature."""


class VoucherQr(Struct, frozen=True):
    """What a signed QR says. Times are seconds since the epoch; `expiry_s` is exclusive."""

    kid: int
    merchant: int
    voucher: str
    code: str
    shares: int
    generation: int
    product: int
    not_before_s: int
    expiry_s: int
    home: int | None
    issued_s: int
    tag: bytes


def last4_tag(tag_key: bytes, voucher: str, last4: str) -> bytes:
    """The 8 bytes that tie a QR to the last four digits; the key stays with enrolled terminals."""
    mac = hmac.digest(tag_key, uuid_bytes(voucher) + last4.encode(), "sha256")
    return mac[:TAG_BYTES]


def tag_matches(qr: VoucherQr, tag_key: bytes, last4: str) -> bool:
    """Whether the last four digits are those of the QR, in constant time."""
    return hmac.compare_digest(qr.tag, last4_tag(tag_key, qr.voucher, last4))


def encode(qr: VoucherQr, key: Ed25519PrivateKey) -> str:
    """Compose the text of a QR, signed by central's key `qr.kid`."""
    body = cbor2.dumps(
        [
            qr.kid,
            qr.merchant,
            uuid_bytes(qr.voucher),
            len(qr.code),
            int(qr.code),
            qr.shares,
            qr.generation,
            qr.product,
            qr.not_before_s,
            qr.expiry_s,
            qr.home or 0,
            qr.issued_s,
            qr.tag,
        ]
    )
    text: bytes = base45.b45encode(body + key.sign(_DOMAIN + body))
    return PREFIX + text.decode("ascii")


def looks_signed(text: str) -> bool:
    """Whether a credential claims to be a signed QR."""
    return text.startswith(PREFIX)


def decode(text: str, keys: Mapping[int, Ed25519PublicKey]) -> VoucherQr:
    """Read and verify a QR against central's public keys by kid. Raises QrError."""
    if not looks_signed(text) or len(text) > QR_CHARS_MAX:
        raise QrError("not a signed voucher QR")
    try:
        raw = base45.b45decode(text.removeprefix(PREFIX))
    except ValueError as error:
        raise QrError("not base45") from error
    body, signature = raw[:-SIGNATURE_BYTES], raw[-SIGNATURE_BYTES:]
    try:
        fields = cbor2.loads(body)
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError) as error:
        raise QrError("not CBOR") from error
    qr = _read(fields)
    key = keys.get(qr.kid)
    if key is None:
        raise QrError("signed with a key this terminal does not know")
    try:
        key.verify(signature, _DOMAIN + body)
    except InvalidSignature as error:
        raise QrError("the signature is not central's") from error
    return qr


def _read(fields: object) -> VoucherQr:
    if not isinstance(fields, list) or len(fields) != _FIELDS:
        raise QrError("not the fields of a voucher")
    kid, merchant, voucher, digits, code, *rest, tag = fields
    shares, generation, product, not_before_s, expiry_s, home, issued_s = rest
    numbers = (kid, merchant, digits, code, *rest)
    if any(type(number) is not int or not 0 <= number <= _TIME_MAX_S for number in numbers):
        raise QrError("a field is not a count")
    if not isinstance(voucher, bytes) or len(voucher) != 16:
        raise QrError("no voucher")
    if not isinstance(tag, bytes) or len(tag) != TAG_BYTES:
        raise QrError("no tag")
    if not (CODE_DIGITS_MIN <= digits <= CODE_DIGITS_MAX and len(str(code)) == digits):
        raise QrError("not a platform code")
    if not 1 <= shares <= SHARES_MAX:
        raise QrError("not a number of shares")
    return VoucherQr(
        kid=kid,
        merchant=merchant,
        voucher=uuid_text(voucher),
        code=str(code),
        shares=shares,
        generation=generation,
        product=product,
        not_before_s=not_before_s,
        expiry_s=expiry_s,
        home=home or None,
        issued_s=issued_s,
        tag=tag,
    )
