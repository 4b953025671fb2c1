"""Sounds: one short high for good, two low for no, three fast for alarm.

Responsible for: making the samples and handing them to a player in a daemon thread; the bell of
the terminal where there is no player. Not responsible for: when to sound.
Invariant: nothing here blocks the caller or raises into it.
"""

import io
import math
import shutil
import struct
import subprocess
import wave
from collections.abc import Callable
from queue import Full, Queue
from threading import Thread
from typing import Final

from terminal.kiosk.events import Tone

RATE: Final = 16_000
PLAYERS: Final = (("paplay",), ("aplay", "-q", "-"), ("pw-play", "-"))
PLAY_SECONDS_MAX: Final = 3

_NOTES: Final = {
    Tone.GOOD: ((1320, 120),),
    Tone.BAD: ((330, 160), (0, 60), (330, 160)),
    Tone.ALARM: ((440, 90), (0, 40), (440, 90), (0, 40), (440, 90)),
    Tone.NOT_NOW: ((262, 220),),
}
"""Pairs of hertz and milliseconds; 0 hertz is silence."""


def samples(tone: Tone) -> bytes:
    """A tone as a WAV file, mono, 16 bits."""
    frames = bytearray()
    for hertz, ms in _NOTES[tone]:
        for index in range(RATE * ms // 1000):
            level = 9_000 * math.sin(2 * math.pi * hertz * index / RATE) if hertz else 0.0
            frames += struct.pack("<h", round(level))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(frames))
    return out.getvalue()


class Sound:
    """Plays tones. `bell` is called, in the caller's thread, where no player was found."""

    def __init__(self, bell: Callable[[], None], players: tuple[tuple[str, ...], ...] = PLAYERS):
        self._bell = bell
        self._command = next((each for each in players if shutil.which(each[0])), None)
        self._queue: Queue[Tone] = Queue(2)
        if self._command is not None:
            Thread(target=self._run, name="kiosk-sound", daemon=True).start()

    def play(self, tone: Tone) -> None:
        """Sound it soon. What does not fit into the queue is dropped: the screen says it too."""
        if self._command is None:
            self._bell()
            return
        try:
            self._queue.put_nowait(tone)
        except Full:
            return

    def _run(self) -> None:
        while True:
            tone = self._queue.get()
            if not self._played(samples(tone)):
                self._bell()

    def _played(self, wav: bytes) -> bool:
        assert self._command is not None
        try:
            done = subprocess.run(
                self._command,
                input=wav,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=PLAY_SECONDS_MAX,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0
