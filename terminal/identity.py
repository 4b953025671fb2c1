"""Who this terminal is: what central answered at enrolment, sealed under the database key.

Responsible for: keeping and reading it. Not responsible for: enrolling, or for the journal's
epochs, which the journal knows itself. Invariant: the private keys leave this file only into the
objects that sign and open; a damaged file refuses, it never gives half an identity.
"""

import secrets
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from terminal import keys
from terminal.datadir import DataDir
from terminal.errors import OutOfService
from vouchers.policy import Policy, resolved
from vouchers.sealed import Vault

_NONCE_BYTES: Final = 12
_ASSOCIATED: Final = b"hexiao-identity-v1"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolled terminal. Keys are raw bytes; `url` is central's address, empty without one."""

    url: str
    merchant: int
    merchant_name: str
    posid: str
    epoch: int
    outlet: int
    outlet_name: str
    time_zone: str
    sign_key: bytes
    seal_key: bytes
    server_keys: dict[int, bytes]
    tag_keys: dict[int, bytes]
    vault_epoch: int
    vault_salt: bytes
    vault_t: int
    vault_m: int
    vault_p: int
    policy: Policy = Policy()
    previous_head: str | None = None
    previous_totals: dict[str, int] | None = None

    def own(self, policy: Policy) -> Policy:
        """What a merchant's policy means for this terminal."""
        return resolved(policy, outlet=self.outlet, posid=self.posid)

    @property
    def zone(self) -> ZoneInfo:
        """The merchant's time zone."""
        return ZoneInfo(self.time_zone)

    @property
    def vault(self) -> Vault:
        """How codes are stretched."""
        return Vault(self.vault_epoch, self.vault_salt, self.vault_t, self.vault_m, self.vault_p)


@dataclass(frozen=True, slots=True)
class Signer:
    """The terminal's signing key and its public half."""

    private: Ed25519PrivateKey
    public: bytes


def signer(identity: Identity) -> Signer:
    """The signing key of an identity."""
    private = Ed25519PrivateKey.from_private_bytes(identity.sign_key)
    return Signer(private, private.public_key().public_bytes_raw())


def server_keys(identity: Identity) -> dict[int, Ed25519PublicKey]:
    """Central's public keys by kid."""
    return {
        kid: Ed25519PublicKey.from_public_bytes(raw) for kid, raw in identity.server_keys.items()
    }


def save(data: DataDir, identity: Identity, database_key: bytes) -> None:
    """Seal an identity into the data directory, all or nothing. Raises OSError."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    plain = msgspec.msgpack.encode(identity)
    box = ChaCha20Poly1305(keys.derived(database_key, "identity"))
    keys.write_private(data.identity, nonce + box.encrypt(nonce, plain, _ASSOCIATED))


def load(data: DataDir, database_key: bytes) -> Identity:
    """Open the identity. Raises OutOfService."""
    box = ChaCha20Poly1305(keys.derived(database_key, "identity"))
    try:
        raw = data.identity.read_bytes()
        plain = box.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _ASSOCIATED)
        return msgspec.msgpack.decode(plain, type=Identity)
    except FileNotFoundError as error:
        raise OutOfService("this terminal is not enrolled: run `hexiao enrol URL CODE`") from error
    except (OSError, InvalidTag, ValueError, msgspec.MsgspecError) as error:
        raise OutOfService(
            f"{data.identity.name} is damaged or not this terminal's: restore it, or enrol anew"
        ) from error
