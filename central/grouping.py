"""Group commit: small uploads that wait at the same time become one transaction.

Responsible for: gathering them, and handing each its own answer. Not responsible for: taking them
(`ingest`), or uploads of some size: those are a group by themselves. Invariants: nobody waits for
company, a lone upload goes at once; of one stream a transaction has one upload; what one upload
brings about, an error too, is answered to nobody else.
"""

import threading
from dataclasses import dataclass, field
from typing import Final

from central import ingest
from central.arriving import Upload
from central.errors import OutOfService
from central.ingest import Taken
from central.service import Central

SMALL: Final = 8
"""Entries of an upload that still shares a transaction: what counters with a customer send."""

GROUP_MAX: Final = 256
"""Uploads in one transaction; the gain levels off long before."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """One upload on its way; `woken` is set when it was dealt with or is to deal with the next."""

    upload: Upload
    woken: threading.Event = field(default_factory=threading.Event)
    taken: Taken | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether it was dealt with."""
        return self.taken is not None or self.error is not None


class Group:
    """Takes uploads, from any number of threads. One per process."""

    def __init__(self, central: Central) -> None:
        """Begin with nobody waiting."""
        self._central = central
        self._lock = threading.Lock()
        self._queue: list[_Waiting] = []
        self._led = False

    @property
    def waiting(self) -> int:
        """How many uploads wait for the transaction under way to end."""
        return len(self._queue)

    def ingest(self, upload: Upload) -> Taken:
        """`ingest.ingest`, shared with others where that helps."""
        if len(upload.bodies) > SMALL:
            return ingest.ingest(self._central, upload)
        mine = _Waiting(upload)
        with self._lock:
            self._queue.append(mine)
            leads, self._led = not self._led, True
        if not leads:
            mine.woken.wait()
        if not mine.done:
            self._lead(mine)
        if mine.error is not None:
            raise mine.error
        assert mine.taken is not None
        return mine.taken

    def _lead(self, mine: _Waiting) -> None:
        """Deal with all that wait now, then hand over to one that has come since."""
        with self._lock:
            group = self._next(mine)
        try:
            self._take(group)
        finally:
            with self._lock:
                self._led = bool(self._queue)
                follower = self._queue[0] if self._queue else None
            for one in group:
                one.woken.set()
            if follower is not None:
                follower.woken.set()

    def _next(self, mine: _Waiting) -> list[_Waiting]:
        """Mine, and the first of every other stream in the queue; they leave it."""
        group = {(mine.upload.posid, mine.upload.epoch): mine}
        for one in self._queue:
            if len(group) < GROUP_MAX:
                group.setdefault((one.upload.posid, one.upload.epoch), one)
        chosen = list(group.values())
        self._queue = [one for one in self._queue if one not in chosen]
        return chosen

    def _take(self, group: list[_Waiting]) -> None:
        try:
            answers = ingest.ingest_all(self._central, [one.upload for one in group])
        except OutOfService as error:
            for one in group:
                one.error = error
        except Exception:  # noqa: BLE001 a bug that one of them brings out is not for the others
            for one in group:
                self._take_alone(one)
        else:
            for one, taken in zip(group, answers, strict=True):
                one.taken = taken

    def _take_alone(self, one: _Waiting) -> None:
        try:
            one.taken = ingest.ingest(self._central, one.upload)
        except Exception as error:  # noqa: BLE001 raised again where its answer is waited for
            one.error = error
