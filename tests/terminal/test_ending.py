"""Ending on a signal, also when it comes at the worst moment.

Goal: `run` and `demo` always end. Method: a process is signalled while its main thread is inside
the lock of the very event that it waits on; a hang ends in a time-out.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

WORST_MOMENT = """
import os, signal
from terminal.commands_run import signalled

with signalled() as ended:
    with ended._cond:  # where Event.wait and Event.set spend their time
        os.kill(os.getpid(), signal.SIGTERM)
    ended.wait()
    os.kill(os.getpid(), signal.SIGINT)
print("ended")
"""

ELSEWHERE = """
import signal, threading
from terminal.commands_run import signalled

def later():  # the main thread waits already, and nothing wakes it: this thread takes the signal
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

with signalled() as ended:
    threading.Timer(0.3, later).start()
    ended.wait()
print("ended")
"""


@pytest.mark.parametrize("script", [WORST_MOMENT, ELSEWHERE])
def test_a_signal_at_the_worst_moment_ends_it(script: str) -> None:
    """A handler that took the event's lock would wait for itself for ever; one of a signal that
    comes just before the main thread begins to wait would never run.
    """
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (result.returncode, result.stdout) == (0, "ended\n"), result.stderr
