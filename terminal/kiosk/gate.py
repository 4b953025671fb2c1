"""Where keys become scans: a keyboard wedge types like a clerk, only faster.

Responsible for: telling a burst of a scanner from the keys of a hand at one serial point, before
any widget sees a key (kiosk notes, B3). Not responsible for: what a scan or a key means, reading
the clock (every stroke brings its time). Pure.
Invariants: two scans are never merged and a scan is never split into keys and a rest that looks
whole: what is torn is reported as torn; a key that comes out with `fast` set was not struck by a
hand; the buffer is bounded.
"""

from typing import Final

from msgspec import Struct

from terminal.kiosk.discreet import Discreet
from vouchers.limits import CREDENTIAL_CHARS_MAX, LAST4_DIGITS

TERMINATORS: Final = frozenset({"enter", "ctrl+j", "ctrl+m", "tab"})
"""CR, LF and TAB as Textual names them; CR LF counts once."""

PASTE_LINES_MAX: Final = 64

_GROUP_SEPARATOR: Final = "\x1d"


class GateSettings(Struct, frozen=True):
    """How a scanner types. `prefix` is a preamble the scanner was programmed to send, if any.

    `gap_s`: characters of one scan follow each other at most this far apart (5 to 20 ms measured;
    auto-repeat is 33 ms and needs the key to be held). `torn_s`: what follows a broken burst this
    soon belongs to it. `prefix_gap_s`: after a certain prefix a radio cradle may pause so long.
    `hand_gap_s`: a busy machine hands over the digits of a hand in one piece; a few digits without
    a terminator, and this much silence after them, were typed.
    """

    gap_s: float = 0.035
    chars_min: int = 6
    torn_s: float = 0.5
    prefix: str = ""
    prefix_gap_s: float = 0.6
    hand_gap_s: float = 0.15


class Stroke(Discreet, frozen=True):
    """One key: its name, its character if it has one, and when it was struck (seconds)."""

    name: str
    character: str | None
    at_s: float
    fast: bool = False


class Burst(Discreet, frozen=True):
    """A whole scan, without prefix and terminator."""

    text: str
    at_s: float


class Torn(Struct, frozen=True):
    """Pieces of a scan that may not be put together: the code must be scanned again."""

    at_s: float


Out = Stroke | Burst | Torn

_NEVER: Final = float("-inf")


