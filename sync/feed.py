"""What one page of the feed holds.

Responsible for: the items that change a replica, the page around them and the digest that both
sides compare. Not responsible for: applying them (the terminal's replica) or choosing them
(central). Invariants: items are state, not deltas: applying one twice or out of order by version
changes nothing; an item of a kind this program does not know is read past, one of a known kind
that is wrong makes the whole page `Garbled`.
"""

import contextlib
import hashlib
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from sync.errors import Garbled
from sync.limits import FEED_ITEMS_MAX
from sync.policy import Policy
from sync.shapes import (
    Answer,
    Blob,
    Count,
    Cursor,
    Key32,
    Label,
    Moment,
    Positive,
    RowKey,
    Signature,
    Small,
    Uuid,
)

Weekday = Annotated[int, Meta(ge=1, le=7)]
Digits = Annotated[str, Meta(pattern=r"^(0|[1-9]\d{0,9})\Z")]
State = Literal["live", "refunding", "refunded", "voided"]


class SealedPut(Answer, frozen=True, kw_only=True, tag_field="t", tag="sealed"):
    """A sealed row: `k` is its key, `record` opens under the key stretched with it."""

    op: Literal["put"] = "put"
    k: RowKey
    record: Blob
    voucher: Uuid


class SealedGone(
    Answer, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="sealed"
):
    """A sealed row that left this bucket: to `bucket`, or it can open no voucher any more."""

    op: Literal["del"]
    k: RowKey
    bucket: Small | None = None


class StatePut(Answer, frozen=True, kw_only=True, tag_field="t", tag="state"):
    """Where a voucher stands. `used` includes this terminal's entries up to the page's `reflects`.

    `home` is the outlet that owns its shares, or null. Validity is half-open.
    """

    op: Literal["put"] = "put"
    voucher: Uuid
    version: Positive
    state: State
    generation: Count
    used: Count
    valid_from: Moment
    valid_until: Moment
    home: Small | None = None


class StateGone(Answer, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="state"):
    """A voucher that left this bucket: to `bucket`, or it is long over."""

    op: Literal["del"]
    voucher: Uuid
    version: Positive
    bucket: Small | None = None


class ProductPut(Answer, frozen=True, kw_only=True, tag_field="t", tag="product"):
    """A product: where, on which days (1 is Monday) and how it may be redeemed."""

    op: Literal["put"] = "put"
    id: Small
    name: Label
    outlets: tuple[Small, ...]
    weekdays: tuple[Weekday, ...]
    online_only: bool
    bucket: Small
    price_fen: Count
    version: Positive
    slip_text: str | None = None


class ProductGone(Answer, frozen=True, kw_only=True, tag_field="t", tag="product"):
    """A product that no live voucher names."""

    op: Literal["del"]
    id: Small
    version: Positive


class OutletPut(Answer, frozen=True, kw_only=True, tag_field="t", tag="outlet"):
    """An outlet and its name."""

    op: Literal["put"] = "put"
    id: Small
    name: Label
    version: Positive


class OutletGone(Answer, frozen=True, kw_only=True, tag_field="t", tag="outlet"):
    """An outlet that is closed and on no product."""

    op: Literal["del"]
    id: Small
    version: Positive


class PolicyPut(Answer, frozen=True, kw_only=True, tag_field="t", tag="policy"):
    """The policy that holds for this terminal."""

    op: Literal["put"] = "put"
    policy: Policy


class KeyPut(Answer, frozen=True, kw_only=True, tag_field="t", tag="key"):
    """A key of central: it signs acknowledgements, manifests, times and vouchers.

    The key `by` vouches for it with `sig` (`sync.keyring`); the first key has none.
    """

    op: Literal["put"] = "put"
    kid: Small
    key: Key32
    by: Small | None = None
    sig: Signature | None = None


class KeyGone(Answer, frozen=True, kw_only=True, tag_field="t", tag="key"):
    """A key of central that is not to be believed any more."""

    op: Literal["del"]
    kid: Small


Put = SealedPut | StatePut | ProductPut | OutletPut | PolicyPut | KeyPut
Gone = SealedGone | StateGone | ProductGone | OutletGone | KeyGone
Item = Put | Gone


class Reflects(Answer, frozen=True, kw_only=True):
    """The terminal's own entries that the `used` of this page includes. `seq` 0: none."""

    epoch: Positive
    seq: Count


