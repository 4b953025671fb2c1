"""An event that a signal sets, for whoever goes on until one comes.

Responsible for: SIGTERM and SIGINT. Not responsible for: ending anything (`api.serve` has uvicorn's
own). Invariant: no handler sets the event. It would run in the middle of what the main thread is
doing, perhaps inside that very event's lock, and wait for itself for ever; or not at all, where the
signal came just before the main thread began to wait. A thread hears the signals and sets it.
"""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def signalled() -> Iterator[threading.Event]:
    """Set by the first signal; the handlers there were come back at the end."""
    ended = threading.Event()
    heard, said = socket.socketpair()
    said.settimeout(0)
    names = (signal.SIGTERM, signal.SIGINT)

    def pass_on() -> None:
        with heard:
            while number := heard.recv(1):
                if number[0] in names:
                    ended.set()

    threading.Thread(target=pass_on, name="signals", daemon=True).start()
    # Python writes the number there at once. The handlers themselves run when the main thread next
    # does something, which it does not where a signal came just before it began to wait.
    wakeup = signal.set_wakeup_fd(said.fileno(), warn_on_full_buffer=False)
    before = {name: signal.signal(name, lambda *_: None) for name in names}
    try:
        yield ended
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
        signal.set_wakeup_fd(wakeup)
        said.close()
