"""A terminal's replica beside a central of the tests: real files, no HTTP.

Responsible for: taking snapshots, reading pages of any size, applying them with the terminal's own
writer, and showing what the replica holds. Not responsible for: deciding when.
"""

import contextlib
import shutil
from pathlib import Path

import apsw

from central import feed, keys, snapshot
from central.feed import Reader, Resync
from central.service import Central
from sync import receiver
from sync.feed import FeedPage
from terminal import database
from terminal.replica_writer import ReplicaWriter

KEY = bytes(range(32))
_SHOWN = {
    "sealed": "SELECT k, record, voucher, bucket FROM sealed",
    "state": "SELECT voucher, version, state, generation, used, valid_from, valid_until, home,"
    " bucket FROM state",
    "product": "SELECT * FROM product",
    "outlet": "SELECT * FROM outlet",
    "policy": "SELECT value FROM meta WHERE key = 'policy'",
}


class Replica:
    """One replica that follows the feed page by page, of one outlet or of all."""

    def __init__(self, central: Central, folder: Path, outlet: int | None = None) -> None:
        folder.mkdir(parents=True)
        self.central, self.folder, self.outlet = central, folder, outlet
        self.writer = ReplicaWriter(folder / "replica.db", KEY, outlet=lambda: self.outlet)
        self.snapshots = self.compared = 0
        self.old: list[tuple[int, FeedPage]] = []
        self.start_anew()

    def start_anew(self) -> None:
        """Install the snapshot that central has to give."""
        here = None if self.outlet is None else snapshot.buckets_at(self.central, self.outlet)
        built = snapshot.current(self.central, here)
        with self.central.read() as work:
            manifest = snapshot.manifest(built, keys.load(work))
        path = snapshot.file_of(self.central, built.sha256)
        assert path is not None
        copy = self.folder / "incoming.db"
        shutil.copyfile(path, copy)
        self.writer.install(copy, manifest, lambda replace: replace())
        self.snapshots += 1

    def pull(self, bucket: int, limit: int) -> bool:
        """One page of a bucket; True while there is more. A 410 takes a new snapshot."""
        after = self.writer.cursor(bucket)
        with self.central.read() as work:
            page = feed.read_page(work, bucket, after, limit=limit, reader=Reader("POS1", 1))
        if isinstance(page, Resync):
            self.start_anew()
            return True
        receiver.check_page(page, after=after)
        own = self.writer.apply(bucket, page).own
        assert own is not None and receiver.agrees(page, own), (page.checkpoint, own)
        self.compared += page.checkpoint is not None
        self.old.append((bucket, page))
        return page.more

    def pull_all(self, limit: int) -> None:
        """Every bucket to its end."""
        done: set[int] = set()
        while rest := set(self.writer.buckets()) - done:
            for bucket in sorted(rest):
                while self.pull(bucket, limit):
                    pass
                done.add(bucket)

    def shown(self) -> dict[str, list[tuple[object, ...]]]:
        """What the replica holds, in one order."""
        with contextlib.closing(self.opened()) as file:
            return {
                name: sorted(file.execute(question).fetchall(), key=repr)
                for name, question in _SHOWN.items()
            }

    def opened(self) -> apsw.Connection:
        """A connection of its own; the caller closes it."""
        return database.open_replica(self.folder / "replica.db", KEY)
