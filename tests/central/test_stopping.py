"""`jobs run --loop` ends on a signal, also on two of them at the worst moment."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

WORST_MOMENT = """
import os, signal
from central.stopping import signalled

with signalled() as ended:
    with ended._cond:  # where Event.wait and Event.set spend their time
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    ended.wait()
print("ended")
"""

ELSEWHERE = """
import signal, threading
from central.stopping import signalled

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


def test_the_loop_of_jobs_ends_on_a_signal(tmp_path: Path) -> None:
    """Exit status 0, and nothing is left behind."""
    config = tmp_path / "central.toml"
    config.write_text('[central]\ndatabase = "sqlite:///central.db"\n', "utf-8")
    command = [sys.executable, "-m", "hexiao", "central"]
    asked = ["--config", str(config), "--json"]
    subprocess.run([*command, "init", *asked], cwd=ROOT, check=True, capture_output=True)
    script = (
        "import signal, sys; from central.cli import main; from central import jobs;"
        "real = jobs.loop;"
        "jobs.loop = lambda *a: (print('looping', flush=True), real(*a));"
        "sys.exit(main(['jobs', 'run', '--loop', '--config', sys.argv[1]]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(config)], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"looping\n"
        os.kill(process.pid, signal.SIGTERM)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
