"""A box that only one X25519 key opens: the tag key for a terminal, a database key for recovery.

Responsible for: X25519 with a one-time key, HKDF-SHA256, ChaCha20-Poly1305. Not responsible for:
saying who sealed it; a box is anonymous, its surroundings must be signed.
Invariant: a box is the one-time public key (32 bytes) followed by ciphertext and tag; the derived
key is used once, so the nonce is zero.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_INFO: Final = b"hexiao-sealedbox-v1"
_KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_NONCE: Final = bytes(12)


class BoxError(ValueError):
    """The box was not sealed to this key, or it was changed."""


def seal(secret: bytes, to: bytes, *, one_time: bytes) -> bytes:
    """Seal a secret to an X25519 public key (32 bytes).

    `one_time` are 32 fresh random bytes, never used again. Raises `BoxError` for a public key that
    no private key belongs to.
    """
    ours = X25519PrivateKey.from_private_bytes(one_time)
    ours_public = ours.public_key().public_bytes_raw()
    key = _key(ours, to, sender=ours_public, receiver=to)
    return ours_public + ChaCha20Poly1305(key).encrypt(_NONCE, secret, None)


def open_box(box: bytes, private: bytes) -> bytes:
    """Open a box with the X25519 private key (32 bytes). Raises `BoxError`."""
    if len(box) < _KEY_BYTES + _TAG_BYTES:
        raise BoxError("too short to be a box")
    mine = X25519PrivateKey.from_private_bytes(private)
    sender, sealed = box[:_KEY_BYTES], box[_KEY_BYTES:]
    key = _key(mine, sender, sender=sender, receiver=mine.public_key().public_bytes_raw())
    try:
        return ChaCha20Poly1305(key).decrypt(_NONCE, sealed, None)
    except InvalidTag as error:
        raise BoxError("sealed to another key, or changed") from error


def _key(mine: X25519PrivateKey, other: bytes, *, sender: bytes, receiver: bytes) -> bytes:
    try:
        shared = mine.exchange(X25519PublicKey.from_public_bytes(other))
    except ValueError as error:
        raise BoxError("not a usable X25519 key") from error
    # Both public keys go into the derivation: X25519 has several encodings of one point, and the
    # same shared secret for another pair of keys must not give the same key.
    return HKDF(hashes.SHA256(), _KEY_BYTES, salt=sender + receiver, info=_INFO).derive(shared)
