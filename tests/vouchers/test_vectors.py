"""The product against the vector files, and the files against the second reading that made them.

Goal: what other programs rely on (codes, sealed rows, QRs, journal bodies, money, time) stays to
the letter. Method: every case of tests/vectors/*.json is computed by `vouchers` and compared.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import base45
import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tests.vectors import make, reference
from vouchers import canonical, codes, entries, ids, money, qr, sealed, standing, times
from vouchers.reasons import Reason, Refusal

FOLDER = Path(make.__file__).parent
DOCUMENTS = {name: json.loads((FOLDER / f"{name}.json").read_text("ascii")) for name in make.FILES}


def cases(document: str, *path: str) -> Any:
    """Parametrise a test with one list of a vector file."""
    found: Any = DOCUMENTS[document]
    for step in path:
        found = found[step]
    return pytest.mark.parametrize("case", found, ids=lambda case: json.dumps(case)[:60])


def test_files_are_what_the_reference_says() -> None:
    """The committed files are exactly what make.py makes of the reference."""
    made = {name: make.written(document) for name, document in make.documents().items()}
    committed = {name: (FOLDER / f"{name}.json").read_text("ascii") for name in make.FILES}
    assert made == committed


def test_the_reference_knows_nothing_of_ours() -> None:
    """The second reading would prove nothing if it called the first."""
    for module in ("reference", "make", "journal"):
        text = (FOLDER / f"{module}.py").read_text("utf-8")
        assert "import vouchers" not in text
        assert "from vouchers" not in text
    importlib.import_module("tests.vectors.reference")


@pytest.mark.parametrize(
    ("encoder", "value", "expected"),
    [
        # RFC 9285, section 4.3
        (reference.base45, b"AB", "BB8"),
        (reference.base45, b"Hello!!", "%69 VD92EX0"),
        (reference.base45, b"base-45", "UJCLQE7W581"),
        (reference.base45, b"ietf!", "QED8WEX0"),
        # RFC 8949, appendix A
        (reference.cbor, 23, b"\x17"),
        (reference.cbor, 24, b"\x18\x18"),
        (reference.cbor, 1000, b"\x19\x03\xe8"),
        (reference.cbor, 1_000_000_000_000, b"\x1b\x00\x00\x00\xe8\xd4\xa5\x10\x00"),
        (reference.cbor, -1000, b"\x39\x03\xe7"),
        (reference.cbor, "水", b"\x63\xe6\xb0\xb4"),
        (reference.cbor, {"a": 1, "b": [2, 3]}, bytes.fromhex("a26161016162820203")),
        (reference.damm_digit, "572", "4"),
    ],
)
def test_the_reference_keeps_to_the_rfcs(
    encoder: Callable[[Any], object], value: object, expected: object
) -> None:
    """The encoders of the second reading give the examples of their RFCs."""
    assert encoder(value) == expected


def test_the_reference_agrees_with_the_libraries() -> None:
    """Its CBOR and base45 are what the libraries read, for every record and QR in the files."""
    for row in DOCUMENTS["sealed"]["rows"]:
        plaintext = bytes.fromhex(row["plaintext"])
        assert cbor2.dumps(cbor2.loads(plaintext)) == plaintext
    for case in DOCUMENTS["qr"]["codes"]:
        raw = base45.b45decode(case["text"].removeprefix("HX1:"))
        assert raw[:-64].hex() == case["array"]


@cases("codes", "damm")
def test_damm(case: dict[str, str]) -> None:
    """The check digit is that of the published quasigroup."""
    assert codes.damm_digit(case["digits"]) == case["check"]


@cases("codes", "derived")
def test_codes(case: dict[str, Any]) -> None:
    """Codes of the generations in every length (EV-045, decision 10)."""
    secret = bytes.fromhex(case["secret"])
    found = [codes.derive(secret, g, case["digits"]) for g in case["generations"]]
    assert found == case["codes"]


@cases("codes", "horizon")
def test_horizon(case: dict[str, int]) -> None:
    """How far a terminal may go by itself."""
    assert codes.horizon(case["shares"]) == case["horizon"]


@cases("codes", "reserved")
def test_reserved_codes(case: dict[str, Any]) -> None:
    """Central reserves every generation up to the horizon."""
    found = codes.reserved(bytes.fromhex(case["secret"]), case["shares"], case["digits"])
    assert list(found) == case["codes"]


@cases("codes", "mobile")
def test_mobile_numbers_are_never_codes(case: dict[str, Any]) -> None:
    """Eleven digits that begin with 13 to 19 (decision 14)."""
    assert codes.looks_like_mobile(case["code"]) is case["mobile"]


@cases("codes", "reading")
def test_reading_codes(case: dict[str, str]) -> None:
    """What was typed or scanned, normalised or refused with its reason (EV-045)."""
    found = codes.read_code(case["input"])
    if "code" in case:
        assert found == case["code"]
    else:
        assert isinstance(found, Refusal)
        assert found.reason is Reason(case["reason"])


def vault_of(name: str) -> sealed.Vault:
    vault = DOCUMENTS["sealed"]["vaults"][name]
    return sealed.Vault(1, bytes.fromhex(vault["salt"]), vault["t"], vault["m_kib"], vault["p"])


@cases("sealed", "rows")
def test_sealed_rows(case: dict[str, Any]) -> None:
    """The stretch, the sealed bytes under a fixed nonce, and the record that opens again."""
    key = sealed.stretch(case["code"], case["last4"], vault_of(case["vault"]))
    assert (key.row_key.hex(), key.record_key.hex()) == (case["row_key"], case["record_key"])
    fields = {name: value for name, value in case["record"].items() if name != "v"}
    record = sealed.Record(**fields | {"secret": bytes.fromhex(fields["secret"])})
    row = sealed.seal(record, key, bytes.fromhex(case["nonce"]))
    assert row.hex() == case["sealed"]
    assert sealed.open_record(bytes.fromhex(case["sealed"]), key) == record


@cases("sealed", "id_cards")
def test_id_card_rows(case: dict[str, Any]) -> None:
    """A person's rows are found one after another from one stretch."""
    person = sealed.stretch_id_card(case["number"], vault_of("light"))
    assert (person.row_key.hex(), person.record_key.hex()) == (case["row_key"], case["record_key"])
    for row in case["rows"]:
        key = sealed.id_row(person, row["index"])
        assert key.row_key.hex() == row["row_key"]
        assert key.record_key == person.record_key


