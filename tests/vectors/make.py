"""Makes the vector files from the reference: `python -m tests.vectors.make`.

Responsible for choosing the cases. The values come from reference.py alone. The files are
committed; tests/vouchers/test_vectors.py fails when they and this file no longer agree, so that a
changed contract is always seen as a changed file.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.vectors import journal
from tests.vectors import reference as ref

FOLDER = Path(__file__).resolve().parent
FILES = ("codes", "sealed", "qr", "canonical", "journal", "money", "times", "standing")

LONG, SHORT, OTHER = (
    digits + ref.damm_digit(digits) for digits in ("2345678901", "10000", "9876543210")
)


def fixed(name: str, size: int = 32) -> bytes:
    """Bytes that look random and are the same for ever."""
    return hashlib.shake_256(b"hexiao vectors " + name.encode()).digest(size)


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def codes() -> dict[str, object]:
    """Damm digits, the codes of the first generations in every length, horizons, reading."""
    secrets = [fixed(f"secret {n}") for n in range(4)]
    derived = [
        {
            "secret": secret.hex(),
            "digits": digits,
            "generations": [0, 1, 2, 3, 24, 255, 256, 65_536],
            "codes": [
                ref.code_of(secret, generation, digits)
                for generation in (0, 1, 2, 3, 24, 255, 256, 65_536)
            ],
        }
        for secret in [bytes(32), b"\xff" * 32, *secrets]
        for digits in range(6, 12)
    ]
    reserved = [
        {
            "secret": secrets[0].hex(),
            "digits": 11,
            "shares": shares,
            "codes": [ref.code_of(secrets[0], g) for g in range(ref.horizon(shares) + 1)],
        }
        for shares in (1, 2, 5, 16, 17, 18, 100)
    ]
    damm = ["572", "0", "1", "43881234567", "1234567890", "999999", "10000", "00572"]
    return {
        "damm": [{"digits": digits, "check": ref.damm_digit(digits)} for digits in damm],
        "derived": derived,
        "horizon": [{"shares": n, "horizon": ref.horizon(n)} for n in (1, 2, 5, 16, 17, 18, 999)],
        "reserved": reserved,
        "mobile": mobiles(),
        "reading": readings(ref.code_of(secrets[1], 0, 11), ref.code_of(secrets[1], 0, 6)),
    }


def mobiles() -> list[dict[str, object]]:
    numbers = [f"{prefix}0012345678"[:11] for prefix in range(10, 24)] + ["138001", "1380013800"]
    return [{"code": number, "mobile": ref.is_mobile_like(number)} for number in numbers]


def readings(long: str, short: str) -> list[dict[str, object]]:
    """What a typed or scanned platform code means; only cases that the text settles."""
    full_width = long.translate({48 + n: 0xFF10 + n for n in range(10)})
    wrong = long[:-1] + str((int(long[-1]) + 1) % 10)
    at = next(at for at in range(10) if long[at] != long[at + 1])
    swapped = long[:at] + long[at + 1] + long[at] + long[at + 2 :]
    good = [long, short, f" {long[:3]} {long[3:7]} {long[7:]} ", full_width]
    malformed = ["", "12345", "123456789012", "12345a", long + "x", "１２３４５", "一二三四五六"]
    return (
        [{"input": text, "code": short if text == short else long} for text in good]
        + [{"input": text, "reason": "mistyped"} for text in (wrong, swapped)]
        + [{"input": text, "reason": "malformed"} for text in malformed]
    )


def sealed() -> dict[str, object]:
    """Stretching under light and default cost, records under a fixed nonce, ID-card rows."""
    vaults = {
        "light": {"salt": fixed("salt light", 16).hex(), "t": 1, "m_kib": 8, "p": 1},
        "default": {"salt": fixed("salt default", 16).hex(), "t": 2, "m_kib": 19_456, "p": 1},
    }
    base = {
        "v": 1,
        "voucher": "0190f5a0-7c00-7abc-8def-0123456789ab",
        "secret": fixed("secret 1"),
        "generation": 0,
        "horizon": 12,
        "shares": 5,
        "product": 23,
        "home": 3,
        "paid_fen": 10_001,
    }
    large = {"generation": 24, "horizon": 24, "shares": 9_999, "product": 70_000, "home": None}
    records = [base, base | large, base | {"home": 0x1_0000_0000, "paid_fen": 0}]
    presented = [(LONG, "1234"), (SHORT, "0000"), (OTHER, "0007")]
    rows = [
        row(vault, costs, *credentials, record, number)
        for number, record in enumerate(records)
        for credentials in presented
        for vault, costs in vaults.items()
    ]
    cards = [
        card(vaults["light"], number) for number in ("11010519491231002X", "11010519491231002x")
    ]
    return {"vaults": vaults, "rows": rows, "id_cards": cards}


def stretched(password: str, costs: dict[str, object]) -> bytes:
    salt = bytes.fromhex(str(costs["salt"]))
    t, m_kib, p = (int(str(costs[name])) for name in ("t", "m_kib", "p"))
    return ref.stretch(password, salt, t, m_kib, p)


def row(
    vault: str,
    costs: dict[str, object],
    code: str,
    last4: str,
    record: dict[str, object],
    number: int,
) -> dict[str, object]:
    okm = stretched(ref.code_password(code, last4), costs)
    nonce = fixed(f"nonce {number} {code} {vault}", 12)
    plaintext = ref.record_map(record)
    return {
        "vault": vault,
        "code": code,
        "last4": last4,
        "row_key": okm[:16].hex(),
        "record_key": okm[16:].hex(),
        "record": record | {"secret": bytes(record["secret"]).hex()},  # type: ignore[call-overload]
        "nonce": nonce.hex(),
        "plaintext": plaintext.hex(),
        "sealed": ref.seal(plaintext, okm[:16], okm[16:], nonce).hex(),
    }


def card(costs: dict[str, object], number: str) -> dict[str, object]:
    password = ref.id_card_password(number)
    okm = stretched(password, costs)
    return {
        "number": number,
        "password": password,
        "row_key": okm[:16].hex(),
        "record_key": okm[16:].hex(),
        "rows": [
            {"index": index, "row_key": ref.id_row_key(okm, index).hex()}
            for index in (0, 1, 2, 255, 256, 65_535)
        ],
    }


def qr() -> dict[str, object]:
    """Signed QRs of one key, with and without a home outlet, and short codes."""
    key = Ed25519PrivateKey.from_private_bytes(fixed("server key"))
    k_tag = fixed("k_tag")
    voucher = bytes.fromhex("0190f5a07c007abc8def0123456789ab")
    cases = [
        (LONG, "1234", 5, 0, 23, 1_722_355_200, 1_725_033_600, 3, 1_722_300_000),
        (SHORT, "0000", 1, 0, 1, 0, 1, 0, 0),
        (OTHER, "0007", 9_999, 24, 70_000, 1, 2**32 + 5, 65_536, 1_722_300_001),
    ]
    out = []
    for code, last4, shares, generation, product, start, end, home, issued in cases:
        tag = ref.last4_tag(k_tag, voucher, last4)
        fields: list[object] = [1, 7, voucher, len(code), int(code), shares, generation, product]
        fields += [start, end, home, issued, tag]
        out.append(
            {
                "last4": last4,
                "kid": 1,
                "merchant": 7,
                "voucher": "0190f5a0-7c00-7abc-8def-0123456789ab",
                "code": code,
                "shares": shares,
                "generation": generation,
                "product": product,
                "not_before_s": start,
                "expiry_s": end,
                "home": home,
                "issued_s": issued,
                "tag": tag.hex(),
                "array": ref.cbor(fields).hex(),
                "text": ref.qr(fields, key),
            }
        )
    return {
        "private_key": ref.base64url(fixed("server key")),
        "public_key": ref.base64url(public(key)),
        "k_tag": k_tag.hex(),
        "codes": out,
    }


def canonical() -> dict[str, object]:
    """Values with their only text, texts that are not canonical, values that have no text."""
    values: list[object] = [
        None,
        True,
        False,
        0,
        -1,
        2**53 - 1,
        1 - 2**53,
        "",
        "核销 é 😀 \u2028",
        '"\\/\b\f\n\r\t\u0000\u001f\u007f',
        [],
        {},
        [1, [2, [3, {"a": []}]]],
        {"€": "Euro", "\r": 1, "דּ": 2, "1": "One", "😀": 3, "\u0080": 4, "ö": 5},
        {"b": {"y": None, "x": [True, False]}, "a": "小票", "": 0},
        {"\ue000": 1, "\U00010000": 2},
    ]
    refused = [
        "",
        " 1",
        "1 ",
        '{"b":1,"a":2}',
        '{"a":1,"a":1}',
        '{"a": 1}',
        "[1, 2]",
        "1.0",
        "1e3",
        "-0",
        "01",
        "9007199254740992",
        "-9007199254740992",
        "NaN",
        "Infinity",
        '"\\u0041"',
        '"\\/"',
        '"\\u001F"',
        '"\u0001"',
        '"\\u6838"',
        '"\\ud800"',
        "[1,]",
        "tru",
        "{}{}",
        "'a'",
        '\ufeff"a"',
    ]
    pairs = [{"value": value, "text": ref.canonical(value)} for value in values]
    return {"values": pairs, "not_canonical": refused}


def money() -> dict[str, object]:
    """Amounts of shares that always add up to what was paid."""
    cases = [(10_001, 5), (100, 3), (1, 2), (0, 4), (7, 16), (2_000_000, 9_999), (999, 1)]
    amounts = [
        {
            "paid_fen": paid,
            "shares": shares,
            "used_before": i,
            "count": j - i,
            "amount_fen": ref.share_amount(paid, shares, i, j),
        }
        for paid, shares in cases
        for i in range(min(shares, 5))
        for j in range(i + 1, min(shares, 5) + 1)
    ]
    halves = [(0, 1), (1, 2), (3, 2), (2, 3), (1, 3), (5, 10), (49, 100), (50, 100), (10**15, 3)]
    rounded = [
        {"numerator": n, "denominator": d, "rounded": ref.round_half_up(n, d)} for n, d in halves
    ]
    return {"amounts": amounts, "rounded": rounded}


def times() -> dict[str, object]:
    """Moments and their only text, texts that are refused, ends of days in a merchant's zone."""
    moments = [0, 1, 999, 1_000, 951_782_399_999, 1_722_441_600_000, 4_102_444_799_999]
    refused = [
        "2024-07-31T16:00:00Z",
        "2024-07-31T16:00:00.000",
        "2024-07-31T16:00:00.000+00:00",
        "2024-07-31 16:00:00.000Z",
        "2024-07-31T16:00:00.000000Z",
        "2024-02-30T00:00:00.000Z",
        "2024-07-31T24:00:00.000Z",
        "2024-07-31T16:00:60.000Z",
        "٢٠٢٤-07-31T16:00:00.000Z",
        "",
    ]
    return {
        "moments": [{"ms": ms, "text": ref.rfc3339(ms)} for ms in moments],
        "refused": refused,
        "valid_until": [
            # "until 31 July" ends at 1 August 00:00 where the merchant is.
            {"until": "2024-07-31", "zone": "Asia/Shanghai", "text": "2024-07-31T16:00:00.000Z"},
            {"until": "2024-07-31", "zone": "UTC", "text": "2024-08-01T00:00:00.000Z"},
            {"until": "2024-02-28", "zone": "Asia/Shanghai", "text": "2024-02-28T16:00:00.000Z"},
            {"until": "2023-12-31", "zone": "America/New_York", "text": "2024-01-01T05:00:00.000Z"},
            {"until": "2024-03-30", "zone": "Europe/Berlin", "text": "2024-03-30T23:00:00.000Z"},
            {"until": "2024-03-31", "zone": "Europe/Berlin", "text": "2024-03-31T22:00:00.000Z"},
        ],
    }


