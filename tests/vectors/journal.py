"""The story that the journal vectors tell: two epochs of one terminal, every kind of totals.

Responsible for the entries and their order; hashes, chain and signatures come from the reference.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.vectors import reference as ref

MERCHANT = 7
POSID = "A17"
VOUCHER = "0190f5a0-7c00-7abc-8def-0123456789ab"
REQUEST = "0190f5a0-7c01-7abc-8def-0123456789ab"
CLAIM = "0190f5a0-7c02-7abc-8def-0123456789ab"
START_MS = 1_722_300_000_000
NOTHING = ("redemptions", "shares", "amount_fen", "reversals", "reversed_shares", "reversed_fen")


def redeemed(seq: int, epoch: int, **what: object) -> dict[str, object]:
    """`redeemed` data; `what` overrides the plain case."""
    plain: dict[str, object] = {
        "serial": ref.serial(POSID, epoch, seq),
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
        "product": 23,
        "amount_fen": ref.share_amount(10_001, 5, 0, 2),
        "replica_version": None,
    }
    return plain | what


def reversed_of(seq: int, epoch: int, original: str, **what: object) -> dict[str, object]:
    """`reversed` data for the serial of a redemption."""
    plain: dict[str, object] = {
        "serial": ref.serial(POSID, epoch, seq),
        "reverses": original,
        "voucher": VOUCHER,
        "generation": 1,
        "shares": 2,
        "left": 5,
        "amount_fen": ref.share_amount(10_001, 5, 0, 2),
        "reason_code": "mistake",
    }
    return plain | what


def grown(totals: dict[str, int], kind: str, data: dict[str, object]) -> dict[str, int]:
    """Totals after an entry: they only ever grow."""
    names = {
        "redeemed": ("redemptions", "shares", "amount_fen"),
        "reversed": ("reversals", "reversed_shares", "reversed_fen"),
    }.get(kind)
    if names is None:
        return totals
    steps = (1, int(str(data["shares"])), int(str(data["amount_fen"])))
    return totals | {name: totals[name] + step for name, step in zip(names, steps, strict=True)}


def first_epoch() -> list[tuple[str, dict[str, object]]]:
    return [
        ("started", {}),
        ("redeemed", redeemed(2, 1, request=REQUEST)),
        ("refused", {"reason": "replaced", "credential": "code", "voucher": VOUCHER}),
        ("refused", {"reason": "unknown_or_wrong", "credential": "code", "voucher": None}),
        ("reversed", reversed_of(5, 1, ref.serial(POSID, 1, 2))),
        (
            "redeemed",
            redeemed(
                6,
                1,
                generation=1,
                shares=5,
                left=0,
                successor=False,
                claim=CLAIM,
                mode="online",
                evidence="central",
                amount_fen=ref.share_amount(10_001, 5, 0, 5),
                replica_version="1.0f.12",
            ),
        ),
    ]


def second_epoch() -> list[tuple[str, dict[str, object]]]:
    return [
        ("recovered", {}),
        ("redeemed", redeemed(2, 2, credential="qr", evidence="qr", successor=False)),
    ]


def chained(
    epoch: int,
    first: tuple[str, dict[str, int]],
    entries: list[tuple[str, dict[str, object]]],
    key: Ed25519PrivateKey,
) -> list[dict[str, object]]:
    """Bodies, hashes and signatures of one epoch, from its first `prev` and totals."""
    prev, totals = first
    out: list[dict[str, object]] = []
    for seq, (kind, data) in enumerate(entries, 1):
        totals = grown(totals, kind, data)
        body = ref.canonical(
            {
                "v": 1,
                "merchant": MERCHANT,
                "posid": POSID,
                "epoch": epoch,
                "seq": seq,
                "prev": prev,
                "at": ref.rfc3339(START_MS + epoch * 86_400_000 + seq * 1_001),
                "boot": f"boot-{epoch}",
                "mono_ms": seq * 1_000,
                "clock": "suspect" if seq == 4 else "ok",
                "clerk": "收银员1" if seq % 2 else "c2",
                "auth": ("none", "pin", "os")[seq % 3],
                "shift": None if epoch == 1 else "s9",
                "kind": kind,
                "data": data,
                "totals": totals,
            }
        )
        prev = ref.entry_hash(body)
        out.append({"seq": seq, "body": body, "hash": prev, "sig": ref.entry_signature(body, key)})
    return out


def story(seed: bytes, key: Ed25519PrivateKey, public_key: bytes) -> dict[str, object]:
    """Two epochs: the second is chained to the head of the first, and its totals go on."""
    record_1 = ref.enrolment_record(MERCHANT, POSID, 1, public_key, None)
    prev_1 = ref.first_prev(record_1)
    nothing = dict.fromkeys(NOTHING, 0)
    epoch_1 = chained(1, (prev_1, nothing), first_epoch(), key)
    head = str(epoch_1[-1]["hash"])
    totals = nothing
    for kind, data in first_epoch():
        totals = grown(totals, kind, data)
    record_2 = ref.enrolment_record(MERCHANT, POSID, 2, public_key, head)
    prev_2 = ref.first_prev(record_2)
    epoch_2 = chained(2, (prev_2, totals), second_epoch(), key)
    return {
        "private_key": ref.base64url(seed),
        "public_key": ref.base64url(public_key),
        "merchant": MERCHANT,
        "posid": POSID,
        "epochs": [
            {
                "epoch": 1,
                "previous_head": None,
                "record": record_1,
                "first_prev": prev_1,
                "entries": epoch_1,
            },
            {
                "epoch": 2,
                "previous_head": head,
                "record": record_2,
                "first_prev": prev_2,
                "entries": epoch_2,
            },
        ],
    }
