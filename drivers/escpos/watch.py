"""Is the printer there, and how is it? Asking, waiting and giving up, as a pure state machine.

Responsible for: which question to ask when, what its missing answer means, and the printer's
condition. Not responsible for: sending (the engine says when a question has left), or jobs.

Invariants: at most one question is open, because an answer does not say what it answers; after a
missed answer nothing is asked for `QUIET_MS`, so that a late answer is never taken for the next
one; silence is never read as good or bad, it is `silent`. Two misses make silence. A printer that
answers late is given the time it takes, up to `ANSWER_MS_MAX`. A stop that was told by automatic
status lasts until its end is told the same way: a printer that goes on without a word has lost its
power meanwhile, and with it the order to tell. Where a wire holds the host, a stopped printer may
hold it too (BUSY when offline): no question reaches it, so no answer is missed.
"""

from enum import IntEnum

from drivers.escpos import encode
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.reply import Answer, AutoStatus, Barrier, RealTime
from drivers.escpos.status import Condition, from_auto, from_real_time

POLL_MS = 1_000
KEEP_ALIVE_MS = 5_000  # questions in order take buffer space: ask them seldom
ANSWER_MS = 300
ANSWER_MS_MAX = 5_000
QUIET_MS = 2_000
MISSES_MAX = 2
STOP_SETTLE_MS = 2_000  # what was printed just before a stop may be confirmed just after it


class Question(IntEnum):
    """What can be asked. 1 to 4 are DLE EOT; the others are answered in order with the data."""

    AUTO = 0
    PRINTER = 1
    OFFLINE = 2
    ERROR = 3
    PAPER = 4
    BARRIER = 5


def question_bytes(question: Question) -> bytes:
    """How a question is asked."""
    if question is Question.AUTO:
        return encode.ASB_ON
    return encode.BARRIER if question is Question.BARRIER else encode.ask_status(question)


class Watch:
    """One printer's health. The engine tells it what left, what came and what time it is."""

    def __init__(self, profile: PrinterProfile) -> None:
        self._capable = profile.status
        self._may_be_held = profile.flow != "none"
        self.restart(0)

    def restart(self, now_ms: int) -> None:
        """The link is new: nothing is known."""
        self.condition = Condition()
        self.silent = bool(self._capable)
        self._answer_ms = ANSWER_MS
        self._open: Question | None = None
        self._asked_ms: int | None = None
        self._allowed_ms = 0
        self._misses = 0
        self._next_ms = now_ms
        self._more: list[Question] = []
        self._auto_seen = False
        self._stopped_ms: int | None = None

    def due_ms(self) -> int | None:
        """When `tick` or `question` has something to do, or None."""
        if self._open is None:
            return self._next_ms if self._capable else None
        return None if self._asked_ms is None else self._asked_ms + self._allowed_ms

    def question(self, now_ms: int, *, busy: bool) -> Question | None:
        """What to ask now. While a job is under way only what is answered at reception."""
        if self._open is not None or now_ms < self._next_ms:
            return None
        if "dle_eot" in self._capable:
            self._open = self._more.pop(0) if self._more else Question.PRINTER
        elif not busy and self._capable:
            self._open = Question.AUTO if "asb" in self._capable else Question.BARRIER
        else:
            self._next_ms = now_ms + POLL_MS
        if self._open is not None:
            self._asked_ms = None
        return self._open

    def asked(self, now_ms: int, wire_ms: int) -> None:
        """The question has left, behind as many milliseconds of other bytes."""
        self._asked_ms, self._allowed_ms = now_ms, self._answer_ms + wire_ms

    def withdrawn(self) -> None:
        """The question was thrown away before it left."""
        if self._asked_ms is None:
            self._open = None

    def tick(self, now_ms: int) -> None:
        """Time passed."""
        due = self.due_ms()
        if self._open is None or due is None or now_ms < due:
            return
        self._open, self._more = None, []
        self._next_ms = now_ms + QUIET_MS
        if self._may_be_held and self._stopped_ms is not None:
            self._asked_ms = None  # nobody was asked, so a late answer teaches nothing
            return
        self._misses += 1
        self.silent = self.silent or self._misses >= MISSES_MAX

    def heard(self, answer: Answer, now_ms: int) -> None:
        """The printer answered something."""
        self._misses, self.silent = 0, False
        match answer:
            case AutoStatus(value):
                self.condition, self._auto_seen = from_auto(value), True
                began = now_ms if self._stopped_ms is None else self._stopped_ms
                self._stopped_ms = began if self.condition.blocked else None
                self._close(Question.AUTO, now_ms)
            case RealTime(value):
                self._real_time(value, now_ms)
            case Barrier():
                self._close(Question.BARRIER, now_ms)
            case _:
                pass
        if self._open is None:
            self._next_ms = max(self._next_ms, now_ms) if self._more else now_ms + self._pause_ms()

    def unannounced(self, now_ms: int) -> bool:
        """It said that it is stopped, a while ago, and never that it goes on."""
        return self._stopped_ms is not None and now_ms - self._stopped_ms >= STOP_SETTLE_MS

    @property
    def slow(self) -> bool:
        """It was seen to answer late. Only such a printer is given more time for a confirmation:
        a prompt one that takes long without saying why may have lost its power and be back."""
        return self._answer_ms > ANSWER_MS

    @property
    def barrier_open(self) -> bool:
        """A barrier was asked for as a question, so that its answer confirms no block."""
        return self._open is Question.BARRIER

    def _pause_ms(self) -> int:
        return POLL_MS if "dle_eot" in self._capable else KEEP_ALIVE_MS

    def _real_time(self, value: int, now_ms: int) -> None:
        asked = self._open
        if asked is None or asked in (Question.AUTO, Question.BARRIER) or self._asked_ms is None:
            if self._asked_ms is not None:  # late: the printer needs more time than it was given
                slow = 2 * (now_ms - self._asked_ms)
                self._answer_ms = min(ANSWER_MS_MAX, max(self._answer_ms, slow))
                self._asked_ms = None
            return
        self.condition = from_real_time(self.condition, int(asked), value)
        if asked is Question.PRINTER:
            self._follow_up()
        self._open = self._asked_ms = None

    def _follow_up(self) -> None:
        if self.condition.offline:
            self._more = [Question.OFFLINE, Question.ERROR, Question.PAPER]
            return
        self.condition = Condition(
            near_end=self.condition.near_end, drawer_pin_high=self.condition.drawer_pin_high
        )
        self._more = [] if self._auto_seen else [Question.PAPER]

    def _close(self, question: Question, now_ms: int) -> None:
        if self._open is question:
            self._open = None
            self._next_ms = now_ms + self._pause_ms()
