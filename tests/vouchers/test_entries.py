"""Journal entries: what is read back, what is refused, and what follows what."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from vouchers import canonical, entries
from vouchers.entries import Kind, Totals
from vouchers.fields import EntryError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VOUCHER = "0190f5a0-7c00-7abc-8def-0123456789ab"
REDEEMED: dict[str, object] = {
    "serial": "T0007_2_00000003",
    "request": None,
    "claim": None,
    "voucher": VOUCHER,
    "generation": 0,
    "shares": 2,
    "left": 3,
    "successor": True,
    "credential": "code",
    "evidence": "row",
    "mode": "lone",
    "product": 7,
    "amount_fen": 10_000,
    "replica_version": None,
}
REVERSED: dict[str, object] = {
    "serial": "T0007_2_00000003",
    "reverses": "T0007_2_00000002",
    "voucher": VOUCHER,
    "generation": 1,
    "shares": 2,
    "left": 5,
    "amount_fen": 10_000,
    "reason_code": "mistake",
}
ENTRY = entries.Entry(
    merchant=1,
    posid="T0007",
    epoch=2,
    seq=3,
    prev="ab" * 32,
    at=1_722_441_600_123,
    boot="b1",
    mono_ms=5,
    clock="ok",
    clerk="li",
    auth="pin",
    shift=None,
    kind=Kind.REDEEMED,
    data=REDEEMED,
    totals=Totals(1, 2, 10_000),
)
BODY: dict[str, Any] = canonical.decode_object(entries.compose(ENTRY))
GONE = object()


def changed(fields: dict[str, Any], name: str, value: object) -> dict[str, Any]:
    return {key: old for key, old in {**fields, name: value}.items() if old is not GONE}


def reading(name: str, value: object) -> entries.Entry:
    return entries.read_entry(canonical.encode(changed(BODY, name, value)))


def test_the_kinds_are_those_of_the_contract() -> None:
    """Design section 6: the closed list of kinds of an entry."""
    listed = (
        "redeemed, reversed, refused, locked, signed_in, signed_out, shift_opened, shift_closed, "
        "printed_unknown, reprinted, override, clock_changed, started, recovered, key_changed, "
        "training_started, training_ended"
    )
    assert [str(kind) for kind in Kind] == listed.split(", ")


def test_a_body_reads_back_as_it_was() -> None:
    """Design section 6: the signed body holds the fields of the contract and no others."""
    assert entries.read_entry(entries.compose(ENTRY)) == ENTRY
    signed_in = replace(ENTRY, kind=Kind.SIGNED_IN, data={}, shift="s1", clock="suspect")
    assert entries.read_entry(entries.compose(signed_in)) == signed_in
    names = "v merchant posid epoch seq prev at boot mono_ms clock clerk auth shift kind data"
    assert set(BODY) == {*names.split(), "totals"}
    assert BODY["at"] == "2024-07-31T16:00:00.123Z"
    totals = "redemptions shares amount_fen reversals reversed_shares reversed_fen"
    assert list(BODY["totals"]) == sorted(totals.split())


@pytest.mark.parametrize("value", [1, True, None, [], GONE])
@pytest.mark.parametrize("name", ["posid", "prev", "at", "boot", "clock", "clerk", "auth", "kind"])
def test_text_fields_are_text(name: str, value: object) -> None:
    """Design section 6: a text that is something else, or missing, is no entry."""
    with pytest.raises(EntryError, match=f"^{name} "):
        reading(name, value)


@pytest.mark.parametrize("value", ["1", True, None, -1, [], GONE])
@pytest.mark.parametrize("name", ["merchant", "epoch", "seq", "mono_ms"])
def test_number_fields_are_counts(name: str, value: object) -> None:
    """Design section 6: a number that is something else, negative or missing is no entry."""
    with pytest.raises(EntryError, match=f"^{name} "):
        reading(name, value)


@pytest.mark.parametrize("name", ["epoch", "seq"])
def test_epochs_and_sequences_count_from_one(name: str) -> None:
    """Design section 6: `seq` is from 1, no gaps per epoch; AX-01 writes both into the serial."""
    with pytest.raises(EntryError, match=f"^{name} "):
        reading(name, 0)


@pytest.mark.parametrize("posid", ["", "T-7", "T_7", "T 7", "T7\n", "A" * 33, "中7"])
def test_a_posid_has_its_form(posid: str) -> None:
    """EV-065, design section 6: POSID is 1 to 32 letters and digits."""
    with pytest.raises(EntryError, match=r"^posid "):
        reading("posid", posid)


@pytest.mark.parametrize("prev", ["", "ab", "AB" * 32, "ag" * 32, "ab" * 32 + "\n", "ab" * 33])
def test_prev_is_a_hash(prev: str) -> None:
    """Design section 6: hashes are lower-case hex, 64 characters for SHA-256."""
    with pytest.raises(EntryError, match=r"^prev "):
        reading("prev", prev)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("clock", ("ok", "suspect"), ("", "OK", "fine")),
        ("auth", ("none", "pin", "os"), ("", "PIN", "card")),
    ],
)
def test_clock_and_auth_are_closed_lists(
    name: str, good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    """Design sections 5 and 6: `clock` is ok or suspect, `auth` none, pin or os."""
    assert [getattr(reading(name, value), name) for value in good] == list(good)
    for value in bad:
        with pytest.raises(EntryError, match=f"^{name} "):
            reading(name, value)


@pytest.mark.parametrize("value", [1, True, []])
def test_a_shift_is_text_or_none(value: object) -> None:
    """Design section 6: `shift` names the shift, or is null before one is opened."""
    assert reading("shift", None).shift is None
    assert reading("shift", "s9").shift == "s9"
    with pytest.raises(EntryError, match=r"^shift "):
        reading("shift", value)


@pytest.mark.parametrize("value", [0, 2, "1", True, None, GONE])
def test_another_version_is_not_read(value: object) -> None:
    """Design section 6: `v` is the number 1; what we do not know we do not guess at."""
    with pytest.raises(EntryError, match="version"):
        reading("v", value)


@pytest.mark.parametrize("name", ["data", "totals"])
@pytest.mark.parametrize("value", [[], "x", 1, None, GONE])
def test_data_and_totals_are_objects(name: str, value: object) -> None:
    """Design section 6: the two nested parts are objects."""
    with pytest.raises(EntryError, match="objects"):
        reading(name, value)


@pytest.mark.parametrize("name", list(BODY["totals"]))
@pytest.mark.parametrize("value", ["1", True, None, -1, GONE])
def test_every_total_is_a_count(name: str, value: object) -> None:
    """Design section 6: totals never decrease, so none is negative or missing."""
    with pytest.raises(EntryError, match=f"^{name} "):
        reading("totals", changed(BODY["totals"], name, value))


@pytest.mark.parametrize("at", ["2024-07-31T16:00:00Z", "2024-13-01T00:00:00.000Z", "now", ""])
def test_at_is_a_time_of_our_form(at: str) -> None:
    """Design section 6: RFC 3339 UTC with milliseconds and Z."""
    with pytest.raises(EntryError, match=r"^at is not a time"):
        reading("at", at)


def test_an_unknown_kind_is_not_read() -> None:
    """Design section 6: the kinds are a closed list."""
    with pytest.raises(EntryError, match=r"^kind is not one"):
        reading("kind", "redeemed_twice")


@pytest.mark.parametrize(
    "body",
    ["", "[]", "1", "{", '{"v":1 }', '{"v":1,"v":1}', '{"v":1.0}', '{"v":-0}', '{"a":"\\ud800"}'],
)
def test_a_body_is_canonical_or_nothing(body: str) -> None:
    """Design section 6: the body is canonical JSON, kept verbatim."""
    with pytest.raises(EntryError, match=r"^the body is "):
        entries.read_entry(body)


def test_a_redemption_reads_back() -> None:
    """Design section 6: the data of `redeemed`, field by field."""
    assert entries.read_redemption(ENTRY) == entries.Redemption(**REDEEMED)  # type: ignore[arg-type]
    named = {**REDEEMED, "request": "r1", "claim": "c1", "replica_version": "1.2"}
    found = entries.read_redemption(replace(ENTRY, data=named))
    assert (found.request, found.claim, found.replica_version) == ("r1", "c1", "1.2")


def test_a_reversal_reads_back() -> None:
    """Design section 6, decision 11: the data of `reversed`, for each reason of the list."""
    for reason in ("mistake", "customer_changed_mind", "wrong_voucher"):
        found = entries.read_reversal(replace(ENTRY, data={**REVERSED, "reason_code": reason}))
        assert found == entries.Reversal(**{**REVERSED, "reason_code": reason})  # type: ignore[arg-type]
    assert entries.REVERSAL_REASONS[3:] == ("goods_not_available", "test", "other")


NOT_A_COUNT: list[object] = ["1", True, None, -1, GONE]
WRONG: list[tuple[str, list[object]]] = [
    ("serial", [1, None, GONE, "T0007_2_00000004", "T0007_1_00000003", "T0007_2_3"]),
    ("request", [1, True, []]),
    ("claim", [1, True, []]),
    ("voucher", [1, None, GONE, "", VOUCHER.upper(), VOUCHER[:-1], f"{{{VOUCHER}}}"]),
    ("generation", NOT_A_COUNT),
    ("shares", [*NOT_A_COUNT, 0]),
    ("left", NOT_A_COUNT),
    ("successor", [0, 1, "true", None, GONE]),
    ("credential", [1, None, GONE, "", "Code", "card"]),
    ("evidence", [1, None, GONE, "", "guess"]),
    ("mode", [1, None, GONE, "", "offline"]),
    ("product", NOT_A_COUNT),
    ("amount_fen", NOT_A_COUNT),
    ("replica_version", [1, True, []]),
]


@pytest.mark.parametrize(("name", "values"), WRONG)
def test_a_malformed_redemption_is_refused(name: str, values: list[object]) -> None:
    """Design section 6: every field of `redeemed` that is wrong is named in an EntryError."""
    assert [name for name, _ in WRONG] == list(REDEEMED)
    for value in values:
        with pytest.raises(EntryError, match=f"^{name} "):
            entries.read_redemption(replace(ENTRY, data=changed(REDEEMED, name, value)))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("serial", [1, None, GONE, "T0007_2_00000004"]),
        ("reverses", [1, None, GONE]),
        ("voucher", [1, None, GONE, ""]),
        ("generation", NOT_A_COUNT),
        ("shares", [*NOT_A_COUNT, 0]),
        ("left", NOT_A_COUNT),
        ("amount_fen", NOT_A_COUNT),
        ("reason_code", [1, None, GONE, "", "because"]),
    ],
)
def test_a_malformed_reversal_is_refused(name: str, values: list[object]) -> None:
    """Decision 11: every field of `reversed` that is wrong is named in an EntryError."""
    for value in values:
        with pytest.raises(EntryError, match=f"^{name} "):
            entries.read_reversal(replace(ENTRY, data=changed(REVERSED, name, value)))


def test_totals_count_what_changes_them() -> None:
    """Design section 6: redemptions and reversals add, each to its own; nothing else does."""
    once = Totals().after(Kind.REDEEMED, REDEEMED)
    assert once == Totals(1, 2, 10_000, 0, 0, 0)
    undone = once.after(Kind.REVERSED, REVERSED)
    assert undone == Totals(1, 2, 10_000, 1, 2, 10_000)
    again = undone.after(Kind.REDEEMED, REDEEMED).after(Kind.REVERSED, REVERSED)
    assert again == Totals(2, 4, 20_000, 2, 4, 20_000)
    for kind in set(Kind) - {Kind.REDEEMED, Kind.REVERSED}:
        assert again.after(kind, {"shares": 9, "amount_fen": 9}) == again


def test_an_entry_follows_or_says_why_not() -> None:
    """Design section 6: no gaps, `prev` is the hash before, totals follow."""
    due: dict[str, Any] = {"prev": ENTRY.prev, "seq": 3, "totals": Totals()}
    assert entries.follows(ENTRY, **due) is None
    assert entries.follows(ENTRY, **{**due, "seq": 2}) == "sequence 3 where 2 was due"
    wrong = entries.follows(ENTRY, **{**due, "prev": "cd" * 32})
    assert wrong == "it does not follow the entry before"
    short = replace(ENTRY, totals=Totals(1, 2, 9_999))
    assert entries.follows(short, **due) == "its totals do not follow"


def test_a_body_is_hashed_and_signed_in_its_own_domain() -> None:
    """Design section 6: SHA-256 over the domain and the body, Ed25519 over the hash bytes."""
    body = entries.compose(ENTRY)
    digest = hashlib.sha256(b"hexiao-entry-v1" + body.encode()).hexdigest()
    assert entries.entry_hash(body) == digest
    signature = entries.sign_entry(body, KEY)
    assert signature == KEY.sign(bytes.fromhex(digest))
    assert entries.signature_holds(digest, signature, KEY.public_key())
    other = entries.entry_hash(body.replace('"clerk":"li"', '"clerk":"wu"'))
    assert not entries.signature_holds(other, signature, KEY.public_key())
    assert not entries.signature_holds(digest, signature[:-1], KEY.public_key())


@pytest.mark.parametrize(("head", "written"), [(None, "null"), ("ab" * 32, f'"{"ab" * 32}"')])
def test_a_chain_starts_from_its_enrolment(head: str | None, written: str) -> None:
    """Design section 6: the first `prev` hashes the enrolment record, an epoch's the old head."""
    record = entries.enrolment_record(
        merchant=1, posid="T0007", epoch=2, public_key=bytes(32), previous_head=head
    )
    assert record == (
        f'{{"epoch":2,"merchant":1,"posid":"T0007","previous_head":{written},'
        f'"public_key":"{"A" * 43}","v":1}}'
    )
    digest = hashlib.sha256(b"hexiao-enrol-v1" + record.encode()).hexdigest()
    assert entries.first_prev(record) == digest
