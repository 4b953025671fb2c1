"""Was the host held back during a job, and did the printer say why? Pure.

Responsible for: remembering a hold that nothing explains. Not responsible for: looking at the wire
(the worker does), or what becomes of the job.

Why: with flow control by wire a printer that loses its power also drops the wire. What it held is
gone, the rest of a block waits in the host, comes out when the power is back, and its end is
confirmed. The window keeps the buffer from ever being full, and a stopped printer says that it is
stopped, so a hold without a word is the trace of such a loss. Where the wire cannot be seen
nothing vouches for a slip but the printer's macro.
"""

HELD_MS = 250
"""A stop is told within this; no printer is back sooner after its power failed."""

LOOK_MS = 100
"""How often the wire is looked at while a job is under way."""


class Hold:
    """One printer's wire. `flow` is that of the profile."""

    def __init__(self, flow: str) -> None:
        self.watched = flow != "none"
        self._by_wire = flow == "rtscts"
        self._seen = True
        self._since_ms: int | None = None
        self.doubtful = False
        """Something of the job under way may have been lost."""

    @property
    def blind(self) -> bool:
        """What is sent to a printer without power waits somewhere, and nobody sees that it does."""
        return self._by_wire and not self._seen

    def opened(self, *, seen: bool) -> None:
        """The port is open, and its wire can be `seen` or not."""
        self._seen = seen

    def begin(self) -> None:
        """A job begins."""
        self._since_ms, self.doubtful = None, False

    def look(self, *, held: bool, explained: bool, now_ms: int) -> None:
        """The wire holds the host now, or does not; `explained` by what the printer said."""
        if not held or explained:
            self._since_ms = None
            return
        if self._since_ms is None:
            self._since_ms = now_ms
        self.doubtful = self.doubtful or now_ms - self._since_ms >= HELD_MS
