"""The signed QR: what it says, and that nothing but central's own text is believed."""

from __future__ import annotations

from typing import Any

import base45
import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from vouchers import qr

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {3: KEY.public_key()}
TAG_KEY = bytes(range(32, 64))
VOUCHER = "0190f5a0-7c00-7abc-8def-0123456789ab"
TAG = qr.last4_tag(TAG_KEY, VOUCHER, "0012")
SAYS = qr.VoucherQr(
    kid=3,
    merchant=9,
    voucher=VOUCHER,
    code="20846159370",
    shares=5,
    generation=1,
    product=7,
    not_before_s=1_720_000_000,
    expiry_s=1_722_441_600,
    home=4,
    issued_s=1_719_999_999,
    tag=TAG,
)
TEXT = qr.encode(SAYS, KEY)
RAW: bytes = base45.b45decode(TEXT[4:])
FIELDS: list[Any] = cbor2.loads(RAW[:-64])


def text_of(raw: bytes) -> str:
    return "HX1:" + str(base45.b45encode(raw).decode())


def signed(value: object) -> str:
    """A text whose signature is central's, whatever it says."""
    body = cbor2.dumps(value)
    return text_of(body + KEY.sign(b"hexiao-voucher-v1" + body))


def refused(text: str) -> str:
    with pytest.raises(qr.QrError) as caught:
        qr.decode(text, KEYS)
    return str(caught.value)


def test_a_qr_reads_back() -> None:
    """Design section 6: all fields, about 200 characters; home 0 means none."""
    assert qr.decode(TEXT, KEYS) == SAYS
    assert len(TEXT) < 250
    unhomed = replace(SAYS, home=None)
    assert qr.decode(qr.encode(unhomed, KEY), KEYS) == unhomed


def test_the_array_is_that_of_the_contract() -> None:
    """Design section 6: the order of the fields, the code as digits and integer, the domain."""
    assert [
        3,
        9,
        bytes.fromhex(VOUCHER.replace("-", "")),
        11,
        20_846_159_370,
        5,
        1,
        7,
        1_720_000_000,
        1_722_441_600,
        4,
        1_719_999_999,
        TAG,
    ] == FIELDS
    assert signed(FIELDS) == TEXT


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_refuses(bit: int) -> None:
    """Design section 6: no bit of the array or of the signature can change unnoticed."""
    for place in range(len(RAW)):
        raw = bytearray(RAW)
        raw[place] ^= 1 << bit
        refused(text_of(bytes(raw)))