@cases("qr", "codes")
def test_signed_qr(case: dict[str, Any]) -> None:
    """The text of a signed QR, its tag, and what it says when it is read."""
    seed = ids.unb64u(DOCUMENTS["qr"]["private_key"])
    public = Ed25519PublicKey.from_public_bytes(ids.unb64u(DOCUMENTS["qr"]["public_key"]))
    tag = qr.last4_tag(bytes.fromhex(DOCUMENTS["qr"]["k_tag"]), case["voucher"], case["last4"])
    assert tag.hex() == case["tag"]
    voucher = qr.VoucherQr(
        **{name: case[name] for name in ("kid", "merchant", "voucher", "code", "shares")},
        **{name: case[name] for name in ("generation", "product", "not_before_s", "expiry_s")},
        home=case["home"] or None,
        issued_s=case["issued_s"],
        tag=tag,
    )
    assert qr.encode(voucher, Ed25519PrivateKey.from_private_bytes(seed)) == case["text"]
    assert qr.decode(case["text"], {case["kid"]: public}) == voucher


@cases("canonical", "values")
def test_canonical_json(case: dict[str, Any]) -> None:
    """A value has one text, and the text reads back as the value."""
    assert canonical.encode(case["value"]) == case["text"]
    assert canonical.decode(case["text"]) == case["value"]


@cases("canonical", "not_canonical")
def test_other_json_is_refused(case: str) -> None:
    """Text that is not the canonical one is never read."""
    with pytest.raises(ValueError, match=r"."):
        canonical.decode(case)


@cases("journal", "epochs")
def test_enrolment_records(case: dict[str, Any]) -> None:
    """What the first entry of an epoch is chained to."""
    record = entries.enrolment_record(
        merchant=DOCUMENTS["journal"]["merchant"],
        posid=DOCUMENTS["journal"]["posid"],
        epoch=case["epoch"],
        public_key=ids.unb64u(DOCUMENTS["journal"]["public_key"]),
        previous_head=case["previous_head"],
    )
    assert record == case["record"]
    assert entries.first_prev(record) == case["first_prev"]


