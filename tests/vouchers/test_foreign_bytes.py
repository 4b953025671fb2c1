"""Bytes and texts that are nearly ours: each is refused with the error its reader promises.

Goal: records, QRs, entries and values that are not exactly of the contract never become objects.
Method: take a right one from the vectors, change one thing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import cbor2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tests.vectors import reference
from vouchers import canonical, entries, ids, money, policy, qr, sealed, times

FOLDER = Path(reference.__file__).parent
STORY = json.loads((FOLDER / "journal.json").read_text("ascii"))["epochs"][0]["entries"]
ROW = json.loads((FOLDER / "sealed.json").read_text("ascii"))["rows"][0]
QR = json.loads((FOLDER / "qr.json").read_text("ascii"))["codes"][0]
REDEEMED, REVERSED = 1, 4
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
SEAL_KEY = sealed.SealKey(bytes(16), bytes(32))


def with_body(number: int, change: Callable[[dict[str, Any]], object]) -> str:
    """The body of an entry of the story with one thing changed, canonical again."""
    value: Any = canonical.decode(STORY[number]["body"])
    change(value)
    return canonical.encode(value)


@pytest.mark.parametrize("field", ["merchant", "epoch", "seq", "mono_ms"])
@pytest.mark.parametrize("value", [-1, "1", None, True, []])
def test_numbers_of_an_entry_are_whole(field: str, value: object) -> None:
    """Counts are non-negative integers; true is not 1."""
    with pytest.raises(entries.EntryError, match=field):
        entries.read_entry(with_body(0, lambda body: body.update({field: value})))


@pytest.mark.parametrize("field", ["posid", "prev", "boot", "clock", "clerk", "auth", "kind", "at"])
def test_texts_of_an_entry_are_texts(field: str) -> None:
    """A field that is text may not be missing or a number."""
    for change in (lambda body: body.pop(field), lambda body: body.update({field: 1})):
        with pytest.raises(entries.EntryError):
            entries.read_entry(with_body(0, change))


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(v=2),
        lambda body: body.update(kind="invented"),
        lambda body: body.update(at="yesterday"),
        lambda body: body.update(data=[]),
        lambda body: body.update(totals=None),
        lambda body: body["totals"].pop("shares"),
        lambda body: body["totals"].update(shares=-1),
        lambda body: body.update(shift=1),
    ],
)
def test_other_entries_are_refused(change: Callable[[dict[str, Any]], object]) -> None:
    """A version, kind, time or shape that is not of the contract."""
    with pytest.raises(entries.EntryError):
        entries.read_entry(with_body(0, change))


@pytest.mark.parametrize("body", ["", "[]", "null", '{"v": 1}', "{", '{"v":1}'])
def test_a_body_is_a_canonical_object(body: str) -> None:
    """Anything else is not an entry, whatever it might mean."""
    with pytest.raises(entries.EntryError):
        entries.read_entry(body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("serial", "A17_1_00000009"),
        ("serial", 7),
        ("request", 7),
        ("voucher", "no uuid"),
        ("shares", 0),
        ("shares", "2"),
        ("left", -1),
        ("successor", 1),
        ("credential", "cash"),
        ("evidence", "hearsay"),
        ("mode", "turbo"),
        ("product", None),
        ("amount_fen", 1.5),
    ],
)
def test_other_redemptions_are_refused(field: str, value: object) -> None:
    """Each field of a redemption has its type and its closed list."""
    entry = entries.read_entry(STORY[REDEEMED]["body"])
    with pytest.raises(entries.EntryError, match=field):
        entries.read_redemption(replace(entry, data={**entry.data, field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [("serial", "B_1_00000005"), ("reverses", None), ("reason_code", "because"), ("shares", 0)],
)
def test_other_reversals_are_refused(field: str, value: object) -> None:
    """Each field of a reversal has its type; reasons are a closed list (decision 11)."""
    entry = entries.read_entry(STORY[REVERSED]["body"])
    with pytest.raises(entries.EntryError, match=field):
        entries.read_reversal(replace(entry, data={**entry.data, field: value}))


def test_a_broken_chain_is_named() -> None:
    """Sequence, previous hash and totals are each checked."""
    first, second = (entries.read_entry(STORY[n]["body"]) for n in (0, 1))
    right = {"prev": STORY[0]["hash"], "seq": 2, "totals": first.totals}
    assert entries.follows(second, **right) is None
    assert "sequence" in str(entries.follows(second, **right | {"seq": 3}))
    assert "follow the entry" in str(entries.follows(second, **right | {"prev": "0" * 64}))
    grown = replace(first.totals, shares=1)
    assert "totals" in str(entries.follows(second, **right | {"totals": grown}))


def test_another_signature_does_not_hold() -> None:
    """A signature of another key, or over another hash."""
    body = STORY[0]["body"]
    signature = entries.sign_entry(body, KEY)
    assert entries.signature_holds(entries.entry_hash(body), signature, KEY.public_key())
    assert not entries.signature_holds("00" * 32, signature, KEY.public_key())
    assert not entries.signature_holds(entries.entry_hash(body), bytes(64), KEY.public_key())


def sealed_with(**change: object) -> bytes:
    """A record of the vectors with one field changed, sealed under a key of its own."""
    fields = cbor2.loads(bytes.fromhex(ROW["plaintext"])) | change
    plain = cbor2.dumps({name: value for name, value in fields.items() if value is not ...})
    return bytes(12) + ChaCha20Poly1305(bytes(32)).encrypt(bytes(12), plain, bytes(16))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("v", 2),
        ("v", ...),
        ("voucher", "0190F5A0-7C00-7ABC-8DEF-0123456789AB"),
        ("voucher", bytes(16)),
        ("secret", bytes(31)),
        ("secret", "text"),
        ("home", "3"),
        ("home", True),
        ("shares", 0),
        ("shares", ...),
        ("generation", -1),
        ("horizon", True),
        ("paid_fen", 1.5),
    ],
)
def test_other_records_do_not_open(field: str, value: object) -> None:
    """A record that decrypts but is not of the contract is an error, not a voucher."""
    assert sealed.open_record(sealed_with(), SEAL_KEY).shares == ROW["record"]["shares"]
    with pytest.raises(sealed.SealError):
        sealed.open_record(sealed_with(**{field: value}), SEAL_KEY)


@pytest.mark.parametrize("plain", [b"", b"\xff", b"\x80", b"\x18", cbor2.dumps([1, 2])])
def test_what_is_no_record_does_not_open(plain: bytes) -> None:
    """Plaintext that is no CBOR map."""
    row = bytes(12) + ChaCha20Poly1305(bytes(32)).encrypt(bytes(12), plain, bytes(16))
    with pytest.raises(sealed.SealError):
        sealed.open_record(row, SEAL_KEY)


def signed_with(at: int, value: object) -> str:
    """The fields of a QR of the vectors with one changed, signed rightly."""
    fields = cbor2.loads(bytes.fromhex(QR["array"]))
    fields[at] = value
    body = cbor2.dumps(fields)
    return "HX1:" + reference.base45(body + KEY.sign(b"hexiao-voucher-v1" + body))


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, -1),
        (0, "1"),
        (1, True),
        (2, bytes(15)),
        (2, "text"),
        (3, 5),
        (3, 12),
        (3, 6),
        (5, 0),
        (5, 10_000),
        (8, 253_402_300_800),
        (10, None),
        (12, bytes(7)),
        (12, 0),
    ],
)
def test_other_qrs_are_refused(at: int, value: object) -> None:
    """A field of another type or size, even under a right signature."""
    keys = {QR["kid"]: KEY.public_key()}
    assert qr.decode(signed_with(1, 7), keys).merchant == 7
    with pytest.raises(qr.QrError):
        qr.decode(signed_with(at, value), keys)


@pytest.mark.parametrize("text", ["", "HX2:00", "hx1:00", "HX1:" + "0" * 700, "HX1:é", "HX1:A"])
def test_what_is_no_qr_is_refused(text: str) -> None:
    """Another prefix, too long, or not base45."""
    with pytest.raises(qr.QrError):
        qr.decode(text, {})


def test_the_tag_ties_the_last_four() -> None:
    """Only the last four digits that it was made for match."""
    found = qr.decode(signed_with(1, 7), {QR["kid"]: KEY.public_key()})
    made = replace(found, tag=qr.last4_tag(bytes(32), found.voucher, "1234"))
    assert qr.tag_matches(made, bytes(32), "1234")
    assert not qr.tag_matches(made, bytes(32), "1235")
    assert not qr.tag_matches(made, b"\x01" * 32, "1234")


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        2**53,
        -(2**53),
        b"bytes",
        {1: 2},
        {"a": {None: 1}},
        "\ud800",
        object(),
        {1, 2},
    ],
)
def test_values_without_a_text_are_refused(value: object) -> None:
    """Canonical JSON knows no floats, bytes, large integers, other names or lone surrogates."""
    with pytest.raises(ValueError, match=r"."):
        canonical.encode(value)


def test_depth_is_bounded() -> None:
    """Nesting that could exhaust the stack is refused on both ways."""
    deep: object = 0
    for _ in range(20):
        deep = [deep]
    with pytest.raises(ValueError, match="deep"):
        canonical.encode(deep)
    with pytest.raises(ValueError, match="deep"):
        canonical.decode("[" * 100_000 + "]" * 100_000)


def test_tuples_are_arrays() -> None:
    """A tuple is written as an array; it reads back as a list."""
    assert canonical.encode({"a": (1, 2)}) == '{"a":[1,2]}'


@pytest.mark.parametrize("text", ["[]", "1", "null", '"a"'])
def test_an_object_is_asked_for(text: str) -> None:
    """`decode_object` refuses every other value."""
    with pytest.raises(ValueError, match="object"):
        canonical.decode_object(text)


@pytest.mark.parametrize("text", ["A", "AA=", "AA==", "A*", "AB", " AA", "AA\n", "é"])
def test_other_base64_is_refused(text: str) -> None:
    """Padding, other alphabets, stray bits and spaces."""
    with pytest.raises(ValueError, match=r"."):
        ids.unb64u(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A_1_1",
        "A_1_00000000",
        "A_01_00000001",
        "A-1-00000001",
        "Ä_1_00000001",
        "a_b_1_00000001",
    ],
)
def test_other_serials_are_refused(text: str) -> None:
    """AX-01: exactly one way to write a serial."""
    assert ids.parse_serial(text) is None


def test_uuid_texts() -> None:
    """A UUID has one text; its bytes and text belong together."""
    text = ROW["record"]["voucher"]
    assert ids.uuid_text(ids.uuid_bytes(text)) == text
    for other in (text.upper(), text.replace("-", ""), "{" + text + "}", ""):
        with pytest.raises(ValueError, match="UUID"):
            ids.uuid_bytes(other)


def test_posids() -> None:
    """`[A-Za-z0-9]{1,32}`."""
    assert all(ids.is_posid(text) for text in ("A", "A17", "z" * 32))
    assert not any(ids.is_posid(text) for text in ("", "A_1", "A 1", "z" * 33, "é", "A\n"))


def test_days_of_a_zone() -> None:
    """A merchant's day and weekday, not London's (AX-11, decision 8)."""
    moment = times.parse_utc("2024-07-31T16:00:00.000Z")
    shanghai = ZoneInfo("Asia/Shanghai")
    assert times.local_date(moment, shanghai).isoformat() == "2024-08-01"
    assert (times.weekday(moment, shanghai), times.weekday(moment - 1, shanghai)) == (4, 3)


def test_reversed_money_rounds_away_from_zero() -> None:
    """A negative amount mirrors the positive one."""
    assert [money.round_half_up(n, 2) for n in (-3, -1, 1, 3)] == [-2, -1, 1, 2]
    assert money.amount_fen(100, 3, 3, 1) == 0


def test_policy_becomes_limits() -> None:
    """The numbers that rules obey are the owner's, each in its place."""
    raw = b"""{"version": 3, "offline": {"max_redemptions": {"home": 1, "elsewhere": 2},
        "max_value_fen": 3, "max_hours": {"home": 4, "elsewhere": 5}, "max_replica_age_hours": 6,
        "unhomed_shares": 7, "foreign_shares_row": 8, "foreign_shares_qr": 9}, "newer": {}}"""
    found = policy.offline_limits(msgspec.json.decode(raw, type=policy.Policy))
    assert (found.max_redemptions_home, found.max_redemptions_away, found.max_value_fen) == (
        1,
        2,
        3,
    )
    assert (found.max_hours_home, found.max_hours_away, found.max_replica_age_hours) == (4, 5, 6)
    assert (found.unhomed_shares, found.foreign_shares_row, found.foreign_shares_qr) == (7, 8, 9)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"claim": {"budget_ms": -1}}', type=policy.Policy)
