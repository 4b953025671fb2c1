"""The job engine: which bytes to send when, and what became of each slip. Pure.

Responsible for: the queue, one job at a time, beginning a job only with a printer that can print,
the window, status, and the honest end of every job. Not responsible for: threads, ports, the
journal (the worker tells it before `begin`), or laying out.

Promises (hardware notes, section 10):
- `printed` is said only when each block was confirmed in order; a lost confirmation is `unknown`.
- No byte of a job is offered twice, and nothing of a job that ended leaves afterwards.
- A stopped printer (paper, cover) keeps what it has and goes on by itself: the engine waits.
- A job whose first byte has not left when the link is lost is queued again; any other is `unknown`.
- A printer that does macros proves with each block that its power has not failed since before the
  job (decision 0025): one that lost its power answers nothing, and the job is `unknown`.
- Without: a job in which the host was held back without a word of the printer's, or which is
  confirmed by a printer that never said that it goes on after a stop, is `unknown`; and where the
  host may be held and that cannot be seen, it is `unconfirmed`. What is left is a printer that
  takes bytes again sooner after a loss than one block takes on its wire, a quarter of a second.
- A jam at the cutter is over when a person has opened and closed the cover: the printer is told to
  go on from the line it failed in, which it does not do by itself.
- After a job that ended badly the printer may hold half a command: it is fed as many NULs as that
  command can lack, then initialised, before anything else is printed.
"""

from collections import deque

from drivers.escpos import encode
from drivers.escpos.handshake import Handshake
from drivers.escpos.hold import LOOK_MS, Hold
from drivers.escpos.job import NOT_STARTED, Discard, Event, Job, JobReport, JobState, StatusReport
from drivers.escpos.layout import CONFIRM_BYTES
from drivers.escpos.outbox import Kind, Outbox
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.reply import Answer, Barrier, Printed, ReplyParser, Text
from drivers.escpos.status import Heat, PrinterStatus, cleared
from drivers.escpos.watch import Watch, question_bytes
from drivers.escpos.window import Match, Window, identifiers

STALLED_MS = 2_000
STALLED_GIVE_UP_MS = 30_000
UNPROVED_MAX = 2  # power that failed between two jobs explains one
SETTLE_MS = 3_000  # barriers carry no name: after a lost one, late ones must not be counted


