"""A row of the bookings: what an entry moved, and the verdict on it.

Responsible for: its columns. Not responsible for: filling them
(`arriving`) or judging (`booking`).
"""

from typing import Final

import msgspec

NEW: Final = 0
"""The number of a verdict that has not been given yet; booking gives it."""


QUARANTINED: Final = "quarantined"
"""The kind of a row for an entry that could not be read; it belongs to no voucher."""


class Booked(msgspec.Struct, gc=False):
    """One booking. Times are milliseconds UTC; `marks`, `flags` and `others` are JSON lists.

    A struct, as there are hundreds in a batch; `msgspec.structs.astuple` is the row.
    """

    merchant: int
    posid: str
    epoch: int
    seq: int
    serial: str
    outlet: int
    received_at: int
    kind: str = QUARANTINED
    voucher: str = ""
    clerk: str = ""
    shares: int = 0
    generation: int = 0
    after: int = 0
    amount_fen: int = 0
    at: int = 0
    mode: str = ""
    credential: str = ""
    claim: str | None = None
    marks: str = "[]"
    barred: str | None = None
    verdict: str = ""
    flags: str = "[]"
    excess: int = 0
    others: str = "[]"
    reverses: str | None = None
    settled: str | None = None
    settled_at: int | None = None
    verdict_seq: int = NEW
    statement: int | None = None


COLUMNS: Final = Booked.__struct_fields__
