"""The journal as JSON lines: for auditors, for head office, and from a dead terminal's disk.

Responsible for: the export form of design, section 6, one file per epoch and key. Not responsible
for: verifying one (`verify_journal` shares no code with this). Invariants: bodies
go out verbatim; `sig` is null where an entry came back from central, covered by a later signature.
"""

import json
from collections.abc import Iterator
from typing import Final

from terminal.journal import Journal
from vouchers.ids import b64u

_PAGE: Final = 500


def lines(journal: Journal, *, epoch: int, since: int, merchant: int, posid: str) -> Iterator[str]:
    """The header and every entry of an epoch after sequence `since`, without line ends."""
    _, public_key, first_prev = journal.epoch_record(epoch)
    yield json.dumps(
        {
            "hexiao_export": 1,
            "merchant": merchant,
            "posid": posid,
            "epoch": epoch,
            "public_key": b64u(public_key),
            "first_prev": first_prev,
        },
        ensure_ascii=False,
    )
    after = since
    while page := journal.entries(epoch, after, _PAGE):
        for stored in page:
            yield json.dumps(
                {
                    "seq": stored.seq,
                    "body": stored.body,
                    "hash": stored.hash,
                    "sig": b64u(stored.sig) or None,
                },
                ensure_ascii=False,
            )
        after = page[-1].seq
