"""Opening a voucher from what was presented and the last four digits, or all of a person by a card.

Responsible for: the way from a credential to an opened record (journal's overlay, replica, signed
QR, central), and charging a miss before it is answered (decision 13). Not responsible for: whether
the voucher may be redeemed. Invariants: unknown code and wrong last four are one answer; a
credential that cannot be one costs nothing; nothing is kept of a credential that opened nothing.
"""

import secrets
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from terminal.asked import Asked
from terminal.errors import ScanAgain
from terminal.parts import FoundRow, Parts
from terminal.replica import Product
from vouchers import ids, qr, sealed
from vouchers.codes import read_last4
from vouchers.credential import PlatformCode, SignedQr, read_credential
from vouchers.entries import Kind
from vouchers.ids import uuid7
from vouchers.presented import ID_CARD
from vouchers.reasons import Reason, Refusal
from vouchers.rules import ProductRule
from vouchers.sealed import Record, SealKey
from vouchers.standing import Standing, VoucherState, effective

_SEALED_STATES = (VoucherState.LIVE, VoucherState.REFUNDING)
"""Central keeps the current code of these sealed; other vouchers need none."""


_CARD_GAP: Final = 64
"""Rows in a row that a person may have at other outlets before the search for further ones ends."""


class Opened(Struct, frozen=True):
    """An opened voucher, in memory only. `last4` seals the successor's row; it is never stored, and
    empty where a card was presented.
    """

    handle: str
    record: Record
    key: SealKey
    last4: str
    credential: str
    evidence: str
    product: Product
    found: FoundRow | None = None
    signed: qr.VoucherQr | None = None


def check_credential(parts: Parts, credential: str) -> Refusal | None:
    """Say at once whether a credential cannot be one (EV-045), free of charge."""
    found = _presented(parts, credential)
    return found if isinstance(found, Refusal) else None


def open_credential(
    parts: Parts, credential: str, last4: str, *, now: int, clerk: str, asked: Asked
) -> Opened | Refusal:
    """Open a voucher (EV-041). Charges and journals a miss; raises TerminalError on an outage, and
    NotAsked, before anything is written, where central's word is needed.

    `now` in milliseconds UTC.
    """
    presented = _presented(parts, credential)
    if isinstance(presented, Refusal):
        return presented
    code, signed = presented
    digits = read_last4(last4)
    if isinstance(digits, Refusal):
        return digits
    locked = _locked(parts, code, "code", now)
    if locked is not None:
        return locked
    key = asked.key(lambda: sealed.stretch(code, digits, parts.identity.vault))
    opened = _find(parts, key, digits, signed, asked)
    credential = "qr" if signed is not None else "code"
    return opened if opened is not None else _miss(parts, code, credential, clerk)


def open_card(
    parts: Parts, number: str, *, now: int, clerk: str, asked: Asked
) -> list[Opened] | Refusal:
    """Open every voucher of the person whose ID card was read (EV-032), at least one.

    A card that opens nothing is a miss like any other. It is charged by the key of the person's
    rows: the number is in no table, and gone when this returns. Raises like `open_credential`.
    """
    person = asked.key(lambda: sealed.stretch_id_card(number, parts.identity.vault))
    charged = person.row_key.hex()
    locked = _locked(parts, charged, "card", now)
    if locked is not None:
        return locked
    found = _find_card(parts, person, asked)
    if not found:
        return _miss(parts, charged, ID_CARD, clerk)
    opened = [one for one in found if isinstance(one, Opened)]
    return opened or next(one for one in found if isinstance(one, Refusal))


def standing_of(parts: Parts, opened: Opened) -> Standing:
    """Where an opened voucher stands now, own entries included."""
    state = parts.replica.state(opened.record.voucher)
    if state is not None:
        base, epoch, seq = state.standing, state.reflects_epoch, state.reflects_seq
    elif opened.found is not None:
        base, epoch, seq = (
            opened.found.standing,
            opened.found.reflects_epoch,
            opened.found.reflects_seq,
        )
    else:
        base, epoch, seq = _standing_of_qr(opened), 0, 0
    return effective(base, parts.own_uses(opened.record.voucher, epoch, seq))


