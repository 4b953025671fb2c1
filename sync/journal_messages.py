"""The rarer bodies about a journal: an entry that cannot be sent, and a lost journal coming back.

Responsible for: their names and forms, and strict or tolerant decoders as in `messages`. Not
responsible for: believing them; chains and signatures are checked where the journal is. Invariant:
a page ends with a signed entry, so that its last signature covers all of it.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from sync.limits import BATCH_ENTRIES_MAX, SCHEMA
from sync.messages import decoded
from sync.shapes import Answer, Count, Hash, Key32, Positive, Request, Signature, Small


class SetAside(Request, frozen=True, kw_only=True):
    """`POST /journal/{posid}/{epoch}/aside`: an entry that central refused, by what the chain needs
    of it. `prev` is the hash before it, `sig` the signature over `hash`."""

    schema: Positive = SCHEMA
    seq: Positive
    prev: Hash
    hash: Hash
    sig: Signature


class Said(Answer, frozen=True, kw_only=True):
    """The furthest head that the terminal itself ever named: proof that those entries existed."""

    seq: Count
    hash: Hash


class HeldEpoch(Answer, frozen=True, kw_only=True):
    """One epoch as central holds it: how it began, where it ends, and the signature under that.

    `ack` is an acknowledgement as an upload gets it; null while nothing is held. `said` may lie
    beyond `seq`. `forked_at`: from there on another branch was kept apart and not booked.
    """

    epoch: Positive
    public_key: Key32
    previous_head: Hash | None
    first_prev: Hash
    seq: Count
    head: Hash
    ack: str | None = None
    kid: Small = 0
    sig: Signature | None = None
    said: Said | None = None
    forked_at: Positive | None = None


class HeldJournal(Answer, frozen=True, kw_only=True):
    """`GET /journal/{posid}`: the epochs of the terminal that asks, oldest first."""

    epochs: tuple[HeldEpoch, ...]


class HeldEntry(Answer, frozen=True, kw_only=True):
    """A body, verbatim. `sig` is null where only a later signature covers it."""

    body: str
    sig: Signature | None = None


class HeldPage(Answer, frozen=True, kw_only=True):
    """`GET /journal/{posid}/{epoch}?after=`: entries `after` + 1, …, the last one signed."""

    entries: Annotated[tuple[HeldEntry, ...], Meta(max_length=BATCH_ENTRIES_MAX)]
    more: bool = False


_SET_ASIDE: Final = msgspec.json.Decoder(SetAside)
_JOURNAL: Final = msgspec.json.Decoder(HeldJournal)
_PAGE: Final = msgspec.json.Decoder(HeldPage)


def decode_set_aside(body: bytes) -> SetAside:
    """Raises `Garbled`."""
    return decoded(_SET_ASIDE, body)


def decode_held_journal(body: bytes) -> HeldJournal:
    """Raises `Garbled`."""
    return decoded(_JOURNAL, body)


def decode_held_page(body: bytes) -> HeldPage:
    """Raises `Garbled`."""
    return decoded(_PAGE, body)
