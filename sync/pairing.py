"""The pairing code that a person carries from central to a new terminal.

Responsible for: its form, the pin of central's key inside it, the request that redeems it and the
proof that the terminal holds the key it enrols. Not responsible for: counting tries or the 15
minutes; central does.
Invariants: a code is 10 random characters and the first 8 hex digits of central's key hash, shown
in groups of six. Codes are compared in the normalised form, without hyphens; the proof is over the
code exactly as it stands in the request.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.errors import Refused
from sync.messages import Enrolment, EnrolmentRequest
from sync.problems import Problem, problem_type
from vouchers.ids import b64u, unb64u

SECRET_BYTES: Final = 10
"""Random bytes to draw for one code; each gives one character, 50 bits in all."""

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32: no I, L, O or U, which people misread."""

_LOOKALIKES: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_FORM: Final = re.compile(rf"[{_ALPHABET}]{{10}}[0-9A-F]{{8}}", re.ASCII)
_ENROL_DOMAIN: Final = b"hexiao-enrol-v1"


@dataclass(frozen=True, slots=True)
class PairingCode:
    """A code in its normalised form, and the pin inside it (8 lower-case hex digits)."""

    text: str
    pin: str

    @property
    def shown(self) -> str:
        """The code as people read it: three groups of six."""
        return "-".join(self.text[i : i + 6] for i in range(0, len(self.text), 6))


def key_hash(public_key: bytes) -> str:
    """SHA-256 of central's raw Ed25519 public key, in hex. A code carries the first 8 digits."""
    return hashlib.sha256(public_key).hexdigest()


def compose(random: bytes, central_key: bytes) -> PairingCode:
    """Make a code from `SECRET_BYTES` random bytes and central's public key (32 bytes)."""
    assert len(random) == SECRET_BYTES
    # 256 is a multiple of 32, so the five low bits of a random byte are evenly spread.
    secret = "".join(_ALPHABET[byte & 31] for byte in random)
    pin = key_hash(central_key)[:8]
    return PairingCode(secret + pin.upper(), pin)


def read(text: str) -> PairingCode | None:
    """Read what a person typed: any case, hyphens or spaces, O for 0. None when it is no code."""
    normal = text.strip().upper().translate(_LOOKALIKES)
    if not _FORM.fullmatch(normal):
        return None
    return PairingCode(normal, normal[SECRET_BYTES:].lower())


def is_central(code: PairingCode, central_key: bytes) -> bool:
    """Whether the code was made by the central that owns this key (32 bytes)."""
    return key_hash(central_key).startswith(code.pin)


def prove(code: str, sign_key: Ed25519PrivateKey, *, seal_public: bytes) -> str:
    """The `proof` of an enrolment: a signature over domain, code and both public keys."""
    sign_public = sign_key.public_key().public_bytes_raw()
    return b64u(sign_key.sign(_proof_text(code, sign_public, seal_public)))


def is_proof(proof: str, code: str, *, sign_public: bytes, seal_public: bytes) -> bool:
    """Whether a `proof` holds for this code and these raw public keys (32 bytes each)."""
    try:
        key = Ed25519PublicKey.from_public_bytes(sign_public)
        key.verify(unb64u(proof), _proof_text(code, sign_public, seal_public))
    except (InvalidSignature, ValueError):
        return False
    return True


def request(
    code: PairingCode, sign_key: Ed25519PrivateKey, *, seal_public: bytes
) -> EnrolmentRequest:
    """What a terminal sends to `POST /enrolments`. `seal_public` is a raw X25519 key."""
    return EnrolmentRequest(
        code=code.text,
        sign_key=b64u(sign_key.public_key().public_bytes_raw()),
        seal_key=b64u(seal_public),
        proof=prove(code.text, sign_key, seal_public=seal_public),
    )


def check(code: PairingCode, enrolment: Enrolment) -> None:
    """Raise `Refused` (`wrong_central`) unless the first server key is the pinned one."""
    if not is_central(code, unb64u(enrolment.server_keys[0].key)):
        detail = "this is not the central service that made the pairing code"
        raise Refused(Problem(type=problem_type("wrong_central"), status=0, detail=detail))


def _proof_text(code: str, sign_public: bytes, seal_public: bytes) -> bytes:
    return _ENROL_DOMAIN + code.encode() + sign_public + seal_public