class WedgeGate:
    """Feed it strokes, pastes and the time; it returns what became certain, in order."""

    def __init__(self, settings: GateSettings | None = None) -> None:
        self._settings = settings or GateSettings()
        self._held: list[Stroke] = []
        self._replayed_at = _NEVER
        self._broken_at = _NEVER
        self._ended_at = _NEVER
        self._struck_at = _NEVER
        self._close_behind = False

    @property
    def deadline(self) -> float | None:
        """When `tick` should be called if nothing else comes, or None."""
        return self._held[-1].at_s + self._gap() if self._held else None

    def stroke(self, stroke: Stroke) -> tuple[Out, ...]:
        """Take one key."""
        before = self.tick(stroke.at_s)
        if not self._held:
            self._close_behind = stroke.at_s - self._struck_at <= self._settings.gap_s
        self._struck_at = stroke.at_s
        if stroke.name in TERMINATORS:
            return before + self._terminate(stroke)
        if _is_text(stroke):
            self._hold(stroke)
            return before
        fast = bool(self._held) or self._close_behind
        flushed = self._replay(terminated=bool(self._held))
        return (*before, *flushed, Stroke(stroke.name, stroke.character, stroke.at_s, fast))

    def paste(self, text: str, at_s: float) -> tuple[Out, ...]:
        """Take a bracketed paste: every long line is a scan, anything shorter was not typed."""
        out = list(self._replay(terminated=True))
        lines = text.replace("\r", "\n").replace("\t", "\n").split("\n")
        for line in lines[:PASTE_LINES_MAX]:
            cut = line[: CREDENTIAL_CHARS_MAX + 1]
            if len(cut) >= self._settings.chars_min:
                out.append(Burst(self._without_prefix(cut), at_s))
            elif cut:
                out.append(Torn(at_s))
        return tuple(out)

    def tick(self, at_s: float) -> tuple[Out, ...]:
        """Say what time it is: a pause ends what was held."""
        deadline = self.deadline
        if deadline is None or at_s <= deadline:
            return ()
        return self._replay(terminated=False)

    def _hold(self, stroke: Stroke) -> None:
        if len(self._held) > CREDENTIAL_CHARS_MAX + 1:
            # Keep the time of the last character, so that the burst still ends where it ends.
            self._held[-1] = Stroke("", "", stroke.at_s)
            return
        self._held.append(stroke)

    def _terminate(self, stroke: Stroke) -> tuple[Out, ...]:
        if not self._held:
            return self._lone_terminator(stroke)
        self._ended_at = stroke.at_s
        text = "".join(held.character or "" for held in self._held)
        if not self._certain() and len(self._held) < self._settings.chars_min:
            return (*self._replay(terminated=True), Stroke("enter", None, stroke.at_s, fast=True))
        first_at = self._held[0].at_s
        torn = not self._certain() and self._follows_pieces(first_at)
        self._held.clear()
        if torn:
            self._broken_at = stroke.at_s
            return (Torn(stroke.at_s),)
        self._replayed_at = self._broken_at = _NEVER
        return (Burst(self._without_prefix(text), stroke.at_s),)

    def _lone_terminator(self, stroke: Stroke) -> tuple[Out, ...]:
        if stroke.at_s - self._ended_at <= self._settings.gap_s:
            # The LF of CR LF, or a second suffix: it belongs to the scan before it.
            self._ended_at = stroke.at_s
            return ()
        if stroke.name == "tab":
            return ()
        return (Stroke("enter", None, stroke.at_s, self._close_behind),)

    def _follows_pieces(self, first_at: float) -> bool:
        close = first_at - self._replayed_at <= self._settings.gap_s
        return close or first_at - self._broken_at <= self._settings.torn_s

    def _replay(self, *, terminated: bool) -> tuple[Out, ...]:
        held, self._held = self._held, []
        if not held:
            return ()
        self._replayed_at = held[-1].at_s
        machine = terminated or (len(held) >= 3 and not _few_digits(held))
        if machine:
            self._broken_at = held[-1].at_s
        if len(held) > CREDENTIAL_CHARS_MAX or self._is_prefixed(held):
            return (Torn(held[-1].at_s),)
        close = len(held) > 1 or self._close_behind
        return tuple(
            Stroke(
                stroke.name,
                stroke.character,
                stroke.at_s,
                # A hand may roll over digits; two other keys at once it does not strike.
                machine or (close and not (stroke.character or "").isdecimal()),
            )
            for stroke in held
        )

    def _gap(self) -> float:
        if self._certain():
            return self._settings.prefix_gap_s
        by_hand = len(self._held) >= 3 and _few_digits(self._held)
        return self._settings.hand_gap_s if by_hand else self._settings.gap_s

    def _certain(self) -> bool:
        return self._is_prefixed(self._held)

    def _is_prefixed(self, held: list[Stroke]) -> bool:
        prefix = self._settings.prefix
        if not prefix or len(held) < len(prefix):
            return False
        return all(stroke.character == mark for stroke, mark in zip(held, prefix, strict=False))

    def _without_prefix(self, text: str) -> str:
        return text.removeprefix(self._settings.prefix)


def _few_digits(held: list[Stroke]) -> bool:
    """As many as a clerk types at once: the last four, or a count."""
    digits = all((stroke.character or "").isdecimal() for stroke in held)
    return digits and len(held) <= LAST4_DIGITS


def _is_text(stroke: Stroke) -> bool:
    character = stroke.character
    if character is None or len(character) != 1:
        return False
    return character.isprintable() or character == _GROUP_SEPARATOR
