"""An emulated printer without a wire: bytes and time in, paper and answers out.

Responsible for: the wire's speed, the receive buffer, the speed of printing, real-time commands at
reception, automatic status, and every fault. Pure: it is told the time, so a test can switch the
power off at each byte of a slip in a second. Not responsible for: what commands mean
(`interpreter`), threads and ports (`printer`).

Invariants: a byte that finds the buffer full is dropped and counted, never kept; while offline
nothing is printed and nothing is answered in order, but real-time questions are; without power
nothing happens at all and the buffer is forgotten, but the paper is not.
"""

from collections import deque
from dataclasses import dataclass, field

from drivers.emulated.interpreter import Interpreter
from drivers.emulated.macro import Macro
from drivers.emulated.paper import Paper

ALL_ANSWERS = frozenset({"asb", "dle_eot", "gs_r", "gs_h", "gs_i", "macro"})
ODD_ANSWERS = frozenset({"macro_mute", "macro_lost", "power_on"})
"""What few printers do: answer nothing while a macro is defined, lose it with ESC @, tell that they
were switched on."""
WIRE_BYTES_MAX = 64
_XON, _XOFF = 0x11, 0x13
_REAL_TIME = tuple(bytes((0x10, name, value)) for name in (4, 5) for value in (1, 2, 3, 4))


@dataclass(frozen=True, slots=True)
class Build:
    """What kind of printer it is. `baud` 0: bytes arrive at once; `line_ms` 0: prints at once.

    `rtscts`: the host is held by a wire, so what the printer cannot take waits in the host, also
    while it has no power. `busy_offline`: it holds the host whenever it is stopped, as many do by
    default, so that no question reaches it. `restart_ms`: from the power on until it takes bytes.
    """

    columns: int = 32
    dots: int = 384
    charset: str = "gb18030-2byte"
    buffer_bytes: int = 4096
    baud: int = 0
    line_ms: int = 0
    answers: frozenset[str] = ALL_ANSWERS
    xonxoff: bool = False
    rtscts: bool = False
    busy_offline: bool = False
    restart_ms: int = 0


@dataclass(slots=True)
class Levers:
    """Faults, to be pulled at any time. `paper_lines`: lines until the paper ends, None for many.

    `power_off_at`: the power fails when that many bytes have arrived in all, and with
    `power_back_ms` it is back by itself after so long. `late_ms` delays every answer. `noise` is
    sent in front of the next answer. `xoff`: the printer takes nothing more.
    """

    paper_out: bool = False
    paper_lines: int | None = None
    near_end: bool = False
    cover_open: bool = False
    cutter_error: bool = False
    broken: bool = False
    hot: bool = False
    silent: bool = False
    late_ms: int = 0
    xoff: bool = False
    noise: bytes = b""
    drop_next: int = 0
    power_off_at: int | None = None
    power_back_ms: int | None = None


@dataclass(slots=True)
class Counters:
    """What happened so far, for tests and for the curious."""

    received: int = 0
    dropped: int = 0
    printed_lines: int = 0
    power_cycles: int = 0
    drawer_kicks: int = 0
    heard: bytearray = field(default_factory=bytearray)


