"""What the worker needs of the terminal and of the network, as protocols.

Responsible for: the calls that `run` makes and what they promise. Not responsible for: any of the
work behind them; terminal implements the journal, the replica and the clock, `transport` central.
Invariants: calls of one port come from one thread at a time, but those of `JournalPort` and
`ReplicaPort` may come from two (the sending and the receiving loop); the implementer locks.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sync.acks import Ack, ServerTime
from sync.feed import Checkpoint, FeedPage, KeyPut
from sync.journal_messages import HeldJournal, SetAside
from sync.messages import (
    Batch,
    BatchAnswer,
    Directive,
    Hello,
    HelloRequest,
    Manifest,
    SealedKey,
    ServerKey,
    Verdict,
    VerdictsPage,
)
from sync.notes import Note, NotesAnswer
from sync.policy import Scope
from sync.sender import Fence, JournalLine


@dataclass(frozen=True, slots=True)
class StreamHead:
    """The end of one epoch's chain; `seq` 0 with the first `prev` when it is empty."""

    epoch: int
    seq: int
    hash: str


class JournalPort(Protocol):
    """The terminal's own entries, per epoch. Nothing here is ever deleted by being sent."""

    @property
    def posid(self) -> str:
        """The terminal's device code."""
        ...

    def epochs(self) -> Sequence[int]:
        """Epochs held here, oldest first; the last is the current one."""
        ...

    def head(self, epoch: int) -> StreamHead:
        """The last entry of an epoch."""
        ...

    def hash_at(self, epoch: int, seq: int) -> str | None:
        """The hash of an entry; at 0 the first `prev` of the epoch; None beyond the head."""
        ...

    def acknowledged(self, epoch: int) -> int:
        """The highest sequence that central has signed for, 0 if none."""
        ...

    def entries(self, epoch: int, *, after: int, limit: int) -> Sequence[JournalLine]:
        """At most `limit` entries with a higher sequence than `after`, in order."""
        ...

    def acknowledge(self, ack: Ack) -> None:
        """Keep a verified acknowledgement with its signature. The watermark only moves forward."""
        ...

    def store_verdicts(self, epoch: int, verdicts: Sequence[Verdict]) -> None:
        """Keep verdicts by their serial; a later one replaces an earlier one."""
        ...

    def notes(self, limit: int) -> Sequence[Note]:
        """Clerks' notes that central does not have as they are now; an empty one was deleted."""
        ...

    def notes_sent(self, notes: Sequence[Note], gone: Sequence[str]) -> None:
        """Central has these, but `gone`: a person deleted those there, so they go here too."""
        ...

    def verdict_cursor(self) -> str:
        """The `after` of the next `GET /verdicts`; empty at first."""
        ...

    def store_verdict_page(self, page: VerdictsPage) -> None:
        """Keep changed verdicts (serials name their epoch) and the cursor, in one transaction."""
        ...


class ReplicaPort(Protocol):
    """What central told us. A redemption only reads it."""

    def scope(self) -> Scope:
        """Whose vouchers this replica is to hold."""
        ...

    def buckets(self) -> Sequence[int]:
        """The buckets to pull, 0 (the catalogue) first; asked again after every bucket.

        What is here of other buckets goes first. Raises ValueError when that cannot be stored.
        """
        ...

    def cursor(self, bucket: int) -> str:
        """Where this bucket stands; `0` when nothing of it was ever applied."""
        ...

    def is_empty(self) -> bool:
        """True when there is no replica file, or it could not be read: a snapshot is needed."""
        ...

    def apply_page(self, bucket: int, page: FeedPage) -> Checkpoint | None:
        """Apply items by version and store the cursor, in one transaction.

        The caller has checked that `page.from_` is the bucket's cursor. Where there is no replica
        yet, one is created. Returns the bucket's own state after the page for comparison, or None
        where the replica does not keep count. Raises ValueError for an item that cannot be stored,
        `Outdated` for a page that central read before the last move of vouchers known here.
        """
        ...

    def download_path(self, manifest: Manifest) -> Path:
        """Where this snapshot is to be written; the directory exists, other downloads are gone.

        Raises OSError when the disk has no room for it beside what the journal needs.
        """
        ...

    def install_snapshot(self, path: Path, manifest: Manifest) -> None:
        """Encrypt, check, fsync and rename a verified snapshot in place of the replica.

        May raise OSError or ValueError when the file cannot serve; the old replica then stays.
        """
        ...

    def pulled(self, at_ms: int) -> None:
        """Everything central had was applied at this moment (estimated time, ms UTC)."""
        ...

    def age_s(self, now_ms: int) -> int | None:
        """Seconds since `pulled`, or since the snapshot was cut; None without a replica."""
        ...


