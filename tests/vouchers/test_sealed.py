"""Sealed rows: what is presented opens its own record, and nothing else does."""

from __future__ import annotations

import hashlib
from typing import Any

import cbor2
import pytest
from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from msgspec.structs import replace

from vouchers import sealed
from vouchers.sealed import Record, SealError, SealKey, Vault

VAULT = Vault(1, bytes(range(16)), *sealed.COST_LIGHT)
NONCE = bytes(range(100, 112))
RECORD = Record(
    voucher="0190f5a0-7c00-7abc-8def-0123456789ab",
    secret=bytes(range(32)),
    generation=0,
    horizon=12,
    shares=5,
    product=7,
    home=4,
    paid_fen=25_000,
)
KEY = sealed.stretch("20846159370", "0012", VAULT)
BOX = sealed.seal(RECORD, KEY, NONCE)
FIELDS: dict[str, Any] = {
    "v": 1,
    "voucher": RECORD.voucher,
    "secret": RECORD.secret,
    "generation": 0,
    "horizon": 12,
    "shares": 5,
    "product": 7,
    "home": 4,
    "paid_fen": 25_000,
}
GONE = object()


def sealed_plain(plain: bytes) -> bytes:
    """Any plaintext under the right key, as only central could make it."""
    return NONCE + ChaCha20Poly1305(KEY.record_key).encrypt(NONCE, plain, KEY.row_key)


def argon(password: bytes, t: int, m: int, p: int) -> bytes:
    return hash_secret_raw(password, VAULT.salt, t, m, p, 48, Type.ID, 0x13)


def test_the_costs_are_those_of_the_contract() -> None:
    """Design section 6: default t=2, m=19456 KiB, p=1; light is for tests alone."""
    assert sealed.COST_DEFAULT == (2, 19_456, 1)
    assert sealed.COST_LIGHT == (1, 8, 1)


def test_a_credential_stretches_by_the_formula() -> None:
    """Design section 6: Argon2id of code:last4; 16 bytes find the row, 32 open it."""
    okm = argon(b"20846159370:0012", 1, 8, 1)
    assert SealKey(okm[:16], okm[16:]) == KEY
    dearer = Vault(2, VAULT.salt, 2, 64, 2)
    okm = argon(b"20846159370:0012", 2, 64, 2)
    assert sealed.stretch("20846159370", "0012", dearer) == SealKey(okm[:16], okm[16:])


def test_a_record_opens_as_it_was_sealed() -> None:
    """EV-041: the very code and last four open the record; the nonce leads the row."""
    assert sealed.open_record(BOX, KEY) == RECORD
    unhomed = replace(RECORD, home=None)
    assert sealed.open_record(sealed.seal(unhomed, KEY, NONCE), KEY) == unhomed
    assert BOX[:12] == NONCE
    assert sealed_plain(cbor2.dumps(FIELDS)) == BOX


@pytest.mark.parametrize(
    ("code", "last4"),
    [
        ("20846159370", "0013"),
        ("20846159370", "12"),
        ("20846159371", "0012"),
        ("2084615937", "0:0012"),
        ("020846159370", "0012"),
    ],
)
def test_another_credential_opens_nothing(code: str, last4: str) -> None:
    """EV-041, EV-038: another code or last four finds no row and would not open this one."""
    other = sealed.stretch(code, last4, VAULT)
    assert other.row_key != KEY.row_key
    with pytest.raises(SealError):
        sealed.open_record(BOX, other)


def test_another_vault_opens_nothing() -> None:
    """Design section 6: the salt is the merchant's vault epoch's."""
    other = sealed.stretch("20846159370", "0012", replace(VAULT, salt=bytes(16)))
    with pytest.raises(SealError):
        sealed.open_record(BOX, other)


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_refuses(bit: int) -> None:
    """Design section 6: nonce, ciphertext, tag and row key are all authenticated."""
    for place in range(len(BOX)):
        box = bytearray(BOX)
        box[place] ^= 1 << bit
        with pytest.raises(SealError):
            sealed.open_record(bytes(box), KEY)
    for place in range(16):
        row_key = bytearray(KEY.row_key)
        row_key[place] ^= 1 << bit
        with pytest.raises(SealError):
            sealed.open_record(BOX, SealKey(bytes(row_key), KEY.record_key))


