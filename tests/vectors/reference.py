"""A second reading of the data contract, written from its text and from the RFCs alone.

Responsible for: computing what any implementation must compute, so that vectors can be made and
the product checked against them. NOT responsible for being fast, strict on input or complete.

Rule for this file: it imports nothing of ours, and was written without reading `vouchers`. The
encoders (CBOR, base45, canonical JSON) are its own; only hash functions, Argon2, ChaCha20-Poly1305
and Ed25519 come from libraries. Where the text leaves a choice open, README.md beside this file
says what was assumed, by the tags [A1], [A2] ... used here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

# --- Platform codes -------------------------------------------------------------------------

# H. Michael Damm, "Total anti-symmetrische Quasigruppen" (2004); 572 has check digit 4.
DAMM = (
    "0317598642",
    "7092154863",
    "4206871359",
    "1750983426",
    "6123045978",
    "3674209581",
    "5869720134",
    "8945362017",
    "9438617205",
    "2581436790",
)


def damm_digit(digits: str) -> str:
    """The digit that brings the running quasigroup product back to 0."""
    interim = 0
    for digit in digits:
        interim = int(DAMM[interim][int(digit)])
    return str(interim)  # the diagonal is 0, so the interim digit is its own check digit


def code_of(secret: bytes, generation: int, digits: int = 11) -> str:
    """The code of one generation of a voucher."""
    message = b"hexiao-code-v1" + generation.to_bytes(4, "big")
    drawn = int.from_bytes(hmac.digest(secret, message, "sha256")[:16], "big")
    first = 10 ** (digits - 2) + drawn % (9 * 10 ** (digits - 2))
    return f"{first}{damm_digit(str(first))}"


def horizon(shares: int) -> int:
    """The highest generation that a terminal may derive by itself."""
    return min(shares - 1, 16) + 8


def is_mobile_like(code: str) -> bool:
    """Whether a code could be a mobile number, so that its secret must be drawn again."""
    return len(code) == 11 and "13" <= code[:2] <= "19"


# --- CBOR (RFC 8949), the part that is needed, always in the shortest form ---------------------


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    for extra, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes([major << 5 | extra]) + number.to_bytes(size, "big")
    raise ValueError(number)


def cbor(value: object) -> bytes:
    """Integers, byte and text strings, arrays, maps in their given order [A2], null."""
    match value:
        case None:
            return b"\xf6"
        case int() if not isinstance(value, bool):
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case bytes():
            return _head(2, len(value)) + value
        case str():
            return _head(3, len(value.encode())) + value.encode()
        case list():
            return _head(4, len(value)) + b"".join(cbor(item) for item in value)
        case dict():
            pairs = (cbor(key) + cbor(item) for key, item in value.items())
            return _head(5, len(value)) + b"".join(pairs)
    raise TypeError(value)


# --- base45 (RFC 9285) -------------------------------------------------------------------------

BASE45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def base45(data: bytes) -> str:
    """Two bytes become three characters, least significant first; a last byte becomes two."""
    out = []
    for at in range(0, len(data), 2):
        chunk = data[at : at + 2]
        number = int.from_bytes(chunk, "big")
        for _ in range(len(chunk) + 1):
            number, digit = divmod(number, 45)
            out.append(BASE45[digit])
    return "".join(out)


def base64url(data: bytes) -> str:
    """base64url without padding, as keys and signatures are written."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# --- Sealed rows -------------------------------------------------------------------------------


def stretch(password: str, salt: bytes, t: int, m_kib: int, p: int) -> bytes:
    """48 bytes of Argon2id: the row key and the record key."""
    return hash_secret_raw(password.encode(), salt, t, m_kib, p, 48, Type.ID, version=0x13)


def code_password(code: str, last4: str) -> str:
    return f"{code}:{last4}"


def id_card_password(number: str) -> str:
    """What upstream platforms deliver is the MD5 of the upper-case number."""
    return "id:" + hashlib.md5(number.upper().encode(), usedforsecurity=False).hexdigest()


def id_row_key(okm: bytes, index: int) -> bytes:
    """The row key of one of the vouchers of a person; the index is big-endian [A3]."""
    return hashlib.sha256(b"hexiao-id-row" + okm[:16] + index.to_bytes(2, "big")).digest()[:16]


RECORD_FIELDS = (
    "v",
    "voucher",
    "secret",
    "generation",
    "horizon",
    "shares",
    "product",
    "home",
    "paid_fen",
)


