"""Central's word on its way to the replica.

Responsible for: joining the receiver's decisions to a replica and to central: pages, snapshots,
verdicts and the long-poll. Not responsible for: threads, waiting or waking (the terminal's worker
does), or any decision about an answer (`receiver` does).
Invariants: an error of the network or of the disk ends a step with a pause; the old replica serves
until a new one is whole.
"""

from collections.abc import Sequence
from typing import Final

from sync import receiver
from sync.errors import Garbled, Outdated, Refused, SyncError
from sync.feed import FeedPage, KeyGone, KeyPut
from sync.limits import FEED_ITEMS_MAX
from sync.ports import Ports
from sync.receiver import Pause, Receiving, TakeSnapshot
from sync.sender import told_to_stop

IDLE_PAUSE_MS: Final = 5_000
"""Between polls of a central that does not hold them open."""

ROUND_MS: Final = 10_000
"""While news keeps coming, the other buckets and the verdicts are asked for this often, and not
after each page: a busy chain has news every moment, and every terminal would ask four times."""

OUTDATED_MAX: Final = 5
"""Pages in a row that were read before a move of vouchers that is known here. One or two are
another round's doing; a central that gives no other has lost what it knew."""

_PROMPT_MS: Final = 1_000
"""A long-poll that comes back empty within this was not held open."""


