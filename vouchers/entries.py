"""Journal entries: what a terminal signs, and how a chain of them is checked.

Responsible for: the canonical body, its hash and signature, the enrolment record that a chain
starts from, the running totals, and reading all of it back (design, section 6). Not responsible
for: storing entries or judging what they say. Invariants: a body is kept verbatim and never
written again; `prev` is the hash of the entry before; totals never decrease, across epochs; no
body holds a code, last four digits, phone, ID number or free text.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from vouchers import canonical, ids, times
from vouchers.fields import EntryError, maybe_word, one_of, positive, whole, word, yes_no

ENTRY_VERSION: Final = 1
_ENTRY_DOMAIN: Final = b"hexiao-entry-v1"
_ENROL_DOMAIN: Final = b"hexiao-enrol-v1"
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
CLOCKS: Final = ("ok", "suspect")
AUTHS: Final = ("none", "pin", "os")
CREDENTIALS: Final = ("code", "qr", "id_card", "third_party")
EVIDENCES: Final = ("row", "qr", "central")
MODES: Final = ("online", "hub", "lone")


class Kind(StrEnum):
    """What an entry records."""

    REDEEMED = "redeemed"
    REVERSED = "reversed"
    REFUSED = "refused"
    LOCKED = "locked"
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    SHIFT_OPENED = "shift_opened"
    SHIFT_CLOSED = "shift_closed"
    PRINTED_UNKNOWN = "printed_unknown"
    REPRINTED = "reprinted"
    OVERRIDE = "override"
    CLOCK_CHANGED = "clock_changed"
    STARTED = "started"
    RECOVERED = "recovered"
    KEY_CHANGED = "key_changed"
    TRAINING_STARTED = "training_started"
    TRAINING_ENDED = "training_ended"


@dataclass(frozen=True, slots=True)
class Totals:
    """Perpetual totals after an entry; a deleted entry shows between any two slips."""

    redemptions: int = 0
    shares: int = 0
    amount_fen: int = 0
    reversals: int = 0
    reversed_shares: int = 0
    reversed_fen: int = 0

    def at_least(self, other: "Totals") -> "Totals":
        """The greater of each: what has been counted anywhere stays counted."""
        return Totals(*map(max, astuple(self), astuple(other)))

    def after(self, kind: Kind, data: Mapping[str, object]) -> "Totals":
        """The totals after an entry of that kind with that data."""
        if kind is Kind.REDEEMED:
            return self.redeemed(whole(data, "shares"), whole(data, "amount_fen"))
        if kind is Kind.REVERSED:
            return Totals(
                self.redemptions,
                self.shares,
                self.amount_fen,
                self.reversals + 1,
                self.reversed_shares + whole(data, "shares"),
                self.reversed_fen + whole(data, "amount_fen"),
            )
        return self

    def redeemed(self, shares: int, amount_fen: int) -> "Totals":
        """The totals after a redemption."""
        return Totals(
            self.redemptions + 1,
            self.shares + shares,
            self.amount_fen + amount_fen,
            self.reversals,
            self.reversed_shares,
            self.reversed_fen,
        )


class Entry(Struct, frozen=True):
    """One entry as read from its body. `at` is milliseconds UTC, `prev` a lower-case hex hash."""

    merchant: int
    posid: str
    epoch: int
    seq: int
    prev: str
    at: int
    boot: str
    mono_ms: int
    clock: str
    clerk: str
    auth: str
    shift: str | None
    kind: Kind
    data: Mapping[str, object]
    totals: Totals


class Redemption(Struct, frozen=True):
    """The data of a `redeemed` entry (design, section 6)."""

    serial: str
    request: str | None
    claim: str | None
    voucher: str
    generation: int
    shares: int
    left: int
    successor: bool
    credential: str
    evidence: str
    mode: str
    product: int
    amount_fen: int
    replica_version: str | None


class Reversal(Struct, frozen=True):
    """The data of a `reversed` entry; `generation` is the one that is current afterwards."""

    serial: str
    reverses: str
    voucher: str
    generation: int
    shares: int
    left: int
    amount_fen: int
    reason_code: str


REVERSAL_REASONS: Final = (
    "mistake",
    "customer_changed_mind",
    "wrong_voucher",
    "goods_not_available",
    "test",
    "other",
)
"""The closed list of decision 11."""


def enrolment_record(
    *, merchant: int, posid: str, epoch: int, public_key: bytes, previous_head: str | None
) -> str:
    """The canonical text that the first entry of an epoch points at."""
    return canonical.encode(
        {
            "v": ENTRY_VERSION,
            "merchant": merchant,
            "posid": posid,
            "epoch": epoch,
            "public_key": ids.b64u(public_key),
            "previous_head": previous_head,
        }
    )


def first_prev(record: str) -> str:
    """The `prev` of the first entry of an epoch, from its enrolment record."""
    return hashlib.sha256(_ENROL_DOMAIN + record.encode()).hexdigest()


def compose(entry: Entry) -> str:
    """Write the body of an entry: the text that is hashed, signed, stored and sent, once."""
    totals = entry.totals
    return canonical.encode(
        {
            "v": ENTRY_VERSION,
            "merchant": entry.merchant,
            "posid": entry.posid,
            "epoch": entry.epoch,
            "seq": entry.seq,
            "prev": entry.prev,
            "at": times.format_utc(entry.at),
            "boot": entry.boot,
            "mono_ms": entry.mono_ms,
            "clock": entry.clock,
            "clerk": entry.clerk,
            "auth": entry.auth,
            "shift": entry.shift,
            "kind": entry.kind.value,
            "data": dict(entry.data),
            "totals": {
                "redemptions": totals.redemptions,
                "shares": totals.shares,
                "amount_fen": totals.amount_fen,
                "reversals": totals.reversals,
                "reversed_shares": totals.reversed_shares,
                "reversed_fen": totals.reversed_fen,
            },
        }
    )


def entry_hash(body: str) -> str:
    """The hash of a body, lower-case hex: the `prev` of the next entry and the journal's head."""
    return raw_hash(body.encode())


