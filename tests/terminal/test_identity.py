"""Who the terminal is: sealed, whole or refused."""

import pytest

from terminal import identity as identities
from terminal.errors import OutOfService
from tests.terminal.shop import Shop


def test_it_comes_back_whole(shop: Shop) -> None:
    """What was sealed is what is read, keys, vault and policy included."""
    identity = identities.load(shop.data, shop.key)
    assert (identity.posid, identity.zone.key) == ("T1", "Asia/Shanghai")
    assert identity.vault == shop.vault
    assert identities.server_keys(identity)[1] == shop.central_key.public_key()
    signer = identities.signer(identity)
    assert signer.private.public_key().public_bytes_raw() == signer.public


def test_its_file_shows_nothing(shop: Shop) -> None:
    """Neither the private keys nor the merchant can be read from the file."""
    identity = identities.load(shop.data, shop.key)
    raw = shop.data.identity.read_bytes()
    for secret in (identity.sign_key, identity.seal_key, identity.tag_keys[1], b"Bakery"):
        assert secret not in raw


@pytest.mark.parametrize("damage", ["flip", "short", "empty", "key"])
def test_a_damaged_file_gives_no_half_identity(shop: Shop, damage: str) -> None:
    """A changed byte, a cut file or another key is out of service."""
    path, key = shop.data.identity, shop.key
    raw = bytearray(path.read_bytes())
    if damage == "flip":
        raw[20] ^= 1
    path.write_bytes({"short": raw[:30], "empty": b""}.get(damage, bytes(raw)))
    if damage == "key":
        key = b"x" * 32
    with pytest.raises(OutOfService, match="identity is damaged"):
        identities.load(shop.data, key)


def test_without_one_the_message_names_the_command(shop: Shop) -> None:
    """A directory without an identity says how to enrol."""
    shop.data.identity.unlink()
    with pytest.raises(OutOfService, match="hexiao enrol"):
        identities.load(shop.data, shop.key)
