"""What head office does about a fork, as far as it is more than one call.

Responsible for: the journal of a stopped disk as a file, and the names of what was kept apart. Not
responsible for: choosing (`world`) or judging (`audit`).
"""

from pathlib import Path

from central import branch_reports
from central.service import Central
from terminal import export
from tests.simulation.till import Till


def rescue(till: Till, folder: Path) -> Path | None:
    """The current epoch of a running terminal's journal, None where its file cannot be read."""
    assert till.process is not None
    identity, journal = till.process.parts.identity, till.process.parts.journal
    if journal.broken:
        return None
    lines = export.lines(
        journal, epoch=identity.epoch, since=0, merchant=identity.merchant, posid=identity.posid
    )
    file = folder / f"{till.name}.rescued"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def kept(central: Central) -> list[str]:
    """The names of all branches."""
    with central.read() as work:
        return [str(row["branch"]) for row in branch_reports.summaries(work)]
