"""The print follower: jobs from the journal to paper, and what became of them back.

Responsible for: handing queued jobs to the printer one at a time, recording `printing` durably
before the first byte, recording the outcome, and not spitting out a backlog after an outage.
Not responsible for: the printer's protocol (`drivers`), wording (`slips`), or redeeming; a slip
that fails never undoes a redemption. Invariants: a job is handed over once; a job of unknown fate
waits for a person; a job that was settled or became too old while the printer was away does not
begin, whoever holds it.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from drivers.escpos.job import NOT_STARTED, JobState
from drivers.escpos.printer import Outlook, Printer, Withdrawn
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.status import PrinterStatus
from drivers.statistics import Tally, counted_outlook
from terminal import history, slip_jobs, slips
from terminal.counter import ShopCounter
from terminal.errors import TerminalError
from terminal.parts import Parts
from terminal.slip_jobs import Job
from terminal.slips import SlipStyle
from vouchers.entries import Kind
from vouchers.times import MINUTE_MS

_LOOK_S: Final = 5.0
"""How often the queue is looked at without being woken."""

_FINAL: Final = frozenset(
    {JobState.PRINTED, JobState.UNCONFIRMED, JobState.UNKNOWN, JobState.FAILED, JobState.ABANDONED}
)

_WANTED: Final = frozenset({"queued", "printing"})
"""States in which a job that the driver held may begin; `printing` if no byte of it had left, and
that could not be recorded.
"""


class PrintWorker:
    """One printer and the thread that feeds it from the journal."""

    def __init__(
        self,
        counter: ShopCounter,
        port: str,
        profile: PrinterProfile,
        *,
        style: SlipStyle,
        backlog_minutes: int,
        statistics: Path | None = None,
    ) -> None:
        self._counter = counter
        self._style = style
        self._backlog_ms = backlog_minutes * MINUTE_MS
        self._tally = Tally(statistics)
        outlook = counted_outlook(Outlook(on_job=self._told), self._tally)
        self._printer = Printer(port, profile, journal=self, outlook=outlook)
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._handed: int | None = None
        self._thread = threading.Thread(target=self._run, name="print jobs", daemon=True)
        self.on_change: Callable[[], None] = lambda: None
        """Called after a job's state changed, from the worker's thread."""

    @property
    def status(self) -> PrinterStatus:
        """The printer in one word."""
        return self._printer.status

    def start(self) -> None:
        """Open the printer and follow the journal."""
        self._printer.start()
        self._thread.start()

    def stop(self) -> None:
        """End; a job under way becomes a question for the next start."""
        self._stopping.set()
        self._wake.set()
        self._printer.stop()
        self._tally.save()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def wake(self) -> None:
        """There may be a new job."""
        self._wake.set()

    def printing(self, job_id: str) -> None:
        """The first byte is about to leave (drivers' journal port): make that durable first.

        Raises Withdrawn for a job that is no longer wanted; an outage may have been long.
        """
        self._counter.exclusive(lambda parts: self._begin(parts, int(job_id)))

    def _begin(self, parts: Parts, number: int) -> None:
        job = slip_jobs.by_id(parts.journal.connection, number)
        if job.state not in _WANTED:
            raise Withdrawn
        now = parts.clock.estimate().now
        if self._stale(job, now):
            self._leave_out(parts, now, [job])
            raise Withdrawn
        with parts.journal.transaction() as connection:
            slip_jobs.set_state(connection, number, "printing", now)

    def _told(self, job_id: str, state: JobState, detail: str) -> None:
        if state is JobState.QUEUED and detail == NOT_STARTED:
            self._counter.exclusive(lambda parts: slip_jobs.put_back(parts, int(job_id)))
        if state not in _FINAL:
            return
        try:
            if state is not JobState.ABANDONED:  # who withdrew it has recorded why
                self._record(int(job_id), str(state), detail)
        finally:
            self._handed = None
            self._wake.set()
            self.on_change()

    def _record(self, job: int, state: str, detail: str) -> None:
        """What became of a job; what a clerk must know of it is not left to the tape alone."""

        def write(parts: Parts) -> None:
            estimate = parts.clock.estimate()
            with parts.journal.transaction() as connection:
                slip_jobs.set_state(connection, job, state, estimate.now, detail)
                if state == "unknown":
                    known = slip_jobs.by_id(connection, job)
                    data: dict[str, object] = {"serial": known.serial, "copy": known.copy}
                    stamp = parts.stamp(estimate, self._counter.clerk)
                    parts.journal.append(connection, Kind.PRINTED_UNKNOWN, data, stamp)
            if state == "failed":
                serial = slip_jobs.by_id(parts.journal.connection, job).serial
                history.note(parts, "slip_failed", serial, {})

        self._counter.exclusive(write)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            with suppress(TerminalError):  # the journal is out; the job is still queued
                self._hand_next()
            self._wake.wait(_LOOK_S)

    def _hand_next(self) -> None:
        if self._handed is not None:
            return
        job = self._counter.exclusive(self._next)
        if job is not None:
            self._handed = job.job
            policy = self._counter.parts.policy
            style = replace(
                self._style, successor=policy.receipt.successor, slip_text=policy.slip_text or ""
            )
            self._printer.submit(str(job.job), slips.compose(job.facts, job.code, job.copy, style))

    def _next(self, parts: Parts) -> Job | None:
        """The next job that is not stale; the stale ones stay in the history for a reprint."""
        now = parts.clock.estimate().now
        job = slip_jobs.next_queued(parts.journal.connection)
        if job is not None and self._stale(job, now):
            self._leave_out(parts, now, [])
            job = slip_jobs.next_queued(parts.journal.connection)
        return job

    def _stale(self, job: Job, now: int) -> bool:
        return now - job.created_at > self._backlog_ms

    def _leave_out(self, parts: Parts, now: int, held: list[Job]) -> None:
        """Give up what is stale, and one that the driver held, and tell the clerk how many."""
        connection = parts.journal.connection
        queued = [job for job in slip_jobs.in_state(connection, "queued") if self._stale(job, now)]
        stale = {job.job for job in (*held, *queued)}
        with parts.journal.transaction() as writing:
            for job in stale:
                slip_jobs.set_state(writing, job, "abandoned", now, "backlog")
        history.note(parts, "print_backlog", None, {"count": len(stale)})
