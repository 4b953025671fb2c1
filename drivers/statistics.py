"""What a device has done over its life, kept across restarts.

Responsible for: counters by name, whole on disk, and listeners that count what passes through them.
Not responsible for: devices. The names are those of UnifiedPOS where it has one.
Invariant: a file that cannot be read or written never stops a device: counting starts again from
nothing, and `fault` says why.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from drivers.escpos.job import JobState
from drivers.escpos.printer import Outlook
from drivers.events import DeviceEvent, Presence
from drivers.scanner.scan import Scan


class Counter(StrEnum):
    """What is counted."""

    GOOD_SCANS = "good_scan_count"
    UNCERTAIN_SCANS = "uncertain_scan_count"
    SLIPS_PRINTED = "slips_printed_count"
    SLIPS_UNKNOWN = "slips_unknown_count"
    SLIPS_FAILED = "slips_failed_count"
    COMMUNICATION_ERRORS = "communication_error_count"


class Tally:
    """Counters of one device. Thread-safe; `save` when there is a quiet moment."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self.fault = ""
        if path is not None:
            self._counts = self._read(path)

    def add(self, counter: Counter, amount: int = 1) -> None:
        """Count."""
        with self._lock:
            self._counts[counter] = self._counts.get(counter, 0) + amount

    def counts(self) -> dict[str, int]:
        """All counters so far."""
        with self._lock:
            return dict(self._counts)

    def save(self) -> None:
        """Write all counters; whole or not at all."""
        if self._path is None:
            return
        beside = self._path.with_name(self._path.name + ".new")
        try:
            beside.write_text(json.dumps(self.counts(), sort_keys=True) + "\n")
            beside.replace(self._path)
        except OSError as fault:
            self.fault = str(fault)

    def _read(self, path: Path) -> dict[str, int]:
        try:
            found = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as fault:
            self.fault = str(fault)
            return {}
        if not isinstance(found, dict):
            self.fault = "not an object"
            return {}
        return {str(name): count for name, count in found.items() if type(count) is int}


_BY_STATE = {
    JobState.PRINTED: Counter.SLIPS_PRINTED,
    JobState.UNCONFIRMED: Counter.SLIPS_PRINTED,
    JobState.UNKNOWN: Counter.SLIPS_UNKNOWN,
    JobState.FAILED: Counter.SLIPS_FAILED,
}


def counted_outlook(outlook: Outlook, tally: Tally) -> Outlook:
    """The same listeners, counting; the file is written when a slip ends or the device changes."""

    def on_job(job_id: str, state: JobState, detail: str) -> None:
        if (counter := _BY_STATE.get(state)) is not None:
            tally.add(counter)
            tally.save()
        outlook.on_job(job_id, state, detail)

    return replace(outlook, on_job=on_job, on_event=counted_events(outlook.on_event, tally))


def counted_scans(on_scan: Callable[[Scan], None], tally: Tally) -> Callable[[Scan], None]:
    """The same listener, counting."""

    def counting(scan: Scan) -> None:
        tally.add(Counter.GOOD_SCANS if scan.complete else Counter.UNCERTAIN_SCANS)
        on_scan(scan)

    return counting


def counted_events(
    on_event: Callable[[DeviceEvent], None], tally: Tally
) -> Callable[[DeviceEvent], None]:
    """The same listener, counting losses; the file is written at each change."""

    def counting(event: DeviceEvent) -> None:
        if event.presence is Presence.LOST:
            tally.add(Counter.COMMUNICATION_ERRORS)
        tally.save()
        on_event(event)

    return counting
