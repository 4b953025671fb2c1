"""A terminal comes to believe new keys of central only through those that it believes."""

import itertools

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import acks, keyring
from sync.messages import ServerKey
from vouchers.ids import b64u

KEYS = {n: Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(1, 6)}
PUBLIC = {n: key.public_key().public_bytes_raw() for n, key in KEYS.items()}
FIRST = {1: PUBLIC[1]}


def chain(*kids):
    return [keyring.vouch(kid, PUBLIC[kid], by=kid - 1, key=KEYS[kid - 1]) for kid in kids]


def test_keys_follow_from_one_another_in_any_order():
    for order in itertools.permutations(chain(2, 3, 4)):
        assert keyring.adopt(FIRST, order) == {n: PUBLIC[n] for n in (1, 2, 3, 4)}


def test_a_key_without_its_link_is_not_believed():
    """One is missing between, nobody vouches, or a stranger does."""
    assert keyring.adopt(FIRST, chain(3, 4)) == FIRST
    assert keyring.adopt(FIRST, [ServerKey(kid=2, key=b64u(PUBLIC[2]))]) == FIRST
    assert keyring.adopt(FIRST, [ServerKey(kid=2, key=b64u(PUBLIC[2]), by=1)]) == FIRST
    stranger = keyring.vouch(2, PUBLIC[2], by=1, key=KEYS[5])
    assert keyring.adopt(FIRST, [stranger]) == FIRST


def test_a_statement_is_for_one_key_under_one_id():
    (good,) = chain(2)
    for wrong in (
        ServerKey(kid=3, key=good.key, by=1, sig=good.sig),
        ServerKey(kid=2, key=b64u(PUBLIC[3]), by=1, sig=good.sig),
    ):
        assert keyring.adopt(FIRST, [wrong]) == FIRST
    text = acks.sign(acks.ACK_DOMAIN, "x", kid=1, key=KEYS[1])
    other = ServerKey(kid=2, key=good.key, by=1, sig=text.sig)
    assert keyring.adopt(FIRST, [other]) == FIRST


def test_a_known_id_never_changes_its_key():
    forged = keyring.vouch(1, PUBLIC[2], by=1, key=KEYS[1])
    assert keyring.adopt(FIRST, [forged]) == FIRST


def test_the_last_key_is_never_forgotten():
    two = {1: PUBLIC[1], 2: PUBLIC[2]}
    assert keyring.without(two, [1, 9]) == {2: PUBLIC[2]}
    assert keyring.without(two, [1, 2]) == two
