"""What arrives: the entries of a batch, each checked as the next of its chain, and what they say.

Responsible for: believing or barring each entry, and the ledger's columns for what it moved. Not
responsible for: storing anything. Invariants: a signature covers every entry before it as far as
the chain holds; an entry
that cannot be believed is barred with a verdict, never an error; bodies are not changed.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from central import quick
from central.booked import Booked
from central.quick import Redeemed, Said
from vouchers import entries, ids
from vouchers.booking import FLAG_CLOCK, FLAG_OFFLINE_LONG, Verdict
from vouchers.entries import Redemption, Reversal, Totals
from vouchers.fields import EntryError
from vouchers.limits import SHARES_MAX
from vouchers.presented import generation_after

CLERK_CHARS_MAX: Final = 64
"""An account name (EV-064); longer ones are cut in the reports, not in the stored entry."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Entries `first`, `first`+1, … of a stream. `signatures` by sequence; those given are checked.

    `prev` is the hash before the first entry, lower-case hex. `aside` has the hashes of bodies that
    are not here, because they could not be sent: their bodies are empty.
    """

    posid: str
    epoch: int
    first: int
    prev: str
    bodies: Sequence[str]
    signatures: Mapping[int, bytes] = field(default_factory=dict)
    aside: Mapping[int, str] = field(default_factory=dict)
    raw: list[bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Write the bodies as bytes, once."""
        object.__setattr__(self, "raw", [body.encode() for body in self.bodies])

    def hashes(self) -> list[str]:
        """The hash of each entry, in order."""
        return [
            self.aside.get(seq) or entries.raw_hash(raw)
            for seq, raw in enumerate(self.raw, start=self.first)
        ]


class Line(msgspec.Struct, gc=False):
    """One entry on its way in. `said` is None and `barred` says why if it cannot be believed."""

    seq: int
    body: bytes
    hash: str
    sig: bytes | None
    said: Said | None
    barred: Verdict | None


def read_new(
    stream: Any, upload: Upload, hashes: Sequence[str], skip: int, *, unread: bool = False
) -> list[Line]:
    """The entries after the first `skip`, each checked as the next of the stream's chain.

    `unread`: the last one of the stream could not be read, so what it had counted is not known.
    """
    floor = Totals(**json.loads(stream.totals))
    # The terminal may have counted more before its new epoch than has arrived here; never less.
    unknown = unread or (stream.epoch > 1 and stream.seq == 0)
    totals: Totals | None = None if unknown else floor
    prev = stream.head
    lines, links = list[Line](), list[bool]()
    for index in range(skip, len(hashes)):
        seq = upload.first + index
        said = _read(upload, index, prev=prev, totals=totals, floor=floor)
        late = stream.revoked_seq is not None and seq > stream.revoked_seq
        revoked = late and said is not None and said.moved is not None
        barred = Verdict.QUARANTINED if said is None or revoked else None
        sig = upload.signatures.get(seq)
        lines.append(Line(seq, upload.raw[index], hashes[index], sig, said, barred))
        links.append(said is not None or continues(upload.raw[index], prev))
        # After an entry that cannot be read the next one's totals are taken as they are.
        totals = said.totals if said else None
        prev = hashes[index]
    signed = [(line.hash, line.sig) for line in lines]
    for line, is_covered in zip(lines, covered(signed, links, stream.public_key), strict=True):
        if not is_covered:
            line.barred = Verdict.BAD_SIGNATURE
    return lines


class _Linked(msgspec.Struct):
    """What an entry says of the one before it."""

    prev: str


_LINKED: Final = msgspec.json.Decoder(_Linked)


def continues(raw: bytes, prev: str) -> bool:
    """Whether a body names the hash `prev` as the one before it, or cannot be asked."""
    try:
        return _LINKED.decode(raw).prev == prev
    except msgspec.MsgspecError:
        return True


