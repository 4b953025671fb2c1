"""A wiped terminal's last word: what it says, and who is believed."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from sync import farewell
from sync.errors import Garbled
from sync.farewell import Wiped
from vouchers.ids import b64u

WIPED = Wiped(posid="POS1", epoch=2, up_to=7, at="2024-07-10T04:00:00.000Z")


def test_it_is_what_was_signed_under_its_own_domain() -> None:
    """Canonical text; the signature is over the domain and that text, as docs/protocol.md says."""
    key = Ed25519PrivateKey.generate()
    said = farewell.compose(WIPED, key)
    assert said.text == '{"at":"2024-07-10T04:00:00.000Z","epoch":2,"posid":"POS1","up_to":7}'
    assert said.sig == b64u(key.sign(b"hexiao-wiped-v1" + said.text.encode()))
    assert farewell.read(said.text) == WIPED


def test_another_key_or_another_text_is_not_believed() -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    said = farewell.compose(WIPED, key)
    assert farewell.is_signed(said, public)
    assert not farewell.is_signed(said, other.public_key().public_bytes_raw())
    assert not farewell.is_signed(structs.replace(said, text=said.text + " "), public)
    bare = structs.replace(said, sig=b64u(key.sign(said.text.encode())))
    assert not farewell.is_signed(bare, public)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"at":"2024-07-10T04:00:00.000Z","epoch":0,"posid":"POS1","up_to":7}',
        '{"at":"yesterday","epoch":2,"posid":"POS1","up_to":7}',
        '{"at":"2024-07-10T04:00:00.000Z","epoch":2,"posid":"","up_to":7}',
        '{"at":"2024-07-10T04:00:00.000Z","epoch":2,"more":1,"posid":"POS1","up_to":7}',
        '{"epoch":2,"at":"2024-07-10T04:00:00.000Z","posid":"POS1","up_to":7}',
    ],
)
def test_what_is_not_a_last_word_is_garbled(text: str) -> None:
    with pytest.raises(Garbled):
        farewell.read(text)
