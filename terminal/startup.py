"""What is checked before the first redemption after a start.

Responsible for: comparing the journal with itself and with its witness, opening the questions that
a crash left (slips of unknown fate), and saying what was found (storage notes, 4.5). Not
responsible for: repairing; a person decides, with the command that the message names. Invariants:
a journal that is shorter than its witness, or whose chain does not hold, redeems nothing; nothing
is deleted.
"""

from collections.abc import Iterator
from typing import Final

import apsw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from terminal import chain, history, slip_jobs
from terminal.errors import OutOfService
from terminal.journal import Journal, Stored
from terminal.parts import Parts
from vouchers import entries, ids
from vouchers.entries import Kind, Totals
from vouchers.fields import EntryError

BOOTS: Final = "boots"
"""Where the journal counts its starts; central is told the number (design, section 7, hello)."""

_PAGE: Final = 1_000


class Restored(Struct, frozen=True):
    """The journal ends before its witness: entries `first`..`last` of `epoch` are missing."""

    epoch: int
    first: int
    last: int


def check(parts: Parts) -> Restored | None:
    """Check the journal; raises OutOfService when it does not hold together.

    Answers what is missing when the journal was put back from a backup.
    """
    wrong = file_fault(parts.journal) or chain_fault(parts)
    if wrong is not None:
        raise OutOfService(
            f"the journal is damaged ({wrong}). Do not delete it: run `hexiao journal rescue"
            " --out FILE` and send the file to head office. To go on, move the data directory"
            " aside and enrol anew: ask head office for a pairing code",
            "damaged",
        )
    return _compare_witness(parts)


def file_fault(journal: Journal) -> str | None:
    """What SQLite finds wrong with the file, or None."""
    try:
        row = journal.connection.execute("PRAGMA quick_check(1)").fetchone()
    except apsw.Error as error:
        return str(error)
    return None if row is not None and row[0] == "ok" else f"quick_check: {row}"


def chain_fault(parts: Parts, *, everything: bool = False) -> str | None:
    """The first break in the chain, or None.

    Hashes, order and totals of every entry; signatures since the last acknowledgement, because
    central checked the others (storage notes, 1.8), unless `everything` is asked for.
    """
    acknowledged = (0, 0) if everything else parts.journal.watermark("acknowledged")
    for epoch in parts.journal.epochs():
        fault = _epoch_fault(parts.journal, epoch, acknowledged, whole=everything)
        if fault is not None:
            return fault
    return None


def started(parts: Parts, version: str, *, clerk: str) -> None:
    """Journal and count the start; slips that a crash left half-printed become questions."""
    estimate = parts.clock.estimate()
    stamp = parts.stamp(estimate, clerk)
    half_printed = slip_jobs.in_state(parts.journal.connection, "printing")
    with parts.journal.transaction() as connection:
        parts.journal.append(connection, Kind.STARTED, {"version": version}, stamp)
        parts.journal.set_meta(connection, BOOTS, str(int(parts.journal.meta(BOOTS) or 0) + 1))
        for job in half_printed:
            slip_jobs.set_state(connection, job.job, "unknown", estimate.now, "restart")
            data: dict[str, object] = {"serial": job.serial, "copy": job.copy}
            parts.journal.append(connection, Kind.PRINTED_UNKNOWN, data, stamp)
    parts.clock.journalled(estimate.now)
    if estimate.suspect:
        history.note(parts, "clock", None, {})


def _compare_witness(parts: Parts) -> Restored | None:
    finding = parts.witness.compare(parts.journal)
    if finding.state in ("agrees", "missing", "behind") or finding.witnessed is None:
        return None
    seen = finding.witnessed
    if finding.state == "ahead" and seen.epoch in parts.journal.epochs():
        return Restored(seen.epoch, parts.journal.head(seen.epoch).seq + 1, seen.seq)
    return Restored(seen.epoch, 1, seen.seq)


def _epoch_fault(
    journal: Journal, epoch: int, acknowledged: tuple[int, int], *, whole: bool
) -> str | None:
    _, public_key, prev = journal.epoch_record(epoch)
    key = Ed25519PublicKey.from_public_bytes(public_key)
    totals, fault, uncovered = journal.totals_at_start(epoch), None, 0
    for seq, stored in enumerate(_all(journal, epoch), 1):
        after = chain.totals_after(stored, prev=prev, seq=seq, totals=totals)
        if whole or after is None:
            after, fault = _read_whole(stored, prev=prev, seq=seq, totals=totals)
        unseen = (epoch, seq) > acknowledged
        if not stored.sig:
            uncovered = uncovered or seq
        elif unseen and not entries.signature_holds(stored.hash, stored.sig, key):
            fault = fault or "its signature does not hold"
        else:
            uncovered = 0
        if fault is not None:
            return f"entry {ids.serial('T', epoch, seq)[2:]}: {fault}"
        prev, totals = stored.hash, after
    return f"entry {ids.serial('T', epoch, uncovered)[2:]}: no signature" if uncovered else None


def _read_whole(
    stored: Stored, *, prev: str, seq: int, totals: Totals
) -> tuple[Totals, str | None]:
    """The totals after an entry, and what is wrong with it."""
    if entries.entry_hash(stored.body) != stored.hash:
        return totals, "its hash does not fit its body"
    try:
        entry = entries.read_entry(stored.body)
    except EntryError as error:
        return totals, str(error)
    return entry.totals, entries.follows(entry, prev=prev, seq=seq, totals=totals)


def _all(journal: Journal, epoch: int) -> Iterator[Stored]:
    after = 0
    while page := journal.entries(epoch, after, _PAGE):
        yield from page
        after = page[-1].seq
