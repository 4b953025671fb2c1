"""The keys of the kiosk, as data: what they mean, what they are called, where they are shown.

Responsible for: the one list from which keys, key bar and help are made. Not responsible for: what
an action does (`flow`).
Invariants: nothing that confirms can be sent by a scanner as its suffix (Enter, Tab, LF); no key
needs Alt, Ctrl or Escape; everything needed to redeem is on the numeric keypad (kiosk notes, C3).

Why `+` and F12 confirm: a scanner types digits, letters and a suffix. A `+` inside a scan comes out
of the gate marked as too fast; function keys are not in the repertoire of a scanner's data.
"""

import unicodedata
from typing import Final

from msgspec import Struct

from terminal.kiosk.events import (
    Pressed,
    Typed,
)
from terminal.kiosk.gate import Stroke
from terminal.kiosk.states import (
    Act,
)


class Action(Struct, frozen=True):
    """One meaning. `caps` is what stands on the keys; `on_bar` says that the key bar shows it."""

    act: Act
    keys: tuple[str, ...]
    characters: str
    caps: str
    on_bar: bool = False

    @property
    def label(self) -> str:
        """The phrase that names it."""
        return f"key.{self.act.value}"


ACTIONS: Final = (
    Action(Act.CONFIRM, ("f12",), "+", "+  F12"),
    Action(Act.ACCEPT, ("enter",), "", "Enter"),
    Action(Act.CLEAR, ("escape", "delete"), "-.。", "-  .  Esc"),
    Action(Act.ERASE, ("backspace", "ctrl+h"), "", "Backspace"),
    Action(Act.HELP, ("f1",), "?", "F1", on_bar=True),
    Action(Act.REPRINT, ("f3",), "", "F3", on_bar=True),
    Action(Act.UNDO, ("f4",), "", "F4", on_bar=True),
    Action(Act.HISTORY, ("f5",), "", "F5", on_bar=True),
    Action(Act.NOTICES, ("f6",), "", "F6", on_bar=True),
    Action(Act.LANGUAGE, ("f9",), "", "F9", on_bar=True),
    Action(Act.LEAVE, ("f10",), "", "F10", on_bar=True),
)

_NUMLOCK_OFF: Final = {
    "insert": "0",
    "end": "1",
    "down": "2",
    "pagedown": "3",
    "left": "4",
    "right": "6",
    "home": "7",
    "up": "8",
    "pageup": "9",
}
"""What the digits of a keypad send while NumLock is off (the 5 sends nothing that arrives)."""

_BY_KEY: Final = {key: action.act for action in ACTIONS for key in action.keys}
_BY_CHARACTER: Final = {each: action.act for action in ACTIONS for each in action.characters}


def meaning(stroke: Stroke) -> Pressed | Typed | None:
    """What a key that came through the gate means; None for keys that mean nothing here."""
    at = round(stroke.at_s * 1000)
    if stroke.character is not None and len(stroke.character) == 1:
        plain = unicodedata.normalize("NFKC", stroke.character)
        act = _BY_CHARACTER.get(plain)
        if act is not None:
            return Pressed(act, at, stroke.fast)
        if plain.isprintable() and stroke.name not in _BY_KEY:
            return Typed(stroke.character, at, stroke.fast)
    if stroke.name in _BY_KEY:
        return Pressed(_BY_KEY[stroke.name], at, stroke.fast)
    if stroke.name in _NUMLOCK_OFF:
        return Typed(_NUMLOCK_OFF[stroke.name], at, stroke.fast, numlock_off=True)
    return None