class Downlink:
    """Central's word on its way to the replica. Give it one thread."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._receiving = Receiving()
        self._prompt_polls = 0
        self._differs: str | None = None
        self._round_ms = 0
        self.error: SyncError | None = None
        self.pulled = 0

    def drain(self) -> int:
        """Pull until nothing is left or something fails; the number of items pulled."""
        before = self.pulled
        finished = False
        while not finished:
            finished = self._step(0) is not None
        return self.pulled - before

    def step(self, wait_s: int) -> int:
        """Pull everything, then let central hold a poll open; ms to wait before the next step."""
        return self._step(wait_s) or 0

    def _step(self, wait_s: int) -> int | None:
        """None: there is more to do at once."""
        why = self._ports.mailbox.take()
        if why is not None:
            self._want_snapshot(why)
        clock = self._ports.clock
        todo = receiver.plan(
            self._receiving,
            replica_is_empty=self._ports.replica.is_empty(),
            now_ms=clock.monotonic_ms(),
        )
        try:
            if isinstance(todo, Pause):
                return todo.wait_ms
            if isinstance(todo, TakeSnapshot):
                self._take_snapshot()
                return None
            return self._follow(wait_s)
        except SyncError as error:
            return self._failed(error)
        except (OSError, ValueError) as error:
            # The disk is full, or what came cannot be stored; the old replica still serves.
            return self._failed(Garbled(f"cannot be stored: {error}"))

    def _failed(self, error: SyncError) -> int | None:
        clock = self._ports.clock
        now_ms = clock.monotonic_ms()
        self._ports.mailbox.fence = told_to_stop(error) or self._ports.mailbox.fence
        if _is_unknown(error) and not _is_unknown(self.error):
            # Perhaps paired again on another disk. Only a signed answer may stop a terminal: ask.
            self._ports.mailbox.greet = True
        self._receiving = receiver.failed(
            self._receiving, error, now_ms=now_ms, chance=clock.random()
        )
        wait_ms = self._receiving.pace.wait_ms(now_ms)
        self.error = error if wait_ms else self.error
        return wait_ms or None

    def _want_snapshot(self, why: str) -> None:
        clock = self._ports.clock
        self._receiving = receiver.want_snapshot(
            self._receiving, why, now_ms=clock.monotonic_ms(), chance=clock.random()
        )

    def _take_snapshot(self) -> None:
        ports = self._ports
        with ports.snapshot_turn:
            manifest = ports.central.manifest(self._differs, scope=ports.replica.scope())
            receiver.check_manifest(manifest, ports.holder.server_keys())
            path = ports.replica.download_path(manifest)
            ports.central.download(manifest, path)
            ports.replica.install_snapshot(path, manifest)
        self._differs = None
        self._receiving = receiver.installed(self._receiving)

    def _follow(self, wait_s: int) -> int | None:
        before = self.pulled
        self._round_ms = self._ports.clock.monotonic_ms()
        done: set[int] = set()
        while (bucket := self._next_bucket(done)) is not None:
            done.add(bucket)
            if not self._follow_bucket(bucket):
                return None
        self._pull_verdicts()
        self._receiving = receiver.succeeded(self._receiving)
        self.error = None
        self._ports.replica.pulled(self._ports.clock.now_ms())
        if self.pulled > before:
            self._prompt_polls = 0
        return self._poll(wait_s) if wait_s > 0 else 0

    def _next_bucket(self, done: set[int]) -> int | None:
        # Asked again each time: the catalogue may have named a bucket that was not known before.
        return next((b for b in self._ports.replica.buckets() if b not in done), None)

    def _follow_bucket(self, bucket: int) -> bool:
        """Pull a bucket to its end; False where the replica has to be replaced."""
        more, outdated = True, 0
        while more:
            page = self._page(bucket, 0, "")
            try:
                if not self._apply(bucket, page):
                    return False
                more, outdated = page.more, 0
            except Outdated as error:
                outdated += 1
                if outdated >= OUTDATED_MAX:
                    self._want_snapshot(str(error))
                    return False
        return True

    def _page(self, bucket: int, wait_s: int, watch: str) -> FeedPage:
        after = self._ports.replica.cursor(bucket)
        page = self._ports.central.feed(
            bucket, after=after, limit=FEED_ITEMS_MAX, wait_s=wait_s, watch=watch
        )
        receiver.check_page(page, after=after)
        return page

    def _apply(self, bucket: int, page: FeedPage) -> bool:
        keys = [item for item in page.items if isinstance(item, KeyPut)]
        gone = [item.kid for item in page.items if isinstance(item, KeyGone)]
        if keys or gone:
            self._ports.holder.keys_told(keys, (), gone)
        own = self._ports.replica.apply_page(bucket, page)
        self.pulled += len(page.items)
        if receiver.agrees(page, own):
            return True
        self._differs = f"{bucket}:{page.cursor}"
        self._want_snapshot(f"bucket {bucket} differs from central at {page.cursor}")
        return False

    def _pull_verdicts(self) -> None:
        more = True
        while more:
            after = self._ports.journal.verdict_cursor()
            page = self._ports.central.verdicts(after)
            if page.more and page.cursor == after:
                raise Garbled("verdicts do not lead forward")
            if page.cursor != after or page.verdicts:
                self._ports.journal.store_verdict_page(page)
            more = page.more

    def _poll(self, wait_s: int) -> int | None:
        """Wait for news of any bucket, on the last one; its own news comes with the answer."""
        clock, buckets = self._ports.clock, self._ports.replica.buckets()
        news = True
        while news:
            asked_ms = clock.monotonic_ms()
            page = self._page(buckets[-1], wait_s, self._watch(buckets[:-1]))
            try:
                if not self._apply(buckets[-1], page) or page.more:
                    return None
            except Outdated:
                return None
            if page.items and self._ports.replica.buckets() != buckets:
                return None
            news = bool(page.items)
            if news and asked_ms - self._round_ms >= ROUND_MS:
                return None
            self._ports.replica.pulled(clock.now_ms())
        prompt = clock.monotonic_ms() - asked_ms < _PROMPT_MS
        self._prompt_polls = self._prompt_polls + 1 if prompt else 0
        # Once may be news of a watched bucket; twice without any is a central that does not wait.
        return IDLE_PAUSE_MS if self._prompt_polls > 1 else None

    def _watch(self, buckets: Sequence[int]) -> str:
        return ",".join(f"{b}:{self._ports.replica.cursor(b)}" for b in buckets)


def _is_unknown(error: SyncError | None) -> bool:
    return isinstance(error, Refused) and error.reason == "unknown_key"
