"""What a command works with: an open terminal, and where to write.

Responsible for: the values that cross from the command line to the commands, and the one way in
which an answer or a refusal is put into words or JSON. Not responsible for: parsing or running.
Invariants: `--json` puts exactly one object per line on standard output; messages for people go
to standard error.
"""

import json
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from terminal import words
from terminal.console import escaped
from vouchers.reasons import Refusal

if TYPE_CHECKING:
    from terminal.station import Station

DONE: Final = 0
REFUSED: Final = 1
WRONG_USE: Final = 2
OUT_OF_SERVICE: Final = 3

Write = Callable[[str], None]


class Io(Struct):
    """Where a command writes, and the lines it was given on standard input."""

    out: Write
    err: Write
    lines: list[str] = field(default_factory=list)

    def next_line(self) -> str:
        """The next line of standard input, empty when there is none."""
        return self.lines.pop(0) if self.lines else ""

    def value(self, given: str) -> str:
        """An argument, or for `-` a line of standard input."""
        return self.next_line() if given == "-" else given

    def json(self, message: dict[str, object]) -> None:
        """One object on a line of standard output."""
        self.out(escaped(json.dumps(message, ensure_ascii=False)) + "\n")


class Desk(Struct, frozen=True):
    """An open terminal for one command. `alone`: no followers run, so they are run as needed."""

    station: "Station"
    alone: bool

    @property
    def language(self) -> words.Language:
        """The language of messages."""
        return words.Language(self.station.place.loaded.settings.kiosk.language)


Command = Callable[[Desk, Namespace, Io], int]


def refuse(desk: Desk, refusal: Refusal, io: Io, *, as_json: bool) -> int:
    """Say no: exit status 1."""
    zone = desk.station.counter.parts.identity.zone
    message = words.message(refusal, desk.language, zone)
    if as_json:
        io.json({"ok": False, "reason": str(refusal.reason), "message": message})
    else:
        io.err(f"{refusal.reason}: {message}\n")
    return REFUSED


def fail(reason: str, message: str, io: Io, *, as_json: bool, **more: object) -> int:
    """Out of service: exit status 3."""
    if as_json:
        io.json({"ok": False, "reason": reason, "message": message, **more})
    else:
        io.err(f"{message}\n")
    return OUT_OF_SERVICE
