"""The terminal's side of synchronisation: its journal, replica and clock as ports of `sync`.

Responsible for: handing `sync` what it needs under the counter's lock, keeping what it brings, and
asking central within a budget while the clerk waits. Not responsible for: the protocol (`sync`),
threads (`sync_worker`), or what an answer means for a voucher (`vouchers.rules`). Invariants: the
lock is never held while the network is waited for; nothing acknowledged is deleted.
"""

import errno
import json
import random
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import replace as with_changes

from sync import messages, signing
from sync.acks import Ack, ServerTime
from sync.errors import NoContact, SyncError
from sync.feed import Checkpoint, FeedPage, StatePut
from sync.limits import CLAIM_S
from sync.notes import Note
from sync.policy import Scope
from sync.ports import StreamHead
from sync.sender import Fence, JournalLine, told_to_stop
from sync.snapshot_file import part_of
from sync.transport import HttpCentral, Terms
from terminal import acknowledged, notes
from terminal import identity as identities
from terminal.counter import ShopCounter
from terminal.journal import Stored
from terminal.parts import Claimed, FoundRow, Parts
from terminal.replica_writer import ReplicaWriter
from vouchers import times
from vouchers.ids import b64u, unb64u
from vouchers.reasons import known_reason
from vouchers.sealed import Record
from vouchers.standing import Standing, VoucherState

_FLOOR: Final = "floor"
_MB: Final = 1024 * 1024
_ROOM_PERCENT: Final = 2
"""Encrypting adds little to a snapshot's size; the old list goes only when the new one is there."""

_SLICE: Final = 100
"""Entries read at once under the lock that a clerk may be waiting for."""

UNANSWERED_MS: Final = 10_000
"""After a question without an answer no clerk waits for another one for this long."""


def connect(counter: ShopCounter, *, insecure_http: bool) -> HttpCentral:
    """Central over HTTP, signed as this terminal. Raises ValueError for an unusable address."""
    identity = counter.parts.identity
    keyid = signing.key_id(identity.posid, identity.epoch)
    terms = Terms(
        url=identity.url,
        # Not under the counter's lock: a request waits for nobody at the counter.
        now_ms=lambda: counter.parts.clock.estimate().now,
        monotonic_ms=lambda: counter.parts.clock.read().mono_ms,
        nonce=fresh_nonce,
        insecure_http=insecure_http,
    )
    return HttpCentral(terms, signing.Signer(keyid, identities.signer(identity).private))


def fresh_nonce() -> str:
    """16 random bytes in base64url."""
    return b64u(secrets.token_bytes(16))


class JournalOfTerminal:
    """Implements `sync.ports.JournalPort`."""

    def __init__(self, counter: ShopCounter) -> None:
        self._counter = counter

    @property
    def posid(self) -> str:
        """The device code."""
        return self._counter.parts.identity.posid

    def epochs(self) -> Sequence[int]:
        """Epochs held here, oldest first."""
        return self._counter.exclusive(lambda parts: parts.journal.epochs())

    def head(self, epoch: int) -> StreamHead:
        """The last entry of an epoch."""
        found = self._counter.exclusive(lambda parts: parts.journal.head(epoch))
        return StreamHead(found.epoch, found.seq, found.hash)

    def hash_at(self, epoch: int, seq: int) -> str | None:
        """The hash of an entry; the first `prev` at 0; None beyond the head."""

        def find(parts: Parts) -> str | None:
            if seq == 0:
                return parts.journal.epoch_record(epoch)[2]
            if seq > parts.journal.head(epoch).seq:
                return None
            return parts.journal.entry(epoch, seq).hash

        return self._counter.exclusive(find)

    def acknowledged(self, epoch: int) -> int:
        """The highest sequence that central has signed for."""
        return self._counter.exclusive(
            lambda parts: acknowledged.up_to(parts.journal.connection, epoch)
        )

    def entries(self, epoch: int, *, after: int, limit: int) -> Sequence[JournalLine]:
        """The next entries, in order; read in slices, so that a clerk waits for one at most."""
        found: list[Stored] = []
        while len(found) < limit:
            start, count = after + len(found), min(_SLICE, limit - len(found))
            slice_ = self._slice(epoch, start, count)
            found += slice_
            if len(slice_) < count:
                break
        return [JournalLine(s.seq, s.body, s.hash, b64u(s.sig)) for s in found]

    def _slice(self, epoch: int, after: int, count: int) -> Sequence[Stored]:
        return self._counter.exclusive(lambda parts: parts.journal.entries(epoch, after, count))

    def acknowledge(self, ack: Ack) -> None:
        """Keep a verified acknowledgement; the watermark only moves forward."""
        self._counter.exclusive(lambda parts: acknowledged.keep(parts.journal, ack))

    def store_verdicts(self, epoch: int, verdicts: Sequence[messages.Verdict]) -> None:
        """Keep verdicts by serial; a later one replaces an earlier one."""
        del epoch  # the serial names it
        self._counter.exclusive(lambda parts: _store_verdicts(parts, verdicts, None))

    def notes(self, limit: int) -> Sequence[Note]:
        """Clerks' notes that still have to go up."""
        found = self._counter.exclusive(lambda parts: notes.pending(parts, limit))
        return [Note(serial=serial, note=text) for serial, text in found]

    def notes_sent(self, notes_: Sequence[Note], gone: Sequence[str]) -> None:
        """They arrived; those that a person deleted there go here too."""
        went = [(note.serial, note.note) for note in notes_]
        self._counter.exclusive(lambda parts: notes.sent(parts, went, gone))

    def verdict_cursor(self) -> str:
        """Where `GET /verdicts` goes on."""
        return self._counter.exclusive(lambda parts: parts.journal.meta("verdict_cursor") or "")

    def store_verdict_page(self, page: messages.VerdictsPage) -> None:
        """Keep changed verdicts and the cursor together."""
        self._counter.exclusive(lambda parts: _store_verdicts(parts, page.verdicts, page.cursor))


