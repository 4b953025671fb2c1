"""Sending the journal: what to send next and what an answer means. Pure.

Responsible for: cutting batches by size and age, believing acknowledgements, finding that a disk
went back or that two histories run under one name, and passing slow lines and entries that central
cannot read. Not responsible for: reading the journal, talking to central or waiting (`run` does).
Invariants:
- a batch is contiguous and begins after what central has signed for, or where central asks;
- an acknowledgement counts only if a known key signed it, for this stream, with our own hash;
- nothing is dropped: an entry that central refuses alone, or that is damaged here, is set aside
  there by its hash and its signature, stays in the journal, and holds up nothing behind it;
- once `fence` is set nothing is sent any more, except what a revoked terminal still has: central
  sets it aside and keeps it.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from sync.acks import Ack, Signed, read_ack
from sync.errors import Busy, Garbled, NoContact, Refused, Slow, SyncError, Trouble
from sync.limits import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX
from sync.messages import Batch, BatchAnswer, Head, Verdict
from sync.pacing import Pace, after_failure
from vouchers import entries

LINGER_MS: Final = 100
"""How long the oldest entry may wait for company. While one batch travels the next one gathers."""

_OVERHEAD_BYTES: Final = 512
"""The batch around its entries: field names, hash, signature."""

PATIENCE_MS: Final = 60 * 60_000
"""How long an entry alone may meet a bug of central's (500) before it is set aside: time to mend
central, and long before the owner's limits for being without it bite.
"""

PASSED_FREELY: Final = 3
"""Entries in a row that are set aside without a pause between them."""

_BUG_STATUS: Final = 500

_CUT_STATUS: Final = frozenset({400, 413, 422})
"""Refusals of what was sent, which a smaller batch may escape."""


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One entry as it is stored: body verbatim, hash in hex, signature in base64url."""

    seq: int
    body: str
    hash: str
    sig: str


@dataclass(frozen=True, slots=True)
class Stream:
    """One epoch's chain as it stands in the journal. `waited_ms`: since its oldest unsent entry."""

    posid: str
    epoch: int
    head_seq: int
    acknowledged: int
    waited_ms: int


@dataclass(frozen=True, slots=True)
class Fence:
    """Why nothing more is sent, for the person who acts."""

    trouble: Trouble
    detail: str


@dataclass(frozen=True, slots=True)
class Sending:
    """What the sender remembers between answers, per epoch. Losing it costs a resent batch.

    `resume` is the next sequence to send when it is not the one after the watermark. `poison` is
    an entry that central refuses even alone and that is to be set aside; `passed` counts those in
    a row, because one is an accident and many are a mistake that a person should end. `stuck` is
    an entry over which central alone fails, and since when (monotonic ms).
    """

    resume: int | None = None
    batch_max: int = BATCH_ENTRIES_MAX
    pace: Pace = field(default_factory=Pace)
    fence: Fence | None = None
    poison: int | None = None
    passed: int = 0
    stuck: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Read `limit` entries after `after`, `pack` them and push the batch."""

    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class Pass:
    """Have central set entry `seq` aside: it takes the hash and the signature for it."""

    seq: int


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to send for this long (ms); None: until there is a new entry."""

    wait_ms: int | None


@dataclass(frozen=True, slots=True)
class Sent:
    """The sequences of a batch under way."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What an answer means: the new memory, and what to store. `ack` may be None."""

    sending: Sending
    ack: Ack | None = None
    verdicts: Sequence[Verdict] = ()


def plan(sending: Sending, stream: Stream, *, now_ms: int) -> Send | Pass | Rest | Fence:
    """What to do now (`now_ms` monotonic)."""
    if sending.fence is not None and sending.fence.trouble != "revoked":
        return sending.fence
    after = _after(sending, stream)
    waiting = stream.head_seq - after
    if waiting <= 0:
        return Rest(None)
    wait_ms = sending.pace.wait_ms(now_ms)
    poisoned = sending.poison == after + 1
    if waiting < sending.batch_max and not poisoned:
        wait_ms = max(wait_ms, LINGER_MS - stream.waited_ms)
    if wait_ms > 0:
        return Rest(wait_ms)
    return Pass(after + 1) if poisoned else Send(after, sending.batch_max)


