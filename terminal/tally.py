"""What was redeemed without central's word since it last acknowledged.

Responsible for: keeping that sum, so that a day without network does not slow each redemption
down. Not responsible for: the limits; the rules compare. Invariants: only committed rows are
counted, each once; a journal that was opened again, or another watermark, is counted anew.
"""

from dataclasses import dataclass

import apsw

Place = tuple[int, int]
"""Epoch and sequence number."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Redemptions at the voucher's home and elsewhere, and their value in fen."""

    home: int = 0
    away: int = 0
    value_fen: int = 0


class Tally:
    """The running sum over `lone_use`, whose rows are only ever added. Not while one is open."""

    def __init__(self) -> None:
        self._connection: apsw.Connection | None = None
        self._after: Place = (0, 0)
        self._counted: Place = (0, 0)
        self._sum = Alone()

    def since(self, connection: apsw.Connection, after: Place) -> Alone:
        """The sum after a watermark. Ask between transactions, never inside one."""
        assert not connection.in_transaction
        if connection is not self._connection or after != self._after:
            self._connection, self._after, self._counted = connection, after, after
            self._sum = Alone()
        rows = connection.execute(
            "SELECT epoch, seq, home, amount_fen FROM lone_use WHERE (epoch, seq) > (?, ?)",
            self._counted,
        )
        for epoch, seq, home, amount_fen in rows:
            self._counted = max(self._counted, (epoch, seq))
            self._sum = Alone(
                self._sum.home + home,
                self._sum.away + 1 - home,
                self._sum.value_fen + amount_fen,
            )
        return self._sum
