"""The keys of the central service.

Responsible for: making and loading them. Not responsible for: what is signed. Purposes: `sign`
(Ed25519: acknowledgements, manifests, times and voucher QRs), `recovery` (X25519: what dead
terminals sealed for us), `tag` (32 bytes, K_tag of voucher QRs), `nonce` (32 bytes, server nonces).
Invariants: a key id is never used twice; of a purpose the newest whose time has come is used, the
others verify; each signing key is vouched for by the one before it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import bindparam, select

from central import past, schema
from central.database import retried
from central.service import Central, Work
from sync import keyring, sealedbox
from sync.messages import SealedKey, ServerKey
from vouchers import ids, times
from vouchers.sealed import Vault

_RAW_BYTES: Final = 32
_CATALOGUE: Final = 0

GRACE_DAYS: Final = 7
"""Between telling terminals of a key and using it: who is away for longer hears of it at hello."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """All keys of a merchant. `vault` is the vault epoch that new rows are sealed under."""

    sign_kid: int
    signers: Mapping[int, Ed25519PrivateKey]
    recovery: X25519PrivateKey
    tag_kid: int
    tags: Mapping[int, bytes]
    nonce: bytes
    vault: Vault

    @property
    def sign(self) -> Ed25519PrivateKey:
        """The key that signs now."""
        return self.signers[self.sign_kid]

    @property
    def sign_public(self) -> dict[int, bytes]:
        """All public signing keys, those to come included."""
        return {kid: key.public_key().public_bytes_raw() for kid, key in self.signers.items()}

    @property
    def first_public(self) -> bytes:
        """The public key that pairing codes pin: all others follow from it."""
        return self.sign_public[min(self.signers)]

    def vouched(self) -> tuple[ServerKey, ...]:
        """All public signing keys, oldest first, each vouched for by the one before."""
        kids = sorted(self.signers)
        first = ServerKey(kid=kids[0], key=ids.b64u(self.sign_public[kids[0]]))
        rest = (
            keyring.vouch(kid, self.sign_public[kid], by=by, key=self.signers[by])
            for by, kid in pairwise(kids)
        )
        return (first, *rest)

    def sealed_tags(
        self, seal_key: bytes, random: Callable[[int], bytes], *, later: bool = False
    ) -> tuple[SealedKey, ...]:
        """The keys of QR tags, in boxes that only the holder of `seal_key` opens, oldest first.

        `later`: without the first one, which every terminal got when it was paired.
        """
        return tuple(
            SealedKey(kid=kid, sealed=ids.b64u(sealedbox.seal(tag, seal_key, one_time=random(32))))
            for kid, tag in sorted(self.tags.items())[1 if later else 0 :]
        )


@retried
def rotate(central: Central, *, at_once: bool = False) -> tuple[int, int]:
    """Make the next signing key, and the next key of QR tags under the same id.

    It is told to terminals now and used from `GRACE_DAYS` later on, or at once. Answers its id and
    when it begins (ms UTC).
    """
    with central.write() as work:
        ring = load(work)
        kid = past.next_name(work, max(ring.signers))
        begins = work.now if at_once else work.now + GRACE_DAYS * times.DAY_MS
        sign = central.random(_RAW_BYTES)
        public = Ed25519PrivateKey.from_private_bytes(sign).public_key().public_bytes_raw()
        for purpose, known, secret in (
            ("sign", public, sign),
            ("tag", b"", central.random(_RAW_BYTES)),
        ):
            _add(work, purpose, kid, (known, secret), begins)
        work.put(_CATALOGUE, "key", str(kid))
    return kid, begins


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
    for purpose, pair in pairs.items():
        _add(work, purpose, 1, pair, work.now)
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


def _add(work: Work, purpose: str, kid: int, pair: tuple[bytes, bytes], begins: int) -> None:
    work.connection.execute(
        schema.keys.insert().values(
            merchant=work.merchant,
            purpose=purpose,
            kid=kid,
            public=pair[0],
            secret=pair[1],
            created_at=begins,
        )
    )


# Every hello loads the keys: the statements are made once, and keys are computed once.
_KEYS: Final = (
    select(schema.keys)
    .where(schema.keys.c.merchant == bindparam("merchant"))
    .order_by(schema.keys.c.kid)
)
_VAULT: Final = (
    select(schema.vaults)
    .where(schema.vaults.c.merchant == bindparam("merchant"))
    .order_by(schema.vaults.c.epoch.desc())
    .limit(1)
)
_signer: Final = lru_cache(maxsize=64)(Ed25519PrivateKey.from_private_bytes)
_opener: Final = lru_cache(maxsize=64)(X25519PrivateKey.from_private_bytes)


def load(work: Work) -> Keyring:
    """Read all keys of the merchant."""
    found = work.connection.execute(_KEYS, {"merchant": work.merchant}).all()
    used: dict[str, Any] = {}
    for row in found:
        if row.created_at <= work.now or row.purpose not in used:
            used[row.purpose] = row
    return Keyring(
        sign_kid=used["sign"].kid,
        signers={row.kid: _signer(bytes(row.secret)) for row in found if row.purpose == "sign"},
        recovery=_opener(bytes(used["recovery"].secret)),
        tag_kid=used["tag"].kid,
        tags={row.kid: row.secret for row in found if row.purpose == "tag"},
        nonce=used["nonce"].secret,
        vault=_vault(work),
    )


def _vault(work: Work) -> Vault:
    row = work.connection.execute(_VAULT, {"merchant": work.merchant}).one()
    # `t` by name: a row's attribute `t` is the row itself.
    return Vault(row.epoch, row.salt, int(row._mapping["t"]), row.m_kib, row.p)
