"""A terminal window for tests: a program on a real pty, its screen kept by pyte.

Responsible for: spawning, typing bytes, waiting for a picture, answering what a terminal answers.
Not responsible for: what is tested. Invariant: nothing sleeps; every wait ends when the screen says
what is awaited, or fails with the screen in its message.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pyte

REPOSITORY = Path(__file__).parents[2]


class Window:
    """One program in one window."""

    def __init__(
        self, arguments: list[str], columns: int = 80, rows: int = 24, **environment: str
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.bytes_out = 0
        master, slave = pty.openpty()
        self.master = master
        self.resize(columns, rows, tell=False)
        env = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "PYTHONUTF8": "1",
            **environment,
        }
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=REPOSITORY,
            env=env,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)

    def __enter__(self) -> "Window":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def type(self, data: str | bytes) -> "Window":
        """Write bytes as the keyboard would, in one write if the terminal takes it."""
        left = data.encode() if isinstance(data, str) else data
        while left:
            left = left[os.write(self.master, left) :]
        return self

    def resize(self, columns: int, rows: int, *, tell: bool = True) -> None:
        """Change the window's size."""
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            os.killpg(self.process.pid, signal.SIGWINCH)

    def pump(self, seconds: float) -> bool:
        """Take what the program writes for at most this long; False when it has ended."""
        if not select.select([self.master], [], [], max(0.0, seconds))[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.bytes_out += len(data)
        if b"\x1b[6n" in data:
            self._stream.feed(data[: data.index(b"\x1b[6n")])
            cursor = self.screen.cursor
            os.write(self.master, f"\x1b[{cursor.y + 1};{cursor.x + 1}R".encode())
            data = data[data.index(b"\x1b[6n") + 4 :]
        self._stream.feed(data)
        return bool(data) or True

    @property
    def text(self) -> str:
        """The screen as text; the second cell of a wide character is left out."""
        return "\n".join(
            "".join(self.screen.buffer[y][x].data for x in range(self.screen.columns)).rstrip()
            for y in range(self.screen.lines)
        )

    def until(self, wanted: str | Callable[[str], bool], seconds: float = 40.0) -> str:
        """Wait until the screen shows this; answers the screen."""
        test = wanted if callable(wanted) else (lambda text: wanted in text)
        end = monotonic() + seconds
        while not test(self.text):
            left = end - monotonic()
            alive = self.pump(min(0.05, left))
            if left <= 0 or not alive:
                raise AssertionError(f"{wanted!r} never came; the screen:\n{self.text}")
        return self.text

    def quiet(self, seconds: float = 0.3, at_most: float = 5.0) -> str:
        """Pump until nothing was written for a while."""
        end = monotonic() + at_most
        while monotonic() < end:
            before = self.bytes_out
            until = monotonic() + seconds
            while monotonic() < until:
                self.pump(until - monotonic())
            if self.bytes_out == before:
                break
        return self.text

    def ended(self, seconds: float = 10.0) -> int:
        """Wait for the end; answers the exit status."""
        end = monotonic() + seconds
        while self.process.poll() is None and monotonic() < end:
            self.pump(0.05)
        return self.process.wait(1)
