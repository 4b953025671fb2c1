"""The counter: one open terminal as whoever stands before it sees it.

Responsible for: serialising the use cases, keeping opened vouchers in memory for as long as the
question about them is open, and finding out what happened when a commit raised. Not responsible
for: deciding, wording, or workers. Invariants: one use case at a time touches the journal; last
four digits live in memory only and go with the opened voucher; after an unknown outcome nothing
is answered before the journal was opened again and read.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import apsw
from msgspec import structs

from terminal import claiming, countdown, history, opening, slip_jobs, wiping
from terminal import redeem as redeeming
from terminal import reverse as reversing
from terminal.asked import Asked, asking
from terminal.countdown import Countdown
from terminal.errors import JournalOut, OutcomeUnknown, OutOfService, ScanAgain, TerminalError
from terminal.held import Held
from terminal.journal import Stored
from terminal.opening import Opened
from terminal.outcomes import Notice, Place, Redeemed, Reversed, Status, TapeRow, View
from terminal.parts import Parts
from terminal.redeem import Order
from terminal.reverse import Undo
from vouchers.reasons import Refusal

T = TypeVar("T")
Done = TypeVar("Done", Redeemed, Reversed)

OPENED_MAX: Final = redeeming.CARD_CHOICES_MAX + 8
"""Vouchers held open at once: those of one card at the counter, a few by commands that queue."""


@dataclass(frozen=True, slots=True)
class Lamps:
    """What the workers know; asked for the status line, each quick and never raising."""

    network: Callable[[], str] = lambda: "none"
    printer: Callable[[], str] = lambda: "none"
    scanner: Callable[[], str] = lambda: "none"
    reader: Callable[[], str] = lambda: "none"


class ShopCounter:
    """Implements `outcomes.Counter`."""

    def __init__(
        self,
        parts: Parts,
        *,
        clerk: str = "",
        has_printer: bool = False,
        lamps: Lamps | None = None,
    ) -> None:
        self._parts = parts
        self.clerk = clerk or parts.identity.posid
        self._has_printer = has_printer
        self._lamps = lamps or Lamps()
        self._lock = threading.RLock()
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._stretcher = ThreadPoolExecutor(1, thread_name_prefix="stretch")
        self.on_entry: Callable[[], None] = lambda: None
        """Called after a commit, outside the lock: wakes the followers."""

    @property
    def parts(self) -> Parts:
        """For the followers, which take `exclusive` around their use of it."""
        return self._parts

    def exclusive(self, work: Callable[[Parts], T]) -> T:
        """Run some follower's work on the parts, one at a time with everything else."""
        return self._committed(lambda: work(self._parts))

    def close(self, last: Callable[[Parts], None] = lambda _: None) -> None:
        """Forget what is open; running use cases end first, then `last` closes the files."""
        with self._lock:
            self._held.clear()
            last(self._parts)
        self._stretcher.shutdown(wait=False, cancel_futures=True)

    def make_way(self) -> None:
        """Return when no use case runs: what has time lets whoever is waited for go first."""
        with self._lock:
            pass

    def pause(self) -> None:
        """Return once nothing goes on behind the counter: a bench waits where a clerk decides."""
        self._stretcher.submit(lambda: None).result()

    def check_credential(self, credential: str) -> Refusal | None:
        """Say at once whether a credential cannot be one, free of charge (EV-045)."""
        with self._lock:
            return opening.check_credential(self._parts, credential)

    def look_up(self, credential: str, last4: str) -> View | Refusal:
        """Open what was presented (EV-041)."""
        found = self._asking(lambda asked: self._look_up(credential, last4, asked))
        if isinstance(found, Refusal):
            return found
        view, held = found
        self._hold({view.handle: held})
        return view

    def look_up_card(self, number: str) -> Sequence[View] | Refusal:
        """Open the vouchers of the person whose ID card was read (EV-032), the best one first."""

        def look(asked: Asked) -> Sequence[tuple[Opened, View]] | Refusal:
            return redeeming.look_up_card(self._parts, number, clerk=self.clerk, asked=asked)

        found = self._asking(look)
        if isinstance(found, Refusal):
            return found
        self._hold({view.handle: Held(opened) for opened, view in found})
        return [view for _, view in found]

    def prepare(self, handle: str) -> None:
        """Begin on the next code of an opened voucher, once its view is on the screen: waking a
        thread costs whoever waits for that view.
        """
        with self._lock:
            if handle in self._held:
                self._held[handle].prepare(self._stretcher, self._parts.identity.vault)

    def _hold(self, held: dict[str, Held]) -> None:
        with self._lock:
            self._held.update(held)
            while len(self._held) > OPENED_MAX:
                self._held.popitem(last=False)

    def redeem(
        self, handle: str, shares: int, *, clerk: str, request: str, slip: bool = True
    ) -> Redeemed | Refusal:
        """Redeem shares of an opened voucher (EV-047); the same request gives the first result."""
        with self._lock:
            held = self._held.get(handle)
        # `redeem` looks for the request itself; but central is not to be asked about it again.
        if held is None or self._parts.online is not None:
            repeated = self._committed(lambda: self._repeated(request, held))
            if repeated is not None:
                return repeated
        if held is None:
            raise ScanAgain("this voucher is no longer open: scan it again")
        return self._confirmed(held, self._order(shares, clerk, request, slip=slip))

    def redeem_presented(
        self, credential: str, last4: str, shares: int, *, clerk: str, request: str, slip: bool
    ) -> Redeemed | Refusal:
        """Look up and redeem in one go, for the command line; a repeated request books nothing.

        However many commands queue, none closes the voucher that a clerk has open.
        """

        def open_or_repeat(asked: Asked) -> Redeemed | Refusal | tuple[View, Held]:
            stored = self._parts.journal.find_request(request)
            if stored is None:
                return self._look_up(credential, last4, asked)
            return self._presented_again(stored, credential, last4, clerk or self.clerk, asked)

        found = self._asking(open_or_repeat)
        if isinstance(found, Redeemed | Refusal):
            return found
        _, held = found
        return self._confirmed(held, self._order(shares, clerk, request, slip=slip))

    def _presented_again(
        self, stored: Stored, credential: str, last4: str, clerk: str, asked: Asked
    ) -> Redeemed:
        """The first result of a request; its new code only to whoever presents the voucher."""
        parts, now = self._parts, self._parts.clock.estimate().now
        found = opening.open_credential(parts, credential, last4, now=now, clerk=clerk, asked=asked)
        known = found if isinstance(found, Opened) else None
        return redeeming.first_result(parts, stored, known)

    def reverse(
        self, serial: str, *, reason_code: str, clerk: str, note: str = "", supervisor: bool = False
    ) -> Reversed | Refusal:
        """Undo a redemption of this terminal (decision 11)."""
        undo = Undo(
            serial=serial,
            reason_code=reason_code,
            clerk=clerk or self.clerk,
            note=note,
            slip=self._has_printer,
            supervisor=supervisor,
        )
        try:
            return self._reverse(undo)
        except OutOfService as error:
            if not isinstance(error.__cause__, OutcomeUnknown):
                raise
        # The commit failed and nothing came of it: reversing is safe to try once more.
        return self._reverse(undo)

    def _reverse(self, undo: Undo) -> Reversed | Refusal:
        try:
            return self._committed(lambda: reversing.reverse(self._parts, undo))
        except OutcomeUnknown as unknown:
            return self._found_after(unknown, lambda: reversing.done(self._parts, undo.serial))

    def reprint(self, serial: str, *, clerk: str) -> bool:
        """Queue another copy, marked (AX-19)."""
        return self._committed(lambda: slip_jobs.reprint(self._parts, serial, clerk or self.clerk))

    def settle_slip(self, serial: str, *, reprint: bool, clerk: str) -> None:
        """Answer the question about a slip of unknown fate."""
        if reprint:
            self.reprint(serial, clerk=clerk)
        else:
            self._committed(lambda: slip_jobs.abandon(self._parts, serial))

    def dismiss(self, notice: Notice) -> None:
        """The clerk has read a notice."""
        with self._lock:
            history.dismiss(self._parts, notice)

    def history(self, limit: int) -> Sequence[TapeRow]:
        """The last redemptions and reversals, newest first."""
        with self._lock:
            self._ensure_open()
            return history.rows(self._parts, limit)

    def status(self) -> Status:
        """How the terminal is doing."""
        with self._lock:
            self._ensure_open()
            return self._status()

    def _status(self) -> Status:
        parts = self._parts
        estimate = parts.clock.estimate()
        fresh = _quietly(parts.replica.fresh_at, 0)
        lock = parts.guesses.locked(parts.journal.connection, None, estimate.now)
        left = _quietly(lambda: countdown.of(parts), Countdown())
        return Status(
            posid=parts.identity.posid,
            outlet=Place(parts.identity.outlet, parts.identity.outlet_name),
            clerk=self.clerk,
            network=self._lamps.network(),
            # What central stamped may be a moment ahead of what is believed here.
            replica_age_s=max(0, estimate.now - fresh) // 1000 if fresh else None,
            unacknowledged=parts.journal.count_after(*parts.journal.watermark("acknowledged")),
            printer=self._lamps.printer(),
            scanner=self._lamps.scanner(),
            clock="suspect" if estimate.suspect else "ok",
            offline_left=left.redemptions,
            locked_until=None if lock is None else lock.until,
            notices=history.notices(parts),
            reader=self._lamps.reader(),
            offline_hours=left.hours,
            offline_value_fen=left.value_fen,
        )

    def _look_up(self, credential: str, last4: str, asked: Asked) -> Refusal | tuple[View, Held]:
        found = redeeming.look_up(self._parts, credential, last4, clerk=self.clerk, asked=asked)
        if isinstance(found, Refusal):
            return found
        opened, view = found
        return view, Held(opened, view)

    def _order(self, shares: int, clerk: str, request: str, *, slip: bool) -> Order:
        return Order(shares, clerk or self.clerk, request, slip and self._has_printer)

    def _confirmed(self, held: Held, order: Order) -> Redeemed | Refusal:
        """Ask central within its budget, outside the lock, then redeem."""

        def redeem() -> Redeemed | Refusal:
            vault = self._parts.identity.vault
            return redeeming.redeem(self._parts, held.opened, order, lambda: held.successor(vault))

        settled = partial(self._settled, redeem, order.request, held)
        return claiming.claimed(self._parts, held.opened, order, settled)

    def _settled(
        self, work: Callable[[], Redeemed | Refusal], request: str, held: Held
    ) -> Redeemed | Refusal:
        """Run a redemption; when its commit raised, believe only what the journal then holds."""
        try:
            return self._committed(work)
        except OutcomeUnknown as unknown:
            return self._found_after(unknown, lambda: self._repeated(request, held), request)

    def _found_after(
        self, unknown: OutcomeUnknown, find: Callable[[], Done | None], request: str | None = None
    ) -> Done:
        """What the journal holds after a commit that raised: that is the answer, for the first
        time, and it is followed up like any other. Raises OutOfService when it is not there.
        """
        try:
            with self._lock:
                self._ensure_open()
                found = self._readable(find)
        except TerminalError as error:
            raise OutcomeUnknown(f"{unknown}; {error}", request) from unknown
        if found is None:
            raise JournalOut("the journal could not be written; nothing was booked") from unknown
        self.on_entry()
        return structs.replace(found, repeated=False)

    def _asking(self, work: Callable[[Asked], T]) -> T:
        """One use case that may need central's word. It is asked outside the lock, so that nobody
        else waits for the network; then all is looked at again, for others went on meanwhile.
        """
        return asking(lambda asked: self._committed(lambda: work(asked)), self._parts)

    def _committed(self, work: Callable[[], T]) -> T:
        """One use case that may append: then the witness, then the followers."""
        with self._lock:
            self._ensure_open()
            journal = self._parts.journal
            before = journal.written
            result = self._readable(work)
            appended = journal.written != before
            if appended:
                self._bear_witness()
        if appended:
            self.on_entry()
        if journal.log_is_long:
            self._later(self._put_away)
        return result

    def _later(self, work: Callable[[], None]) -> None:
        """Do something while the customer puts the slip away; not when the counter closes."""
        with suppress(RuntimeError):
            self._stretcher.submit(work)

    def _put_away(self) -> None:
        """Keep the write-ahead log short: damage to it is silent, and its length costs time.

        Never waits: whoever holds the counter may be waiting for a key that is stretched in this
        very thread. The next commit asks again.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._parts.journal.log_is_long:
                with suppress(apsw.Error):  # a journal that fails says so when it must serve
                    self._parts.journal.checkpoint()
        finally:
            self._lock.release()

    def _readable(self, work: Callable[[], T]) -> T:
        """A journal that cannot be read is opened again before anything else is believed; at once
        where a commit raised, for what it wrote all the same has no witness yet.
        """
        try:
            return work()
        except OutcomeUnknown:
            with suppress(TerminalError):  # the next use case tries again
                self._ensure_open()
            raise
        except apsw.ConstraintError:
            raise  # a statement that may not be: a bug, and no matter of the disk
        except apsw.Error as error:
            self._parts.journal.broken = True
            raise JournalOut(f"the journal cannot be read: {error}") from error

    def _bear_witness(self) -> None:
        """After a commit; the head of an entry that was just appended is in memory."""
        try:
            self._parts.witness.write(self._parts.journal.head())
        except OSError as error:
            # The redemption stands; what is weaker now is the proof against a restored backup.
            # Where not even that can be noted, the redemption stands all the same.
            told: dict[str, object] = {"what": "witness", "error": error.strerror}
            with suppress(TerminalError):
                history.note(self._parts, "disk", None, told)

    def _ensure_open(self) -> None:
        if self._parts.wiped:
            raise OutOfService(wiping.GONE, "wiped")
        if self._parts.journal.broken:
            self._parts.journal.reopen()
            # A commit that raised may have left an entry, if not the one that was asked for.
            self._readable(self._bear_witness)

    def _repeated(self, request: str, held: Held | None) -> Redeemed | None:
        stored = self._parts.journal.find_request(request)
        if stored is None:
            return None
        opened = None if held is None else held.opened
        return redeeming.first_result(self._parts, stored, opened)


def _quietly(ask: Callable[[], T], otherwise: T) -> T:
    """The status line shows what is known; a part that is out says so in its own way."""
    try:
        return ask()
    except TerminalError:
        return otherwise
