"""A statement of central is believed under its own key and domain only."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import acks
from sync.errors import Garbled
from vouchers import canonical

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEYS = {7: KEY.public_key().public_bytes_raw()}
HEAD = "ab" * 32
ACK = acks.compose_ack("T1", 2, 9, head=HEAD, at_ms=1_700_000_000_123)


def signed(domain, text):
    return acks.sign(domain, text, kid=7, key=KEY)


def test_an_acknowledgement_goes_round():
    """What central composed and signed is what the terminal reads."""
    statement = signed(acks.ACK_DOMAIN, ACK)
    ack = acks.read_ack(statement, KEYS)
    assert (ack.posid, ack.epoch, ack.up_to, ack.head) == ("T1", 2, 9, HEAD)
    assert ack.at == 1_700_000_000_123
    assert ack.signed == statement
    assert set(json.loads(ACK)) == {"posid", "epoch", "up_to", "head", "at"}


def test_time_goes_round_and_answers_the_nonce():
    """Central's time is believed for the question that was asked."""
    statement = signed(acks.TIME_DOMAIN, acks.compose_time(5, "nonce-1234"))
    assert acks.read_time(statement, KEYS, nonce="nonce-1234").now == 5
    with pytest.raises(Garbled, match="another question"):
        acks.read_time(statement, KEYS, nonce="nonce-9999")


def test_a_statement_of_another_kind_is_refused():
    """A time cannot pass for an acknowledgement, nor the reverse."""
    with pytest.raises(Garbled, match="does not verify"):
        acks.read_ack(signed(acks.TIME_DOMAIN, ACK), KEYS)
    with pytest.raises(Garbled, match="does not verify"):
        acks.read_time(signed(acks.ACK_DOMAIN, ACK), KEYS, nonce="nonce-1234")


def test_a_stranger_is_not_believed():
    """An unknown kid, a wrong key, a changed text and a broken signature are all refused."""
    good = signed(acks.ACK_DOMAIN, ACK)
    bad = [
        (acks.Signed(good.text, 8, good.sig), "unknown key"),
        (acks.Signed(good.text.replace('"up_to":9', '"up_to":8'), 7, good.sig), "not verify"),
        (acks.Signed(good.text, 7, "A" * 86), "not verify"),
        (acks.Signed(good.text, 7, "?"), "not verify"),
    ]
    for statement, words in bad:
        with pytest.raises(Garbled, match=words):
            acks.read_ack(statement, KEYS)
    with pytest.raises(Garbled, match="not verify"):
        acks.read_ack(good, {7: bytes(31)})


def with_fields(**fields):
    value = json.loads(ACK) | fields
    return canonical.encode({k: v for k, v in value.items() if v is not None})


@pytest.mark.parametrize(
    "text",
    [
        with_fields(posid=None),
        with_fields(posid=1),
        with_fields(epoch=True),
        with_fields(up_to="9"),
        with_fields(at="yesterday"),
        "[]",
        "{ }",
        "no json",
    ],
)
def test_a_signed_text_that_is_no_acknowledgement(text):
    """A signature does not make nonsense true."""
    with pytest.raises(Garbled):
        acks.read_ack(signed(acks.ACK_DOMAIN, text), KEYS)


def test_a_signed_time_that_is_none():
    """The same for a time."""
    text = canonical.encode({"now": 5, "nonce": "nonce-1234"})
    with pytest.raises(Garbled, match="cannot be read"):
        acks.read_time(signed(acks.TIME_DOMAIN, text), KEYS, nonce="nonce-1234")


def test_a_manifest_is_signed_over_its_own_fields():
    """The signed text of a manifest is canonical and complete."""
    text = acks.compose_manifest(
        sha256=HEAD, size=3, cursor={"0": "1.a.5"}, sealed_through="2026-01-01T", schema=1
    )
    assert set(json.loads(text)) == {"sha256", "size", "cursor", "sealed_through", "schema"}
    acks.verify(acks.MANIFEST_DOMAIN, signed(acks.MANIFEST_DOMAIN, text), KEYS)