def _store_verdicts(parts: Parts, verdicts: Sequence[messages.Verdict], cursor: str | None) -> None:
    rows = [
        (
            verdict.serial,
            verdict.verdict,
            json.dumps(verdict.flags),
            verdict.excess,
            json.dumps(verdict.others),
            verdict.settled,
        )
        for verdict in verdicts
    ]
    with parts.journal.transaction() as connection:
        connection.executemany("INSERT OR REPLACE INTO verdict VALUES (?, ?, ?, ?, ?, ?)", rows)
        if cursor is not None:
            parts.journal.set_meta(connection, "verdict_cursor", cursor)


class ReplicaOfTerminal:
    """Implements `sync.ports.ReplicaPort`. One thread pulls; readers are under the lock."""

    def __init__(self, counter: ShopCounter, writer: ReplicaWriter) -> None:
        self._counter, self._writer = counter, writer

    def scope(self) -> Scope:
        """Whose vouchers the owner wants here."""
        return self._counter.parts.policy.replica.scope

    def buckets(self) -> Sequence[int]:
        """The buckets to pull, the catalogue first; what is here of others goes."""
        return self._writer.buckets()

    def cursor(self, bucket: int) -> str:
        """Where a bucket stands."""
        return self._writer.cursor(bucket)

    def is_empty(self) -> bool:
        """True when a snapshot is needed: no file, or one that cannot be read."""
        return not self._writer.readable()

    def apply_page(self, bucket: int, page: FeedPage) -> Checkpoint | None:
        """Apply a page; a new policy holds from now on."""
        applied = self._writer.apply(bucket, page)
        if applied.policy:
            self._counter.exclusive(_take_policy)
        return applied.own

    def download_path(self, manifest: messages.Manifest) -> Path:
        """Where a snapshot is written on its way. Raises OSError where there is no room for it."""
        parts = self._counter.parts
        directory = parts.data.root / "incoming"
        directory.mkdir(mode=0o700, exist_ok=True)
        path = directory / f"{manifest.sha256}.db"
        part = part_of(path)
        for other in directory.iterdir():
            if other != part:  # of a snapshot that is no longer wanted, or that did not serve
                other.unlink()
        have = part.stat().st_size if part.exists() else 0
        room = parts.data.free_bytes() - parts.min_free_mb * _MB
        missing = manifest.size * (100 + _ROOM_PERCENT) // 100 - have - room
        if missing > 0:
            part.unlink(missing_ok=True)
            words = f"a new voucher list needs {missing // _MB + 1} MB more on this disk"
            raise OSError(errno.ENOSPC, words)
        return path

    def install_snapshot(self, path: Path, manifest: messages.Manifest) -> None:
        """Put a verified snapshot in place; readers are closed only for the rename."""

        def swap(replace: Callable[[], None]) -> None:
            def under_lock(parts: Parts) -> None:
                parts.replica.close()
                replace()
                _take_policy(parts)

            self._counter.exclusive(under_lock)

        self._writer.install(path, manifest, swap)

    def pulled(self, at_ms: int) -> None:
        """Everything central had was applied."""
        self._writer.confirm(at_ms)

    def age_s(self, now_ms: int) -> int | None:
        """Seconds since central last confirmed the replica."""

        def find(parts: Parts) -> int:
            return parts.replica.fresh_at() if parts.replica.present else 0

        fresh = self._counter.exclusive(find)
        return max(0, now_ms - fresh) // 1000 if fresh else None


