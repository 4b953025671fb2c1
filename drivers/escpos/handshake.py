"""Finding out how a printer confirms, each time it is met. Pure.

Responsible for: one question at the start, and what its answer or silence means. Not responsible
for: asking again after a loss; the engine starts it anew.

A barrier that comes back without the confirmation asked for shows that the printer does not know
`GS ( H`. It could also be a late answer to an older question, because barriers carry no name, so
the conclusion waits until the time is up; a confirmation carries its name, is asked for last, and
is certain.

The same question puts a barrier into the printer's macro and runs it, so that the number of
barriers tells whether it does macros (`encode.macro_trial`). The macro is defined here and never
during a job: whoever answers from it later has had power since (decision 0025).
"""

from collections.abc import Iterator

from drivers.escpos import encode
from drivers.escpos.profile import PrinterProfile
from drivers.escpos.reply import Answer, Barrier, Printed

ANSWER_MS = 2_000
TRIES = 3  # a dip of the power may have swallowed the question
BURST_MS = 300  # the barriers of one question come together; one that is left over, within this
MACRO_BARRIERS = 3  # the two of the macro and the plain one; one more while it was recorded


class Handshake:
    """`confirm` and `macro` are what to rely on once `done`."""

    def __init__(self, profile: PrinterProfile, ids: Iterator[bytes]) -> None:
        self._best = profile.confirm
        self._mute = not profile.status
        trial = profile.continuity == "macro" and self._best != "none"
        self._trial = encode.macro_trial(profile) if trial else b""
        self._end = encode.ASB_ON if "asb" in profile.status else b""
        self._ids = ids
        self._identifier = b""
        self._barriers = 0
        self._alive = self._unheard = False
        self._tries = 0
        self.confirm = profile.confirm
        self.macro = False
        """It has a macro that answers, until its power fails."""
        self.done = False
        self.fresh = False
        """Asked for, and its time is not up: asking again would only confuse the answers."""
        self.due_ms: int | None = None

    def start(self) -> bytes:
        """Begin: the bytes to send. `asked` must be called when they have left."""
        self.confirm, self.macro, self.due_ms, self._barriers = self._best, False, None, 0
        self._alive, self._unheard = self._mute, False
        self.done, self.fresh = self._best == "none", True
        if self._best == "none":
            return b""
        self._identifier = next(self._ids)
        request = encode.ask_confirmation(self._identifier) if self._best == "gs_h" else b""
        return self._trial + encode.BARRIER + request + self._end

    def forget(self) -> None:
        """The link is gone: nothing is known."""
        self.done, self.fresh, self.due_ms = False, False, None

    def without_macro(self) -> None:
        """The macro was believed to be there and does not answer: do not try it again."""
        self._trial = b""

    def asked(self, now_ms: int, wire_ms: int) -> None:
        """The request has left, behind as many milliseconds of other bytes."""
        if self.done:
            self.fresh = False
        else:
            self.due_ms = now_ms + wire_ms + ANSWER_MS

    def heard(self, answer: Answer, now_ms: int) -> bool:
        """Whether the answer belongs here; any answer shows that the printer is alive."""
        self._alive = self._alive or self.due_ms is not None
        if isinstance(answer, Printed) and answer.identifier == self._identifier:
            self._finish("gs_h")
            return True
        if isinstance(answer, Barrier) and self.due_ms is not None:
            self._barriers += 1
            if self._best == "gs_r" and not self._trial:
                self._finish("gs_r")
            elif self._best == "gs_r" and self._barriers > MACRO_BARRIERS:
                self.due_ms = now_ms + BURST_MS
            return True
        return False

    def tick(self, now_ms: int, *, stopped: bool) -> bool:
        """Time passed; True when the question should be asked again.

        A stopped or silent printer answers nothing in order, so it is asked anew afterwards: only
        one that answers something else all the while is concluded not to know the question.
        """
        if self.due_ms is None or now_ms < self.due_ms:
            return False
        if stopped or not self._alive:
            self.due_ms, self.fresh, self._unheard = now_ms + ANSWER_MS, False, True
            return False
        if self._barriers:
            self._finish("gs_r")
            return False
        self._tries += not self._unheard
        if self._unheard or self._tries < TRIES:
            return True
        self._finish("none")
        return False

    def _finish(self, confirm: str) -> None:
        self.confirm, self.done, self.fresh, self.due_ms = confirm, True, False, None
        self.macro = bool(self._trial) and self._barriers >= MACRO_BARRIERS
        self._tries = 0
