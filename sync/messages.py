"""The bodies of `/v1`, other than the feed: what a terminal sends and what central answers.

Responsible for: their names and forms (design, section 7), and decoders that accept nothing else.
Not responsible for: what is true in them; signatures and chains are checked by `acks`, by the
sender and by central. Invariants: a request is decoded strictly (unknown fields, numbers as text
and missing fields refuse it), an answer tolerantly (unknown fields are read past).
"""

from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from sync.errors import Garbled
from sync.feed import Reflects, StatePut
from sync.limits import BATCH_ENTRIES_MAX, SCHEMA
from sync.policy import Policy
from sync.shapes import (
    Answer,
    Blob,
    Count,
    Cursor,
    Hash,
    Key32,
    Label,
    Moment,
    Nonce,
    Posid,
    Positive,
    Request,
    RowKey,
    Shares,
    Signature,
    Small,
    Uuid,
)

T = TypeVar("T")


class EnrolmentRequest(Request, frozen=True, kw_only=True):
    """`POST /enrolments`: `proof` shows that the sender holds the key behind `sign_key`."""

    schema: Positive = SCHEMA
    code: Annotated[str, Meta(min_length=8, max_length=64)]
    sign_key: Key32
    seal_key: Key32
    proof: Signature


class Named(Answer, frozen=True, kw_only=True):
    """A thing with a small number and a name."""

    id: Small
    name: Label


class ServerKey(Answer, frozen=True, kw_only=True, omit_defaults=True):
    """A public key of central, by its id; all but the first have one that vouches (`keyring`)."""

    kid: Small
    key: Key32
    by: Small | None = None
    sig: Signature | None = None


class SealedKey(Answer, frozen=True, kw_only=True):
    """A secret key in a sealed box that only this terminal opens."""

    kid: Small
    sealed: Blob


class VaultTerms(Answer, frozen=True, kw_only=True):
    """How codes are stretched in this vault epoch: salt (16 bytes) and the costs of Argon2id."""

    epoch: Positive
    salt: RowKey
    t: Positive
    m: Positive
    p: Positive


class Totals(Answer, frozen=True, kw_only=True):
    """The running totals after the last entry of an earlier epoch; they never decrease."""

    redemptions: Count
    shares: Count
    amount_fen: Count
    reversals: Count
    reversed_shares: Count
    reversed_fen: Count


class Enrolment(Answer, frozen=True, kw_only=True):
    """Who this terminal is from now on, and whom it believes.

    `previous_head` and `previous_totals` are those of the POSID's last epoch, null for the first.
    """

    posid: Posid
    epoch: Positive
    outlet: Named
    merchant: Small
    merchant_name: Label
    time_zone: Label
    server_keys: Annotated[tuple[ServerKey, ...], Meta(min_length=1)]
    recovery_key: Key32
    k_tags: tuple[SealedKey, ...]
    vault: VaultTerms
    policy: Policy
    previous_head: Hash | None = None
    previous_totals: Totals | None = None


class Head(Answer, frozen=True, kw_only=True):
    """The end of a stream: `hash` of entry `seq`; at `seq` 0 the first `prev` of the epoch."""

    epoch: Positive
    seq: Count
    hash: Hash


class SentHead(Request, frozen=True, kw_only=True):
    """The same, said by a terminal."""

    epoch: Positive
    seq: Count
    hash: Hash


Word = Annotated[str, Meta(max_length=32)]
"""A machine word, such as `paper_out`."""


class Report(Request, frozen=True, kw_only=True):
    """How a terminal is, with each `hello`: for head office's list of the fleet.

    `queue` are entries that central has not signed for, `notices` what waits for a person there;
    `printer`, `scanner` and `clock` are the words of its status line.
    """

    queue: Count
    replica_age_s: Count | None
    printer: Word
    scanner: Word
    clock: Word
    notices: Count
    disk_free_mb: Count
    key_source: Word


class SentAck(Request, frozen=True, kw_only=True):
    """An acknowledgement that a terminal holds, word for word as central signed it."""

    text: Annotated[str, Meta(max_length=512)]
    kid: Small
    sig: Signature


class HelloRequest(Request, frozen=True, kw_only=True):
    """`POST /hello`, at start and now and then: which holder of which journal speaks, and how.

    `ack` is the furthest acknowledgement of the same epoch: proof where central has lost entries.
    """

    schema: Positive = SCHEMA
    boot: Count
    instance: Uuid
    head: SentHead
    nonce: Nonce
    version: Annotated[str, Meta(max_length=64)] = ""
    report: Report | None = None
    ack: SentAck | None = None


class Directive(Answer, frozen=True, kw_only=True):
    """What central wants done: `wipe`, `superseded`, `rekey`, `rebootstrap` or `message` (with
    `text`).

    The first two stop a terminal: their `text` is a statement that `kid` signed (see `acks`).
    """

    do: str
    text: str = ""
    kid: Small = 0
    sig: Signature | None = None


class Hello(Answer, frozen=True, kw_only=True):
    """`time` is a signed statement of central's clock that repeats the nonce (see `acks`).

    `head` is what central holds of the terminal's current epoch, null before its first entry.
    `keys` are all of central's, `k_tags` those for the tags of voucher QRs, sealed for the caller.
    """

    time: str
    kid: Small
    sig: Signature
    head: Head | None = None
    directives: tuple[Directive, ...] = ()
    keys: tuple[ServerKey, ...] = ()
    k_tags: tuple[SealedKey, ...] = ()


class Manifest(Answer, frozen=True, kw_only=True):
    """`GET /snapshot`: the file to fetch, signed (see `acks`). `cursor` is per bucket."""

    sha256: Hash
    size: Count
    cursor: dict[str, Cursor]
    sealed_through: Moment
    schema: Positive
    kid: Small
    sig: Signature