def _take_policy(parts: Parts) -> None:
    policy = parts.replica.policy()
    if policy is not None and policy.version >= parts.policy.version:
        parts.policy = parts.identity.own(policy)
        parts.guesses = with_changes(parts.guesses, limits=parts.policy.guess)


class ClockOfTerminal:
    """Implements `sync.ports.ClockPort`."""

    def __init__(self, counter: ShopCounter) -> None:
        self._counter = counter

    def now_ms(self) -> int:
        """Estimated time."""
        return self._counter.exclusive(lambda parts: parts.clock.estimate().now)

    def monotonic_ms(self) -> int:
        """Milliseconds since boot."""
        return self._counter.parts.clock.read().mono_ms

    def random(self) -> float:
        """For jitter."""
        return random.random()

    def nonce(self) -> str:
        """A fresh nonce."""
        return fresh_nonce()

    def server_said(self, time: ServerTime, *, asked_ms: int, heard_ms: int) -> None:
        """Anchor the estimate to central's signed time, as of when it was heard."""
        del asked_ms  # half a round trip late is within what the rules tolerate

        def anchor(parts: Parts) -> None:
            reading = with_changes(parts.clock.read(), mono_ms=heard_ms)
            kept = parts.clock.server_time(time.now, reading)
            text = {"server_ms": kept.server_ms, "boot": kept.boot, "mono_ms": kept.mono_ms}
            with parts.journal.transaction() as connection:
                parts.journal.set_meta(connection, "anchor", json.dumps(text))
                floor = max(time.now, int(parts.journal.meta(_FLOOR) or 0))
                parts.journal.set_meta(connection, _FLOOR, str(floor))

        self._counter.exclusive(anchor)


class OnlineCentral:
    """Implements `terminal.parts.Online`: central asked while the clerk waits, but not in vain."""

    def __init__(
        self,
        central: HttpCentral,
        parts: Parts,
        *,
        believed_up: Callable[[], bool],
        in_contact: Callable[[], bool],
        stopped: Callable[[Fence], None],
    ) -> None:
        self._central, self._parts = central, parts
        self._believed_up, self._in_contact = believed_up, in_contact
        self._stopped = stopped
        self._unanswered: tuple[NoContact, int] | None = None

    @property
    def trouble(self) -> NoContact | None:
        """Why the last question had no answer, for as long as no other is worth the wait."""
        unanswered = self._unanswered
        if unanswered is None or self._parts.clock.read().mono_ms >= unanswered[1]:
            return None
        return unanswered[0]

    def answers_again(self) -> None:
        """Central answered something promptly: it is worth asking."""
        self._unanswered = None

    def _failed(self, error: SyncError) -> None:
        fence = told_to_stop(error)
        if fence is not None:
            self._stopped(fence)
        if isinstance(error, NoContact):
            self._unanswered = error, self._parts.clock.read().mono_ms + UNANSWERED_MS

    def reachable(self) -> bool:
        """Whether central answered when it was last heard."""
        return self._in_contact() and self._believed_up()

    def claim(self, claim: str, row_key: bytes, record: Record, shares: int) -> Claimed | None:
        """Ask for the right to redeem; None when central did not answer within the budget."""
        if not self._believed_up() or shares < 1:
            return None
        request = messages.ClaimRequest(
            claim=claim,
            row_key=b64u(row_key),
            voucher=record.voucher,
            generation=record.generation,
            shares=shares,
        )
        asked = self._parts.clock.read().mono_ms
        try:
            answer = self._central.claim(request, budget_ms=self._parts.policy.claim.budget_ms)
        except SyncError as error:
            self._failed(error)
            return Claimed(claim, granted=False, until_mono_ms=asked + CLAIM_S * 1000)
        if answer.granted:
            return Claimed(claim, granted=True, until_mono_ms=asked + answer.valid_s * 1000)
        reason = known_reason(answer.reason)
        return Claimed(claim, granted=False, reason="" if reason is None else str(reason))

    def look_up(self, row_key: bytes) -> FoundRow | None:
        """Ask for a row that the replica does not hold."""
        if not self._believed_up():
            return None
        request = messages.LookupRequest(row_key=b64u(row_key))
        try:
            answer = self._central.look_up(request, budget_ms=self._parts.policy.lookup.budget_ms)
        except SyncError as error:
            self._failed(error)
            return None
        if answer is None:
            return None
        reflects = answer.reflects
        return FoundRow(
            unb64u(answer.record),
            _standing(answer.state),
            0 if reflects is None else reflects.epoch,
            0 if reflects is None else reflects.seq,
        )


def _standing(state: StatePut) -> Standing:
    return Standing(
        VoucherState(state.state),
        state.generation,
        state.used,
        times.parse_utc(state.valid_from),
        times.parse_utc(state.valid_until),
        state.home,
    )
