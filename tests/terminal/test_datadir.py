"""The data directory: private, and held by one process at a time."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from terminal.datadir import DataDir, hold
from terminal.errors import HeldElsewhere, OutOfService

HOLDS = """
import sys
from pathlib import Path
from terminal.datadir import DataDir, hold
with hold(DataDir.at(Path(sys.argv[1])), wait_s=0):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_the_directory_is_private(tmp_path: Path) -> None:
    """The data directory has mode 0700, also when it was there with another."""
    (tmp_path / "data").mkdir(mode=0o755)
    DataDir.at(tmp_path / "data").ensure()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A file where the directory should be is out of service, by name."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutOfService, match=str(tmp_path / "file" / "data")):
        DataDir.at(tmp_path / "file" / "data").ensure()


def test_the_witness_may_lie_elsewhere(tmp_path: Path) -> None:
    """By default the witness lies in the directory; a setting puts it on another medium."""
    assert DataDir.at(tmp_path).witness == tmp_path / "witness"
    assert DataDir.at(tmp_path, Path("/stick/w")).witness == Path("/stick/w")


def test_free_space_is_that_of_the_disk(tmp_path: Path) -> None:
    """The free space is what this user may still write."""
    found = os.statvfs(tmp_path)
    free = DataDir.at(tmp_path).free_bytes()
    assert 0 < free <= found.f_blocks * found.f_frsize


def test_one_process_holds_it(tmp_path: Path) -> None:
    """A second process is told who holds the directory, and gets it once the first has ended."""
    data = DataDir.at(tmp_path / "data")
    command = [sys.executable, "-c", HOLDS, str(data.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(HeldElsewhere) as caught, hold(data, wait_s=0):
            pass
        assert caught.value.pid == other.pid and str(other.pid) in str(caught.value)
        other.stdin.close()
        with hold(data, wait_s=5):
            assert data.lock.read_text() == str(os.getpid())
    with hold(data, wait_s=0):
        pass


def test_a_lock_of_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    """A lock file left behind by a power cut does not keep the terminal from starting."""
    data = DataDir.at(tmp_path)
    data.lock.write_text("4194304 and more text than a pid has")
    with hold(data, wait_s=0):
        assert data.lock.read_text() == str(os.getpid())


def test_a_holder_without_a_pid_is_still_a_holder(tmp_path: Path) -> None:
    """Between taking the lock and writing the pid the answer names no process."""
    data = DataDir.at(tmp_path)
    with hold(data, wait_s=0):
        data.lock.write_text("")
        with pytest.raises(HeldElsewhere, match="another process") as caught, hold(data, wait_s=0):
            pass
    assert caught.value.pid is None
