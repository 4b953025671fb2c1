"""What a device has done over its life, kept across restarts.

Responsible for: counters by name, whole on disk. Not responsible for: who counts what; the names
are those of UnifiedPOS where it has one. Invariant: a file that cannot be read or written never
stops a device: counting starts again from nothing, and `fault` says why.
"""

import json
import threading
from enum import StrEnum
from pathlib import Path


class Counter(StrEnum):
    """What is counted."""

    GOOD_SCANS = "good_scan_count"
    DROPPED_SCANS = "dropped_scan_count"
    SLIPS_PRINTED = "slips_printed_count"
    SLIPS_UNKNOWN = "slips_unknown_count"
    DRAWER_KICKS = "drawer_good_open_count"
    COMMUNICATION_ERRORS = "communication_error_count"
    CONNECTED_SECONDS = "connected_seconds"


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
