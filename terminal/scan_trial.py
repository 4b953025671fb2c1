"""What a scanner's bytes say about how it is set up. Pure.

Responsible for: cutting the bytes of a trial into scans by the silence between them, whatever the
scanner ends a scan with, and proposing settings. Not responsible for: ports, or showing anything.
Invariant: what is proposed was tried: a profile fits when its own framer reads every scan as one.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import ceil
from typing import Final

from drivers.scanner import aim
from drivers.scanner.framing import framer_for
from drivers.scanner.mistaken import name_mistake
from drivers.scanner.profile import TERMINATORS, ScannerProfile
from drivers.scanner.scan import Scan, read_text
from terminal.sample_slip import TEST_TEXT

SILENCE_MS: Final = 500
"""Between two scans of a person; a cradle on radio pauses for less inside of one."""

_NOISE_PARTS: Final = 4
_ENDS: Final = tuple(sorted(TERMINATORS.items(), key=lambda pair: -len(pair[1])))


HAND_MS: Final = 50
"""Keys of one scan may be as far apart and still be told from a quick hand (measured)."""

GAP_MARGIN: Final = 1.5
GAP_STEP_MS: Final = 5


@dataclass(frozen=True, slots=True)
class Keyed:
    """A burst of keys; `gap_ms` is the longest pause between two of them, None where not seen."""

    data: bytes
    gap_ms: int | None = None


class Trial:
    """Bytes and times in, whole bursts out: one burst is one scan of a person."""

    def __init__(self) -> None:
        self._burst = bytearray()
        self._last_ms = self._gap_ms = 0

    def feed(self, data: bytes, now_ms: int) -> None:
        """Bytes arrived."""
        pause = now_ms - self._last_ms if self._burst else 0
        self._gap_ms = max(self._gap_ms, pause) if self._burst else 0
        self._burst += data
        self._last_ms = now_ms

    def keyed(self, now_ms: int) -> list[Keyed]:
        """The same as `whole`, with the rhythm where it is that of one scan."""
        bursts = self.whole(now_ms)
        gap = self._gap_ms if len(bursts) == 1 else None
        return [Keyed(burst, gap) for burst in bursts]

    def whole(self, now_ms: int) -> list[bytes]:
        """What silence has ended: one scan, or several of a quick hand, each with its end."""
        if not self._burst or now_ms - self._last_ms < SILENCE_MS:
            return []
        burst = bytes(self._burst)
        self._burst.clear()
        name, rest = _without_end(burst)
        end = TERMINATORS.get(name, b"")
        return [one + end for one in rest.split(end)] if end else [burst]


@dataclass(frozen=True, slots=True)
class Reading:
    """One burst as a person wants to see it. `end` is a name of `TERMINATORS` or `none`.

    `mistake` names what was probably scanned instead of a voucher; `test` compares with the code
    of the test slip: `whole`, `case`, `layout`, or empty for any other code.
    """

    text: str
    end: str
    aim: str
    symbology: str
    charset: str
    mistake: str
    test: str
    legible: bool


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How a scanner types. `gap_ms` is the longest pause inside of a scan; `wanted_ms` what the
    setting must allow; `prefix` what every scan begins with, if that can only be a preamble."""

    gap_ms: int
    wanted_ms: int
    prefix: str

    @property
    def like_a_hand(self) -> bool:
        """Its pauses are as long as a quick hand's: only a preamble makes a scan certain."""
        return self.wanted_ms > HAND_MS


@dataclass(frozen=True, slots=True)
class Advice:
    """What the readings have in common, and the profiles that read all of them."""

    end: str
    aim: bool
    legible: bool
    fits: tuple[str, ...]


def read(burst: bytes, profile: ScannerProfile) -> Reading:
    """Take a burst apart, believing the profile only where scans come in packets."""
    end, raw = _without_end(burst)
    if profile.framing == "ssi":
        scans = _framed(profile, burst)
        end, raw = ("ssi", scans[0].raw) if len(scans) == 1 else ("none", burst)
    identifier, content = aim.split(raw)
    text, charset = read_text(content)
    scan = Scan(content, text, identifier, aim.symbology(identifier), charset, bool(end), 0)
    return Reading(
        text=text,
        end=end,
        aim=identifier,
        symbology=scan.symbology,
        charset=charset,
        mistake=str(name_mistake(scan) or ""),
        test=_against_test(text),
        legible=_legible(text),
    )


def advise(
    bursts: Sequence[bytes], profiles: Iterable[ScannerProfile], chosen: ScannerProfile
) -> Advice:
    """Propose settings; `chosen` comes first among those that fit."""
    readings = [read(burst, chosen) for burst in bursts]
    ends = {one.end for one in readings}
    others = [profile for profile in profiles if profile != chosen and _alike(profile, chosen)]
    return Advice(
        end=ends.pop() if len(ends) == 1 else "mixed",
        aim=any(one.aim for one in readings),
        legible=all(one.legible for one in readings),
        fits=tuple(one.name for one in (chosen, *others) if _fits(one, bursts)),
    )


def rhythm(scans: Sequence[Keyed]) -> Rhythm | None:
    """What the keys of some scans have in common; None where nobody saw their times."""
    gaps = [scan.gap_ms for scan in scans if scan.gap_ms is not None]
    if not gaps:
        return None
    longest = max(gaps)
    wanted = ceil(longest * GAP_MARGIN / GAP_STEP_MS) * GAP_STEP_MS
    columns = zip(*(scan.data for scan in scans), strict=False)
    common = bytes(column[0] for column in takewhile(lambda one: len(set(one)) == 1, columns))
    # A bracket opens an AIM identifier; letters and digits may be the codes' own.
    prefix = re.match(r"[!-/:-@\[\\^-`{-~]{0,8}", common.decode("latin-1"))
    assert prefix is not None
    return Rhythm(longest, wanted, prefix[0] if len(scans) > 1 else "")


def _alike(profile: ScannerProfile, chosen: ScannerProfile) -> bool:
    """What arrived legibly came over this wire, so another must set it the same."""
    return profile.kind == chosen.kind and profile.line() == chosen.line()


def _fits(profile: ScannerProfile, bursts: Sequence[bytes]) -> bool:
    for burst in bursts:
        scans = _framed(profile, burst)
        clean = len(scans) == 1 and (profile.aim or not aim.split(scans[0].raw)[0])
        if not clean or not (scans[0].complete or profile.idle_ms):
            return False
    return bool(bursts)


def _framed(profile: ScannerProfile, burst: bytes) -> list[Scan]:
    framer = framer_for(profile)
    return framer.feed(burst, 0) + framer.tick(SILENCE_MS)


def _without_end(burst: bytes) -> tuple[str, bytes]:
    for name, end in _ENDS:
        if burst.endswith(end):
            return name, burst.removesuffix(end)
    return "none", burst


def _against_test(text: str) -> str:
    if text == TEST_TEXT:
        return "whole"
    if text.upper() == TEST_TEXT:
        return "case"
    similar = text[:3].upper() == TEST_TEXT[:3] and "0123456789" in text
    return "layout" if similar else ""


def _legible(text: str) -> bool:
    """A wrong baud rate gives control characters and replacement signs in quantity."""
    bad = sum(1 for one in text if not one.isprintable())
    return bool(text) and bad * _NOISE_PARTS <= len(text)
