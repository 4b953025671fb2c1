"""Sealed rows: whatever is presented at the counter opens its own record.

Responsible for: stretching a credential into a row key and a record key (Argon2id), and sealing
and opening the record with ChaCha20-Poly1305 (design, section 6). Not responsible for: where rows
are kept, and for drawing nonces. Invariants: a record opens only with the very code and last four
(or ID number) it was sealed for; the row key is bound to the record as associated data.
"""

import hashlib
from typing import Final

import cbor2
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from msgspec import Struct

from vouchers.id_card import upstream_hash
from vouchers.ids import is_uuid

ROW_KEY_BYTES: Final = 16
RECORD_KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
SECRET_BYTES: Final = 32
RECORD_VERSION: Final = 1
ID_ROWS_MAX: Final = 65_536
"""Vouchers of one person that can be told apart: the index of a row has two bytes."""

COST_DEFAULT: Final = (2, 19_456, 1)
"""t, m in KiB, p: 27-35 ms here; holds a thief's graphics card under 10,000 guesses a second."""

COST_LIGHT: Final = (1, 8, 1)
"""For tests, benchmarks and demonstration data only."""

_ARGON2_VERSION: Final = 0x13
_RECORD_NAMES: Final = (
    "v",
    "voucher",
    "secret",
    "generation",
    "horizon",
    "shares",
    "product",
    "home",
    "paid_fen",
)
_COUNTS: Final = ("generation", "horizon", "shares", "product", "paid_fen")


class SealError(ValueError):
    """A record that does not open, or that opened to something that is not a record."""


class Vault(Struct, frozen=True):
    """The parameters of a merchant's vault epoch: `salt` 16 bytes, `m_kib` KiB of memory."""

    epoch: int
    salt: bytes
    t: int
    m_kib: int
    p: int


class SealKey(Struct, frozen=True):
    """What a credential stretches to: where the row is (16 bytes) and what opens it (32 bytes)."""

    row_key: bytes
    record_key: bytes


class Record(Struct, frozen=True):
    """What a sealed row says. `home` is None when every eligible outlet may redeem some shares."""

    voucher: str
    secret: bytes
    generation: int
    horizon: int
    shares: int
    product: int
    home: int | None
    paid_fen: int


def stretch(code: str, last4: str, vault: Vault) -> SealKey:
    """Stretch a code and the last four digits (EV-041). Takes the vault's Argon2id time."""
    return _stretch(f"{code}:{last4}".encode(), vault)


def stretch_id_card(number: str, vault: Vault) -> SealKey:
    """Stretch a citizen number read from a card (EV-032, AX-17): upper case, MD5 as upstream."""
    return stretch_upstream(upstream_hash(number), vault)


def stretch_upstream(md5: str, vault: Vault) -> SealKey:
    """Stretch what an upstream platform delivers of a person: a lower-case hex MD5."""
    return _stretch(b"id:" + md5.encode(), vault)


def id_row(person: SealKey, index: int) -> SealKey:
    """The key of the `index`-th voucher of one person, counted from 0 until a row is missing."""
    seed = b"hexiao-id-row" + person.row_key + index.to_bytes(2, "big")
    return SealKey(hashlib.sha256(seed).digest()[:ROW_KEY_BYTES], person.record_key)


def seal(record: Record, key: SealKey, nonce: bytes) -> bytes:
    """Seal a record. `nonce` is 12 fresh random bytes; they lead the result."""
    assert len(nonce) == NONCE_BYTES and len(record.secret) == SECRET_BYTES
    values = (
        RECORD_VERSION,
        record.voucher,
        record.secret,
        record.generation,
        record.horizon,
        record.shares,
        record.product,
        record.home,
        record.paid_fen,
    )
    plain = cbor2.dumps(dict(zip(_RECORD_NAMES, values, strict=True)))
    return nonce + ChaCha20Poly1305(key.record_key).encrypt(nonce, plain, key.row_key)


def open_record(sealed: bytes, key: SealKey) -> Record:
    """Open a sealed record. Raises SealError when the key is not its own or it is damaged."""
    nonce, body = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        plain = ChaCha20Poly1305(key.record_key).decrypt(nonce, body, key.row_key)
        fields = cbor2.loads(plain)
    except (InvalidTag, cbor2.CBORDecodeError, ValueError) as error:
        raise SealError("the record does not open") from error
    return _read_record(fields)


def _stretch(password: bytes, vault: Vault) -> SealKey:
    okm = hash_secret_raw(
        password,
        vault.salt,
        time_cost=vault.t,
        memory_cost=vault.m_kib,
        parallelism=vault.p,
        hash_len=ROW_KEY_BYTES + RECORD_KEY_BYTES,
        type=Type.ID,
        version=_ARGON2_VERSION,
    )
    return SealKey(okm[:ROW_KEY_BYTES], okm[ROW_KEY_BYTES:])


def _read_record(fields: object) -> Record:
    if not isinstance(fields, dict) or fields.get("v") != RECORD_VERSION:
        raise SealError("the record is of a version this program does not read")
    voucher, secret, home = fields.get("voucher"), fields.get("secret"), fields.get("home")
    if not isinstance(voucher, str) or not is_uuid(voucher):
        raise SealError("the record names no voucher")
    if not isinstance(secret, bytes) or len(secret) != SECRET_BYTES:
        raise SealError("the record holds no secret")
    if not (home is None or type(home) is int):
        raise SealError("the record's home is not an outlet")
    counts: list[int] = []
    for name in _COUNTS:
        value = fields.get(name)
        if type(value) is not int or value < (name == "shares"):
            raise SealError(f"the record's {name} is not a count")
        counts.append(value)
    generation, horizon, shares, product, paid_fen = counts
    return Record(voucher, secret, generation, horizon, shares, product, home, paid_fen)
