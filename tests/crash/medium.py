"""A file system of its own in a file, which can be made to stop at once.

Responsible for: making, mounting and stopping it; needs root. Not responsible for: what is on it.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from pathlib import Path

_SHUTDOWN = 0x8004587D
"""`_IOR('X', 125, __u32)`: EXT4_IOC_SHUTDOWN, and XFS's of the same number."""

_NO_LOG_FLUSH = 2

SIZE_MB = 48


class Medium:
    """An ext4 on a loop device. Raises OSError where there can be none."""

    def __init__(self, folder: Path) -> None:
        self._image, self.mounted = folder / "image", folder / "medium"
        self.mounted.mkdir()
        with self._image.open("wb") as image:
            image.truncate(SIZE_MB << 20)
        _run("mkfs.ext4", "-q", "-F", str(self._image))

    def mount(self) -> None:
        """Mount it; after a stop its own log is replayed."""
        _run("mount", "-o", "loop", str(self._image), str(self.mounted))

    def unmount(self) -> None:
        """Let go of it."""
        _run("umount", str(self.mounted))


def stop_at_once(path: Path) -> None:
    """From here on nothing reaches the medium that `path` is on; what was not flushed is gone."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
    finally:
        os.close(handle)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{command[0]}: {done.stderr.strip()}")