def pack(prev: str, lines: Sequence[JournalLine]) -> tuple[Batch, Sent]:
    """Cut a batch from the head of `lines` so that it stays within the size limit.

    `prev` is the hash before the first line. At least one line goes, however long it is.
    """
    assert lines
    room = BATCH_BYTES_MAX - _OVERHEAD_BYTES
    count = 0
    for line in lines:
        room -= len(msgspec.json.encode(line.body)) + 1
        if room < 0 and count > 0:
            break
        count += 1
    taken = lines[:count]
    assert [line.seq for line in taken] == list(range(taken[0].seq, taken[0].seq + count))
    batch = Batch(
        from_=taken[0].seq,
        prev=prev,
        entries=tuple(line.body for line in taken),
        sig=taken[-1].sig,
    )
    return batch, Sent(taken[0].seq, taken[-1].seq)


def whole(lines: Sequence[JournalLine]) -> int:
    """How many of the lines, from the first on, are what they were when they were signed.

    Central would take another body under another hash, and see two histories in it.
    """
    found = itertools.takewhile(lambda line: entries.entry_hash(line.body) == line.hash, lines)
    return sum(1 for _ in found)


def answered(
    sending: Sending,
    sent: Sent,
    answer: BatchAnswer,
    *,
    stream: Stream,
    keys: Mapping[int, bytes],
    own_hash: Callable[[int], str | None],
) -> Heard:
    """Central acknowledged. `own_hash(seq)` reads the journal, None beyond its head.

    Raises `Garbled` for an acknowledgement that is not to be believed; hand that to `failed`.
    """
    ack = read_ack(Signed(answer.ack, answer.kid, answer.sig), keys)
    if (ack.posid, ack.epoch) != (stream.posid, stream.epoch):
        raise Garbled(f"an acknowledgement for {ack.posid} epoch {ack.epoch}")
    fence = _compare(ack.up_to, ack.head, own_hash)
    if fence is not None:
        return Heard(replace(sending, fence=fence))
    if ack.up_to < sent.last:
        raise Garbled(f"sent up to {sent.last}, acknowledged up to {ack.up_to} only")
    batch_max = min(BATCH_ENTRIES_MAX, sending.batch_max * 2)
    after = Sending(resume=ack.up_to + 1, batch_max=batch_max, fence=sending.fence)
    return Heard(after, ack, answer.verdicts)


