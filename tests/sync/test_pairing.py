"""Pairing codes survive people, and pin one central."""

from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import pairing
from sync.errors import Refused
from sync.messages import ServerKey, decode_enrolment_request, encode
from vouchers.ids import b64u, unb64u

CENTRAL = bytes(range(32))
CODE = pairing.compose(bytes([0, 31, 32, 63, 9, 10, 11, 255, 128, 7]), CENTRAL)
SIGN = Ed25519PrivateKey.from_private_bytes(bytes(32))
SIGN_PUBLIC = SIGN.public_key().public_bytes_raw()
SEAL_PUBLIC = bytes(range(32, 64))


def test_the_form_of_a_code():
    """Ten characters, then the first eight digits of the key's hash, in groups of six."""
    assert CODE.text[:10] == "0Z0Z9ABZ07"
    assert CODE.text[10:].lower() == CODE.pin == pairing.key_hash(CENTRAL)[:8]
    assert [len(group) for group in CODE.shown.split("-")] == [6, 6, 6]


@pytest.mark.parametrize(
    "typed",
    [
        CODE.text,
        CODE.shown,
        CODE.shown.lower(),
        f"  {CODE.shown} ",
        CODE.text.replace("0", "o"),
        " ".join(CODE.text),
    ],
)
def test_a_code_as_people_type_it(typed):
    """Case, hyphens, spaces and O for 0 do not matter."""
    assert pairing.read(typed) == CODE


@pytest.mark.parametrize("typed", ["", CODE.text[:-1], CODE.text + "0", "U" * 18, "0" * 17 + "Z"])
def test_what_is_no_code(typed):
    """Wrong length, wrong letters, or a pin that is no hex digit."""
    assert pairing.read(typed) is None


def test_a_code_pins_one_central():
    """Another central's key is noticed."""
    assert pairing.is_central(CODE, CENTRAL)
    assert not pairing.is_central(CODE, bytes(32))


def test_the_proof_covers_code_and_both_keys():
    """Changing any part of what was proved breaks the proof."""
    proof = pairing.prove(CODE.text, SIGN, seal_public=SEAL_PUBLIC)
    keys = {"sign_public": SIGN_PUBLIC, "seal_public": SEAL_PUBLIC}
    assert pairing.is_proof(proof, CODE.text, **keys)
    assert not pairing.is_proof(proof, CODE.shown, **keys)
    assert not pairing.is_proof(proof, CODE.text, **(keys | {"seal_public": bytes(32)}))
    assert not pairing.is_proof(proof, CODE.text, **(keys | {"sign_public": SEAL_PUBLIC}))
    assert not pairing.is_proof("not base64!", CODE.text, **keys)
    assert not pairing.is_proof(b64u(bytes(64)), CODE.text, **keys)


def test_the_request_proves_itself():
    """What a terminal sends passes central's check."""
    sent = decode_enrolment_request(encode(pairing.request(CODE, SIGN, seal_public=SEAL_PUBLIC)))
    keys = {"sign_public": unb64u(sent.sign_key), "seal_public": unb64u(sent.seal_key)}
    assert keys == {"sign_public": SIGN_PUBLIC, "seal_public": SEAL_PUBLIC}
    assert pairing.is_proof(sent.proof, sent.code, **keys)


def test_an_answer_from_another_central_is_refused():
    """The first server key must be the one that the code pins."""
    ours, other = ServerKey(kid=1, key=b64u(CENTRAL)), ServerKey(kid=2, key=b64u(bytes(32)))
    pairing.check(CODE, Answer((ours, other)))
    with pytest.raises(Refused, match="wrong_central"):
        pairing.check(CODE, Answer((other, ours)))


@dataclass
class Answer:
    """The part of an enrolment that is checked."""

    server_keys: tuple
