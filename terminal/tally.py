"""What was redeemed without central's word since it last acknowledged.

Responsible for: keeping that sum, so that a day without network does not slow each redemption
down. Not responsible for: the limits; the rules compare. Invariants: only committed entries are
counted, each once; a journal that was opened again, or a watermark that moved past what was
counted, is counted anew.
"""

from typing import Any

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
        if connection is not self._connection or not self._moved_on(connection, after):
            self._connection, self._after, self._counted = connection, after, entry_id(*after)
            self._head, self._sum = None, Alone()
        if head != self._head:
            self._head, last = head, entry_id(head.epoch, head.seq)
            self._sum = _plus(self._sum, _between(connection, self._counted, last), 1)
            self._counted = last
        return self._sum

    def _moved_on(self, connection: apsw.Connection, after: tuple[int, int]) -> bool:
        """Take away what the watermark passed: a long backlog is not added up again each time."""
        last = entry_id(*after)
        if after < self._after or last > self._counted:
            return False
        if after != self._after:
            passed = _between(connection, entry_id(*self._after), last)
            self._after, self._sum = after, _plus(self._sum, passed, -1)
        return True


def _between(connection: apsw.Connection, after: int, last: int) -> Alone:
    """What stands in the entries after one, up to and with another."""
    row: Any = connection.execute(
        "SELECT coalesce(sum(home), 0), coalesce(sum(1 - home), 0), coalesce(sum(amount_fen), 0)"
        " FROM entry WHERE id > ? AND id <= ? AND home IS NOT NULL",
        (after, last),
    ).fetchone()
    return Alone(*row)


def _plus(one: Alone, two: Alone, sign: int) -> Alone:
    return Alone(
        one.home + sign * two.home,
        one.away + sign * two.away,
        one.value_fen + sign * two.value_fen,
    )
