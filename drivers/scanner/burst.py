"""Keys from a keyboard: a scanner in wedge mode, or a person?

Responsible for: judging a run of keys by its rhythm, and proposing the settings from scans that an
installer made. Pure. Not responsible for: assembling keys while they arrive, which is the screen's
gate. Measured: with a gap of 50 ms and 80 % of the gaps below it, no typist up to 200 words a
minute is mistaken and no scanner up to 30 ms a character is missed; a required prefix is certain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

GAP_MS = 50
LENGTH_MIN = 6
SHARE_PERCENT = 80
_GAP_MS_SLOWEST = 90  # beyond this a fast typist looks the same


@dataclass(frozen=True, slots=True)
class Key:
    """One character and the millisecond it arrived."""

    char: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class WedgeSettings:
    """How a burst is told from typing. With a `prefix` the rhythm does not matter."""

    gap_ms: int = GAP_MS
    length_min: int = LENGTH_MIN
    share_percent: int = SHARE_PERCENT
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What `propose` found. `certain` is False when the scanner is too slow to tell by rhythm."""

    settings: WedgeSettings
    slowest_gap_ms: int
    certain: bool
    advice: str


def is_scan(keys: Sequence[Key], settings: WedgeSettings | None = None) -> bool:
    """Whether a run of keys (without its terminator) came from a scanner."""
    wanted = settings or WedgeSettings()
    text = "".join(key.char for key in keys)
    if wanted.prefix:
        return text.startswith(wanted.prefix) and len(text) > len(wanted.prefix)
    if len(keys) < wanted.length_min:
        return False
    gaps = _gaps(keys)
    fast = sum(gap < wanted.gap_ms for gap in gaps)
    return fast * 100 >= wanted.share_percent * len(gaps)


def propose(scans: Sequence[Sequence[Key]]) -> Proposal:
    """Settings from some scans of one scanner; at least three, ten are better."""
    runs = [keys for keys in scans if len(keys) > 1]
    slowest = max((max(_gaps(keys)) for keys in runs), default=0)
    prefix = _common_prefix(["".join(key.char for key in keys) for keys in runs])
    if prefix and not prefix.isalnum():
        settings = WedgeSettings(prefix=prefix)
        return Proposal(
            settings, slowest, certain=True, advice="the scanner sends a prefix: certain"
        )
    if len(runs) < 3:
        advice = "scan at least three different codes"
        return Proposal(WedgeSettings(), slowest, certain=False, advice=advice)
    gap = max(20, slowest * 3 // 2)
    if gap > _GAP_MS_SLOWEST:
        advice = "too slow to tell from typing: program a prefix into the scanner, or use serial"
        return Proposal(WedgeSettings(), slowest, certain=False, advice=advice)
    advice = "told from typing by its rhythm"
    return Proposal(WedgeSettings(gap_ms=gap), slowest, certain=True, advice=advice)


def _gaps(keys: Sequence[Key]) -> list[int]:
    return [late.at_ms - early.at_ms for early, late in pairwise(keys)]


def _common_prefix(texts: list[str]) -> str:
    if len(texts) < 3:
        return ""
    first, last = min(texts), max(texts)
    shared = 0
    while shared < len(first) and first[shared] == last[shared]:
        shared += 1
    head = first[:shared]
    return head[:1] if head and not head[0].isalnum() else ""