def standing() -> dict[str, object]:
    """Effective use at a terminal, and what a presented generation may take."""
    cases: list[tuple[int, tuple[int, int], list[tuple[int, int, int, bool]]]] = [
        (0, (1, 0), []),
        (0, (1, 0), [(1, 1, 2, False)]),
        (2, (1, 1), [(1, 1, 2, True)]),
        (2, (1, 1), [(1, 1, 2, True), (1, 2, 1, False)]),
        (2, (1, 1), [(1, 2, 1, True)]),
        (3, (1, 9), [(1, 3, 2, True), (1, 10, -2, False)]),
        (1, (2, 0), [(1, 7, 1, True), (2, 1, 1, False)]),
        (0, (2, 0), [(1, 7, 1, False), (2, 1, 1, False)]),
    ]
    effective = [
        {
            "used": used,
            "reflects": list(reflects),
            "own": [list(entry) for entry in own],
            "effective_used": ref.effective_used(used, reflects, own),
        }
        for used, reflects, own in cases
    ]
    allowances = [
        {
            "shares": shares,
            "used": used,
            "known": known,
            "presented": presented,
            "allowance": ref.allowance(shares, used, known, presented),
        }
        for shares, used, known, presented in [
            (5, 0, 0, 0),
            (5, 0, 0, 1),
            (5, 2, 1, 1),
            (5, 2, 1, 3),
            (5, 0, 0, 4),
            (5, 0, 0, 5),
        ]
    ]
    return {"effective": effective, "allowance": allowances}


def documents() -> dict[str, dict[str, object]]:
    """Every vector file by its name."""
    key = Ed25519PrivateKey.from_private_bytes(fixed("device key"))
    made = {"journal": journal.story(fixed("device key"), key, public(key))}
    for maker in (codes, sealed, qr, canonical, money, times, standing):
        made[maker.__name__] = maker()
    return made


def written(document: dict[str, object]) -> str:
    """A document as its file holds it."""
    return json.dumps(document, ensure_ascii=True, indent=1) + "\n"


if __name__ == "__main__":
    for file, document in documents().items():
        (FOLDER / f"{file}.json").write_text(written(document), encoding="ascii")
