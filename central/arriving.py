"""What arrives: the entries of a batch, each checked as the next of its chain, and what they say.

Responsible for: believing or barring each entry, and the ledger's columns for what it moved. Not
responsible for: storing anything. Invariants: a signature covers every entry before it; an entry
that cannot be believed is barred with a verdict, never an error; bodies are not changed.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vouchers import entries, ids
from vouchers.booking import FLAG_CLOCK, FLAG_OFFLINE_LONG, Verdict
from vouchers.entries import Entry, Redemption, Reversal, Totals
from vouchers.fields import EntryError
from vouchers.limits import SHARES_MAX
from vouchers.presented import next_code_here

QUARANTINED: Final = "quarantined"
"""The kind of a row for an entry that could not be read; it belongs to no voucher."""


CLERK_CHARS_MAX: Final = 64
"""An account name (EV-064); longer ones are cut in the reports, not in the stored entry."""

NEW: Final = 0
"""The number of a verdict that has not been given yet; booking gives it."""


Read = tuple[Entry | None, Redemption | Reversal | None]
"""An entry and what it moved; nothing of either when it cannot be believed."""

_UNREADABLE: Final[Read] = (None, None)


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

    def hashes(self) -> list[str]:
        """The hash of each entry, in order."""
        return [
            self.aside.get(seq) or entries.entry_hash(body)
            for seq, body in enumerate(self.bodies, start=self.first)
        ]


@dataclass(frozen=True, slots=True)
class Line:
    """One entry on its way in. `entry` is None and `barred` says why if it cannot be believed."""

    seq: int
    body: str
    hash: str
    sig: bytes | None
    entry: Entry | None
    moved: Redemption | Reversal | None
    barred: Verdict | None


def read_new(stream: Any, upload: Upload, hashes: Sequence[str], skip: int) -> list[Line]:
    """The entries after the first `skip`, each checked as the next of the stream's chain."""
    key = Ed25519PublicKey.from_public_bytes(stream.public_key)
    floor = Totals(**json.loads(stream.totals))
    # The terminal may have counted more before its new epoch than has arrived here; never less.
    totals: Totals | None = None if stream.epoch > 1 and stream.seq == 0 else floor
    prev = stream.head
    bad = _badly_signed(upload, hashes, key)
    lines = []
    for index in range(skip, len(hashes)):
        seq = upload.first + index
        sig = upload.signatures.get(seq)
        entry, moved = _read(upload, seq, upload.bodies[index], prev=prev, totals=totals)
        if entry is not None and entry.totals.at_least(floor) != entry.totals:
            entry, moved = _UNREADABLE
        late = stream.revoked_seq is not None and seq > stream.revoked_seq
        barred = Verdict.QUARANTINED if entry is None or (late and moved) else None
        if seq in bad:
            barred = Verdict.BAD_SIGNATURE
        lines.append(Line(seq, upload.bodies[index], hashes[index], sig, entry, moved, barred))
        # After an entry that cannot be read the next one's totals are taken as they are.
        totals = entry.totals if entry else None
        prev = hashes[index]
    return lines


def _badly_signed(upload: Upload, hashes: Sequence[str], key: Ed25519PublicKey) -> Collection[int]:
    """Sequences that no good signature covers: a signature covers all entries before it."""
    good = [
        seq
        for seq, sig in upload.signatures.items()
        if entries.signature_holds(hashes[seq - upload.first], sig, key)
    ]
    return range(max(good, default=upload.first - 1) + 1, upload.first + len(hashes))


def _read(upload: Upload, seq: int, body: str, *, prev: str, totals: Totals | None) -> Read:
    try:
        entry = entries.read_entry(body)
        if (entry.posid, entry.epoch) != (upload.posid, upload.epoch):
            return _UNREADABLE
        before = totals if totals is not None else entry.totals
        wrong = entries.follows(entry, prev=prev, seq=seq, totals=before)
        if wrong is not None and totals is not None:
            return _UNREADABLE
        if totals is None and (entry.prev, entry.seq) != (prev, seq):
            return _UNREADABLE
        moved = entries.moved(entry)
    except EntryError:
        return _UNREADABLE
    if moved is not None and moved.shares > SHARES_MAX:
        return _UNREADABLE
    return entry, moved


def booking_row(
    merchant: int, stream: Any, line: Line, received: int, long_ms: int
) -> dict[str, object] | None:
    """The booking of a line, or None for an entry that moves no shares and was read well."""
    row: dict[str, object] = {
        "merchant": merchant,
        "posid": stream.posid,
        "epoch": stream.epoch,
        "seq": line.seq,
        "serial": ids.serial(stream.posid, stream.epoch, line.seq),
        "outlet": stream.outlet,
        "received_at": received,
        "barred": None if line.barred is None else str(line.barred),
        "verdict": str(line.barred or Verdict.ACCEPTED),
        "flags": "[]",
        "excess": 0,
        "others": "[]",
        "settled": None,
        "settled_at": None,
        "verdict_seq": NEW,
        "statement": None,
    }
    if line.entry is not None and line.moved is not None:
        return row | _moved(line.entry, line.moved, received, long_ms)
    # In the place of a voucher its own serial: it is judged, but with nothing else.
    return None if line.barred is None else row | _UNREAD | {"voucher": row["serial"]}


_UNREAD: Final[dict[str, object]] = {
    "kind": QUARANTINED,
    "clerk": "",
    "shares": 0,
    "generation": 0,
    "after": 0,
    "amount_fen": 0,
    "at": 0,
    "mode": "",
    "credential": "",
    "claim": None,
    "marks": "[]",
    "reverses": None,
}


def _moved(
    entry: Entry, moved: Redemption | Reversal, received: int, long_ms: int
) -> dict[str, object]:
    """What a redemption or reversal says, as columns."""
    common: dict[str, object] = {
        "kind": str(entry.kind),
        # No engine of ours keeps a NUL in a text, and no terminal of ours writes one.
        "clerk": entry.clerk.replace("\0", "")[:CLERK_CHARS_MAX],
        "at": entry.at,
        "marks": json.dumps(sorted(_marks(entry, received, long_ms))),
    }
    if isinstance(moved, Reversal):
        undone = moved
        return common | {
            "voucher": undone.voucher,
            "shares": undone.shares,
            "generation": undone.generation,
            "after": undone.generation,
            "amount_fen": undone.amount_fen,
            "mode": "",
            "credential": "",
            "claim": None,
            "reverses": undone.reverses if ids.parse_serial(undone.reverses) else "",
        }
    used = moved
    # By a QR alone or by a card the counter makes no successor: central makes the next code.
    here = next_code_here(used.credential, used.evidence)
    moves_on = used.successor or (not here and used.left > 0)
    return common | {
        "voucher": used.voucher,
        "shares": used.shares,
        "generation": used.generation,
        "after": used.generation + int(moves_on),
        "amount_fen": used.amount_fen,
        "mode": used.mode,
        "credential": used.credential,
        "claim": used.claim,
        "reverses": None,
    }


def _marks(entry: Entry, received: int, long_ms: int) -> set[str]:
    marks = set()
    if entry.clock != "ok":
        marks.add(FLAG_CLOCK)
    if received - entry.at > long_ms:
        marks.add(FLAG_OFFLINE_LONG)
    return marks
