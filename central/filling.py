"""Bodies that arrive later, of entries that were set aside by their hash.

Responsible for: keeping such a body, and what it says, beside the verdict it has. Not responsible
for: booking it; a person does that (`revoking.release`). Invariants: a body is kept only under the
hash that was signed; what an entry counts for does not change by it.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import select

from central import arriving, bulk, policies, schema
from central.arriving import Line, Upload
from central.booked import QUARANTINED
from central.service import Work
from vouchers.booking import Verdict
from vouchers.times import HOUR_MS


def fill_in(work: Work, stream: Any, upload: Upload, hashes: Sequence[str]) -> None:
    """Keep what an upload has of a stream's entries that are here by their hashes alone.

    The upload must agree with what the stream holds.
    """
    for row in _bare(work, upload):
        index = row.seq - upload.first
        if not upload.raw[index]:
            continue
        prev = hashes[index - 1] if index else upload.prev
        said = arriving.read_alone(upload, index, prev)
        key = work.merchant, upload.posid, upload.epoch, row.seq
        kind = QUARANTINED if said is None else said.kind
        bulk.update(work.connection, schema.entries, 4, _ENTRY, [(*key, upload.raw[index], kind)])
        if said is not None and said.moved is not None:
            barred = Verdict.QUARANTINED
            line = Line(row.seq, upload.raw[index], row.hash, None, said, barred)
            _describe(work, stream, line, row.received_at)


_ENTRY: Final = ("merchant", "posid", "epoch", "seq", "body", "kind")


def _bare(work: Work, upload: Upload) -> Sequence[Any]:
    table = schema.entries
    return work.connection.execute(
        select(table.c.seq, table.c.hash, table.c.received_at).where(
            table.c.merchant == work.merchant,
            table.c.posid == upload.posid,
            table.c.epoch == upload.epoch,
            table.c.seq.between(upload.first, upload.first + len(upload.bodies) - 1),
            table.c.kind == QUARANTINED,
            table.c.body == b"",
        )
    ).all()


def _describe(work: Work, stream: Any, line: Line, received: int) -> None:
    """Let the booking say what the entry moved. A claim has long lapsed, so it ranks without."""
    long_ms = policies.current(work).offline.max_hours.home * HOUR_MS
    (row,) = arriving.booking_rows(work.merchant, stream, [line], received, long_ms)
    values = tuple(getattr(row, name) for name in _SAID)
    bulk.update(work.connection, schema.bookings, 4, _SAID, [values])


_SAID: Final = (
    *("merchant", "posid", "epoch", "seq"),
    *("kind", "voucher", "clerk", "shares", "generation", "after", "amount_fen", "at"),
    *("mode", "credential", "marks", "reverses"),
)
