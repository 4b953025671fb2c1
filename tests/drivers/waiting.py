"""Waiting for another thread: by condition, bounded, never by a fixed nap."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE_S = 5.0


def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Return when the condition holds; fail loudly when it does not come true in time."""
    deadline = time.monotonic() + patience_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        pause.wait(0.002)


class Seen(list[T]):
    """A list that another thread fills and this one waits on; itself a callback."""

    def __init__(self) -> None:
        super().__init__()
        self._arrived: queue.SimpleQueue[T] = queue.SimpleQueue()

    def __call__(self, *values: Any) -> None:
        """Take what a callback is told."""
        value = values[0] if len(values) == 1 else values
        self.append(value)
        self._arrived.put(value)

    def wait(self, patience_s: float = PATIENCE_S) -> T:
        """The next one that was not waited for yet."""
        return self._arrived.get(timeout=patience_s)

    def wait_for(self, wanted: Callable[[T], bool]) -> T:
        """The next one that is wanted; others are passed over."""
        while not wanted(value := self.wait()):
            pass
        return value
