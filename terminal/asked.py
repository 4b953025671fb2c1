"""What central is asked while a voucher is opened, and what it said.

Responsible for: letting whoever opens a voucher say that central's word is missing, so that it is
asked for outside the counter's lock (design, section 7: look-ups within a budget). Not responsible
for: the lock, or the network. Invariants: each row is asked for once in a use case; what was found
out before the question is found out again after it, because other use cases went on meanwhile.
"""

from collections.abc import Callable
from typing import TypeVar

from terminal.parts import FoundRow, Parts
from vouchers.sealed import SealKey

T = TypeVar("T")


class NotAsked(Exception):
    """Central's word on a row is needed, and nobody asked for it yet. Nothing has been written."""

    def __init__(self, row_key: bytes) -> None:
        super().__init__("central was not asked yet")
        self.row_key = row_key


class Asked:
    """Central's words during one use case, and the key that was stretched for it."""

    def __init__(self) -> None:
        self._said: dict[bytes, FoundRow | None] = {}
        self._key: SealKey | None = None

    def about(self, row_key: bytes) -> FoundRow | None:
        """Central's word, None where it knows no such row or did not answer; raises NotAsked."""
        if row_key not in self._said:
            raise NotAsked(row_key)
        return self._said[row_key]

    def said(self, row_key: bytes, answer: FoundRow | None) -> None:
        """Keep central's word."""
        self._said[row_key] = answer

    def key(self, stretch: Callable[[], SealKey]) -> SealKey:
        """The key of what was presented, stretched once: that takes the vault's time."""
        self._key = self._key or stretch()
        return self._key


def asking(work: Callable[[Asked], T], parts: Parts) -> T:
    """Do something that may need central's word: as often as a row is missing, ask and do it anew.

    Each try asks for one row more, and none twice.
    """
    asked = Asked()
    while True:
        try:
            return work(asked)
        except NotAsked as question:
            online = parts.online
            answer = None if online is None else online.look_up(question.row_key)
            asked.said(question.row_key, answer)
