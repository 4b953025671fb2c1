"""The journal on its way to central.

Responsible for: joining the sender's decisions to a journal and to central, and saying hello at
start and at intervals. Not responsible for: threads, waiting or waking (the terminal's worker
does), or any decision about an answer (`sender` does).
Invariants: verdicts are stored before the acknowledgement that they came with, so that a crash
between the two fetches both again; an error of the network ends a step with a pause.
"""

from dataclasses import replace
from typing import Final

from sync import sender
from sync.acks import Signed, read_time
from sync.errors import Slow, SyncError, Unreachable
from sync.journal_messages import SetAside
from sync.limits import BATCH_ENTRIES_MAX, NOTES_MAX
from sync.messages import BatchAnswer, Head, Hello
from sync.pacing import Pace, after_failure
from sync.ports import Ports
from sync.sender import Fence, Heard, Pass, Rest, Send, Sending, Sent, Stream

GREET_EVERY_MS: Final = 15 * 60_000
"""`hello` at start and at least daily (design, section 7); four times an hour it also tells head
office that this terminal lives, and how. Spread by chance, so that a fleet does not speak at once.
"""


class Uplink:
    """The journal on its way to central. Give it one thread."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._memory: dict[int, Sending] = {}
        self._noticed: dict[int, tuple[int, int]] = {}
        self._greet_at_ms = ports.clock.monotonic_ms()
        self._greet_pace, self._notes_pace = Pace(), Pace()
        self._greet_error: SyncError | None = None
        self._push_error: SyncError | None = None
        self._greeted = False
        self.pushed = 0

    @property
    def error(self) -> SyncError | None:
        """Why the last exchange failed, None when it did not."""
        return self._push_error or self._greet_error

    @property
    def fence(self) -> Fence | None:
        """Why this terminal must stop, if so. An older epoch that stopped is past already."""
        return self._sending(self._ports.journal.epochs()[-1]).fence

    @property
    def _greeting_is_late(self) -> bool:
        """This process's first hello may still arrive: after entries that it pushed meanwhile its
        head would look like that of a disk that went back.
        """
        return not self._greeted and isinstance(self._greet_error, Slow)

    @property
    def _apart(self) -> bool:
        """Central holds another history: nothing is left to say to it under this epoch."""
        fence = self.fence
        return fence is not None and fence.trouble != "revoked"

    @property
    def poison(self) -> int | None:
        """An entry that central refuses even alone, if there is one."""
        return next((s.poison for s in self._memory.values() if s.poison is not None), None)

    def behind(self) -> int:
        """Entries that central has not signed for, over all epochs."""
        journal = self._ports.journal
        return sum(
            max(0, journal.head(epoch).seq - journal.acknowledged(epoch))
            for epoch in journal.epochs()
        )

    def drain(self) -> int:
        """Push until nothing is left or something fails; the number of entries pushed."""
        before = self.pushed
        wait_ms = 0
        while wait_ms == 0:
            wait_ms = self.step(flush=True)
        return self.pushed - before

    def step(self, *, flush: bool = False) -> int:
        """One exchange at most; how long to wait before the next (ms; a new entry ends it early).

        `flush` does not wait for company for a young entry.
        """
        now_ms = self._ports.clock.monotonic_ms()
        self._stop(self._ports.mailbox.take_fence())
        if self._ports.mailbox.take_greet():
            self._greet_at_ms = min(self._greet_at_ms, now_ms)
        if now_ms >= self._greet_at_ms and not self._apart:
            self._greet(now_ms)
        waits = [max(1, self._greet_at_ms - now_ms)]
        if isinstance(self._greet_error, Unreachable) or self._greeting_is_late:
            return waits[0]
        for epoch in self._ports.journal.epochs():
            stream = self._stream(epoch, now_ms, flush=flush)
            match sender.plan(self._sending(epoch), stream, now_ms=now_ms):
                case Send() as send:
                    return self._exchange(stream, send)
                case Pass(seq):
                    return self._pass(stream, seq)
                case Rest(int(wait_ms)):
                    waits.append(wait_ms)
                case _:
                    continue
        return min(*waits, self._send_notes(now_ms))

    def _send_notes(self, now_ms: int) -> int:
        """Clerks' notes, when no entry is waiting; ms until the next try."""
        ports = self._ports
        wait_ms = self._notes_pace.wait_ms(now_ms)
        if wait_ms > 0 or self._apart:
            return wait_ms or GREET_EVERY_MS
        waiting = ports.journal.notes(NOTES_MAX)
        if not waiting:
            return GREET_EVERY_MS
        try:
            answer = ports.central.send_notes(waiting)
        except SyncError as error:
            # Beside the journal: that they do not pass is no reason to say that central is away.
            self._notes_pace = self._slower(self._notes_pace, error, now_ms)
            return self._notes_pace.wait_ms(now_ms)
        self._notes_pace = Pace()
        ports.journal.notes_sent(waiting, answer.gone)
        return 0

    def _sending(self, epoch: int) -> Sending:
        return self._memory.get(epoch, Sending())

    def _stream(self, epoch: int, now_ms: int, *, flush: bool) -> Stream:
        journal = self._ports.journal
        head_seq, acknowledged = journal.head(epoch).seq, journal.acknowledged(epoch)
        # The oldest unsent entry is as old as the moment when it was first seen here.
        first, since_ms = self._noticed.get(epoch, (-1, 0))
        if first != acknowledged:
            since_ms = now_ms
        if head_seq > acknowledged:
            self._noticed[epoch] = (acknowledged, since_ms)
        waited_ms = sender.LINGER_MS if flush else now_ms - since_ms
        return Stream(journal.posid, epoch, head_seq, acknowledged, waited_ms)

    def _exchange(self, stream: Stream, send: Send) -> int:
        journal = self._ports.journal
        lines = journal.entries(
            stream.epoch, after=send.after, limit=min(send.limit, BATCH_ENTRIES_MAX)
        )
        prev = journal.hash_at(stream.epoch, send.after)
        assert prev is not None and lines, "the journal has less than it said"
        whole = sender.whole(lines)
        if not whole:
            return self._pass(stream, lines[0].seq)
        batch, sent = sender.pack(prev, lines[:whole])
        try:
            answer = self._ports.central.push(stream.posid, stream.epoch, batch)
            heard = self._heard(stream, sent, answer)
        except SyncError as error:
            return self._failed(stream, sent, error)
        self._keep_heard(stream, heard)
        return 0

    def _pass(self, stream: Stream, seq: int) -> int:
        """Have an entry set aside that central refused alone, or whose body is damaged here."""
        journal, clock = self._ports.journal, self._ports.clock
        (line,) = journal.entries(stream.epoch, after=seq - 1, limit=1)
        prev = journal.hash_at(stream.epoch, seq - 1)
        assert prev is not None
        sent, before = Sent(seq, seq), self._sending(stream.epoch)
        aside = SetAside(seq=seq, prev=prev, hash=line.hash, sig=line.sig)
        try:
            answer = self._ports.central.set_aside(stream.posid, stream.epoch, aside)
            heard = self._heard(stream, sent, answer)
        except SyncError as error:
            return self._failed(stream, sent, error)
        now_ms = clock.monotonic_ms()
        after = sender.set_aside(heard, before, now_ms=now_ms, chance=clock.random())
        self._keep_heard(stream, after)
        return after.sending.pace.wait_ms(now_ms)

    def _heard(self, stream: Stream, sent: Sent, answer: BatchAnswer) -> Heard:
        return sender.answered(
            self._sending(stream.epoch),
            sent,
            answer,
            stream=stream,
            keys=self._ports.holder.server_keys(),
            own_hash=lambda seq: self._ports.journal.hash_at(stream.epoch, seq),
        )

    def _keep_heard(self, stream: Stream, heard: Heard) -> None:
        self._keep(stream.epoch, heard.sending)
        self._push_error = None
        if heard.ack is None:
            return
        journal = self._ports.journal
        if heard.verdicts:
            journal.store_verdicts(stream.epoch, heard.verdicts)
        journal.acknowledge(heard.ack)
        self.pushed += max(0, heard.ack.up_to - stream.acknowledged)

    def _failed(self, stream: Stream, sent: Sent, error: SyncError) -> int:
        clock = self._ports.clock
        now_ms = clock.monotonic_ms()
        after = sender.failed(
            self._sending(stream.epoch),
            sent,
            error,
            stream=stream,
            now_ms=now_ms,
            chance=clock.random(),
        )
        self._push_error = error
        if after.resume is not None and after.resume <= stream.acknowledged:
            # Central lost what it signed for. It hears the proof before it gets everything again.
            self._greet_at_ms = now_ms
        self._keep(stream.epoch, after)
        return after.pace.wait_ms(now_ms)

    def _keep(self, epoch: int, sending: Sending) -> None:
        new = sending.fence if self._sending(epoch).fence is None else None
        self._memory[epoch] = sending
        if new is not None:
            self._ports.holder.fenced(epoch, new)
            if new.trouble == "revoked":
                # Whether it is also to be wiped is said in answer to a hello only.
                self._greet_at_ms = self._ports.clock.monotonic_ms()

    def _greet(self, now_ms: int) -> None:
        ports = self._ports
        request = ports.holder.hello(ports.clock.nonce())
        epoch = request.head.epoch
        try:
            answer = ports.central.hello(request)
            ports.holder.keys_told(answer.keys, answer.k_tags, ())
            self._hear_time(answer, request.nonce, now_ms)
        except SyncError as error:
            self._not_greeted(error)
            return
        self._greet_pace, self._greet_error, self._greeted = Pace(), None, True
        spread_ms = int(GREET_EVERY_MS * ports.clock.random() / 4)
        self._greet_at_ms = now_ms + GREET_EVERY_MS - spread_ms
        if any(directive.do == "rebootstrap" for directive in answer.directives):
            ports.mailbox.snapshot_why = "central directs it"
        self._stop(
            sender.compare_head(
                answer.head, epoch=epoch, own_hash=lambda seq: ports.journal.hash_at(epoch, seq)
            )
        )
        self._go_on_from(epoch, answer.head)
        ports.holder.directed(answer.directives, request.nonce)
        self._ask_of_older(epoch)

    def _go_on_from(self, epoch: int, head: Head | None) -> None:
        acknowledged = self._ports.journal.acknowledged(epoch)
        self._memory[epoch] = sender.go_on_from(
            self._sending(epoch), head, epoch=epoch, acknowledged=acknowledged
        )

    def _ask_of_older(self, current: int) -> None:
        """How far central has the epochs before, of which its hello says nothing: one that was put
        back from a backup may have lost their ends too. One that it never knew cannot be sent.
        """
        journal = self._ports.journal
        older = [epoch for epoch in journal.epochs() if epoch < current]
        if not older or self._apart:
            return
        try:
            held = self._ports.central.held_journal(journal.posid)
        except SyncError:
            return  # with the next hello
        for one in held.epochs:
            if one.epoch in older and journal.hash_at(one.epoch, one.seq) == one.head:
                self._go_on_from(one.epoch, Head(epoch=one.epoch, seq=one.seq, hash=one.head))

    def _hear_time(self, answer: Hello, nonce: str, asked_ms: int) -> None:
        clock, keys = self._ports.clock, self._ports.holder.server_keys()
        time = read_time(Signed(answer.time, answer.kid, answer.sig), keys, nonce=nonce)
        clock.server_said(time, asked_ms=asked_ms, heard_ms=clock.monotonic_ms())

    def _not_greeted(self, error: SyncError) -> None:
        self._greet_error = error
        self._stop(sender.told_to_stop(error))
        now_ms = self._ports.clock.monotonic_ms()
        self._greet_pace = self._slower(self._greet_pace, error, now_ms)
        self._greet_at_ms = self._greet_pace.not_before_ms

    def _slower(self, pace: Pace, error: SyncError, now_ms: int) -> Pace:
        chance = self._ports.clock.random()
        return after_failure(pace, now_ms=now_ms, chance=chance, asked_s=error.retry_after_s)

    def _stop(self, fence: Fence | None) -> None:
        """The current epoch is at its end. Of a closed terminal central takes what it has of any
        epoch, also of one that was stopped before.
        """
        if fence is None:
            return
        epochs = self._ports.journal.epochs()
        stopped = [epoch for epoch in epochs if self._sending(epoch).fence is not None]
        for epoch in {epochs[-1], *(stopped if fence.trouble == "revoked" else ())}:
            self._keep(epoch, replace(self._sending(epoch), fence=fence))