class ClockPort(Protocol):
    """Time and chance, as values."""

    def now_ms(self) -> int:
        """Estimated time, milliseconds UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds that only grow, for durations."""
        ...

    def random(self) -> float:
        """A number in [0, 1) for jitter."""
        ...

    def nonce(self) -> str:
        """A fresh nonce: 16 random bytes in base64url."""
        ...

    def server_said(self, time: ServerTime, *, asked_ms: int, heard_ms: int) -> None:
        """Central's signed time, with the monotonic moments around the question."""
        ...


class HolderPort(Protocol):
    """Who holds the journal, for `hello`, and what central wants done."""

    def hello(self, nonce: str) -> HelloRequest:
        """Compose the request: boot counter, instance, head of the current epoch, this nonce."""
        ...

    def server_keys(self) -> dict[int, bytes]:
        """The keys of central that are believed: Ed25519 public keys by kid."""
        ...

    def keys_told(
        self, keys: Sequence[ServerKey | KeyPut], tags: Sequence[SealedKey], gone: Sequence[int]
    ) -> None:
        """Believe the keys that a believed one vouches for (`keyring.adopt`) and no more the gone.

        `tags` are keys for voucher QRs in boxes that only this terminal opens. Raises OSError when
        they cannot be kept.
        """
        ...

    def directed(self, directives: Sequence[Directive], nonce: str) -> None:
        """Act on central's wishes, in answer to the `hello` with this nonce: `wipe`, `rekey`,
        `message`. `rebootstrap` is done by `sync`."""
        ...

    def fenced(self, epoch: int, fence: Fence) -> None:
        """Central and this journal disagree: redeem no more and tell the person. Said once."""
        ...


class CentralPort(Protocol):
    """Central, asked over a network. Every call may raise the errors of `sync.errors`."""

    def hello(self, request: HelloRequest) -> Hello:
        """`POST /hello`."""
        ...

    def push(self, posid: str, epoch: int, batch: Batch) -> BatchAnswer:
        """`POST /journal/{posid}/{epoch}`."""
        ...

    def set_aside(self, posid: str, epoch: int, aside: SetAside) -> BatchAnswer:
        """`POST /journal/{posid}/{epoch}/aside`."""
        ...

    def held_journal(self, posid: str) -> HeldJournal:
        """`GET /journal/{posid}`."""
        ...

    def send_notes(self, notes: Sequence[Note]) -> NotesAnswer:
        """`POST /notes`."""
        ...

    def feed(
        self, bucket: int, *, after: str, limit: int, wait_s: int, watch: str = ""
    ) -> FeedPage:
        """`GET /feed`. `watch`: the other buckets' cursors, so that news of any ends a wait."""
        ...

    def manifest(self, differs: str | None = None, *, scope: Scope = "merchant") -> Manifest:
        """`GET /snapshot`. `differs`: the place (`bucket:cursor`) where a checkpoint differed.

        `scope` `outlet`: only the buckets of the caller's outlet are wanted.
        """
        ...

    def download(self, manifest: Manifest, path: Path) -> None:
        """`GET /snapshots/{sha256}` to a file, verified; an existing part is continued."""
        ...

    def verdicts(self, after: str) -> VerdictsPage:
        """`GET /verdicts`."""
        ...


@dataclass(slots=True)
class Mailbox:
    """What one loop hears for the other: why a new snapshot is wanted, why this terminal must stop,
    and that hello is worth saying now. One slot each, no lock."""

    snapshot_why: str | None = None
    fence: Fence | None = None
    greet: bool = False

    def take(self) -> str | None:
        """The wish for a snapshot, once."""
        why, self.snapshot_why = self.snapshot_why, None
        return why

    def take_greet(self) -> bool:
        """Whether to say hello now, once."""
        greet, self.greet = self.greet, False
        return greet

    def take_fence(self) -> Fence | None:
        """Why to stop, once."""
        fence, self.fence = self.fence, None
        return fence


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a round works on."""

    journal: JournalPort
    replica: ReplicaPort
    clock: ClockPort
    holder: HolderPort
    central: CentralPort
    mailbox: Mailbox = field(default_factory=Mailbox)
    snapshot_turn: threading.Lock = field(default_factory=threading.Lock)
    """Held from a snapshot's first byte until it is installed: rounds beside each other would
    write and install the same file."""
