"""The keys of the central service.

Responsible for: making and loading them. Not responsible for: what is signed. Purposes: `sign`
(Ed25519: acknowledgements, manifests, times and voucher QRs), `recovery` (X25519: what dead
terminals sealed for us), `tag` (32 bytes, K_tag of voucher QRs), `nonce` (32 bytes, server nonces).
Invariant: a key id is never used twice; the newest one of a purpose signs, older ones verify.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import select

from central import schema
from central.service import Work
from vouchers.sealed import Vault

_RAW_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Keyring:
    """All keys of a merchant. `vault` is the vault epoch that new rows are sealed under."""

    sign_kid: int
    sign: Ed25519PrivateKey
    sign_public: Mapping[int, bytes]
    recovery: X25519PrivateKey
    tag_kid: int
    tags: Mapping[int, bytes]
    nonce: bytes
    vault: Vault


def create(work: Work, seed: bytes, cost: tuple[int, int, int]) -> None:
    """Store the first keys and vault epoch. `seed` is 144 fresh random bytes, `cost` (t, m, p)."""
    assert len(seed) == 4 * _RAW_BYTES + 16
    sign, recovery, tag, nonce = (seed[i : i + _RAW_BYTES] for i in range(0, 128, _RAW_BYTES))
    pairs = {
        "sign": (Ed25519PrivateKey.from_private_bytes(sign).public_key().public_bytes_raw(), sign),
        "recovery": (
            X25519PrivateKey.from_private_bytes(recovery).public_key().public_bytes_raw(),
            recovery,
        ),
        "tag": (b"", tag),
        "nonce": (b"", nonce),
    }
    for purpose, (public, secret) in pairs.items():
        work.connection.execute(
            schema.keys.insert().values(
                merchant=work.merchant,
                purpose=purpose,
                kid=1,
                public=public,
                secret=secret,
                created_at=work.now,
            )
        )
    t, m_kib, p = cost
    work.connection.execute(
        schema.vaults.insert().values(
            merchant=work.merchant,
            epoch=1,
            salt=seed[-16:],
            t=t,
            m_kib=m_kib,
            p=p,
            created_at=work.now,
        )
    )


def load(work: Work) -> Keyring:
    """Read all keys of the merchant."""
    found = work.connection.execute(
        select(schema.keys)
        .where(schema.keys.c.merchant == work.merchant)
        .order_by(schema.keys.c.kid)
    ).all()
    newest = {row.purpose: row for row in found}
    return Keyring(
        sign_kid=newest["sign"].kid,
        sign=Ed25519PrivateKey.from_private_bytes(newest["sign"].secret),
        sign_public={row.kid: row.public for row in found if row.purpose == "sign"},
        recovery=X25519PrivateKey.from_private_bytes(newest["recovery"].secret),
        tag_kid=newest["tag"].kid,
        tags={row.kid: row.secret for row in found if row.purpose == "tag"},
        nonce=newest["nonce"].secret,
        vault=_vault(work),
    )


def _vault(work: Work) -> Vault:
    row = work.connection.execute(
        select(schema.vaults)
        .where(schema.vaults.c.merchant == work.merchant)
        .order_by(schema.vaults.c.epoch.desc())
        .limit(1)
    ).one()
    # `t` by name: a row's attribute `t` is the row itself.
    return Vault(row.epoch, row.salt, int(row._mapping["t"]), row.m_kib, row.p)
