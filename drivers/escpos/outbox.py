"""Bytes on their way to the link, in whole commands. Pure.

Responsible for: the order of what leaves, so that a question never lands inside a block, and
noticing that the link takes nothing. Not responsible for: what the bytes are.
"""

from collections import deque
from enum import StrEnum


class Kind(StrEnum):
    """What a segment is, for the one who put it there."""

    BLOCK = "block"
    QUESTION = "question"
    HANDSHAKE = "handshake"
    CONTROL = "control"


class Outbox:
    """Segments, first in first out, except that `put_first` overtakes what has not begun."""

    def __init__(self) -> None:
        self._segments: deque[tuple[Kind, bytes]] = deque()
        self._offset = 0
        self.stalled_since: int | None = None

    @property
    def pending(self) -> bool:
        """Something other than a question is waiting to leave."""
        return any(kind is not Kind.QUESTION for kind, _ in self._segments)

    @property
    def head_kind(self) -> Kind | None:
        """What `head` belongs to."""
        return self._segments[0][0] if self._segments else None

    def has(self, kind: Kind) -> bool:
        """A segment of this kind is waiting."""
        return any(have is kind for have, _ in self._segments)

    def put(self, data: bytes, kind: Kind) -> None:
        """Append a segment."""
        assert data
        self._segments.append((kind, data))

    def put_first(self, data: bytes, kind: Kind) -> None:
        """Send this next, but never inside a segment of which bytes have left."""
        self._segments.insert(1 if self._offset else 0, (kind, data))

    def head(self) -> bytes:
        """The bytes to offer now."""
        return self._segments[0][1][self._offset :] if self._segments else b""

    def taken(self, count: int, now_ms: int) -> list[Kind]:
        """So many bytes of `head` left; the kinds of the segments that have left whole."""
        if not self._segments:
            return []
        if not count:
            self.stalled_since = self.stalled_since if self.stalled_since is not None else now_ms
            return []
        self.stalled_since = None
        kind, data = self._segments[0]
        assert count <= len(data) - self._offset
        self._offset += count
        if self._offset < len(data):
            return []
        self._segments.popleft()
        self._offset = 0
        return [kind]

    def clear(self) -> None:
        """Forget everything that has not left."""
        self._segments.clear()
        self._offset, self.stalled_since = 0, None