def record_map(record: dict[str, object]) -> bytes:
    """The plaintext of a sealed row: text keys in the order of the contract [A1] [A2]."""
    return cbor({field: record[field] for field in RECORD_FIELDS})


def seal(plaintext: bytes, row_key: bytes, record_key: bytes, nonce: bytes) -> bytes:
    """Nonce, ciphertext and tag; bound to its row key by the associated data."""
    return nonce + ChaCha20Poly1305(record_key).encrypt(nonce, plaintext, row_key)


# --- Signed QR ---------------------------------------------------------------------------------


def last4_tag(k_tag: bytes, voucher: bytes, last4: str) -> bytes:
    """The voucher is its 16 bytes, as in the QR itself [A4]."""
    return hmac.digest(k_tag, voucher + last4.encode(), "sha256")[:8]


def qr(fields: list[object], key: Ed25519PrivateKey) -> str:
    """The whole text of a signed QR."""
    array = cbor(fields)
    return "HX1:" + base45(array + key.sign(b"hexiao-voucher-v1" + array))


# --- Canonical JSON (RFC 8785, restricted) --------------------------------------------------------

SHORT = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


def _text(text: str) -> str:
    def one(character: str) -> str:
        point = ord(character)
        return SHORT.get(point) or (f"\\u{point:04x}" if point < 32 else character)

    return '"' + "".join(one(character) for character in text) + '"'


def canonical(value: object) -> str:
    """Keys sorted by UTF-16 code units, no spaces, non-ASCII as it is."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() if -(2**53) < value < 2**53:
            return str(value)
        case str():
            return _text(value)
        case list():
            return "[" + ",".join(canonical(item) for item in value) + "]"
        case dict():
            keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
            return "{" + ",".join(f"{_text(key)}:{canonical(value[key])}" for key in keys) + "}"
    raise ValueError(value)


# --- Journal -------------------------------------------------------------------------------------


def enrolment_record(
    merchant: int, posid: str, epoch: int, public_key: bytes, previous_head: str | None
) -> str:
    """The record that the first entry of an epoch is chained to; `v` is 1 [A5]."""
    return canonical(
        {
            "v": 1,
            "merchant": merchant,
            "posid": posid,
            "epoch": epoch,
            "public_key": base64url(public_key),
            "previous_head": previous_head,
        }
    )


def first_prev(record: str) -> str:
    return hashlib.sha256(b"hexiao-enrol-v1" + record.encode()).hexdigest()


def entry_hash(body: str) -> str:
    return hashlib.sha256(b"hexiao-entry-v1" + body.encode()).hexdigest()


def entry_signature(body: str, key: Ed25519PrivateKey) -> str:
    """Over the 32 hash bytes, not over their hex."""
    return base64url(key.sign(bytes.fromhex(entry_hash(body))))


def serial(posid: str, epoch: int, seq: int) -> str:
    return f"{posid}_{epoch}_{seq:08d}"


# --- Money, time, state --------------------------------------------------------------------------


def round_half_up(numerator: int, denominator: int) -> int:
    """The nearest integer, halves away from zero, for what is never negative."""
    return (2 * numerator + denominator) // (2 * denominator)


def share_amount(paid_fen: int, shares: int, i: int, j: int) -> int:
    """The money of shares i..j: the difference of two cumulative amounts."""
    return round_half_up(paid_fen * j, shares) - round_half_up(paid_fen * i, shares)


def rfc3339(ms: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def effective_used(
    used: int, reflects: tuple[int, int], own: list[tuple[int, int, int, bool]]
) -> int:
    """Used shares as a terminal sees them: the state row, and its own entries not yet in it.

    `own` holds (epoch, seq, net shares, acknowledged). An entry of the epoch of `reflects` counts
    when its sequence is higher; one of an older epoch until it is acknowledged.
    """
    epoch, seq = reflects
    for entry_epoch, entry_seq, shares, acknowledged in own:
        newer = entry_epoch == epoch and entry_seq > seq
        older = entry_epoch < epoch and not acknowledged
        used += shares if newer or older or entry_epoch > epoch else 0
    return used


def allowance(shares: int, used: int, known: int, presented: int) -> int:
    """What a presented generation may take: each newer one proves a share that is gone unseen."""
    return shares - used - (presented - known)
