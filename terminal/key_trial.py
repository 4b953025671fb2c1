"""Scans of a scanner that types, with the rhythm of its keys.

Responsible for: reading a terminal key by key, so that the time between the keys is seen, and
giving the terminal back as it was; lines where the input is no terminal, whose rhythm nobody knows.
Not responsible for: what scans mean (`scan_trial`). Invariant: the terminal is restored whatever
ends the reading.
"""

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Final

from terminal.scan_trial import Keyed, Trial

_POLL_S: Final = 0.05
_READ_BYTES: Final = 4_096
_END_OF_INPUT: Final = b"\x04"


def keyed(descriptor: int, ended: Event) -> Iterator[Keyed]:
    """Scans until the input ends or a signal came."""
    if os.name != "nt" and os.isatty(descriptor):
        yield from _from_terminal(descriptor, ended)
    else:
        yield from (Keyed(line.encode() + b"\r") for line in lines_of(descriptor, ended))


def lines_of(descriptor: int, ended: Event) -> Iterator[str]:
    """Lines of a descriptor until its end or a signal, without their ends.

    Not `sys.stdin`: its lock would be held by whoever waits for a line when the program ends.
    """
    rest = b""
    while not ended.is_set():
        # Windows cannot wait for a console this way; there a line more is read before the end.
        if os.name != "nt" and not select.select([descriptor], [], [], _POLL_S)[0]:
            continue
        data = os.read(descriptor, _READ_BYTES)
        if not data:
            break
        *whole, rest = (rest + data).split(b"\n")
        yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
    if rest:
        yield rest.decode(errors="replace")


def _from_terminal(descriptor: int, ended: Event) -> Iterator[Keyed]:
    trial = Trial()
    with _key_by_key(descriptor):
        while not ended.is_set():
            if select.select([descriptor], [], [], _POLL_S)[0]:
                data = os.read(descriptor, _READ_BYTES)
                if data in (b"", _END_OF_INPUT):
                    break
                trial.feed(data, _now_ms())
            yield from trial.keyed(_now_ms())


@contextmanager
def _key_by_key(descriptor: int) -> Iterator[None]:
    """Each key at once, not shown, and Enter as it was sent; signals stay what they are."""
    import termios

    before = termios.tcgetattr(descriptor)
    now = termios.tcgetattr(descriptor)
    now[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.IXON)
    now[3] &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
    now[6][termios.VMIN], now[6][termios.VTIME] = 1, 0
    termios.tcsetattr(descriptor, termios.TCSADRAIN, now)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
