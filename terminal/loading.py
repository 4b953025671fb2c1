"""Loading code quickly.

Responsible for: keeping the collector of garbage away while modules are loaded. Not responsible
for: what is loaded. Invariant: the collector is left as it was found.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Load modules inside: what they make stays, so that looking through it finds nothing.

    It is not looked through later either, when a pause would be felt at the counter.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
