"""Snapshots: a whole replica as one file, for terminals that start or start again.

Responsible for: building the file in one consistent moment, its signed manifest, and sharing it
between terminals until it is too far behind. Not responsible for: HTTP. Invariants: a file is named
by its SHA-256 and never changes; `sealed` is sorted by key; pulling the feed from the manifest's
cursors gives the present state.
"""

import contextlib
import hashlib
import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import apsw
import msgspec
from sqlalchemy import select

from central import bulk, catalogue, feed, policies, schema, sealing
from central.errors import OutOfService
from central.keys import Keyring
from central.service import Central, Work
from sync import acks
from sync.messages import Manifest
from sync.replica_schema import (
    MOVES_KEY,
    SEALED_PUT,
    TABLES,
    blank,
    sealed_row,
    tally_key,
    tally_text,
)
from vouchers import times
from vouchers.replica_form import REPLICA_SCHEMA

KEPT: Final = 3
"""Files kept, so that downloads of the one before may end."""

AGE_MS_MAX: Final = 6 * times.HOUR_MS
"""A snapshot older than this is built anew when asked for."""

_SHARE_STALE: Final = 10
"""Rebuilt once the feed has moved by more than a tenth of the file's rows."""

PATIENCE_S: Final = 10.0
"""For the first snapshot a caller waits this long, below what its own patience is."""

_READ_BYTES: Final = 1 << 20
_LOG: Final = logging.getLogger(__name__)
_building = threading.Lock()

Buckets = tuple[int, ...] | None
"""Whose vouchers a file holds: those of these buckets; None: of all."""


@dataclass(frozen=True, slots=True)
class Built:
    """A snapshot file: its manifest's fields, the moment it shows (ms UTC) and its rows.

    `buckets` are those whose vouchers it holds; None: all of the merchant's. `schema` is that of
    its tables; a file that does not say it is of an earlier one.
    """

    sha256: str
    size: int
    cursor: dict[str, str]
    sealed_through: str
    built_at: int
    rows: int
    buckets: tuple[int, ...] | None = None
    schema: int = 0


def buckets_at(central: Central, outlet: int) -> Buckets:
    """The buckets of a replica of scope `outlet`: the catalogue, and those good at the outlet."""
    with central.read() as work:
        known = catalogue.buckets(work)
    here = tuple(b for b, those in known.items() if b == catalogue.CATALOGUE or outlet in those)
    return None if len(here) == len(known) else here


def current(central: Central, buckets: Buckets = None) -> Built:
    """A snapshot that is fresh enough, built now if there is none. Raises OutOfService."""
    try:
        with _building:
            found = _newest(central.spool, buckets)
            distance = None if found is None else _distance(central, found)
            if found is not None and distance is not None and _fresh(central, found, distance):
                return found
            return _build(central, buckets)
    except (OSError, apsw.Error) as error:
        raise OutOfService(f"the snapshot cannot be written: {error}") from error


class Offers:
    """Snapshots for terminals that ask, one of which takes minutes to build where there are
    millions of vouchers: an older one that the feed still reaches from is offered meanwhile.
    """

    def __init__(self, central: Central) -> None:
        """Nothing is being built."""
        self._central = central
        self._lock = threading.Lock()
        self._builders: dict[Buckets, threading.Thread] = {}
        self._errors: dict[Buckets, OutOfService] = {}

    def offer(self, wait_s: float = PATIENCE_S, buckets: Buckets = None) -> Built | None:
        """A snapshot that serves; None where the first one is still being built after `wait_s`.

        Raises OutOfService when it cannot be built.
        """
        found = _newest(self._central.spool, buckets)
        distance = None if found is None else _distance(self._central, found)
        if found is not None and distance is not None and _fresh(self._central, found, distance):
            return found
        builder = self._build_beside(buckets)
        if found is not None and distance is not None:
            return found
        builder.join(wait_s)
        if builder.is_alive():
            return None
        error = self._errors.get(buckets)
        if error is not None:
            raise error
        return _newest(self._central.spool, buckets)

    def _build_beside(self, buckets: Buckets) -> threading.Thread:
        """The thread that builds one of these now; those of other buckets wait their turn."""
        with self._lock:
            self._builders = {b: one for b, one in self._builders.items() if one.is_alive()}
            if buckets not in self._builders:
                builder = threading.Thread(
                    target=self._build, args=(buckets,), name="snapshot", daemon=True
                )
                builder.start()
                self._builders[buckets] = builder
            return self._builders[buckets]

    def _build(self, buckets: Buckets) -> None:
        self._errors.pop(buckets, None)
        try:
            current(self._central, buckets)
        except OutOfService as error:
            self._errors[buckets] = error
            _LOG.warning("%s", error)


