"""An event that a signal sets, for whoever goes on until one comes.

Responsible for: SIGTERM and SIGINT. Not responsible for: ending anything (`api.serve` has uvicorn's
own). Invariant: a handler never waits for a lock. It runs in the middle of what the main thread is
doing, perhaps of another signal's handler, and would wait for itself for ever; it only passes the
word to a thread that sets the event.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue


@contextmanager
def signalled() -> Iterator[threading.Event]:
    """Set by the first signal; the handlers there were come back at the end."""
    ended, signals = threading.Event(), SimpleQueue[int]()

    def pass_on() -> None:
        if signals.get():
            ended.set()

    threading.Thread(target=pass_on, name="signals", daemon=True).start()
    names = (signal.SIGTERM, signal.SIGINT)
    before = {name: signal.signal(name, lambda number, _: signals.put(number)) for name in names}
    try:
        yield ended
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
        signals.put(0)