def _presented(parts: Parts, credential: str) -> tuple[str, qr.VoucherQr | None] | Refusal:
    found = read_credential(credential, parts.url_parameters, parts.issuer_patterns)
    match found:
        case PlatformCode(digits):
            return digits, None
        case SignedQr(text):
            try:
                signed = qr.decode(text, parts.server_keys)
            except qr.QrError:
                return Refusal(Reason.MALFORMED, {"looks_like": "qr"})
            if signed.merchant != parts.identity.merchant:
                return Refusal(Reason.MALFORMED, {"looks_like": "qr"})
            return signed.code, signed
        case Refusal():
            return found


def _find(
    parts: Parts, key: SealKey, last4: str, signed: qr.VoucherQr | None, asked: Asked
) -> Opened | Refusal | None:
    record = _row(parts, key)
    credential = "qr" if signed is not None else "code"
    if record is not None:
        opened = _opened(parts, record, key, last4, credential=credential)
        return _with_standing(parts, opened, asked)
    if signed is not None and _qr_suffices(parts, signed, last4):
        return _opened_by_qr(parts, signed, key, last4)
    found = _ask_central(parts, key, asked)
    if found is None:
        elsewhere = signed is not None and _is_of_another_outlet(parts, signed, last4)
        return (
            _opened_by_qr(parts, signed, key, last4) if signed is not None and elsewhere else None
        )
    return _opened(parts, found.record, key, last4, credential=credential, found=found)


def _row(parts: Parts, key: SealKey) -> bytes | None:
    """The sealed row: our own successor's where it is newer than the replica, else central's.

    The last code that a record makes is the turn: central's row of it makes further codes.
    """
    rows: list[Any] = parts.journal.connection.execute(
        "SELECT id, record FROM entry WHERE row_key = ?", (key.row_key,)
    ).fetchall()
    if not rows:
        return parts.replica.sealed(key.row_key)
    own = bytes(max(rows)[1])
    record = sealed.open_record(own, key)
    if _central_sealed(parts, record):
        return parts.replica.sealed(key.row_key)
    if record.generation < record.horizon:
        return own
    return parts.replica.sealed(key.row_key) or own


def _central_sealed(parts: Parts, record: Record) -> bool:
    """Whether the replica has central's row of a code that we made: ours is then one too many, and
    opens with the last four digits of a mobile that may have been changed since (EV-038). It may
    come in a later page than the state; until that is here, ours is the only one.
    """
    state = parts.known_state(record.voucher)
    if state is None or state.standing.state not in _SEALED_STATES:
        return False
    if record.generation < state.standing.generation:
        return False  # replaced: central need not have known this code at all
    unseen = parts.own_uses(record.voucher, state.reflects_epoch, state.reflects_seq)
    sealed_all = parts.replica.sealed_through() >= ids.uuid_ms(record.voucher)
    return not unseen and sealed_all and not parts.replica.half()


def _find_card(parts: Parts, person: SealKey, asked: Asked) -> list[Opened | Refusal]:
    """The rows of a person, i = 0.. until one is missing.

    Where only one outlet's rows are held, those of others are missing in between.
    """
    found: list[Opened | Refusal] = []
    missing = 0
    for index in range(sealed.ID_ROWS_MAX):
        key = sealed.id_row(person, index)
        record = parts.replica.sealed(key.row_key)
        if record is None and missing < _missing_max(parts):
            missing += 1
            continue
        if record is None:
            break
        missing = 0
        opened = _opened(parts, record, key, "", credential=ID_CARD)
        found.append(_with_standing(parts, opened, asked))
    if found:
        return found
    # Bought a moment ago. Only the first is asked for: the next one's miss would be charged.
    key = sealed.id_row(person, 0)
    row = _ask_central(parts, key, asked)
    if row is None:
        return []
    return [_opened(parts, row.record, key, "", credential=ID_CARD, found=row)]


def _missing_max(parts: Parts) -> int:
    return 0 if parts.confined_to() is None else _CARD_GAP


def _locked(parts: Parts, charged: str, by: str, now: int) -> Refusal | None:
    lock = parts.guesses.locked(parts.journal.connection, charged, now)
    if lock is None:
        return None
    return Refusal(Reason.LOCKED, {"until": lock.until, "why": "terminal" if lock.terminal else by})


def _ask_central(parts: Parts, key: SealKey, asked: Asked) -> FoundRow | None:
    return asked.about(key.row_key) if parts.online is not None else None


def _with_standing(parts: Parts, opened: Opened, asked: Asked) -> Opened | Refusal:
    """A row may be here without its voucher's state: the rest of a voucher that only central knew,
    or a row that the feed brought first. It did open, so it is no miss.
    """
    if parts.replica.state(opened.record.voucher) is not None:
        return opened
    found = _ask_central(parts, opened.key, asked)
    if found is None:
        return Refusal(Reason.NEEDS_NETWORK, {"why": "unseen", "left": 0})
    return replace(opened, evidence="central", found=found)