def manifest(built: Built, ring: Keyring) -> Manifest:
    """The signed manifest of a snapshot."""
    text = acks.compose_manifest(
        sha256=built.sha256,
        size=built.size,
        cursor=built.cursor,
        sealed_through=built.sealed_through,
        schema=REPLICA_SCHEMA,
    )
    signed = acks.sign(acks.MANIFEST_DOMAIN, text, kid=ring.sign_kid, key=ring.sign)
    return Manifest(
        sha256=built.sha256,
        size=built.size,
        cursor=built.cursor,
        sealed_through=built.sealed_through,
        schema=REPLICA_SCHEMA,
        kid=signed.kid,
        sig=signed.sig,
    )


def file_of(central: Central, sha256: str) -> Path | None:
    """The file of a snapshot, or None if there is none by that name."""
    path = central.spool / f"{sha256}.db"
    return path if path.is_file() else None


def _newest(spool: Path, buckets: Buckets) -> Built | None:
    kept = [one for one in _kept(spool) if one.buckets == buckets and one.schema == REPLICA_SCHEMA]
    return max(kept, key=lambda built: built.built_at, default=None)


def _kept(spool: Path) -> list[Built]:
    found = []
    for path in spool.glob("*.json"):
        with contextlib.suppress(ValueError, OSError, msgspec.MsgspecError):
            built = msgspec.json.decode(path.read_bytes(), type=Built)
            if path.with_suffix(".db").is_file():
                found.append(built)
    return found


def _distance(central: Central, built: Built) -> int | None:
    """How many changes the feed has made since; None where it does not lead on from there."""
    table = schema.feed_heads
    moved = 0
    with central.read() as work:
        heads = work.connection.execute(
            select(table).where(table.c.merchant == work.merchant)
        ).all()
    for head in heads:
        if built.buckets is not None and head.bucket not in built.buckets:
            continue
        epoch, seq = built.cursor.get(str(head.bucket), f"1.{head.epoch}.0").rsplit(".", 1)
        if epoch != f"1.{head.epoch}" or not head.floor <= int(seq) <= head.seq:
            return None
        moved += head.seq - int(seq)
    return moved


def _fresh(central: Central, built: Built, distance: int) -> bool:
    young = central.clock() - built.built_at <= AGE_MS_MAX
    return young and distance * _SHARE_STALE <= built.rows


def _build(central: Central, buckets: Buckets) -> Built:
    central.spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = central.spool / f"building-{os.getpid()}.tmp"
    draft.write_bytes(blank())
    try:
        with central.read() as work, contextlib.closing(apsw.Connection(str(draft))) as file:
            rows = _fill(central, work, file, buckets)
            cursor = {str(bucket): text for bucket, text in feed.heads(work, buckets).items()}
            through, moment = sealing.sealed_through(work), work.now
        digest, size = _digest(draft)
        built = Built(
            digest,
            size,
            cursor,
            times.format_utc(through),
            moment,
            rows,
            buckets,
            schema=REPLICA_SCHEMA,
        )
        draft.replace(central.spool / f"{digest}.db")
        (central.spool / f"{digest}.json").write_bytes(msgspec.json.encode(asdict(built)))
    finally:
        draft.unlink(missing_ok=True)
    _forget_old(central.spool, central.clock())
    return built


