"""A printer, its wire and the job engine on one fake clock, without threads.

The rig stands where the worker, the link and the kernel stand in real life: it moves bytes when
there is room, keeps the host's own buffer of accepted bytes, and can pull the plug. Everything that
happens is repeatable to the millisecond.
"""

from dataclasses import dataclass, field

from drivers.emulated.machine import Build, Machine
from drivers.emulated.paper import CUT_TEXT
from drivers.escpos.engine import Engine
from drivers.escpos.job import Discard, Job, JobReport, JobState, StatusReport
from drivers.escpos.layout import lay_out
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.slip import Cut, Line, Slip
from drivers.escpos.status import PrinterStatus

KERNEL_BYTES = 4096
ENDED = (JobState.PRINTED, JobState.UNCONFIRMED, JobState.UNKNOWN, JobState.FAILED)


def numbered(lines: int, tag: str = "行") -> Slip:
    """A slip on which every line is different, and a cut."""
    return Slip((*(Line(f"{tag} {number:03d} 优惠券 voucher") for number in range(lines)), Cut()))


@dataclass
class Rig:
    """Build it, `plug` it in, `run` it."""

    profile: PrinterProfile = field(
        default_factory=lambda: PrinterProfile(baud=115200, cut="partial", line_ms=25)
    )
    build: Build = field(default_factory=lambda: Build(baud=115200, line_ms=25))
    kernel_bytes: int = KERNEL_BYTES
    sees_wire: bool = True

    def __post_init__(self) -> None:
        self.now = 0
        self.engine = Engine(self.profile, seed=7)
        self.machine = Machine(self.build)
        self.plugged = False
        self.journal: list[str] = []
        self.told: list[JobReport] = []
        self.statuses: list[PrinterStatus] = []
        self.kernel = bytearray()
        self.sent = 0

    def plug(self) -> None:
        """The port opens."""
        self.plugged = True
        self.engine.link_up(self.now, sees_wire=self.sees_wire)

    def unplug(self) -> None:
        """The port goes away, and with it what the kernel had not sent."""
        self.plugged = False
        self.kernel.clear()
        self.engine.link_down(self.now)
        self._listen()

    def submit(self, job_id: str, slip: Slip) -> None:
        """Queue a slip."""
        self.engine.submit(Job(job_id, lay_out(slip, self.profile)), self.now)
        self._listen()

    def run(self, ms: int, until_end_of: str | None = None) -> None:
        """Let time pass, at most so long, or until a job has ended."""
        end = self.now + ms
        while self.now < end:
            self._step()
            if until_end_of is not None and self.state(until_end_of) in ENDED:
                return
            self.now = min(end, self._next())

    def state(self, job_id: str) -> JobState | None:
        """The last thing told about a job."""
        told = [report.state for report in self.told if report.job_id == job_id]
        return told[-1] if told else None

    def detail(self, job_id: str) -> str:
        """The last detail told about a job."""
        return [report.detail for report in self.told if report.job_id == job_id][-1]

    def lines(self) -> list[str]:
        """What is on the paper, without empty lines."""
        return [line for line in self.machine.paper.text().splitlines() if line]

    def _next(self) -> int:
        times = [self.now + 250]
        if (due := self.engine.due_ms(self.now)) is not None:
            times.append(due)
        if (moment := self.machine.next_ms()) is not None:
            times.append(int(moment) + 1)
        busy = self.plugged and (self.kernel or self.engine.outgoing())
        times += [self.now + 2] if busy and self.machine.room() else []
        return max(self.now + 1, min(times))

    def _step(self) -> None:
        self.machine.advance(self.now)
        if self.plugged:
            self._move_bytes()
        self.engine.tick(self.now)
        if self.plugged and self.sees_wire and self.engine.looks_at_wire:
            self.engine.wire(held=not self.machine.clear_to_send, now_ms=self.now)
        self._listen()
        job_id = self.engine.startable(self.now)
        if job_id is not None:
            self.journal.append(job_id)
            self.engine.begin(job_id, self.now)
            self._listen()

    def _move_bytes(self) -> None:
        if reply := self.machine.answers(self.now):
            self.engine.received(reply, self.now)
        data = self.engine.outgoing()[: max(0, self.kernel_bytes - len(self.kernel))][:256]
        if self.engine.outgoing():
            self.kernel += data
            self.sent += len(data)
            self.engine.taken(len(data), self.now)
        room = self.machine.room()
        if self.kernel and room:
            self.machine.receive(bytes(self.kernel[:room]), self.now)
            del self.kernel[:room]

    def _listen(self) -> None:
        for event in self.engine.events():
            match event:
                case JobReport():
                    self.told.append(event)
                case StatusReport(status):
                    self.statuses.append(status)
                case Discard():
                    self.kernel.clear()


def wanted(slip: Slip) -> list[str]:
    """What a slip of `numbered` must look like on paper."""
    return [block.text for block in slip.blocks if isinstance(block, Line)] + [CUT_TEXT]


def check_honest(rig: Rig, job_id: str, slip: Slip) -> None:
    """Printed means: every line once, in order, and the cut. And nothing is ever there twice."""
    lines = [line for line in rig.lines() if line != "□"]
    want = wanted(slip)
    if rig.state(job_id) is JobState.PRINTED:
        assert lines == want, f"told printed, but the paper says {lines}"
    doubled = {line for line in lines if lines.count(line) > 1}
    assert not doubled, f"twice on paper: {doubled}"
    put_back = [one for one in rig.told if one == JobReport(job_id, JobState.QUEUED, "not_started")]
    assert rig.journal.count(job_id) == 1 + len(put_back), "journalled each time that it begins"
