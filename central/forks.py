"""Forks: two histories under one name.

Responsible for: finding where an upload and what is stored part, and keeping the other branch. Not
responsible for: what a branch says (`branches`) or what people do about it (`deciding`).
Invariants: nothing of a branch is applied or dropped here; a stream that has forked takes no new
entries, and its terminal is fenced until it is paired again.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import func, select, update

from central import alarms, bulk, schema
from central.arriving import Upload
from central.service import Central, Work
from vouchers import entries
from vouchers.booking import Verdict

_INCARNATION: Final = 1_000_000_000
"""Greater than any epoch: a serial holds nine digits of one."""


def first_difference(work: Work, stream: Any, upload: Upload, hashes: Sequence[str]) -> int | None:
    """The first sequence at which the upload and what is stored disagree, or None."""
    table = schema.entries
    stored = (
        {0: stream.first_prev, stream.seq: stream.head} if stream.seq else {0: stream.first_prev}
    )
    if upload.first <= stream.seq:
        rows = work.connection.execute(
            select(table.c.seq, table.c.hash).where(
                table.c.merchant == work.merchant,
                table.c.posid == upload.posid,
                table.c.epoch == upload.epoch,
                table.c.seq.between(upload.first - 1, upload.first + len(hashes) - 1),
            )
        )
        stored |= {row.seq: row.hash for row in rows}
    sent = dict(enumerate([upload.prev, *hashes], start=upload.first - 1))
    return next((seq for seq in sorted(sent) if stored.get(seq, sent[seq]) != sent[seq]), None)


def continues_branch(work: Work, upload: Upload) -> bool:
    """Whether the upload goes on where a branch that is kept ends, past what is stored."""
    table = schema.branches
    before = select(table.c.seq).where(
        table.c.merchant == work.merchant,
        table.c.posid == upload.posid,
        table.c.epoch == upload.epoch,
        table.c.seq == upload.first - 1,
        table.c.hash == upload.prev,
    )
    return work.connection.execute(before).first() is not None


def keep_branch(
    central: Central, work: Work, upload: Upload, stream: Any, hashes: Sequence[str], differs: int
) -> bool:
    """Keep the entries from `differs` on as a branch, fence the terminal and raise an alarm.

    Answers whether a person has decided on all of them already: then there is nothing that their
    sender need keep for us, or go on counting for itself.
    """
    terminal = schema.terminals
    kept = _kept(work, upload)
    fresh = list(_numbered(work, upload, hashes, differs, kept))
    if fresh:
        work.connection.execute(schema.branches.insert(), fresh)
    _complete(work, upload, stream, hashes, kept)
    table = schema.streams
    work.connection.execute(
        update(table)
        .where(_of(work, table, upload), table.c.forked_at.is_(None))
        .values(forked_at=differs)
    )
    work.connection.execute(
        update(terminal)
        .where(_of(work, terminal, upload), terminal.c.state == "active")
        .values(state="fenced")
    )
    if fresh:
        words = f"epoch {upload.epoch} differs from seq {differs}"
        alarms.raise_alarm(central, work, "fork", upload.posid, words)
    return not fresh and _is_decided(work, upload, hashes, differs)


def keep_unproven(central: Central, work: Work, upload: Upload) -> int:
    """Keep what no signature stands for, beside a stream that has not forked by it; how many there
    are that the stream does not hold.
    """
    held, stream, hashes = schema.entries, schema.streams, upload.hashes()
    locked = select(stream).where(_of(work, stream, upload)).with_for_update()
    row = work.connection.execute(locked).one()
    rows = work.connection.execute(
        select(held.c.seq, held.c.hash).where(
            _of(work, held, upload),
            held.c.seq.between(upload.first, upload.first + len(hashes) - 1),
        )
    )
    known = {one.seq: one.hash for one in rows}
    sent = enumerate(hashes, start=upload.first)
    first = next((seq for seq, digest in sent if known.get(seq) != digest), None)
    if first is None:
        return 0
    kept = _kept(work, upload)
    fresh = list(_numbered(work, upload, hashes, first, kept))
    if fresh:
        work.connection.execute(schema.branches.insert(), fresh)
        words = f"epoch {upload.epoch} seq {first}: no signature stands for it and what follows"
        alarms.raise_alarm(central, work, str(Verdict.BAD_SIGNATURE), upload.posid, words)
    _complete(work, upload, row, hashes, kept)
    return upload.first + len(hashes) - first


def incarnation(epoch: int, branch: int) -> int:
    """What stands in the place of the epoch for what is booked from a branch: no epoch is this."""
    return branch * _INCARNATION + epoch


def _is_decided(work: Work, upload: Upload, hashes: Sequence[str], differs: int) -> bool:
    table = schema.branches
    decided = set(
        work.connection.execute(
            select(table.c.hash).where(
                _of(work, table, upload),
                table.c.seq.between(differs, upload.first + len(hashes) - 1),
                table.c.decision.is_not(None),
            )
        ).scalars()
    )
    return decided.issuperset(hashes[max(0, differs - upload.first) :])


def _of(work: Work, table: Any, upload: Upload) -> Any:
    return (
        (table.c.merchant == work.merchant)
        & (table.c.posid == upload.posid)
        & (table.c.epoch == upload.epoch)
    )


def _kept(work: Work, upload: Upload) -> dict[tuple[int, str], Any]:
    """What is kept of this stream, from the one before the upload on: `branch`, and whether the
    body is missing (`bare`).
    """
    table = schema.branches
    rows = work.connection.execute(
        select(
            table.c.seq, table.c.hash, table.c.branch, (table.c.body == b"").label("bare")
        ).where(_of(work, table, upload), table.c.seq >= upload.first - 1)
    )
    return {(row.seq, row.hash): row for row in rows}


def _numbered(
    work: Work,
    upload: Upload,
    hashes: Sequence[str],
    differs: int,
    kept: Mapping[tuple[int, str], Any],
) -> Iterator[dict[str, object]]:
    """The rows of what is new: a branch is a chain, so what goes on from its last entry belongs to
    it, and anything else begins another.
    """
    table = schema.branches
    ends = {
        row.branch: row.seq
        for row in work.connection.execute(
            select(table.c.branch, func.max(table.c.seq).label("seq"))
            .where(_of(work, table, upload))
            .group_by(table.c.branch)
        )
    }
    found, prev = {key: row.branch for key, row in kept.items()}, upload.prev
    for seq, (digest, body) in enumerate(zip(hashes, upload.raw, strict=True), start=upload.first):
        if seq >= differs and (seq, digest) not in found:
            branch = found.get((seq - 1, prev))
            if branch is None or ends[branch] != seq - 1:
                branch = max(ends, default=0) + 1
            found[seq, digest], ends[branch] = branch, seq
            yield {
                "merchant": work.merchant,
                "posid": upload.posid,
                "epoch": upload.epoch,
                "seq": seq,
                "hash": digest,
                "prev": prev,
                "body": body,
                "sig": upload.signatures.get(seq),
                "branch": branch,
                "received_at": work.now,
            }
        prev = digest


def _complete(
    work: Work,
    upload: Upload,
    stream: Any,
    hashes: Sequence[str],
    kept: Mapping[tuple[int, str], Any],
) -> None:
    """Keep what an upload has of entries that were kept before: good signatures, missing bodies."""
    key = Ed25519PublicKey.from_public_bytes(bytes(stream.public_key))
    bodies, signatures = list[bulk.Row](), list[bulk.Row]()
    for seq, (digest, body) in enumerate(zip(hashes, upload.raw, strict=True), start=upload.first):
        if (seq, digest) not in kept:
            continue
        name = work.merchant, upload.posid, upload.epoch, seq, digest
        sig = upload.signatures.get(seq)
        if sig is not None and entries.signature_holds(digest, sig, key):
            signatures.append((*name, sig))
        if body and kept[seq, digest].bare:
            bodies.append((*name, body))
    names = "merchant", "posid", "epoch", "seq", "hash"
    bulk.update(work.connection, schema.branches, len(names), (*names, "body"), bodies)
    bulk.update(work.connection, schema.branches, len(names), (*names, "sig"), signatures)
