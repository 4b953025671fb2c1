"""Pairing a terminal: a person carries a code, the terminal proves its key (design, section 7).

Responsible for: pairing codes, and opening a terminal's stream and epoch. Not responsible for:
HTTP. Invariants: a code is good for 15 minutes, 5 tries and one use, and only its hash is kept; a
POSID that enrols again gets the next epoch and a new stream that names the old head; what it was
before stays readable and can still be uploaded.
"""

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import select, update

from central import catalogue, keys, numbering, past, policies, schema
from central.database import retried
from central.errors import Refused
from central.keys import Keyring
from central.service import Central, Work
from sync import pairing, sealedbox
from sync.limits import PAIRING_MINUTES, PAIRING_TRIES_MAX
from sync.messages import (
    Enrolment,
    EnrolmentRequest,
    Named,
    SealedKey,
    Totals,
    VaultTerms,
)
from vouchers import entries, ids, times

_NAME_CHARS: Final = 4
"""The characters of a code that find it; the others must then be right within the tries."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """A fresh pairing code, as people read it, and when it ends (ms UTC)."""

    code: str
    expires_at: int


@retried
def make_code(central: Central, outlet: int, posid: str) -> Pairing | Refused:
    """Make a pairing code for a device at an outlet (EV-030, EV-065, AX-10)."""
    if not ids.is_posid(posid):
        return Refused("bad_posid", "a POSID has 1 to 32 letters and digits")
    with central.write() as work:
        if outlet not in {found.outlet for found in catalogue.outlets(work)}:
            return Refused("unknown_outlet", f"there is no outlet {outlet}")
        ring = keys.load(work)
        code = _fresh_code(central, work, ring)
        expires = work.now + PAIRING_MINUTES * times.MINUTE_MS
        work.connection.execute(
            schema.enrol_codes.insert().values(
                merchant=work.merchant,
                name=code.text[:_NAME_CHARS],
                digest=_digest(code),
                posid=posid,
                outlet=outlet,
                expires_at=expires,
                tries=0,
            )
        )
    return Pairing(code.shown, expires)


def _fresh_code(central: Central, work: Work, ring: Keyring) -> pairing.PairingCode:
    table = schema.enrol_codes
    work.connection.execute(
        table.delete().where(table.c.merchant == work.merchant, table.c.expires_at < work.now)
    )
    names = set(
        work.connection.execute(
            select(table.c.name).where(table.c.merchant == work.merchant)
        ).scalars()
    )
    while True:
        code = pairing.compose(central.random(pairing.SECRET_BYTES), ring.first_public)
        if code.text[:_NAME_CHARS] not in names:
            return code


def _digest(code: pairing.PairingCode) -> bytes:
    return hashlib.sha256(code.text.encode()).digest()


@retried
def enrol(central: Central, asked: EnrolmentRequest) -> Enrolment | Refused:
    """Open the terminal's next epoch, or say why not."""
    sign_key, seal_key = ids.unb64u(asked.sign_key), ids.unb64u(asked.seal_key)
    with central.write() as work:
        ring = keys.load(work)
        paired = _spend(work, asked.code, ring)
        if isinstance(paired, Refused):
            return paired
        if not pairing.is_proof(
            asked.proof, asked.code, sign_public=sign_key, seal_public=seal_key
        ):
            return Refused("bad_proof", "the proof does not hold for this code and these keys")
        try:
            sealed = ring.sealed_tags(seal_key, central.random)
        except sealedbox.BoxError:
            return Refused("bad_key", "the seal key is not a usable X25519 key")
        table = schema.enrol_codes
        work.connection.execute(
            update(table)
            .where(table.c.merchant == work.merchant, table.c.name == paired.name)
            .values(used_at=work.now)
        )
        stream = _open_stream(work, paired, sign_key, seal_key)
        return _answer(central, work, ring, stream, sealed)