class Engine:
    """One printer. Every method is told the time; the order of events is the order of truth."""

    def __init__(self, profile: PrinterProfile, *, seed: int = 0) -> None:
        self.profile = profile
        self._ids = identifiers(seed)
        self._parser = ReplyParser()
        self._watch = Watch(profile)
        self._handshake = Handshake(profile, self._ids)
        self._out = Outbox()
        self._hold = Hold(profile.flow)
        self._queue: deque[Job] = deque()
        self._job: Job | None = None
        self._window: Window | None = None
        self._events: deque[Event] = deque()
        self._status = PrinterStatus.LOST
        self._up = False
        self._heat = Heat()
        self._owed_nuls = profile.window  # a process before this one may have died in a command
        self._settled_ms = 0
        self._greetings = 0  # since the last one that was answered
        self._unproved = 0

    # What the worker asks

    @property
    def status(self) -> PrinterStatus:
        """The printer in one word."""
        return self._status

    @property
    def job_id(self) -> str | None:
        """The job under way."""
        return self._job.job_id if self._job else None

    @property
    def confirm(self) -> str:
        """How blocks are confirmed with this printer: `gs_h`, `gs_r` or `none`."""
        return self._handshake.confirm

    @property
    def junk(self) -> int:
        """Bytes from the printer that fitted nowhere."""
        return self._parser.junk

    @property
    def looks_at_wire(self) -> bool:
        """The worker should say again and again whether the wire holds the host (`wire`)."""
        return self._hold.watched and self._job is not None

    def backlog(self) -> tuple[str, ...]:
        """The jobs that wait."""
        return tuple(job.job_id for job in self._queue)

    def outgoing(self) -> bytes:
        """Bytes to offer to the link now; say with `taken` how many it took."""
        return self._out.head()

    def events(self) -> list[Event]:
        """What happened since the last call, in order."""
        events = list(self._events)
        self._events.clear()
        return events

    def due_ms(self, now_ms: int) -> int | None:
        """When `tick` has something to do next, or None."""
        times = [min((job.until_ms for job in self._queue if job.until_ms), default=None)]
        if self._up:
            times += [self._watch.due_ms(), self._handshake.due_ms, self._settled_ms]
            times += [self._window.due_ms] if self._window else []
            times += [now_ms + LOOK_MS] if self.looks_at_wire else []
        if self._out.stalled_since is not None:
            times += [self._out.stalled_since + STALLED_MS]
            times += [self._out.stalled_since + STALLED_GIVE_UP_MS]
        times += [self._heat.due_ms]
        return min((time for time in times if time is not None and time > now_ms), default=None)

    def startable(self, now_ms: int) -> str | None:
        """The job to begin now, if the printer can print. The worker journals, then begins it."""
        ready = self._up and self._handshake.done and now_ms >= self._settled_ms
        stopped = self._watch.condition.blocked or self._watch.silent
        idle = self._job is None and not self._out.pending and not self._watch.barrier_open
        return self._queue[0].job_id if ready and idle and not stopped and self._queue else None

    # What the worker tells

    def submit(self, job: Job, now_ms: int) -> None:
        """Take a job. One that is already here is not taken twice."""
        if job.job_id == self.job_id or job.job_id in self.backlog():
            return
        self._queue.append(job)
        self._report(job.job_id, JobState.QUEUED)
        self._settle(now_ms)

    def begin(self, job_id: str, now_ms: int) -> None:
        """The journal knows: send it."""
        assert self.startable(now_ms) == job_id
        self._job = self._queue.popleft()
        blocks, macro = self._job.blocks, self._handshake.macro
        self._window = Window(blocks, self.profile, self._ids, confirm=self.confirm, macro=macro)
        self._hold.begin()
        self._report(job_id, JobState.PRINTING)
        self._settle(now_ms)

    def refuse(self, job_id: str, detail: str) -> None:
        """The journal could not be told: the job must not leave."""
        self._drop_queued(job_id, JobState.FAILED, detail)

    def abandon(self, job_id: str, now_ms: int) -> None:
        """A person gave the job up, waiting or under way."""
        if job_id == self.job_id:
            self._end_badly(JobState.ABANDONED, "by_hand", now_ms)
        else:
            self._drop_queued(job_id, JobState.ABANDONED, "by_hand")
        self._settle(now_ms)

    def link_up(self, now_ms: int, *, sees_wire: bool = True) -> None:
        """The port is open; `sees_wire`: it can be told when the printer's wire holds the host."""
        self._up = True
        self._hold.opened(seen=sees_wire)
        self._parser.reset()
        self._watch.restart(now_ms)
        self._greet()
        self._settle(now_ms)

    def link_down(self, now_ms: int) -> None:
        """The port is gone."""
        self._up = False
        self._handshake.forget()
        if self._job is not None and self._window is not None:
            if self._window.started:
                self._end_badly(JobState.UNKNOWN, "link_lost", now_ms)
            else:
                self._put_back()
        self._out.clear()
        self._settle(now_ms)

    def taken(self, count: int, now_ms: int) -> None:
        """The link took so many of the bytes that were offered."""
        if count and self._window is not None and self._out.head_kind is Kind.BLOCK:
            self._window.started = not self._window.proving
        for kind in self._out.taken(count, now_ms):
            if kind is Kind.BLOCK and self._window is not None:
                self._window.block_taken(now_ms)
            elif kind is Kind.QUESTION:
                self._watch.asked(now_ms, self._wire_ms())
            elif kind is Kind.HANDSHAKE:
                self._handshake.asked(now_ms, self._wire_ms())
        self._settle(now_ms)

    def wire(self, *, held: bool, now_ms: int) -> None:
        """The printer's wire holds the host back now, or does not."""
        since = self._out.stalled_since
        stalled = since is not None and now_ms - since >= LOOK_MS
        self._hold.look(
            held=held or stalled, explained=self._watch.condition.blocked, now_ms=now_ms
        )

    def received(self, data: bytes, now_ms: int) -> None:
        """The printer sent bytes."""
        for answer in self._parser.feed(data, now_ms):
            was_silent, barrier_asked = self._watch.silent, self._watch.barrier_open
            before = self._watch.condition
            self._watch.heard(answer, now_ms)
            if cleared(before, self._watch.condition):
                self._out.put_first(encode.RECOVER_RESUME, Kind.CONTROL)
            if isinstance(answer, Text) and answer.powered_on:
                self._powered_on(now_ms)
            elif was_silent and self._job is None and not self._handshake.fresh:
                self._greet()  # it may have been switched off and on: it knows nothing now
            if not barrier_asked:
                self._confirmation(answer, now_ms)
        self._settle(now_ms)

    def tick(self, now_ms: int) -> None:
        """Time passed."""
        asked = self._watch.barrier_open
        self._watch.tick(now_ms)
        if asked and not self._watch.barrier_open:
            self._wait_for_strays(now_ms)
        stopped = self._watch.condition.blocked or self._watch.silent
        if self._handshake.tick(now_ms, stopped=stopped):
            self._greet()
        self._expire(now_ms)
        self._check_deadline(now_ms)
        self._check_stall(now_ms)
        self._settle(now_ms)

    # Inside

    def _confirmation(self, answer: Answer, now_ms: int) -> None:
        if self._handshake.heard(answer, now_ms):
            return
        window = self._window
        if window is None:
            if isinstance(answer, Barrier):
                self._wait_for_strays(now_ms)
            return
        if not isinstance(answer, Barrier | Printed):
            return
        if not window.macro and self._watch.unannounced(now_ms):
            self._powered_on(now_ms)
            return
        proving = window.proving
        match = window.heard(answer, now_ms)
        if match is Match.GAP:
            self._end_badly(JobState.UNKNOWN, "block_lost", now_ms)
        elif match is Match.NEXT and proving:
            self._unproved = 0
        elif match is Match.NEXT and window.done:
            self._finish(window, now_ms)

    def _finish(self, window: Window, now_ms: int) -> None:
        """Each block was confirmed; whether that is enough."""
        if not window.macro and self._hold.doubtful:
            self._end_badly(JobState.UNKNOWN, "held", now_ms)
        elif not window.macro and self._hold.blind:
            self._end(JobState.UNCONFIRMED, "wire_unseen")
        else:
            self._end(JobState.PRINTED, "")

    def _wait_for_strays(self, now_ms: int) -> None:
        """Barriers carry no name: one that nobody waits for may not be the last."""
        if self.confirm == "gs_r":
            self._settled_ms = now_ms + SETTLE_MS

    def _powered_on(self, now_ms: int) -> None:
        if self._job is None:
            self._greet()
        else:
            self._end_badly(JobState.UNKNOWN, "power_lost", now_ms)

    def _check_deadline(self, now_ms: int) -> None:
        window = self._window
        if window is None or window.due_ms is None or now_ms < window.due_ms:
            return
        if window.unsure:
            window.passed(now_ms)
            if window.done:
                self._end(JobState.UNCONFIRMED, "no_confirmation")
        elif window.proving:
            self._not_proved(now_ms)
        elif self._watch.silent:
            self._end_badly(JobState.UNKNOWN, "silent", now_ms)
        elif not (self._watch.slow and window.grace(now_ms)):
            self._end_badly(JobState.UNKNOWN, "not_confirmed", now_ms)

    def _not_proved(self, now_ms: int) -> None:
        """It lost its power since it was greeted, or its macro; nothing of the job has left."""
        self._unproved += 1
        if self._unproved > UNPROVED_MAX:
            self._handshake.without_macro()
        self._put_back()
        self._owed_nuls = max(self._owed_nuls, 2 * CONFIRM_BYTES)
        self._clear_away(now_ms)

    def _put_back(self) -> None:
        assert self._job is not None
        self._queue.appendleft(self._job)
        self._report(self._job.job_id, JobState.QUEUED, NOT_STARTED)
        self._job = self._window = None

    def _check_stall(self, now_ms: int) -> None:
        since = self._out.stalled_since
        if since is None or self._job is None:
            return
        if self._watch.condition.blocked:
            self._out.stalled_since = now_ms  # it said why; from its end on it must take bytes
            return
        if now_ms - since >= STALLED_GIVE_UP_MS:
            self._end_badly(JobState.UNKNOWN, "stalled", now_ms)

    def _expire(self, now_ms: int) -> None:
        for job in list(self._queue):
            if job.until_ms is not None and now_ms >= job.until_ms:
                self._drop_queued(job.job_id, JobState.FAILED, "too_late")

    def _end(self, state: JobState, detail: str) -> None:
        assert self._job is not None
        self._report(self._job.job_id, state, detail)
        self._job = self._window = None

    def _end_badly(self, state: JobState, detail: str, now_ms: int) -> None:
        assert self._window is not None
        self._owed_nuls = max(self._owed_nuls, self._window.unconfirmed_bytes)
        self._end(state, detail)
        self._clear_away(now_ms)

    def _clear_away(self, now_ms: int) -> None:
        """What is under way is given up."""
        self._wait_for_strays(now_ms)
        self._out.clear()
        self._watch.withdrawn()
        self._events.append(Discard())
        if self._up:
            self._greet()

    def _greet(self) -> None:
        """Bring the printer to a known state and find out how it confirms."""
        self._greetings += 1
        self._out.clear()
        self._watch.withdrawn()
        greeting = b"\x00" * self._owed_nuls + encode.job_start(self.profile)
        self._out.put(greeting + self._handshake.start(), Kind.HANDSHAKE)

    def _settle(self, now_ms: int) -> None:
        """After every event: fill the window, ask what is due, and tell the status."""
        if self._handshake.done and not self._out.has(Kind.HANDSHAKE):
            self._owed_nuls = 0
            if self._greetings > 1:  # the answers to the one before may still come
                self._wait_for_strays(now_ms)
            self._greetings = 0
        if self._window is not None:
            self._fill(self._window, now_ms)
        if self._up and not self._out.has(Kind.QUESTION):
            question = self._watch.question(now_ms, busy=self._job is not None)
            if question is not None:
                self._out.put_first(question_bytes(question), Kind.QUESTION)
        self._tell_status(now_ms)

    def _fill(self, window: Window, now_ms: int) -> None:
        if self._watch.condition.blocked and not self._watch.silent:
            window.hold()
            return
        if window.due_ms is None:
            window.allow(now_ms)  # also for a silent one: without power it will not go on
        while not self._watch.silent and (block := window.next_block()) is not None:
            self._out.put(block, Kind.BLOCK)

    def _tell_status(self, now_ms: int) -> None:
        status = self._word(now_ms)
        if status is not self._status:
            self._status = status
            self._events.append(StatusReport(status))

    def _word(self, now_ms: int) -> PrinterStatus:
        if not self._up:
            return PrinterStatus.LOST
        condition, since = self._watch.condition, self._out.stalled_since
        stalled = since is not None and now_ms - since >= STALLED_MS and not condition.blocked
        if self._watch.silent or stalled:
            return PrinterStatus.SILENT
        return self._heat.word(condition, now_ms)

    def _drop_queued(self, job_id: str, state: JobState, detail: str) -> None:
        kept = deque(job for job in self._queue if job.job_id != job_id)
        if len(kept) < len(self._queue):
            self._queue = kept
            self._report(job_id, state, detail)

    def _report(self, job_id: str, state: JobState, detail: str = "") -> None:
        self._events.append(JobReport(job_id, state, detail))

    def _wire_ms(self) -> int:
        under_way = self._window.unconfirmed_bytes if self._window else self._owed_nuls
        return under_way * 10_000 // self.profile.baud