def _opened(
    parts: Parts,
    sealed_record: bytes,
    key: SealKey,
    last4: str,
    *,
    credential: str,
    found: FoundRow | None = None,
) -> Opened:
    record = sealed.open_record(sealed_record, key)
    return Opened(
        handle=_handle(),
        record=record,
        key=key,
        last4=last4,
        credential=credential,
        evidence="row" if found is None else "central",
        product=_product(parts, record.product),
        found=found,
    )


def _opened_by_qr(parts: Parts, signed: qr.VoucherQr, key: SealKey, last4: str) -> Opened:
    record = Record(
        voucher=signed.voucher,
        secret=bytes(sealed.SECRET_BYTES),
        generation=signed.generation,
        horizon=signed.generation,
        shares=signed.shares,
        product=signed.product,
        home=signed.home,
        paid_fen=0,
    )
    return Opened(
        handle=_handle(),
        record=record,
        key=key,
        last4=last4,
        credential="qr",
        evidence="qr",
        product=_product(parts, record.product),
        signed=signed,
    )


def _qr_suffices(parts: Parts, signed: qr.VoucherQr, last4: str) -> bool:
    """A QR stands in for a row only if it was issued after the replica was complete."""
    # `issued` is cut to whole seconds: one issued right after the replica must not look older.
    newer = signed.issued_s * 1000 + 999 > parts.replica.sealed_through()
    return newer and _tag_matches(parts, signed, last4)


def _tag_matches(parts: Parts, signed: qr.VoucherQr, last4: str) -> bool:
    tag_key = parts.identity.tag_keys.get(signed.kid)
    return tag_key is not None and qr.tag_matches(signed, tag_key, last4)


def _is_of_another_outlet(parts: Parts, signed: qr.VoucherQr, last4: str) -> bool:
    """Whether a QR names a voucher whose row cannot be here, because this terminal holds only what
    is good at its own outlet: it proves enough to say where it is good (decision 12).
    """
    here, known = parts.confined_to(), parts.replica.product(signed.product)
    if here is None or known is None or here in known.rule.outlets:
        return False
    return _tag_matches(parts, signed, last4)


def _standing_of_qr(opened: Opened) -> Standing:
    signed = opened.signed
    if signed is None:
        raise ScanAgain("this voucher left the voucher list while it was open: scan it again")
    return Standing(
        VoucherState.LIVE,
        signed.generation,
        0,
        signed.not_before_s * 1000,
        signed.expiry_s * 1000,
        signed.home,
    )


def _product(parts: Parts, product: int) -> Product:
    """A product the replica does not know yet is good nowhere we know of."""
    known = parts.replica.product(product)
    if known is not None:
        return known
    rule = ProductRule(product, frozenset(), frozenset(), online_only=False)
    return Product(rule, f"#{product}", None)


def _miss(parts: Parts, charged: str, credential: str, clerk: str) -> Refusal:
    """Charge, journal, then answer (decision 13)."""
    estimate = parts.clock.estimate()
    stamp = parts.stamp(estimate, clerk)
    with parts.journal.transaction() as connection:
        lock = parts.guesses.charge(connection, charged, estimate.now)
        refused: dict[str, object] = {
            "reason": str(Reason.UNKNOWN_OR_WRONG),
            "credential": credential,
            "voucher": None,
        }
        parts.journal.append(connection, Kind.REFUSED, refused, stamp)
        if lock is not None:
            locked: dict[str, object] = {"terminal": lock.terminal}
            parts.journal.append(connection, Kind.LOCKED, locked, stamp)
    parts.clock.journalled(estimate.now)
    if parts.confined_to() is not None and not _in_contact(parts):
        return Refusal(Reason.UNKNOWN_OR_WRONG, {"why": "elsewhere"})
    return Refusal(Reason.UNKNOWN_OR_WRONG, {"why": "card"} if credential == ID_CARD else {})


def _in_contact(parts: Parts) -> bool:
    return parts.online is not None and parts.online.reachable()


def _handle() -> str:
    return secrets.token_urlsafe(16)


def new_id(parts: Parts) -> str:
    """A fresh UUIDv7 for requests and claims."""
    return uuid7(parts.clock.read().wall_ms, secrets.token_bytes(10))