class Batch(Request, frozen=True, kw_only=True):
    """`POST /journal/{posid}/{epoch}`: entries `from_`, `from_` + 1, …, bodies verbatim.

    `prev` is the hash before the first, `sig` the signature of the last.
    """

    schema: Positive = SCHEMA
    from_: Positive = msgspec.field(name="from")
    prev: Hash
    entries: Annotated[tuple[str, ...], Meta(min_length=1, max_length=BATCH_ENTRIES_MAX)]
    sig: Signature


class Verdict(Answer, frozen=True, kw_only=True):
    """Central's word on one entry. `others` are serials; `settled` names how a person closed it."""

    seq: Positive
    serial: str
    verdict: str
    flags: tuple[str, ...] = ()
    excess: Count = 0
    others: tuple[str, ...] = ()
    settled: str | None = None


class BatchAnswer(Answer, frozen=True, kw_only=True):
    """`ack` is canonical text, signed (see `acks`); `cursor` includes the batch's effects."""

    ack: str
    kid: Small
    sig: Signature
    verdicts: tuple[Verdict, ...] = ()
    cursor: dict[str, Cursor] | str | None = None


class ClaimRequest(Request, frozen=True, kw_only=True):
    """`POST /claims`, idempotent by `claim`; `row_key` shows that the credential was presented."""

    schema: Positive = SCHEMA
    claim: Uuid
    row_key: RowKey
    voucher: Uuid
    generation: Count
    shares: Shares


class ClaimAnswer(Answer, frozen=True, kw_only=True):
    """Granted for `valid_s` seconds from when it was asked, or refused with a reason."""

    claim: Uuid
    granted: bool
    reason: str | None = None
    detail: dict[str, str | int | None] = msgspec.field(default_factory=dict)
    valid_s: Count = 0
    state: StatePut | None = None


class LookupRequest(Request, frozen=True, kw_only=True):
    """`POST /lookups`, on a replica miss. The body is never logged."""

    schema: Positive = SCHEMA
    row_key: RowKey


class LookupAnswer(Answer, frozen=True, kw_only=True):
    """The sealed row and where its voucher stands. `reflects` as on a feed page."""

    record: Blob
    voucher: Uuid
    state: StatePut
    reflects: Reflects | None = None


class VerdictsPage(Answer, frozen=True, kw_only=True):
    """`GET /verdicts?after=`: what is new or changed since. `cursor` is the next after."""

    verdicts: tuple[Verdict, ...]
    cursor: Annotated[str, Meta(max_length=64)]
    more: bool = False


_ENROLMENT_REQUEST: Final = msgspec.json.Decoder(EnrolmentRequest)
_HELLO_REQUEST: Final = msgspec.json.Decoder(HelloRequest)
_BATCH: Final = msgspec.json.Decoder(Batch)
_CLAIM_REQUEST: Final = msgspec.json.Decoder(ClaimRequest)
_LOOKUP_REQUEST: Final = msgspec.json.Decoder(LookupRequest)
_ENROLMENT: Final = msgspec.json.Decoder(Enrolment)
_HELLO: Final = msgspec.json.Decoder(Hello)
_MANIFEST: Final = msgspec.json.Decoder(Manifest)
_BATCH_ANSWER: Final = msgspec.json.Decoder(BatchAnswer)
_CLAIM_ANSWER: Final = msgspec.json.Decoder(ClaimAnswer)
_LOOKUP_ANSWER: Final = msgspec.json.Decoder(LookupAnswer)
_VERDICTS_PAGE: Final = msgspec.json.Decoder(VerdictsPage)


def encode(message: object) -> bytes:
    """Any message as it goes over the wire."""
    return msgspec.json.encode(message)


def decode_enrolment_request(body: bytes) -> EnrolmentRequest:
    """Raises `Garbled`."""
    return decoded(_ENROLMENT_REQUEST, body)


def decode_hello_request(body: bytes) -> HelloRequest:
    """Raises `Garbled`."""
    return decoded(_HELLO_REQUEST, body)


def decode_batch(body: bytes) -> Batch:
    """Raises `Garbled`."""
    return decoded(_BATCH, body)


def decode_claim_request(body: bytes) -> ClaimRequest:
    """Raises `Garbled`."""
    return decoded(_CLAIM_REQUEST, body)


def decode_lookup_request(body: bytes) -> LookupRequest:
    """Raises `Garbled`."""
    return decoded(_LOOKUP_REQUEST, body)


def decode_enrolment(body: bytes) -> Enrolment:
    """Raises `Garbled`."""
    return decoded(_ENROLMENT, body)


def decode_hello(body: bytes) -> Hello:
    """Raises `Garbled`."""
    return decoded(_HELLO, body)


def decode_manifest(body: bytes) -> Manifest:
    """Raises `Garbled`."""
    return decoded(_MANIFEST, body)


def decode_batch_answer(body: bytes) -> BatchAnswer:
    """Raises `Garbled`."""
    return decoded(_BATCH_ANSWER, body)


def decode_claim_answer(body: bytes) -> ClaimAnswer:
    """Raises `Garbled`."""
    return decoded(_CLAIM_ANSWER, body)


def decode_lookup_answer(body: bytes) -> LookupAnswer:
    """Raises `Garbled`."""
    return decoded(_LOOKUP_ANSWER, body)


def decode_verdicts_page(body: bytes) -> VerdictsPage:
    """Raises `Garbled`."""
    return decoded(_VERDICTS_PAGE, body)


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Read a body with its decoder. Raises `Garbled`."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Garbled(f"a body cannot be read: {error}") from error
