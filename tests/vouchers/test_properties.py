"""What must hold for every input of the pure rules, not only for the examples.

Goal: codes, canonical JSON, sealing, QRs, money, the decision at the counter and booking keep
their invariants. Method: hypothesis draws the inputs; an example that fails is printed as a blob.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.vectors import reference
from vouchers import canonical, codes, credential, ids, money, qr, sealed, times
from vouchers.reasons import Reason, Refusal

secrets = st.binary(min_size=32, max_size=32)
lengths = st.integers(6, 11)
generations = st.integers(0, 2**32 - 1)
counts = st.integers(1, 9_999)
vouchers = st.uuids().map(str)
VAULT = sealed.Vault(1, bytes(range(16)), *sealed.COST_LIGHT)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
# Whole numbers as the restricted form allows them, any text that has a UTF-8 form.
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(secrets, generations, lengths)
def test_a_code_is_well_formed(secret: bytes, generation: int, digits: int) -> None:
    """EV-045: the length asked for, no leading zero, a check digit that holds."""
    code = codes.derive(secret, generation, digits)
    assert len(code) == digits
    assert code[0] != "0"
    assert codes.damm_digit(code) == "0"
    assume(not codes.looks_like_mobile(code))
    assert codes.read_code(code) == code


@given(secrets, lengths, st.data())
def test_a_slip_of_the_finger_is_mistyped(secret: bytes, digits: int, data: st.DataObject) -> None:
    """One wrong digit, or two neighbours swapped, is always caught by the check digit."""
    code = codes.derive(secret, 0, digits)
    at = data.draw(st.integers(0, digits - 1))
    wrong = code[:at] + data.draw(st.sampled_from("0123456789")) + code[at + 1 :]
    swapped = code[:at] + code[at : at + 2][::-1] + code[at + 2 :]
    for slip in {wrong, swapped} - {code}:
        found = codes.read_code(slip)
        assert isinstance(found, Refusal)
        assert found.reason is Reason.MISTYPED or codes.looks_like_mobile(slip)


@given(st.text(max_size=60))
def test_reading_never_fails(text: str) -> None:
    """Whatever was scanned is read or refused; what is read is plain digits with a check digit."""
    for found in (codes.read_code(text), credential.read_credential(text)):
        digits = found.digits if isinstance(found, credential.PlatformCode) else found
        if isinstance(digits, str):
            assert digits.isascii()
            assert digits.isdigit()
            assert 6 <= len(digits) <= 11
            assert codes.damm_digit(digits) == "0"
    assert isinstance(codes.read_last4(text), str | Refusal)


@given(st.integers(0, 9_999), lengths)
def test_leading_zeros_stay(number: int, digits: int) -> None:
    """EV-045: input is normalised, never trimmed of zeros; it may be refused but not shortened."""
    text = f"{number:0{digits - 1}d}"
    code = text + codes.damm_digit(text)
    spaced = " ".join(code)
    assert codes.normalise(spaced) == code
    assume(not codes.looks_like_mobile(code))
    assert codes.read_code(spaced) == code


@given(values)
def test_canonical_json_round_trips(value: Any) -> None:
    """A value has one text, the one the second reading writes, and reads back as itself."""
    text = canonical.encode(value)
    assert text == reference.canonical(value)
    assert canonical.decode(text) == value


@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")))
def test_canonical_json_is_the_only_text(text: str) -> None:
    """A text that reads at all is exactly the text that would be written."""
    try:
        value = canonical.decode(text)
    except ValueError:
        return
    assert canonical.encode(value) == text


@given(st.integers(0, 10**9), st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_parts_add_up_to_what_was_paid(paid: int, parts: list[int]) -> None:
    """However a voucher is redeemed, its amounts sum to the price, and none is negative."""
    shares, used, amounts = sum(parts), 0, []
    for part in parts:
        amounts.append(money.amount_fen(paid, shares, used, part))
        used += part
    assert sum(amounts) == paid
    assert all(
        0 <= amount <= -(-paid * part // shares) + 1
        for amount, part in zip(amounts, parts, strict=True)
    )


@given(st.integers(0, 10**12), st.integers(1, 10**6))
def test_rounding_is_to_the_nearest(numerator: int, denominator: int) -> None:
    """The result is never further than half a fen away, and halves go up."""
    found = money.round_half_up(numerator, denominator)
    assert -denominator < 2 * (numerator - found * denominator) <= denominator - 1 or (
        2 * (numerator - found * denominator) == -denominator
    )


@st.composite
def records(draw: st.DrawFn) -> sealed.Record:
    shares = draw(counts)
    return sealed.Record(
        voucher=draw(vouchers),
        secret=draw(secrets),
        generation=draw(st.integers(0, 30)),
        horizon=codes.horizon(shares),
        shares=shares,
        product=draw(st.integers(0, 2**31)),
        home=draw(st.none() | st.integers(1, 2**31)),
        paid_fen=draw(st.integers(0, 10**9)),
    )


@given(records(), st.binary(min_size=12, max_size=12), st.data())
def test_a_sealed_row_opens_only_as_it_was(
    record: sealed.Record, nonce: bytes, data: st.DataObject
) -> None:
    """The right credential gives the record back; any changed bit, or another row key, nothing."""
    key = sealed.stretch("23456789013", "1234", VAULT)
    row = sealed.seal(record, key, nonce)
    assert sealed.open_record(row, key) == record
    at = data.draw(st.integers(0, 8 * len(row) - 1))
    broken = bytearray(row)
    broken[at // 8] ^= 1 << at % 8
    moved = replace(key, row_key=bytes(16))
    for case in ((bytes(broken), key), (row, moved), (row[: at // 8], key)):
        with pytest.raises(sealed.SealError):
            sealed.open_record(*case)


@st.composite
def signed(draw: st.DrawFn) -> qr.VoucherQr:
    return qr.VoucherQr(
        kid=draw(st.integers(0, 9)),
        merchant=draw(st.integers(0, 2**31)),
        voucher=draw(vouchers),
        code=codes.derive(draw(secrets), 0, draw(lengths)),
        shares=draw(counts),
        generation=draw(st.integers(0, 30)),
        product=draw(st.integers(0, 2**31)),
        not_before_s=draw(st.integers(0, 2**33)),
        expiry_s=draw(st.integers(0, 2**33)),
        home=draw(st.none() | st.integers(1, 2**31)),
        issued_s=draw(st.integers(0, 2**33)),
        tag=draw(st.binary(min_size=8, max_size=8)),
    )


@given(signed(), st.data())
def test_a_signed_qr_reads_back(found: qr.VoucherQr, data: st.DataObject) -> None:
    """What was signed is what is read; one changed character, or another key, is refused."""
    text = qr.encode(found, KEY)
    keys = {found.kid: KEY.public_key()}
    assert qr.decode(text, keys) == found
    at = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.sampled_from(reference.BASE45))
    changed = text[:at] + character + text[at + 1 :]
    assume(changed != text)
    with pytest.raises(qr.QrError):
        qr.decode(changed, keys)
    with pytest.raises(qr.QrError):
        qr.decode(text, {})


@given(st.text(max_size=80) | st.binary(max_size=160).map(reference.base45))
def test_any_scan_is_a_qr_or_not(text: str) -> None:
    """No text, and no bytes behind the prefix, make reading fail in any other way."""
    for claim in (text, "HX1:" + text):
        with pytest.raises(qr.QrError):
            qr.decode(claim, {0: KEY.public_key(), 1: KEY.public_key()})


@given(st.integers(0, 253_402_300_799_999))
def test_times_round_trip(ms: int) -> None:
    """Every millisecond up to the end of the year 9999 has one text, the second reading's."""
    text = times.format_utc(ms)
    assert text == reference.rfc3339(ms)
    assert times.parse_utc(text) == ms