def test_every_cut_refuses() -> None:
    """Design section 6: a torn row opens to nothing, however short it is."""
    for end in range(len(BOX)):
        with pytest.raises(SealError):
            sealed.open_record(BOX[:end], KEY)
    with pytest.raises(SealError):
        sealed.open_record(BOX + b"\0", KEY)


@pytest.mark.parametrize(
    "plain",
    [b"", b"\xff", b"\x58", b"\xa1\x61", cbor2.dumps([1]), cbor2.dumps(None), b"\x9f" * 2_000],
)
def test_an_opened_row_that_is_no_record_is_refused(plain: bytes) -> None:
    """Design section 6: what opens but is not a record is an error of the row, not a crash."""
    with pytest.raises(SealError):
        sealed.open_record(sealed_plain(plain), KEY)


NOT_A_COUNT: list[object] = ["1", True, None, -1, 1.0, GONE]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("v", [0, 2, None, "1", GONE]),
        ("voucher", [None, 1, "", RECORD.voucher.upper(), GONE]),
        ("secret", [None, "s" * 32, bytes(31), bytes(33), GONE]),
        ("generation", NOT_A_COUNT),
        ("horizon", NOT_A_COUNT),
        ("shares", [*NOT_A_COUNT, 0]),
        ("product", NOT_A_COUNT),
        ("home", ["1", True, 1.0, b"1"]),
        ("paid_fen", NOT_A_COUNT),
    ],
)
def test_a_malformed_record_is_refused(name: str, values: list[object]) -> None:
    """Design section 6: each field of the CBOR map is checked before a record is made of it."""
    for value in values:
        fields = {key: old for key, old in {**FIELDS, name: value}.items() if old is not GONE}
        with pytest.raises(SealError, match="the record"):
            sealed.open_record(sealed_plain(cbor2.dumps(fields)), KEY)


def test_a_free_voucher_and_newer_fields_are_read() -> None:
    """Design section 6: nothing paid is an amount; a field of a later version is read past."""
    fields = {**FIELDS, "paid_fen": 0, "horizon": 0, "shares": 1, "later": "x"}
    found = sealed.open_record(sealed_plain(cbor2.dumps(fields)), KEY)
    assert (found.paid_fen, found.horizon, found.shares) == (0, 0, 1)


@pytest.mark.parametrize(("secret", "nonce"), [(bytes(31), NONCE), (bytes(32), bytes(11))])
def test_sealing_needs_its_sizes(secret: bytes, nonce: bytes) -> None:
    """Design section 6: a secret of 32 bytes and a nonce of 12, else the caller is wrong."""
    with pytest.raises(AssertionError):
        sealed.seal(replace(RECORD, secret=secret), KEY, nonce)


def test_an_id_card_is_matched_by_its_hash() -> None:
    """EV-032, AX-17: id: and the MD5 of the upper-case number, as upstream delivers it."""
    number = "11010519491231002x"
    upstream = hashlib.md5(b"11010519491231002X", usedforsecurity=False).hexdigest()
    okm = argon(b"id:" + upstream.encode(), 1, 8, 1)
    assert sealed.stretch_id_card(number, VAULT) == SealKey(okm[:16], okm[16:])
    assert sealed.stretch_id_card(number.upper(), VAULT) == SealKey(okm[:16], okm[16:])


def test_a_person_may_hold_several() -> None:
    """EV-032, design section 6: row i has its own key of the person's, i as two bytes."""
    person = sealed.stretch_id_card("11010519491231002X", VAULT)
    for index in (0, 1, 258):
        seed = b"hexiao-id-row" + person.row_key + bytes([index // 256, index % 256])
        key = sealed.id_row(person, index)
        assert key == SealKey(hashlib.sha256(seed).digest()[:16], person.record_key)
        assert sealed.open_record(sealed.seal(RECORD, key, NONCE), key) == RECORD
    with pytest.raises(SealError):
        sealed.open_record(
            sealed.seal(RECORD, sealed.id_row(person, 0), NONCE), sealed.id_row(person, 1)
        )
