"""How far central has signed for the journal, per epoch.

Responsible for: keeping its acknowledgements and reading them back. Not responsible for: verifying
them (`sync.acks`). Invariants: only the furthest of each epoch is kept; the watermark moves forward
only; nothing acknowledged is deleted.
"""

from typing import TYPE_CHECKING, Any

import apsw

from terminal.journal import Journal
from vouchers.ids import b64u, unb64u

if TYPE_CHECKING:  # the terminal also redeems where `sync` is not installed
    from sync.acks import Ack
    from sync.messages import SentAck


def keep(journal: Journal, ack: "Ack") -> None:
    """Keep a verified acknowledgement."""
    mark = journal.watermark("acknowledged")
    with journal.transaction() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO ack VALUES (?, ?, ?, ?, ?)",
            (ack.epoch, ack.up_to, ack.signed.text, ack.signed.kid, unb64u(ack.signed.sig)),
        )
        connection.execute("DELETE FROM ack WHERE epoch = ? AND up_to < ?", (ack.epoch, ack.up_to))
        if (ack.epoch, ack.up_to) > mark:
            journal.advance(connection, "acknowledged", ack.epoch, ack.up_to)


def up_to(connection: apsw.Connection, epoch: int) -> int:
    """How far central acknowledged an epoch; 0 before it did."""
    row: Any = connection.execute("SELECT max(up_to) FROM ack WHERE epoch = ?", (epoch,)).fetchone()
    return int(row[0] or 0)


def furthest(connection: apsw.Connection, epoch: int) -> "SentAck | None":
    """The acknowledgement that is kept of an epoch, as central signed it."""
    from sync.messages import SentAck

    row: Any = connection.execute(
        "SELECT ack, kid, sig FROM ack WHERE epoch = ? ORDER BY up_to DESC LIMIT 1", (epoch,)
    ).fetchone()
    return None if row is None else SentAck(text=row[0], kid=row[1], sig=b64u(row[2]))
