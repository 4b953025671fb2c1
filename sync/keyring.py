"""The keys of central that a terminal believes, and how it comes to believe new ones. Pure.

Responsible for: the statement by which one key vouches for the next, and following such statements.
Not responsible for: keeping the keys. Invariants: the first key comes with the pairing code, every
other one is vouched for by one that is believed already; a key id never changes its key; the last
key is never forgotten.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.acks import Signed, sign, verify
from sync.errors import Garbled
from sync.messages import ServerKey
from vouchers import canonical
from vouchers.ids import b64u, unb64u

KEY_DOMAIN: Final = b"hexiao-key-v1"


class Offered(Protocol):
    """A public key of central as it comes: vouched for by the key `by`, or by none."""

    @property
    def kid(self) -> int:
        """Its id."""
        ...

    @property
    def key(self) -> str:
        """32 bytes in base64url."""
        ...

    @property
    def by(self) -> int | None:
        """The key that vouches for it."""
        ...

    @property
    def sig(self) -> str | None:
        """The signature of that one over `KEY_DOMAIN` and the statement."""
        ...


def vouch(kid: int, public: bytes, *, by: int, key: Ed25519PrivateKey) -> ServerKey:
    """Let a believed key speak for a new one (central)."""
    signed = sign(KEY_DOMAIN, _statement(kid, b64u(public)), kid=by, key=key)
    return ServerKey(kid=kid, key=b64u(public), by=by, sig=signed.sig)


def adopt(known: Mapping[int, bytes], offered: Iterable[Offered]) -> dict[int, bytes]:
    """The known keys and those of the offered that follow from them, in any order."""
    believed, waiting = dict(known), list(offered)
    while new := {one.kid: unb64u(one.key) for one in waiting if _follows(one, believed)}:
        believed |= new
    return believed


def _follows(one: Offered, believed: Mapping[int, bytes]) -> bool:
    if one.kid in believed or one.by is None or one.sig is None:
        return False
    try:
        verify(KEY_DOMAIN, Signed(_statement(one.kid, one.key), one.by, one.sig), believed)
    except Garbled:
        return False
    return True


def without(known: Mapping[int, bytes], kids: Iterable[int]) -> dict[int, bytes]:
    """The known keys without those; all of them where none would be left."""
    gone = set(kids)
    return {kid: key for kid, key in known.items() if kid not in gone} or dict(known)


def _statement(kid: int, key: str) -> str:
    return canonical.encode({"kid": kid, "key": key})
