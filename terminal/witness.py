"""The witness: the journal's head, written a second time after each commit.

Responsible for: writing and comparing it (design, section 6, "Witness"). Not responsible for: what
to do about a difference. Invariants: it is written after the commit and before the slip; a witness
that is ahead of the journal proves that entries were lost or the journal was put back.
"""

import json
import os
from pathlib import Path

from msgspec import Struct

from terminal.journal import Head, Journal


class Finding(Struct, frozen=True):
    """What a comparison showed: `state` is `agrees, missing, behind, ahead, differs`."""

    state: str
    witnessed: Head | None


class Witness:
    """One small file, overwritten in place: its loss costs nothing, its presence proves."""

    def __init__(self, path: Path) -> None:
        self._path, self._name = path, os.fspath(path)

    def write(self, head: Head) -> None:
        """Record a head. Raises OSError, which must not undo the redemption."""
        line = f'{{"epoch": {head.epoch}, "seq": {head.seq}, "hash": "{head.hash}"}}'
        descriptor = os.open(self._name, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            # Always the same length, so that a short write cannot leave an older tail behind.
            os.pwrite(descriptor, line.ljust(160).encode() + b"\n", 0)
        finally:
            os.close(descriptor)

    def read(self) -> Head | None:
        """The witnessed head, None when there is none or it cannot be read."""
        try:
            raw = json.loads(self._path.read_text(encoding="utf-8"))
            return Head(int(raw["epoch"]), int(raw["seq"]), str(raw["hash"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def compare(self, journal: Journal) -> Finding:
        """Compare with the journal."""
        seen, head = self.read(), journal.head()
        if seen is None:
            return Finding("missing", None)
        if seen == head:
            return Finding("agrees", seen)
        if (seen.epoch, seen.seq) > (head.epoch, head.seq):
            return Finding("ahead", seen)
        if seen.epoch not in journal.epochs():
            return Finding("differs", seen)
        if seen.seq > journal.head(seen.epoch).seq:
            return Finding("ahead", seen)
        known = (
            journal.entry(seen.epoch, seen.seq).hash
            if seen.seq
            else journal.epoch_record(seen.epoch)[2]
        )
        return Finding("behind" if known == seen.hash else "differs", seen)