def test_every_other_character_refuses() -> None:
    """Design section 6: a character that a scanner misread is never another voucher."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
    for place in range(4, len(TEXT)):
        wrong = alphabet[(alphabet.index(TEXT[place]) + 1) % 45]
        refused(TEXT[:place] + wrong + TEXT[place + 1 :])


def test_every_part_of_a_text_refuses() -> None:
    """Design section 6: a QR that was cut off anywhere, or has something after it, is none."""
    for end in range(len(TEXT)):
        refused(TEXT[:end])
    for more in ("0", "00", "000", TEXT):
        refused(TEXT + more)


@pytest.mark.parametrize("text", ["", "20846159370", "hx1:00", "HX2:00", "HX1:00:", "HX1:::"])
def test_another_text_is_not_a_qr(text: str) -> None:
    """Design section 6: the prefix is exact, and the rest is base45."""
    refused(text)


@pytest.mark.parametrize("char", ["a", "é", "\x00", "_"])
def test_what_is_not_base45_is_refused(char: str) -> None:
    """Design section 6: a character outside the alphabet is told as such."""
    assert refused(TEXT[:20] + char + TEXT[21:]) == "not base45"


def test_a_text_far_too_long_is_not_read() -> None:
    """A signed QR has about 200 characters; past 600 nothing is parsed."""
    assert refused("HX1:" + "0" * 597) == "not a signed voucher QR"
    assert refused("HX1:" + "0" * 594) != "not a signed voucher QR"


def test_only_known_keys_are_believed() -> None:
    """Design section 6: by kid; another key under our kid, or our key under another, refuses."""
    with pytest.raises(qr.QrError, match="does not know"):
        qr.decode(TEXT, {4: KEY.public_key()})
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(qr.QrError, match="not central's"):
        qr.decode(TEXT, {3: stranger.public_key()})
    with pytest.raises(qr.QrError, match="not central's"):
        qr.decode(qr.encode(SAYS, stranger), KEYS)


def test_a_signature_of_another_domain_refuses() -> None:
    """Design section 6: the signing input begins with its own domain."""
    body = cbor2.dumps(FIELDS)
    assert refused(text_of(body + KEY.sign(body))) == "the signature is not central's"
    assert refused(text_of(body + KEY.sign(b"hexiao-entry-v1" + body))).startswith("the signature")


@pytest.mark.parametrize(
    "value", [None, 5, {}, "voucher", FIELDS[:-1], [*FIELDS, 0], [], {1: 2}, [FIELDS]]
)
def test_other_signed_things_are_not_vouchers(value: object) -> None:
    """Design section 6: thirteen fields, also when the signature holds."""
    assert refused(signed(value)) == "not the fields of a voucher"


@pytest.mark.parametrize("place", [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11])
@pytest.mark.parametrize("value", [-1, "1", None, True, 1.0, b"1", [], 253_402_300_800])
def test_numbers_are_counts(place: int, value: object) -> None:
    """Design section 6: each number is a count that fits a date; anything else is refused."""
    assert refused(signed([*FIELDS[:place], value, *FIELDS[place + 1 :]])) == (
        "a field is not a count"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({2: VOUCHER}, "no voucher"),
        ({2: bytes(15)}, "no voucher"),
        ({2: bytes(17)}, "no voucher"),
        ({12: "12345678"}, "no tag"),
        ({12: bytes(7)}, "no tag"),
        ({12: bytes(9)}, "no tag"),
        ({3: 5, 4: 12_345}, "not a platform code"),
        ({3: 12, 4: 123_456_789_012}, "not a platform code"),
        ({3: 6}, "not a platform code"),
        ({4: 846_159_370}, "not a platform code"),
        ({5: 0}, "not a number of shares"),
        ({5: 10_000}, "not a number of shares"),
    ],
)
def test_fields_have_their_form(changes: dict[int, object], words: str) -> None:
    """Design section 6, EV-045: sizes of ids and tags, 6 to 11 digits, one share at least."""
    fields = [changes.get(place, value) for place, value in enumerate(FIELDS)]
    assert refused(signed(fields)) == words


@pytest.mark.parametrize("digits", [6, 11])
@pytest.mark.parametrize("shares", [1, 9_999])
def test_fields_at_their_limits_are_read(digits: int, shares: int) -> None:
    """Design section 6, EV-045: the shortest and the longest code, the fewest and most shares."""
    found = replace(SAYS, code="2" * digits, shares=shares, expiry_s=253_402_300_799)
    assert qr.decode(qr.encode(found, KEY), KEYS) == found


def test_the_tag_ties_the_last_four() -> None:
    """Design section 6: an HMAC over voucher and last four, eight bytes of it, keyed."""
    assert len(TAG) == 8
    assert qr.tag_matches(SAYS, TAG_KEY, "0012")
    assert not qr.tag_matches(SAYS, TAG_KEY, "0013")
    assert not qr.tag_matches(SAYS, TAG_KEY, "12")
    assert not qr.tag_matches(SAYS, bytes(32), "0012")
    assert not qr.tag_matches(replace(SAYS, voucher=VOUCHER[:-1] + "c"), TAG_KEY, "0012")


def test_the_text_does_not_hold_the_last_four() -> None:
    """Design section 6: two vouchers that differ in the last four alone differ in the tag."""
    other = replace(SAYS, tag=qr.last4_tag(TAG_KEY, VOUCHER, "9999"))
    raw: bytes = base45.b45decode(qr.encode(other, KEY)[4:])
    changed = [place for place in range(len(RAW)) if raw[place] != RAW[place]]
    first = len(RAW) - 64 - 8
    assert min(changed) >= first


def test_what_looks_signed() -> None:
    """Design section 6: the prefix alone says what a text claims to be."""
    assert qr.looks_signed("HX1:")
    assert not qr.looks_signed(" HX1:")
    assert not qr.looks_signed("HX1")
