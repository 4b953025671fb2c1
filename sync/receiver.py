"""Following the feed: what to fetch next and whether a page may be applied. Pure.

Responsible for: the choice between a snapshot and the feed, the checks before a page or a file is
believed, and the comparison at a checkpoint. Not responsible for: fetching, applying or waiting
(`run` and the terminal's replica do).
Invariants:
- a page is applied only where its `from` is the replica's cursor: nothing is skipped;
- a page never leads back or into another history of its bucket: that takes a new snapshot;
- while a snapshot is wanted no page is applied, and the old replica goes on serving.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from sync.acks import MANIFEST_DOMAIN, Signed, compose_manifest, verify
from sync.errors import Garbled, Refused, SyncError
from sync.feed import Checkpoint, FeedPage
from sync.limits import FEED_ITEMS_MAX, SNAPSHOT_BYTES_MAX
from sync.messages import Manifest
from sync.pacing import Pace, after_failure
from vouchers.replica_form import REPLICA_SCHEMA

BEGINNING: Final = "0"
"""The cursor before everything."""

_GONE: Final = 410
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor taken apart: the bucket's history (hex) and a sequence in it."""

    history: str
    seq: int


@dataclass(frozen=True, slots=True)
class Receiving:
    """What the receiver remembers between answers. Losing it costs nothing but a pause.

    `snapshot_why` is set while a new snapshot is wanted. `no_snapshot` is set when central has
    none to give: then the feed is followed from its beginning.
    """

    snapshot_why: str | None = None
    no_snapshot: bool = False
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Fetch the manifest and the file; `why` is for the log."""

    why: str


@dataclass(frozen=True, slots=True)
class Follow:
    """Fetch the feed's next pages."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Not yet: wait this long (ms)."""

    wait_ms: int


def place(cursor: str) -> Place | None:
    """Take a well-formed cursor apart; None is the beginning."""
    if cursor == BEGINNING:
        return None
    _, history, seq = cursor.split(".")
    return Place(history, int(seq))


def plan(
    receiving: Receiving, *, replica_is_empty: bool, now_ms: int
) -> TakeSnapshot | Follow | Pause:
    """What to do now (`now_ms` monotonic)."""
    wait_ms = receiving.pace.wait_ms(now_ms)
    if wait_ms > 0:
        return Pause(wait_ms)
    if receiving.snapshot_why is not None:
        return TakeSnapshot(receiving.snapshot_why)
    if replica_is_empty and not receiving.no_snapshot:
        return TakeSnapshot("there is no replica")
    return Follow()


def check_page(page: FeedPage, *, after: str, limit: int = FEED_ITEMS_MAX) -> None:
    """Raise `Garbled` unless the page may be applied to a bucket whose cursor is `after`."""
    if page.from_ != after:
        raise Garbled(f"a page from {page.from_} does not continue {after}")
    if len(page.items) > limit:
        raise Garbled(f"asked for {limit} items, got {len(page.items)}")
    here, there = place(after), place(page.cursor)
    if there is None:
        if here is not None or page.items or page.more:
            raise Garbled("a page leads back to the beginning")
        return
    if here is not None and here.history != there.history:
        raise Garbled("a page leads into another history of its bucket")
    gained = there.seq - (here.seq if here is not None else 0)
    if gained < 0 or (gained == 0 and page.more):
        raise Garbled("a page does not lead forward")


def agrees(page: FeedPage, own: Checkpoint | None) -> bool:
    """Whether the replica, after this page, is what central says it should be.

    True where nothing can be compared: no checkpoint on the page, none kept here, or one that was
    taken at another sequence than the page's end.
    """
    theirs, there = page.checkpoint, place(page.cursor)
    if theirs is None or own is None or there is None or theirs.seq != there.seq:
        return True
    return (own.live, own.digest) == (theirs.live, theirs.digest)


def check_manifest(manifest: Manifest, keys: Mapping[int, bytes]) -> None:
    """Raise `Garbled` unless central signed this manifest and this program can use the file."""
    text = compose_manifest(
        sha256=manifest.sha256,
        size=manifest.size,
        cursor=manifest.cursor,
        sealed_through=manifest.sealed_through,
        schema=manifest.schema,
    )
    verify(MANIFEST_DOMAIN, Signed(text, manifest.kid, manifest.sig), keys)
    if manifest.schema != REPLICA_SCHEMA:
        raise Garbled(f"a snapshot of schema {manifest.schema} is not for this program")
    if not 0 < manifest.size <= SNAPSHOT_BYTES_MAX:
        raise Garbled(f"a snapshot of {manifest.size} bytes")


def want_snapshot(receiving: Receiving, why: str, *, now_ms: int, chance: float) -> Receiving:
    """A checkpoint differed, a cursor cannot be served, or central directs it.

    The first time costs no pause; a central whose snapshots do not help is not asked in a loop.
    """
    pace = after_failure(receiving.pace, now_ms=now_ms, chance=chance)
    if receiving.pace.failures == 0:
        pace = Pace(1, now_ms)
    return Receiving(snapshot_why=why, pace=pace)


def installed(receiving: Receiving) -> Receiving:
    """A new snapshot is in place; whether it helps shows when the feed is followed again."""
    return replace(receiving, snapshot_why=None)


def succeeded(receiving: Receiving) -> Receiving:
    """The feed was followed to its end."""
    return Receiving(no_snapshot=receiving.no_snapshot)


def failed(receiving: Receiving, error: SyncError, *, now_ms: int, chance: float) -> Receiving:
    """The memory after an error. `now_ms` is monotonic, `chance` in [0, 1)."""
    if isinstance(error, Refused):
        status = error.problem.status
        if status == _GONE:
            why = f"central says {error.reason}"
            return want_snapshot(receiving, why, now_ms=now_ms, chance=chance)
        if status == _NOT_FOUND and error.reason == "no_snapshot":
            return replace(receiving, snapshot_why=None, no_snapshot=True)
    asked_s = error.retry_after_s
    pace = after_failure(receiving.pace, now_ms=now_ms, chance=chance, asked_s=asked_s)
    return replace(receiving, pace=pace)
