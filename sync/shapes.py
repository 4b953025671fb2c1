"""The small shapes that wire types are made of.

Responsible for: texts and numbers with a form that the decoder itself checks, and the bases of
strict and tolerant messages. Not responsible for: what they mean.
Invariants: a request is strict, an unknown field refuses it, because a misspelt field that moves
value must not be skipped; an answer is tolerant, so that a newer central can add to it.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from sync.limits import SAFE_INTEGER_MAX

Count = Annotated[int, Meta(ge=0, le=SAFE_INTEGER_MAX)]
"""A number of things, 0 included; also a sequence number before the first entry."""

Positive = Annotated[int, Meta(ge=1, le=SAFE_INTEGER_MAX)]
"""A sequence number, an epoch, a version: from 1."""

Small = Annotated[int, Meta(ge=0, le=2**31 - 1)]
"""Products, outlets, merchants, buckets and key ids."""

Shares = Annotated[int, Meta(ge=1, le=9_999)]
"""Shares of one voucher."""

Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""SHA-256 in lower-case hex."""

# Base64url only in its one shortest form: the last character carries no bits beyond the bytes.
Key32 = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\Z")]
"""32 bytes in base64url: an Ed25519 or X25519 public key."""

Signature = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{85}[AQgw]\Z")]
"""64 bytes in base64url: an Ed25519 signature."""

RowKey = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{21}[AQgw]\Z")]
"""16 bytes in base64url: the key of a sealed row."""

Blob = Annotated[
    str,
    Meta(
        pattern=r"^(?:[A-Za-z0-9_-]{4})*"
        r"(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?\Z",
        min_length=2,
        max_length=4096,
    ),
]
"""Some bytes in base64url: a sealed row or a sealed box."""

Uuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
"""A UUID in its one lower-case form."""

Posid = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{1,32}\Z")]
"""A device code (EV-065)."""

Moment = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")]
"""RFC 3339, UTC, milliseconds. `vouchers.times.parse_utc` still has the last word."""

Nonce = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{8,64}\Z")]
"""Random characters that are used once."""

Label = Annotated[str, Meta(min_length=1, max_length=200)]
"""A name that people read."""

Cursor = Annotated[str, Meta(pattern=r"^(0|1\.[0-9a-f]{1,16}\.\d{1,16})\Z")]
"""A place in one bucket's feed: `1.<epoch>.<seq>`, or `0` for the beginning."""


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what a terminal asks: central refuses what it does not know."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what central answers: a terminal reads past what it does not know."""