class Machine:
    """The printer. Call `advance` before looking at anything."""

    def __init__(self, build: Build | None = None) -> None:
        self.build = build or Build()
        self.paper = Paper(self.build.columns, self.build.dots)
        self.levers = Levers()
        self.count = Counters()
        self.powered = True
        self._wire: deque[int] = deque()
        self._wire_ms = self._busy_ms = self._ready_ms = self._now = 0.0
        self._back_ms: float | None = None
        self._cold()

    def _cold(self) -> None:
        self._buffer: deque[int] = deque()
        self._held = b""
        self._answers: deque[tuple[float, bytes]] = deque()
        self._asb_told = b""
        self._xoffed = False
        self._macro = Macro()
        self._interpret_anew()

    def _interpret_anew(self) -> None:
        build = self.build
        self.interpreter = Interpreter(self.paper, build.charset, build.answers, self._macro)

    @property
    def _awake(self) -> bool:
        """It takes bytes; without, and while it starts, they are lost or wait in the host."""
        return self.powered and self._now >= self._ready_ms

    # The host's side

    def room(self) -> int:
        """How many bytes the wire takes now; the rest waits in the host's system."""
        if not self._awake:
            # Without a wire that holds them, bytes to a printer without power are gone.
            return 0 if self.build.rtscts else WIRE_BYTES_MAX - len(self._wire)
        if self.levers.xoff or self._xoffed or (self.build.busy_offline and self._stopped()):
            return 0
        room = WIRE_BYTES_MAX - len(self._wire)
        if self.build.rtscts:
            room = min(room, self._size() - len(self._buffer) - len(self._wire))
        return max(0, room)

    @property
    def clear_to_send(self) -> bool:
        """The wire that lets the host send; down without power."""
        if not self.build.rtscts:
            return True
        stopped = self.build.busy_offline and self._stopped()
        return self._awake and not stopped and len(self._buffer) < self._size()

    def receive(self, data: bytes, now_ms: float) -> None:
        """The host sent bytes."""
        if not self._wire:
            self._wire_ms = max(self._wire_ms, now_ms) + self._byte_ms()
        self._wire.extend(data)
        self.advance(now_ms)

    def answers(self, now_ms: float) -> bytes:
        """The answers that are due, in order."""
        out = bytearray()
        while self._answers and self._answers[0][0] <= now_ms:
            out += self._answers.popleft()[1]
        return bytes(out)

    def next_ms(self) -> float | None:
        """When something happens by itself, or None."""
        times = [self._back_ms, self._arrival(), self._work_time()]
        if self._answers:
            times.append(self._answers[0][0])
        if self.powered and not self._awake:
            times.append(self._ready_ms)
        known = [time for time in times if time is not None]
        return min(known) if known else None

    # Time

    def advance(self, now_ms: float) -> None:
        """Everything that happens until now, in order."""
        while True:
            back, arrival, work = self._back_ms, self._arrival(), self._work_time()
            known = [time for time in (back, arrival, work) if time is not None]
            if not known or min(known) > now_ms:
                break
            self._now = max(self._now, min(known))
            if back == min(known):
                self.power_on(self._now)
            elif arrival == min(known):
                self._arrive()
            else:
                self._work()
        self._now = max(self._now, now_ms)
        if self._awake:
            self._tell_changes()

    def power_off(self) -> None:
        """The power fails: what was not printed is forgotten."""
        self.powered = False
        self._cold()

    def power_on(self, now_ms: float) -> None:
        """The power is back."""
        self._back_ms = None
        if self.powered:
            return
        self.powered = True
        self.count.power_cycles += 1
        self._now = max(self._now, now_ms)
        self._ready_ms = self._busy_ms = self._now + self.build.restart_ms
        if self.build.rtscts:  # what waited for the wire goes on
            self._wire_ms = max(self._wire_ms, self._ready_ms + self._byte_ms())
        if "power_on" in self.build.answers:  # a memory switch of better models, usually off
            self._answer(b"\x3b\x31\x00", after_ms=self.build.restart_ms)

    def load_paper(self) -> None:
        """A person put in a new roll."""
        self.levers.paper_out, self.levers.paper_lines = False, None

    def _byte_ms(self) -> float:
        return 10_000 / self.build.baud if self.build.baud else 0.0

    def _arrival(self) -> float | None:
        waits = self.build.rtscts and not self.powered
        return self._wire_ms if self._wire and not waits else None

    def _work_time(self) -> float | None:
        return self._busy_ms if self._buffer and not self._stopped() else None

    def _stopped(self) -> bool:
        lever = self.levers
        stopped = lever.paper_out or lever.cover_open or lever.cutter_error or lever.broken
        return stopped or lever.hot

    def _arrive(self) -> None:
        byte = self._wire.popleft()
        self._wire_ms += self._byte_ms()
        if not self._awake:
            return
        if self.levers.power_off_at is not None and self.count.received >= self.levers.power_off_at:
            self._fail()
            return
        self.count.received += 1
        if self.levers.drop_next:
            self.levers.drop_next -= 1
            self.count.dropped += 1
            return
        self._sort_out(byte)

    def _fail(self) -> None:
        self.levers.power_off_at = None
        self.power_off()
        if self.levers.power_back_ms is not None:
            self._back_ms = self._now + self.levers.power_back_ms

    def _sort_out(self, byte: int) -> None:
        """Real-time commands act now and never reach the buffer; what only looks like one does."""
        self._held += bytes([byte])
        if len(self._held) == 3 and self._real_time(self._held):
            self._held = b""
        while self._held and not any(start.startswith(self._held) for start in _REAL_TIME):
            self._keep(self._held[0])
            self._held = self._held[1:]

    def _keep(self, byte: int) -> None:
        if len(self._buffer) >= self.build.buffer_bytes:
            self.count.dropped += 1
            return
        if not self._buffer:
            self._busy_ms = max(self._busy_ms, self._now)
        self._buffer.append(byte)
        if self.build.xonxoff and not self._xoffed and len(self._buffer) * 4 > self._size() * 3:
            self._xoffed = True
            self._answer(bytes([_XOFF]))

    def _size(self) -> int:
        return self.build.buffer_bytes

    def _real_time(self, command: bytes) -> bool:
        lead, value = command[:2], command[2]
        if lead == b"\x10\x04" and 1 <= value <= 4:
            if "dle_eot" in self.build.answers:
                self._answer(bytes([self._status(value)]))
            return True
        if lead == b"\x10\x05" and value in (1, 2):
            self.levers.cutter_error = False
            if value == 2:
                self._buffer.clear()
                self._interpret_anew()
            return True
        return False

    def _work(self) -> None:
        before, kicks = self.interpreter.lines, self.interpreter.drawer_kicks
        paused = self.interpreter.pause_ms
        self.interpreter.byte(self._buffer.popleft())
        printed = self.interpreter.lines - before
        self._busy_ms += self.interpreter.pause_ms - paused
        self.count.drawer_kicks += self.interpreter.drawer_kicks - kicks
        if printed:
            self._busy_ms += printed * self.build.line_ms
            self._use_paper(printed)
        if self.interpreter.replies:
            self._answer(bytes(self.interpreter.replies))
            self.interpreter.replies.clear()
        if self._xoffed and len(self._buffer) * 4 < self._size():
            self._xoffed = False
            self._answer(bytes([_XON]))
        self._tell_changes()

    def _use_paper(self, lines: int) -> None:
        self.count.printed_lines += lines
        left = self.levers.paper_lines
        if left is not None:
            self.levers.paper_lines = max(0, left - lines)
            self.levers.paper_out = self.levers.paper_lines == 0

    # Status

    def _tell_changes(self) -> None:
        """Automatic status: at once whenever it is asked for, and at every change."""
        if self.interpreter.asb_asked:
            self.interpreter.asb_asked, self._asb_told = False, b""
        if not self.interpreter.asb_on:
            self._asb_told = b""
        elif (status := self.auto_status()) != self._asb_told:
            self._asb_told = status
            self._answer(status)

    def auto_status(self) -> bytes:
        """The four bytes of automatic status now."""
        lever = self.levers
        first = 0x10 | (0x08 if self._stopped() else 0) | (0x20 if lever.cover_open else 0)
        second = (0x08 if lever.cutter_error else 0) | (0x20 if lever.broken else 0)
        second |= 0x40 if lever.hot else 0
        third = (0x03 if lever.near_end or lever.paper_out else 0) | (
            0x0C if lever.paper_out else 0
        )
        return bytes([first, second, third, 0x0F])

    def _status(self, number: int) -> int:
        lever = self.levers
        error = lever.cutter_error or lever.broken or lever.hot
        if number == 1:
            return 0x12 | (0x08 if self._stopped() else 0)
        if number == 2:
            out = 0x20 if lever.paper_out else 0
            return 0x12 | (0x04 if lever.cover_open else 0) | out | (0x40 if error else 0)
        if number == 3:
            hot = 0x40 if lever.hot else 0
            return 0x12 | (0x08 if lever.cutter_error else 0) | (0x20 if lever.broken else 0) | hot
        near = 0x0C if lever.near_end or lever.paper_out else 0
        return 0x12 | near | (0x60 if lever.paper_out else 0)

    def _answer(self, data: bytes, after_ms: float = 0) -> None:
        if self.levers.silent:
            return
        noise, self.levers.noise = self.levers.noise, b""
        self._answers.append((self._now + after_ms + self.levers.late_ms, noise + data))