def failed(
    sending: Sending,
    sent: Sent,
    error: SyncError,
    *,
    stream: Stream,
    now_ms: int,
    chance: float,
) -> Sending:
    """No acknowledgement. `now_ms` is monotonic, `chance` in [0, 1)."""
    asked_s = error.retry_after_s
    if isinstance(error, Busy):
        return _later(sending, now_ms, chance, asked_s)
    if isinstance(error, Refused):
        if error.problem.status == _BUG_STATUS:
            return _bug(sending, sent, now_ms, chance)
        changed = _refused(sending, sent, error, stream)
        if changed is None:
            return _later(sending, now_ms, chance)
        if changed.resume == sending.resume:
            return changed
        # One leap is free; a central that keeps changing its mind is not asked in a tight loop.
        leapt = _later(changed, now_ms, chance)
        return leapt if sending.pace.failures else replace(leapt, pace=Pace(1, now_ms))
    if isinstance(error, Slow):
        # A smaller batch may pass where a line is thin; it doubles again with each success.
        sending = replace(sending, batch_max=max(1, (sent.last - sent.first + 1) // 2))
    assert isinstance(error, NoContact)
    return _later(sending, now_ms, chance, asked_s)


def set_aside(heard: Heard, before: Sending, *, now_ms: int, chance: float) -> Heard:
    """What `answered` made of an acknowledged `Pass`. Several in a row get slower and slower."""
    passed = before.passed + 1
    after = replace(heard.sending, passed=passed)
    if passed > PASSED_FREELY:
        pace = after_failure(Pace(passed - PASSED_FREELY), now_ms=now_ms, chance=chance)
        after = replace(after, pace=pace)
    return replace(heard, sending=after)


def compare_head(
    head: Head | None, *, epoch: int, own_hash: Callable[[int], str | None]
) -> Fence | None:
    """Compare what central holds of us (`hello`) with our own chain; None: nothing is wrong.

    `epoch` is our current one, `own_hash` reads its chain.
    """
    if head is None or head.epoch < epoch:
        return None
    if head.epoch > epoch:
        return Fence(
            "rolled_back", f"central knows epoch {head.epoch}, this journal is at epoch {epoch}"
        )
    return _compare(head.seq, head.hash, own_hash)


def go_on_from(sending: Sending, head: Head | None, *, epoch: int, acknowledged: int) -> Sending:
    """Where to go on after a hello: a central that holds less than it signed for was put back from
    a backup, and gets again what it lost, also when nothing new would come to show the gap.
    """
    if head is not None and head.epoch != epoch:
        return sending
    held = 0 if head is None else head.seq
    return sending if held >= acknowledged else replace(sending, resume=held + 1)


def told_to_stop(error: SyncError) -> Fence | None:
    """The fence that central itself puts up, None for any other error."""
    if isinstance(error, Refused):
        match error.reason:
            case "fork":
                return Fence("fork", error.problem.detail)
            case "revoked":
                return Fence("revoked", error.problem.detail)
    return None


def _after(sending: Sending, stream: Stream) -> int:
    return stream.acknowledged if sending.resume is None else sending.resume - 1


def _compare(seq: int, head: str, own_hash: Callable[[int], str | None]) -> Fence | None:
    own = own_hash(seq)
    if own is None:
        return Fence("rolled_back", f"central holds entry {seq}, this journal ends before it")
    if own != head:
        return Fence("fork", f"central holds another entry {seq} under this terminal's name")
    return None


def _refused(sending: Sending, sent: Sent, error: Refused, stream: Stream) -> Sending | None:
    """The memory after a refusal that says what to do; None when only time may help."""
    fence = told_to_stop(error)
    if fence is not None:
        return None if fence == sending.fence else replace(sending, fence=fence)
    if error.reason == "gap":
        return _gap(sending, sent, error.problem.expected, stream)
    if error.problem.status not in _CUT_STATUS:
        return None
    count = sent.last - sent.first + 1
    if count > 1:
        return replace(sending, batch_max=count // 2)
    if sending.poison == sent.first:
        return None
    return replace(sending, poison=sent.first)


def _bug(sending: Sending, sent: Sent, now_ms: int, chance: float) -> Sending:
    """A bug over one entry must not hold up those before it, nor for ever those behind it.

    It is set aside only right after it failed once more: a central that was mended meanwhile gets
    it whole. Where even that fails, it is sent again, later.
    """
    smaller = replace(sending, batch_max=max(1, (sent.last - sent.first + 1) // 2), poison=None)
    if sent.first < sent.last:
        return _later(replace(smaller, stuck=None), now_ms, chance)
    if sending.stuck is None or sending.stuck[0] != sent.first:
        return _later(replace(smaller, stuck=(sent.first, now_ms)), now_ms, chance)
    if sending.poison is None and now_ms - sending.stuck[1] >= PATIENCE_MS:
        return replace(smaller, poison=sent.first)
    return _later(smaller, now_ms, chance)


def _gap(sending: Sending, sent: Sent, expected: int | None, stream: Stream) -> Sending | None:
    if expected is None or expected < 1 or expected == sent.first:
        return None
    if expected > stream.head_seq + 1:
        detail = f"central expects entry {expected}, this journal ends at {stream.head_seq}"
        return replace(sending, fence=Fence("rolled_back", detail))
    # Central has less than it signed for: it was restored. Our journal is its backup.
    return replace(sending, resume=expected)


def _later(sending: Sending, now_ms: int, chance: float, asked_s: int | None = None) -> Sending:
    pace = after_failure(sending.pace, now_ms=now_ms, chance=chance, asked_s=asked_s)
    return replace(sending, pace=pace)
