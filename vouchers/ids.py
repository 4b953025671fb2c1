"""Names of things: UUIDv7, POSID, serial, and base64url for keys and signatures.

Responsible for: composing and checking them. Not responsible for: drawing the random bits.
Invariant: a serial is `{posid}_{epoch}_{seq:08d}`, that of an entry which was kept apart at a fork
`{posid}_{epoch}_{seq:08d}_{hash}`; both match AX-01, and none is that of two entries.
"""

import base64
import binascii
import re
import uuid
from typing import Final

from msgspec import Struct

_POSID: Final = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_SERIAL: Final = re.compile(r"([A-Za-z0-9]{1,32})_([1-9]\d{0,8})_(\d{8,15})", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
_TO_BASE64: Final = bytes.maketrans(b"-_+/=", b"+/!!!")
_PADDING: Final = (b"", b"", b"==", b"=")
_LAST: Final = ("", "", "AQgw", "AEIMQUYcgkosw048")
"""By how many characters are over, those that leave no bit unused: the last one of a text."""

UUID_RANDOM_BYTES: Final = 10

HASH_ON_SLIP: Final = 16
"""Digits of an entry's hash: on its slip, and in the serial of one that was kept apart."""


class Serial(Struct, frozen=True):
    """The parts of a redemption serial (AX-01)."""

    posid: str
    epoch: int
    seq: int


def is_posid(text: str) -> bool:
    """Whether a text can be a device code (EV-065)."""
    return _POSID.fullmatch(text) is not None


def serial(posid: str, epoch: int, seq: int) -> str:
    """Compose the serial of an entry (AX-01). `epoch` and `seq` count from 1."""
    (composed,) = serials(posid, epoch, range(seq, seq + 1))
    return composed


def serials(posid: str, epoch: int, seqs: range) -> list[str]:
    """`serial` of each of successive entries."""
    assert is_posid(posid) and epoch >= 1 and seqs.start >= 1
    return [f"{posid}_{epoch}_{seq:08d}" for seq in seqs]


def branch_serial(posid: str, epoch: int, seq: int, digest: str) -> str:
    """The serial of an entry that was kept apart at a fork: its number alone names two entries.

    `digest` is its hash in hex. `parse_serial` reads no such text.
    """
    return f"{serial(posid, epoch, seq)}_{digest[:HASH_ON_SLIP]}"


def parse_serial(text: str) -> Serial | None:
    """Take a serial apart; None when the text is not one."""
    found = _SERIAL.fullmatch(text)
    if found is None:
        return None
    parts = Serial(found[1], int(found[2]), int(found[3]))
    return parts if parts.seq >= 1 and serial(parts.posid, parts.epoch, parts.seq) == text else None


def parse_branch_serial(text: str) -> tuple[Serial, str] | None:
    """Take the serial of an entry that was kept apart into that on its slip and the beginning of
    its hash; None when the text is not one.
    """
    on_slip, _, digest = text.rpartition("_")
    named = parse_serial(on_slip)
    return None if named is None or not _DIGEST.fullmatch(digest) else (named, digest)


def uuid7(ms: int, rand: bytes) -> str:
    """Compose a UUIDv7 (RFC 9562) from milliseconds UTC and 10 random bytes."""
    assert 0 <= ms < 2**48 and len(rand) == UUID_RANDOM_BYTES
    noise = int.from_bytes(rand, "big")
    rand_a, rand_b = noise >> 68, noise & (2**62 - 1)
    value = ms << 80 | 0x7 << 76 | (rand_a & 0xFFF) << 64 | 0b10 << 62 | rand_b
    return str(uuid.UUID(int=value))


def uuid_ms(text: str) -> int:
    """When a UUIDv7 was made, milliseconds UTC."""
    return int.from_bytes(uuid_bytes(text)[:6], "big")


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID in its one lower-case form."""
    return _UUID.fullmatch(text) is not None


def uuid_bytes(text: str) -> bytes:
    """The 16 bytes of a UUID text. Raises ValueError when it is not one."""
    if not is_uuid(text):
        raise ValueError("not a lower-case UUID")
    return uuid.UUID(text).bytes


def uuid_text(raw: bytes) -> str:
    """The text of 16 UUID bytes."""
    return str(uuid.UUID(bytes=raw))


def b64u(raw: bytes) -> str:
    """Write bytes as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def unb64u(text: str) -> bytes:
    """Read base64url without padding, in its one form. Raises ValueError otherwise."""
    # Done twice for each voucher that the feed brings: no regular expression,
    # and no writing it again to compare.
    over = len(text) % 4
    if over and text[-1] not in _LAST[over]:
        raise ValueError("not the shortest base64url form")
    try:
        plain = text.encode("ascii").translate(_TO_BASE64) + _PADDING[over]
        return binascii.a2b_base64(plain, strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not base64url") from error