def _spend(work: Work, text: str, ring: Keyring) -> Any | Refused:
    """The pairing that a code opens; a wrong one costs a try of the code it begins like."""
    unknown = Refused("unknown_code", "this pairing code is wrong, used or over; make a new one")
    code = pairing.read(text)
    if code is None:
        return unknown
    if not pairing.is_central(code, ring.first_public):
        return Refused("wrong_central", "this pairing code was made by another central service")
    table = schema.enrol_codes
    mine = (table.c.merchant == work.merchant) & (table.c.name == code.text[:_NAME_CHARS])
    row = work.connection.execute(select(table).where(mine).with_for_update()).one_or_none()
    if row is None or row.used_at is not None or row.expires_at <= work.now:
        return unknown
    if row.tries >= PAIRING_TRIES_MAX:
        return unknown
    if not hmac.compare_digest(row.digest, _digest(code)):
        work.connection.execute(update(table).where(mine).values(tries=row.tries + 1))
        return unknown
    return row


@dataclass(frozen=True, slots=True)
class _Stream:
    posid: str
    epoch: int
    outlet: int
    previous_head: str | None
    previous_totals: dict[str, int] | None


def _open_stream(work: Work, paired: Any, sign_key: bytes, seal_key: bytes) -> _Stream:
    table = schema.streams
    last = work.connection.execute(
        select(table)
        .where(table.c.merchant == work.merchant, table.c.posid == paired.posid)
        .order_by(table.c.epoch.desc())
        .limit(1)
    ).one_or_none()
    epoch = past.next_name(work, 0 if last is None else int(last.epoch))
    previous = None if last is None else str(last.head)
    record = entries.enrolment_record(
        merchant=work.merchant,
        posid=paired.posid,
        epoch=epoch,
        public_key=sign_key,
        previous_head=previous,
    )
    first = entries.first_prev(record)
    totals = json.dumps(asdict(entries.Totals())) if last is None else str(last.totals)
    work.connection.execute(
        table.insert().values(
            merchant=work.merchant,
            posid=paired.posid,
            epoch=epoch,
            outlet=paired.outlet,
            public_key=sign_key,
            previous_head=previous,
            first_prev=first,
            seq=0,
            head=first,
            totals=totals,
            opened_at=work.now,
            entered_at=0 if last is None else last.entered_at,
        )
    )
    _register(work, paired, epoch, sign_key, seal_key)
    return _Stream(
        paired.posid, epoch, paired.outlet, previous, None if last is None else json.loads(totals)
    )


def _register(work: Work, paired: Any, epoch: int, sign_key: bytes, seal_key: bytes) -> None:
    table = schema.terminals
    values = {
        "outlet": paired.outlet,
        "epoch": epoch,
        "state": "active",
        "sign_key": sign_key,
        "seal_key": seal_key,
        "enrolled_at": work.now,
        "seen_at": work.now,
        "instance": None,
        "boot": None,
        "missed_from": 0,
        "missed": 0,
        "revoked_at": None,
        "wipe_at": None,
    }
    again = work.connection.execute(
        update(table)
        .where(table.c.merchant == work.merchant, table.c.posid == paired.posid)
        .values(values)
    )
    if again.rowcount == 0:
        work.connection.execute(
            table.insert().values(merchant=work.merchant, posid=paired.posid, **values)
        )
        work.connection.execute(
            schema.counters.insert().values(
                merchant=work.merchant,
                name=numbering.verdict_counter(paired.posid),
                value=past.first_change(work),
            )
        )


def _answer(
    central: Central,
    work: Work,
    ring: Keyring,
    stream: _Stream,
    sealed: tuple[SealedKey, ...],
) -> Enrolment:
    names = {outlet.outlet: outlet.name for outlet in catalogue.outlets(work)}
    vault = ring.vault
    return Enrolment(
        posid=stream.posid,
        epoch=stream.epoch,
        outlet=Named(id=stream.outlet, name=names[stream.outlet]),
        merchant=central.merchant,
        merchant_name=central.name,
        time_zone=central.zone.key,
        server_keys=ring.vouched(),
        recovery_key=ids.b64u(ring.recovery.public_key().public_bytes_raw()),
        k_tags=sealed,
        vault=VaultTerms(
            epoch=vault.epoch, salt=ids.b64u(vault.salt), t=vault.t, m=vault.m_kib, p=vault.p
        ),
        policy=policies.current(work),
        previous_head=stream.previous_head,
        previous_totals=(
            None if stream.previous_totals is None else Totals(**stream.previous_totals)
        ),
    )
