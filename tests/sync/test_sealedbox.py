"""A sealed box opens with its key and with nothing else."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from sync.sealedbox import BoxError, open_box, seal

PRIVATE = bytes(range(32))
PUBLIC = X25519PrivateKey.from_private_bytes(PRIVATE).public_key().public_bytes_raw()
ONE_TIME = bytes(range(100, 132))


def test_what_was_sealed_comes_out():
    """The receiver reads the secret, and the secret is not in the box."""
    box = seal(b"a secret of any length", PUBLIC, one_time=ONE_TIME)
    assert open_box(box, PRIVATE) == b"a secret of any length"
    assert b"secret" not in box


def test_another_key_does_not_open_it():
    """A box for somebody else is refused."""
    with pytest.raises(BoxError):
        open_box(seal(b"secret", PUBLIC, one_time=ONE_TIME), bytes(reversed(PRIVATE)))


@pytest.mark.parametrize("at", [0, 31, 32, 40, -1])
def test_any_changed_byte_is_noticed(at):
    """One flipped bit anywhere in the box refuses it."""
    box = bytearray(seal(b"secret", PUBLIC, one_time=ONE_TIME))
    box[at] ^= 1
    with pytest.raises(BoxError):
        open_box(bytes(box), PRIVATE)


@pytest.mark.parametrize("size", [0, 47])
def test_a_box_that_is_too_short(size):
    """Fewer bytes than a key and a tag cannot be a box."""
    with pytest.raises(BoxError):
        open_box(bytes(size), PRIVATE)


@pytest.mark.parametrize("public", [bytes(32), b"short"])
def test_a_key_that_is_no_key(public):
    """Sealing to a point of low order or to half a key is refused."""
    with pytest.raises(BoxError):
        seal(b"secret", public, one_time=ONE_TIME)


def test_a_box_is_what_its_description_says():
    """Opened by hand: HKDF (RFC 5869) over the shared secret, salted with both public keys."""
    box = seal(b"secret", PUBLIC, one_time=ONE_TIME)
    sender = X25519PrivateKey.from_private_bytes(ONE_TIME).public_key().public_bytes_raw()
    assert box[:32] == sender
    mine = X25519PrivateKey.from_private_bytes(PRIVATE)
    shared = mine.exchange(X25519PublicKey.from_public_bytes(sender))
    extracted = hmac.digest(sender + PUBLIC, shared, hashlib.sha256)
    key = hmac.digest(extracted, b"hexiao-sealedbox-v1" + b"\x01", hashlib.sha256)
    assert ChaCha20Poly1305(key).decrypt(bytes(12), box[32:], None) == b"secret"