@given(st.lists(st.integers(0, 253_402_300_799_999), min_size=2, max_size=6))
def test_times_sort_as_text(moments: list[int]) -> None:
    """Texts of moments sort as the moments do, so that logs and exports can be merged."""
    ordered = [times.format_utc(ms) for ms in sorted(moments)]
    assert all(a <= b for a, b in pairwise(ordered))


@given(st.text(max_size=30))
def test_other_times_are_refused(text: str) -> None:
    """A text is a moment only if it is the text of that moment."""
    try:
        ms = times.parse_utc(text)
    except ValueError:
        return
    assert times.format_utc(ms) == text


@given(st.binary(max_size=70), st.text(max_size=20))
def test_base64url_has_one_text(raw: bytes, text: str) -> None:
    """Keys and signatures have exactly one text; others are refused."""
    assert ids.unb64u(ids.b64u(raw)) == raw
    assert ids.b64u(raw) == reference.base64url(raw)
    try:
        decoded = ids.unb64u(text)
    except ValueError:
        return
    assert ids.b64u(decoded) == text


@given(
    st.from_regex(r"[A-Za-z0-9]{1,32}", fullmatch=True), st.integers(1, 999), st.integers(1, 10**9)
)
def test_serials_round_trip(posid: str, epoch: int, seq: int) -> None:
    """AX-01: a serial names its terminal, epoch and sequence, and nothing else parses as one."""
    text = ids.serial(posid, epoch, seq)
    assert text == reference.serial(posid, epoch, seq)
    assert ids.parse_serial(text) == ids.Serial(posid, epoch, seq)
    for other in (text + " ", text[:-1], "0" + text.replace("_", "-"), text.replace("_", "__")):
        assert ids.parse_serial(other) != ids.Serial(posid, epoch, seq)


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_uuid7_carries_its_time(ms: int, rand: bytes) -> None:
    """RFC 9562: the first 48 bits are the milliseconds, then version 7 and the variant."""
    text = ids.uuid7(ms, rand)
    assert ids.is_uuid(text)
    raw = int(text.replace("-", ""), 16)
    assert (raw >> 80, raw >> 76 & 15, raw >> 62 & 3) == (ms, 7, 2)