def raw_hash(raw: bytes) -> str:
    """`entry_hash` of a body in UTF-8."""
    return hashlib.sha256(_ENTRY_DOMAIN + raw).hexdigest()


def sign_entry(body: str, key: Ed25519PrivateKey) -> bytes:
    """Sign a body: Ed25519 over the 32 hash bytes."""
    return sign_hash(entry_hash(body), key)


def sign_hash(entry_hash_hex: str, key: Ed25519PrivateKey) -> bytes:
    """Sign a body whose hash is known already."""
    return key.sign(bytes.fromhex(entry_hash_hex))


def signature_holds(entry_hash_hex: str, signature: bytes, key: Ed25519PublicKey) -> bool:
    """Whether a signature over a hash is the key's."""
    try:
        key.verify(signature, bytes.fromhex(entry_hash_hex))
    except InvalidSignature:
        return False
    return True


def read_entry(body: str) -> Entry:
    """Read a body back. Raises EntryError when it is not an entry of a version we know."""
    try:
        raw = canonical.decode_object(body)
    except ValueError as error:
        raise EntryError(f"the body is {error}") from error
    version = raw.get("v")
    if type(version) is not int or version != ENTRY_VERSION:
        raise EntryError("the body is of a version this program does not read")
    data, totals = raw.get("data"), raw.get("totals")
    if not isinstance(data, dict) or not isinstance(totals, dict):
        raise EntryError("data and totals must be objects")
    shift = raw.get("shift")
    return Entry(
        merchant=whole(raw, "merchant"),
        posid=_posid(raw),
        epoch=positive(raw, "epoch"),
        seq=positive(raw, "seq"),
        prev=_hash(raw, "prev"),
        at=_moment(raw),
        boot=word(raw, "boot"),
        mono_ms=whole(raw, "mono_ms"),
        clock=one_of(raw, "clock", CLOCKS),
        clerk=word(raw, "clerk"),
        auth=one_of(raw, "auth", AUTHS),
        shift=None if shift is None else word(raw, "shift"),
        kind=_kind(raw),
        data=data,
        totals=Totals(**{field.name: whole(totals, field.name) for field in fields(Totals)}),
    )