@cases("journal", "epochs")
def test_journal_entries(case: dict[str, Any]) -> None:
    """Bodies read and compose to the same bytes; hash, signature, chain and totals hold."""
    key = Ed25519PrivateKey.from_private_bytes(ids.unb64u(DOCUMENTS["journal"]["private_key"]))
    prev = case["first_prev"]
    for expected in case["entries"]:
        body = expected["body"]
        entry = entries.read_entry(body)
        assert entries.compose(entry) == body
        assert entries.entry_hash(body) == expected["hash"]
        assert ids.b64u(entries.sign_entry(body, key)) == expected["sig"]
        assert entries.signature_holds(
            expected["hash"], ids.unb64u(expected["sig"]), key.public_key()
        )
        assert (entry.seq, entry.prev) == (expected["seq"], prev)
        prev = expected["hash"]


def test_totals_follow_across_epochs() -> None:
    """Each entry follows the one before it, also into the next epoch (never decreasing)."""
    totals = entries.Totals()
    for epoch in DOCUMENTS["journal"]["epochs"]:
        prev = epoch["first_prev"]
        for seq, expected in enumerate(epoch["entries"], 1):
            entry = entries.read_entry(expected["body"])
            assert entries.follows(entry, prev=prev, seq=seq, totals=totals) is None
            prev, totals = expected["hash"], entry.totals
    assert (totals.redemptions, totals.shares, totals.amount_fen) == (3, 9, 18_001)
    assert (totals.reversals, totals.reversed_shares, totals.reversed_fen) == (1, 2, 4_000)


def test_journal_details_can_be_read() -> None:
    """Redemptions and reversals of the story give back their facts."""
    story = [entries.read_entry(e["body"]) for e in DOCUMENTS["journal"]["epochs"][0]["entries"]]
    redemption = entries.read_redemption(story[1])
    assert (redemption.serial, redemption.shares, redemption.left) == ("A17_1_00000002", 2, 3)
    undone = entries.read_reversal(story[4])
    assert (undone.serial, undone.reverses) == ("A17_1_00000005", "A17_1_00000002")
    assert ids.serial("A17", 1, 5) == undone.serial


@cases("money", "amounts")
def test_amounts_of_shares(case: dict[str, int]) -> None:
    """Cumulative rounding, so that the parts always add up to what was paid."""
    found = money.amount_fen(case["paid_fen"], case["shares"], case["used_before"], case["count"])
    assert found == case["amount_fen"]


@cases("money", "rounded")
def test_rounding(case: dict[str, int]) -> None:
    """Halves go up."""
    assert money.round_half_up(case["numerator"], case["denominator"]) == case["rounded"]


@cases("times", "moments")
def test_moments(case: dict[str, Any]) -> None:
    """A moment has one text."""
    assert times.format_utc(case["ms"]) == case["text"]
    assert times.parse_utc(case["text"]) == case["ms"]


@cases("times", "refused")
def test_other_times_are_refused(case: str) -> None:
    """Text that is nearly a moment is refused, never guessed."""
    with pytest.raises(ValueError, match=r"."):
        times.parse_utc(case)


@cases("times", "valid_until")
def test_validity_ends_with_the_day(case: dict[str, str]) -> None:
    """ "Until 31 July" ends at 1 August 00:00 in the merchant's zone (decision 8)."""
    next_day = date.fromisoformat(case["until"]) + timedelta(days=1)
    found = times.day_start(next_day, ZoneInfo(case["zone"]))
    assert times.format_utc(found) == case["text"]


@cases("standing", "allowance")
def test_allowance_of_a_presented_generation(case: dict[str, int]) -> None:
    """A generation above the known one proves shares that are gone unseen."""
    known = standing.Standing(
        state=standing.VoucherState.LIVE,
        generation=case["known"],
        used=case["used"],
        valid_from=0,
        valid_until=1,
        home=None,
    )
    assert standing.left(case["shares"], known, case["presented"]) == case["allowance"]