class Checkpoint(Answer, frozen=True, kw_only=True):
    """The bucket at `seq`: how many state rows live in it, and the sum of their `row_digest`."""

    seq: Count
    live: Count
    digest: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]


class FeedPage(Answer, frozen=True, kw_only=True):
    """A page: the changes after `from_` up to `cursor`. `checkpoint` only where `more` is false.

    `moves` counts how often central had moved vouchers between buckets when it read the page: a
    page with fewer is older than one with more, whatever their buckets. `buckets` are the outlets
    of those that items of the page moved to.
    """

    from_: Cursor = msgspec.field(name="from")
    cursor: Cursor
    more: bool
    sealed_through: Moment | None = None
    reflects: Reflects | None = None
    items: tuple[Item, ...] = ()
    checkpoint: Checkpoint | None = None
    moves: Count = 0
    buckets: dict[str, tuple[Small, ...]] = msgspec.field(default_factory=dict)


class _Head(Answer, frozen=True, kw_only=True):
    from_: Cursor = msgspec.field(name="from")
    cursor: Cursor
    more: bool
    sealed_through: Moment | None = None
    reflects: Reflects | None = None
    checkpoint: Checkpoint | None = None
    moves: Count = 0
    buckets: dict[Digits, tuple[Small, ...]] = msgspec.field(default_factory=dict)


class _Puts(_Head, frozen=True, kw_only=True):
    """A page that takes nothing away, as most are when a replica is filled: read in one go."""

    items: Annotated[list[Put], Meta(max_length=FEED_ITEMS_MAX)]


class _Envelope(_Head, frozen=True, kw_only=True):
    items: Annotated[list[msgspec.Raw], Meta(max_length=FEED_ITEMS_MAX)]


class _Kind(Answer, frozen=True, kw_only=True):
    t: str
    op: str


_PUTS: Final = msgspec.json.Decoder(_Puts)
_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_PUT: Final[msgspec.json.Decoder[Put]] = msgspec.json.Decoder(Put)
_GONE: Final[msgspec.json.Decoder[Gone]] = msgspec.json.Decoder(Gone)
_KIND: Final = msgspec.json.Decoder(_Kind)
_KNOWN: Final = frozenset(
    {("sealed", "put"), ("state", "put"), ("product", "put"), ("outlet", "put")}
    | {("policy", "put"), ("key", "put"), ("sealed", "del"), ("state", "del")}
    | {("product", "del"), ("outlet", "del"), ("key", "del")}
)


def decode_page(body: bytes) -> FeedPage:
    """Read a page. Items of unknown kinds are left out. Raises `Garbled` for anything wrong."""
    try:
        head, items = _read(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Garbled(f"a feed page cannot be read: {error}") from error
    return FeedPage(
        from_=head.from_,
        cursor=head.cursor,
        more=head.more,
        sealed_through=head.sealed_through,
        reflects=head.reflects,
        items=items,
        checkpoint=head.checkpoint,
        moves=head.moves,
        buckets=head.buckets,
    )


def _read(body: bytes) -> tuple[_Head, tuple[Item, ...]]:
    with contextlib.suppress(msgspec.ValidationError):
        puts = _PUTS.decode(body)
        return puts, tuple(puts.items)
    envelope = _ENVELOPE.decode(body)
    return envelope, tuple(item for raw in envelope.items if (item := _item(raw)) is not None)


def row_digest(voucher: str, version: int) -> int:
    """One state row's part of a checkpoint. Parts add up modulo 2^64, in any order."""
    part = hashlib.blake2b(f"{voucher}:{version}".encode("ascii"), digest_size=8)
    return int.from_bytes(part.digest(), "big")


def digest_text(total: int) -> str:
    """The sum of `row_digest` as it stands in a checkpoint."""
    return f"{total % 2**64:016x}"


def _item(raw: msgspec.Raw) -> Item | None:
    try:
        return _PUT.decode(raw)
    except msgspec.ValidationError:
        kind = _KIND.decode(raw)
    if (kind.t, kind.op) not in _KNOWN:
        return None
    if kind.op == "del":
        return _GONE.decode(raw)
    # Known and a put: decoded again for the message that says what is wrong with it.
    return _PUT.decode(raw)