def covered(
    signed: Sequence[tuple[str, bytes | None]], links: Sequence[bool], public_key: bytes
) -> list[bool]:
    """Which of successive entries (hash, signature or None) a good signature stands for.

    It stands for its own entry and for those before it, down to a place where the chain does not
    hold: `links` says of each entry whether it goes on from the one before.
    """
    key = Ed25519PublicKey.from_public_bytes(public_key)
    found = [False] * len(signed)
    stands = False
    for index in range(len(signed) - 1, -1, -1):
        digest, sig = signed[index]
        if not stands and sig is not None:
            stands = entries.signature_holds(digest, sig, key)
        found[index] = stands
        stands = stands and links[index]
    return found


def _read(
    upload: Upload, index: int, *, prev: str, totals: Totals | None, floor: Totals
) -> Said | None:
    """What an entry says as the next of the chain; None when it cannot be believed.

    Its totals follow from `totals`, None if those are not known, and are never below `floor`.
    """
    seq, chain = upload.first + index, (upload.posid, upload.epoch)
    if totals is not None:
        found = quick.read(upload.raw[index], chain, seq, prev, totals)
        if found is not None:
            return found
    try:
        entry = entries.read_entry(upload.bodies[index])
        before = totals if totals is not None else entry.totals
        wrong = entries.follows(entry, prev=prev, seq=seq, totals=before)
        if wrong is not None and totals is not None:
            return None
        if (entry.posid, entry.epoch, entry.prev, entry.seq) != (*chain, prev, seq):
            return None
        if entry.totals.at_least(floor) != entry.totals:
            return None
        moved = entries.moved(entry)
    except EntryError:
        return None
    if moved is not None and moved.shares > SHARES_MAX:
        return None
    return Said(str(entry.kind), entry.at, entry.clock, entry.clerk, entry.totals, moved)


def read_alone(upload: Upload, index: int, prev: str) -> Said | None:
    """What an entry says whose neighbours' totals are not known; None: it cannot be believed."""
    return _read(upload, index, prev=prev, totals=None, floor=Totals())


def booking_row(
    merchant: int, stream: Any, line: Line, received: int, long_ms: int
) -> Booked | None:
    """The booking of a line, or None for an entry that moves no shares and was read well."""
    said, moved = line.said, None if line.said is None else line.said.moved
    if moved is None and line.barred is None:
        return None
    row = Booked(
        merchant=merchant,
        posid=stream.posid,
        epoch=stream.epoch,
        seq=line.seq,
        serial=ids.serial(stream.posid, stream.epoch, line.seq) if moved is None else moved.serial,
        outlet=stream.outlet,
        received_at=received,
        barred=None if line.barred is None else str(line.barred),
    )
    if said is None or moved is None:
        # In the place of a voucher its own serial: it is judged, but with nothing else.
        row.voucher = row.serial
        return row
    row.kind = said.kind
    # No engine of ours keeps a NUL in a text, and no terminal of ours writes one.
    row.clerk = said.clerk.replace("\0", "")[:CLERK_CHARS_MAX]
    row.at = said.at
    row.marks = _marks(said.clock != "ok", received - said.at > long_ms)
    row.voucher, row.shares = moved.voucher, moved.shares
    row.generation, row.amount_fen = moved.generation, moved.amount_fen
    if isinstance(moved, Reversal):
        row.after = moved.generation
        row.reverses = moved.reverses if ids.parse_serial(moved.reverses) else ""
    else:
        _redeemed(row, moved)
    return row


def _redeemed(row: Booked, used: Redemption | Redeemed) -> None:
    row.after = generation_after(used)
    row.mode, row.credential, row.claim = used.mode, used.credential, used.claim


@functools.cache
def _marks(suspect: bool, late: bool) -> str:  # noqa: FBT001 two facts, and cached by them
    marks = {FLAG_CLOCK: suspect, FLAG_OFFLINE_LONG: late}
    return json.dumps(sorted(mark for mark, holds in marks.items() if holds))
