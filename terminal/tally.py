"""What was redeemed without central's word since it last acknowledged.

Responsible for: keeping that sum, so that a day without network does not slow each redemption
down. Not responsible for: the limits; the rules compare. Invariants: only committed entries are
counted, each once; a journal that was opened again, or another watermark, is counted anew.
"""

import apsw
from msgspec import Struct

from terminal.journal import Head, Journal
from terminal.journal_schema import entry_id


class Alone(Struct, frozen=True):
    """Redemptions at the voucher's home and elsewhere, and their value in fen."""

    home: int = 0
    away: int = 0
    value_fen: int = 0


class Tally:
    """The running sum over what stands in the entries, which are only ever added."""

    def __init__(self) -> None:
        self._connection: apsw.Connection | None = None
        self._after: tuple[int, int] = (0, 0)
        self._head: Head | None = None
        self._counted = 0
        self._sum = Alone()

    def since(self, journal: Journal, after: tuple[int, int]) -> Alone:
        """The sum after a watermark. Ask between transactions, never inside one."""
        connection, head = journal.connection, journal.head()
        assert not connection.in_transaction
        if connection is not self._connection or after != self._after:
            self._connection, self._after, self._counted = connection, after, entry_id(*after)
            self._head, self._sum = None, Alone()
        if head != self._head:
            self._head, self._sum = head, self._counted_on(connection)
        return self._sum

    def _counted_on(self, connection: apsw.Connection) -> Alone:
        home, away, value_fen = self._sum.home, self._sum.away, self._sum.value_fen
        rows = connection.execute(
            "SELECT id, home, amount_fen FROM entry WHERE id > ? AND home IS NOT NULL ORDER BY id",
            (self._counted,),
        )
        for self._counted, at_home, amount_fen in rows:
            home, away, value_fen = home + at_home, away + 1 - at_home, value_fen + amount_fen
        return Alone(home, away, value_fen)
