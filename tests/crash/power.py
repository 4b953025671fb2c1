"""What a disk may hold after the power went: built from recorded steps.

Responsible for: the states that a file system may leave behind. Not responsible for: recording, or
judging what is found. Invariants: what was flushed is there; of what was not, anything may be there
or not, in any order, a write also in pieces of a sector; files do not wait for each other; a name
that a file got or lost lasts once its folder was flushed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.crash.trace import Change, Flush, FlushNames, Make, Remove, Resize, Said, Step, Write

SECTOR = 512


@dataclass
class Disk:
    """Files by number, and the numbers that have a name: a name may go before its file does."""

    contents: dict[int, bytearray] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)

    def apply(self, change: _On) -> None:
        """Let one change reach the disk."""
        step = change.step
        if isinstance(step, Make):
            self.names[step.file] = change.number
        elif isinstance(step, Remove):
            if self.names.get(step.file) == change.number:
                del self.names[step.file]
        else:
            _write(self.contents.setdefault(change.number, bytearray()), step)

    def copy(self) -> Disk:
        """Another disk that holds the same."""
        contents = {number: bytearray(data) for number, data in self.contents.items()}
        return Disk(contents, dict(self.names))

    def files(self) -> dict[str, bytes]:
        """What is found when the power is back."""
        return {name: bytes(self.contents.get(n, b"")) for name, n in self.names.items()}


@dataclass(frozen=True)
class _On:
    """A change of one file; a name that is made again is another file."""

    number: int
    step: Change


def _write(content: bytearray, step: Write | Resize) -> None:
    end = step.size if isinstance(step, Resize) else step.offset + len(step.data)
    content.extend(bytes(max(0, end - len(content))))
    if isinstance(step, Resize):
        del content[end:]
    else:
        content[step.offset : end] = step.data


class Moment:
    """The power goes here: what is safe, what is not yet, and what was said before."""

    def __init__(self, before: dict[str, bytes]) -> None:
        self.said: list[str] = []
        self._safe = Disk()
        self._loose: list[_On] = []
        self._now: dict[str, int] = {}
        self._made = 0
        for name, data in before.items():
            self._safe.names[name] = self._number(name, made=True)
            self._safe.contents[self._safe.names[name]] = bytearray(data)

    def pass_by(self, step: Step) -> None:
        """One more step was taken before the power goes."""
        if isinstance(step, Said):
            self.said.append(step.line)
        elif isinstance(step, Flush):
            number = self._number(step.file)
            self._settle(lambda on: on.number == number and not _names(on))
        elif isinstance(step, FlushNames):
            self._settle(_names)
        else:
            self._loose.append(_On(self._number(step.file, made=isinstance(step, Make)), step))

    def _number(self, name: str, *, made: bool = False) -> int:
        if made:
            self._made += 1
            self._now[name] = self._made
        return self._now[name]

    def _settle(self, flushed: Callable[[_On], bool]) -> None:
        for on in self._loose:
            if flushed(on):
                self._safe.apply(on)
        self._loose = [on for on in self._loose if not flushed(on)]

    def nothing_loose(self) -> Disk:
        """Only what was flushed."""
        return self._safe.copy()

    def everything(self) -> Disk:
        """All that was handed to the system, in order."""
        disk = self._safe.copy()
        for on in self._loose:
            disk.apply(on)
        return disk

    def some(self, rng: random.Random) -> Disk:
        """Some of what was loose, in any order, some of it in pieces."""
        disk = self._safe.copy()
        for on in rng.sample(self._loose, k=rng.randint(0, len(self._loose))):
            for piece in _pieces(on, rng):
                disk.apply(piece)
        return disk


def _names(on: _On) -> bool:
    return isinstance(on.step, Make | Remove)


def _pieces(on: _On, rng: random.Random) -> Sequence[_On]:
    step = on.step
    if not isinstance(step, Write) or rng.random() < 0.5:
        return [on]
    return [
        _On(on.number, Write(step.file, step.offset + at, step.data[at : at + SECTOR]))
        for at in range(0, len(step.data), SECTOR)
        if rng.random() < 0.7
    ]
