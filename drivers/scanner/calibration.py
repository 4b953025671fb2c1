"""From some scans of an unknown serial scanner to the settings for it.

Responsible for: proposing terminators, prefix, identifiers and silence from recorded scans, and
recording them. Not responsible for: keyboard scanners (`burst`), or choosing a baud rate. The
proposal is pure; recording opens the port. Scans are told apart by pauses, because nothing else is
known yet: whoever records asks the person to scan slowly.
"""

import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from drivers.link import LineSettings, Link
from drivers.ports import resolve
from drivers.scanner import aim

APART_MS = 500
IDLE_MS_MIN = 120
_SUFFIXES = {b"\r": "cr", b"\n": "lf", b"\x03": "etx", b"\t": "tab"}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes that arrived together, and when."""

    data: bytes
    at_ms: int


@dataclass(frozen=True, slots=True)
class SerialProposal:
    """Settings for a scanner profile; `advice` is empty when all is well."""

    terminators: tuple[str, ...]
    prefix: str
    aim: bool
    idle_ms: int
    slowest_pause_ms: int
    advice: str


def propose_serial(chunks: Sequence[Chunk]) -> SerialProposal:
    """The settings that fit what was recorded; at least three scans, ten are better."""
    scans = _apart(chunks)
    pause = max((_slowest_pause(scan) for scan in scans), default=0)
    whole = [b"".join(chunk.data for chunk in scan) for scan in scans]
    ends = _terminators(whole)
    starts = [data.lstrip(b"\x00\xff") for data in whole]
    identifiers = bool(starts) and all(aim.split(data)[0] for data in starts)
    prefix = _prefix(starts)
    idle_ms = 0 if ends else max(IDLE_MS_MIN, 2 * pause)
    return SerialProposal(ends, prefix, identifiers, idle_ms, pause, _advice(whole, ends))


def record(port: str, settings: LineSettings, scans: int, patience_s: float) -> list[Chunk]:
    """What a scanner sends until so many scans were made or time is up. Raises DriverError."""
    arrived: queue.SimpleQueue[Chunk] = queue.SimpleQueue()

    def heard(data: bytes) -> None:
        arrived.put(Chunk(data, time.monotonic_ns() // 1_000_000))

    def lost(reason: str) -> None:
        del reason  # what came before the loss is still worth proposing from

    link = Link(resolve(port), settings, on_bytes=heard, on_lost=lost)
    chunks: list[Chunk] = []
    deadline = time.monotonic() + patience_s
    try:
        link.open()
        while (left := deadline - time.monotonic()) > 0:
            enough = len(_apart(chunks)) >= scans
            try:
                chunks.append(arrived.get(timeout=min(left, APART_MS / 1000) if enough else left))
            except queue.Empty:
                break
    finally:
        link.close()
    return chunks


def _apart(chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    scans: list[list[Chunk]] = []
    for chunk in chunks:
        if scans and chunk.at_ms - scans[-1][-1].at_ms < APART_MS:
            scans[-1].append(chunk)
        else:
            scans.append([chunk])
    return scans


def _slowest_pause(scan: list[Chunk]) -> int:
    times = [chunk.at_ms for chunk in scan]
    return max((late - early for early, late in pairwise(times)), default=0)


def _terminators(whole: list[bytes]) -> tuple[str, ...]:
    """The endings that all scans share, the first byte first."""
    names: list[str] = []
    rest = list(whole)
    while rest and all(data for data in rest) and len({data[-1:] for data in rest}) == 1:
        name = _SUFFIXES.get(rest[0][-1:])
        if name is None:
            break
        names.insert(0, name)
        rest = [data[:-1] for data in rest]
    return tuple(dict.fromkeys(names))


def _prefix(starts: list[bytes]) -> str:
    """A control character in front of every scan, such as STX."""
    firsts = {data[:1] for data in starts}
    first = firsts.pop() if len(firsts) == 1 else b""
    return first.decode("latin-1") if first and first < b" " else ""


def _advice(whole: list[bytes], ends: tuple[str, ...]) -> str:
    if len(whole) < 3:
        return "scan at least three different codes, a second apart"
    if len(set(whole)) == 1:
        return "scan different codes: from one code a prefix cannot be told"
    if not ends:
        return "program a suffix (Enter) into the scanner: ends by silence are slow and uncertain"
    return ""