def redemption_data(redemption: Redemption) -> dict[str, object]:
    """The data of a `redeemed` entry: pairs with `read_redemption`."""
    return {
        "serial": redemption.serial,
        "request": redemption.request,
        "claim": redemption.claim,
        "voucher": redemption.voucher,
        "generation": redemption.generation,
        "shares": redemption.shares,
        "left": redemption.left,
        "successor": redemption.successor,
        "credential": redemption.credential,
        "evidence": redemption.evidence,
        "mode": redemption.mode,
        "product": redemption.product,
        "amount_fen": redemption.amount_fen,
        "replica_version": redemption.replica_version,
    }


def read_redemption(entry: Entry) -> Redemption:
    """The data of a `redeemed` entry. Raises EntryError."""
    data = entry.data
    found = Redemption(
        serial=word(data, "serial"),
        request=maybe_word(data, "request"),
        claim=maybe_word(data, "claim"),
        voucher=_voucher(data),
        generation=whole(data, "generation"),
        shares=positive(data, "shares"),
        left=whole(data, "left"),
        successor=yes_no(data, "successor"),
        credential=one_of(data, "credential", CREDENTIALS),
        evidence=one_of(data, "evidence", EVIDENCES),
        mode=one_of(data, "mode", MODES),
        product=whole(data, "product"),
        amount_fen=whole(data, "amount_fen"),
        replica_version=maybe_word(data, "replica_version"),
    )
    _own_serial(entry, found.serial)
    return found


def read_reversal(entry: Entry) -> Reversal:
    """The data of a `reversed` entry. Raises EntryError."""
    data = entry.data
    found = Reversal(
        serial=word(data, "serial"),
        reverses=word(data, "reverses"),
        voucher=_voucher(data),
        generation=whole(data, "generation"),
        shares=positive(data, "shares"),
        left=whole(data, "left"),
        amount_fen=whole(data, "amount_fen"),
        reason_code=one_of(data, "reason_code", REVERSAL_REASONS),
    )
    _own_serial(entry, found.serial)
    return found


def moved(entry: Entry) -> Redemption | Reversal | None:
    """What an entry did to a voucher's shares, None for the other kinds. Raises EntryError."""
    if entry.kind is Kind.REDEEMED:
        return read_redemption(entry)
    return read_reversal(entry) if entry.kind is Kind.REVERSED else None


def follows(entry: Entry, *, prev: str, seq: int, totals: Totals) -> str | None:
    """What is wrong with an entry as the next of a chain, or None: pairs with `compose`."""
    if entry.seq != seq:
        return f"sequence {entry.seq} where {seq} was due"
    if entry.prev != prev:
        return "it does not follow the entry before"
    if entry.totals != totals.after(entry.kind, entry.data):
        return "its totals do not follow"
    return None


def _posid(values: Mapping[str, object]) -> str:
    value = word(values, "posid")
    if not ids.is_posid(value):
        raise EntryError("posid must be 1 to 32 letters and digits")
    return value


def _hash(values: Mapping[str, object], name: str) -> str:
    value = word(values, name)
    if not _HASH.fullmatch(value):
        raise EntryError(f"{name} must be a lower-case hex hash")
    return value


def _voucher(values: Mapping[str, object]) -> str:
    value = word(values, "voucher")
    if not ids.is_uuid(value):
        raise EntryError("voucher must be a UUID")
    return value


def _kind(raw: Mapping[str, object]) -> Kind:
    try:
        return Kind(word(raw, "kind"))
    except ValueError as error:
        raise EntryError("kind is not one this program knows") from error


def _moment(raw: Mapping[str, object]) -> int:
    try:
        return times.parse_utc(word(raw, "at"))
    except ValueError as error:
        raise EntryError("at is not a time") from error


def _own_serial(entry: Entry, serial: str) -> None:
    if serial != ids.serial(entry.posid, entry.epoch, entry.seq):
        raise EntryError("serial is not this entry's own")
