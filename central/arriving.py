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
from typing import Any, Final, NamedTuple

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
) -> tuple[list[Line], Totals]:
    """The entries after the first `skip`, each checked as the next of the stream's chain.

    `unread`: the last one of the stream could not be read, so what it had counted is not known.
    The totals answered are those after the last one that could be read.
    """
    prevs, revoked_seq = [stream.head, *hashes[skip:]][:-1], stream.revoked_seq
    found, totals = _said(stream, upload, prevs, skip, unread=unread)
    lines, links = list[Line](), list[bool]()
    for index, (said, prev) in enumerate(zip(found, prevs, strict=True), start=skip):
        seq = upload.first + index
        late = revoked_seq is not None and seq > revoked_seq
        revoked = late and said is not None and said.moved is not None
        barred = Verdict.QUARANTINED if said is None or revoked else None
        sig = upload.signatures.get(seq)
        lines.append(Line(seq, upload.raw[index], hashes[index], sig, said, barred))
        links.append(said is not None or continues(upload.raw[index], prev))
    signed = [(line.hash, line.sig) for line in lines]
    for line, is_covered in zip(lines, covered(signed, links, stream.public_key), strict=True):
        if not is_covered:
            line.barred = Verdict.BAD_SIGNATURE
    return lines, totals


def _said(
    stream: Any, upload: Upload, prevs: Sequence[str], skip: int, *, unread: bool
) -> tuple[list[Said | None], Totals]:
    """What the entries after the first `skip` say, and the totals after the last that was read."""
    floor = Totals(**json.loads(stream.totals))
    # The terminal may have counted more before its new epoch than has arrived here; never less.
    unknown = unread or (stream.epoch > 1 and stream.seq == 0)
    before: Totals | None = None if unknown else floor
    found, last = list[Said | None](), floor
    chain, run = (upload.posid, upload.epoch), len(prevs)
    while (done := len(found)) < len(prevs):
        index = skip + done
        quickly = list[Said]()
        if before is not None:
            raws = upload.raw[index : index + run]
            first = upload.first + index
            quickly, before = quick.read(raws, chain, first, prevs[done:], before)
        # Where one was not read quickly, its neighbours may not be either.
        run = 2 * len(quickly) or 1
        if quickly:
            found += quickly
        else:
            read = _read(upload, index, prev=prevs[done], totals=before, floor=floor)
            # After an entry that cannot be read the next one's totals are taken as they are.
            said, before = read or (None, None)
            found.append(said)
        last = before or last
    return found, last


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
) -> tuple[Said, Totals] | None:
    """What an entry says as the next of the chain, and its totals; None: it cannot be believed.

    Its totals follow from `totals`, None if those are not known, and are never below `floor`.
    """
    seq, chain = upload.first + index, (upload.posid, upload.epoch)
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
    return Said(str(entry.kind), entry.at, entry.clock, entry.clerk, moved), entry.totals


def read_alone(upload: Upload, index: int, prev: str) -> Said | None:
    """What an entry says whose neighbours' totals are not known; None: it cannot be believed."""
    read = _read(upload, index, prev=prev, totals=None, floor=Totals())
    return None if read is None else read[0]


def booking_rows(
    merchant: int, stream: Any, lines: Sequence[Line], received: int, long_ms: int
) -> list[Booked]:
    """The bookings of lines; none of an entry that moves no shares and was read well."""
    whose = Whose(merchant, stream.posid, stream.epoch, stream.outlet, received, long_ms)
    return [row for line in lines if (row := _booking_row(whose, line)) is not None]


class Whose(NamedTuple):
    """What the bookings of a batch have in common; older than `long_ms` is marked."""

    merchant: int
    posid: str
    epoch: int
    outlet: int
    received: int
    long_ms: int


def _booking_row(whose: Whose, line: Line) -> Booked | None:
    merchant, posid, epoch, outlet, received, long_ms = whose
    said, barred = line.said, None if line.barred is None else str(line.barred)
    moved = None if said is None else said.moved
    if said is None or moved is None:
        if barred is None:
            return None
        serial = ids.serial(posid, epoch, line.seq)
        # In the place of a voucher its own serial: it is judged, but with nothing else.
        return Booked(
            merchant,
            posid,
            epoch,
            line.seq,
            serial,
            outlet,
            received,
            voucher=serial,
            barred=barred,
        )
    return Booked(
        merchant,
        posid,
        epoch,
        line.seq,
        moved.serial,
        outlet,
        received,
        said.kind,
        moved.voucher,
        _clerk(said.clerk),
        moved.shares,
        moved.generation,
        amount_fen=moved.amount_fen,
        at=said.at,
        marks=_marks(said.clock != "ok", received - said.at > long_ms),
        barred=barred,
        **(_reversed(moved) if isinstance(moved, Reversal) else _redeemed(moved)),
    )


def _reversed(undone: Reversal) -> dict[str, Any]:
    reverses = undone.reverses if ids.parse_serial(undone.reverses) else ""
    return {"after": undone.generation, "reverses": reverses}


def _redeemed(used: Redemption | Redeemed) -> dict[str, Any]:
    return {
        "after": generation_after(used),
        "mode": used.mode,
        "credential": used.credential,
        "claim": used.claim,
    }


# No engine of ours keeps a NUL in a text, and no terminal of ours writes one.
@functools.lru_cache(maxsize=1024)
def _clerk(name: str) -> str:
    return name.replace("\0", "")[:CLERK_CHARS_MAX]


@functools.cache
def _marks(suspect: bool, late: bool) -> str:  # noqa: FBT001 two facts, and cached by them
    marks = {FLAG_CLOCK: suspect, FLAG_OFFLINE_LONG: late}
    return json.dumps(sorted(mark for mark, holds in marks.items() if holds))