def _fill(central: Central, work: Work, file: apsw.Connection, buckets: Buckets) -> int:
    # Nothing is lost if this file is: it is built again. So no journal and no flushing.
    file.execute("PRAGMA journal_mode = OFF")
    file.execute("PRAGMA synchronous = OFF")
    file.execute("BEGIN")
    for statement in TABLES:
        file.execute(statement)
    rows = _copy_sealed(work, file, buckets) + _copy_states(work, file, buckets)
    _copy_catalogue(work, file)
    streams = schema.streams
    file.executemany(
        "INSERT INTO streams VALUES (?, ?, ?)",
        (
            (row.posid, row.epoch, row.seq)
            for row in work.connection.execute(
                select(streams).where(streams.c.merchant == work.merchant)
            )
        ),
    )
    file.executemany("INSERT INTO cursor VALUES (?, ?)", feed.heads(work, buckets).items())
    meta = {
        "schema": str(REPLICA_SCHEMA),
        "merchant": str(central.merchant),
        "sealed_through": times.format_utc(sealing.sealed_through(work)),
        "policy": msgspec.json.encode(policies.current(work)).decode(),
        MOVES_KEY: str(feed.moves(work)),
    }
    heads = schema.feed_heads
    for head in work.connection.execute(select(heads).where(heads.c.merchant == work.merchant)):
        if buckets is None or head.bucket in buckets:
            meta[tally_key(head.bucket)] = tally_text(head.live, head.digest)
    file.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    file.execute("COMMIT")
    return rows


def _copy_sealed(work: Work, file: apsw.Connection, buckets: Buckets) -> int:
    names = ("k", "record", "voucher", "bucket")
    portions = bulk.read_in_order(
        work.connection, schema.sealed, names, work.merchant, "k", where=_among(buckets)
    )
    return _insert(file, SEALED_PUT, ([sealed_row(*row) for row in rows] for rows in portions))


def _copy_states(work: Work, file: apsw.Connection, buckets: Buckets) -> int:
    names = ("voucher", "version", "state", "generation", "used", "valid_from", "valid_until")
    portions = bulk.read_in_order(
        work.connection,
        schema.vouchers,
        (*names, "home", "bucket"),
        work.merchant,
        "voucher",
        where=_among(buckets),
    )
    statement = "INSERT INTO state VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?)"
    return _insert(file, statement, portions)


def _among(buckets: Buckets) -> str:
    """Rows that replicas have: a retired voucher's bucket is below 0."""
    if buckets is None:
        return "bucket >= 0"
    return f"bucket IN ({', '.join(map(str, buckets))})"


def _insert(file: apsw.Connection, statement: str, portions: Iterable[Sequence[bulk.Row]]) -> int:
    """Rows, which come sorted: each page of the file is written once, from left to right."""
    count = 0
    for portion in portions:
        file.executemany(statement, portion)
        count += len(portion)
    return count


def _copy_catalogue(work: Work, file: apsw.Connection) -> None:
    file.executemany(
        "INSERT INTO product VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                product.product,
                product.version,
                product.terms.name,
                json.dumps(product.outlets),
                json.dumps(product.terms.weekdays),
                int(product.terms.online_only),
                product.bucket,
                product.terms.price_fen,
                product.terms.slip_text,
            )
            for product in catalogue.products(work).values()
        ),
    )
    file.executemany(
        "INSERT INTO outlet VALUES (?, 1, ?)",
        ((outlet.outlet, outlet.name) for outlet in catalogue.outlets(work)),
    )
    buckets = catalogue.buckets(work).items()
    file.executemany(
        "INSERT INTO bucket VALUES (?, ?)", ((b, json.dumps(those)) for b, those in buckets)
    )


def _digest(path: Path) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    for part in portions(path, 0):
        digest.update(part)
        size += len(part)
    return digest.hexdigest(), size


def portions(path: Path, start: int) -> Iterator[bytes]:
    """The bytes of a file from an offset, in portions of 1 MiB."""
    with path.open("rb") as file:
        file.seek(start)
        while part := file.read(_READ_BYTES):
            yield part


def _order(spool: Path, built: Built) -> tuple[int, int]:
    return built.built_at, (spool / f"{built.sha256}.json").stat().st_mtime_ns


def _forget_old(spool: Path, now: int) -> None:
    """Keep the newest of each scope, but none of a single outlet that nobody asks for any more."""
    kept: Counter[Buckets] = Counter()
    for built in sorted(_kept(spool), key=lambda one: _order(spool, one), reverse=True):
        kept[built.buckets] += 1
        unasked = built.buckets is not None and now - built.built_at > 2 * AGE_MS_MAX
        if kept[built.buckets] > KEPT or unasked:
            (spool / f"{built.sha256}.json").unlink(missing_ok=True)
            (spool / f"{built.sha256}.db").unlink(missing_ok=True)
