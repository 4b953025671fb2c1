"""A terminal to measure: enrolled, and with as many vouchers as asked for.

Responsible for: making its data directory, the same one for the same numbers, as central would
have filled it. Not responsible for: measuring. Invariants: the vouchers that are presented are
real; the rest only take up the room that real ones would; every key of it is worthless.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import feed
from sync.feed import FeedPage
from sync.limits import FEED_ITEMS_MAX
from sync.replica_schema import SEALED_PUT, TABLES, blank, sealed_row
from terminal import assembly, database, keys
from terminal import identity as identities
from terminal.assembly import Options
from terminal.clock import SystemClock
from terminal.counter import ShopCounter
from terminal.datadir import DataDir
from terminal.identity import Identity
from vouchers import codes, sealed, times
from vouchers.ids import b64u, uuid7
from vouchers.replica_form import REPLICA_SCHEMA
from vouchers.sealed import COST_LIGHT, Record, Vault
from vouchers.times import DAY_MS

POSID: Final = "BENCH1"
OUTLET: Final = 1
PRODUCT: Final = 1
SHARES: Final = 5
BUCKET: Final = 1
_HISTORY: Final = "ab" * 8
_ZONE: Final = "Asia/Shanghai"
_ROW_KEYS: Final = 1 << 128
_CHUNK: Final = 10_000


@dataclass(frozen=True, slots=True)
class Presented:
    """What a customer brings."""

    code: str
    last4: str


@dataclass(frozen=True, slots=True)
class Stock:
    """What the terminal holds: `vouchers` that can be presented among `rows` in all."""

    rows: int
    vouchers: int
    cost: tuple[int, int, int] = COST_LIGHT


def make(data: DataDir, stock: Stock) -> tuple[Presented, ...]:
    """Enrol and fill a data directory; answers what can be presented. Raises apsw.Error."""
    data.ensure()
    _, key = keys.choose(data, "file")
    now = SystemClock().read().wall_ms
    vault = Vault(1, _drawn("vault", 0)[:16], *stock.cost)
    identities.save(data, _identity(vault), key)
    with closing(database.open_replica(data.replica, key, writable=True)) as connection:
        with connection:
            _catalogue(connection, now)
        _fill(connection, stock.rows - stock.vouchers, now)
        with connection:
            presented = tuple(_issue(connection, n, vault, now) for n in range(stock.vouchers))
    return presented


def snapshot(path: Path, rows: int) -> None:
    """A ready-made file as central sends it: readable, and whole in itself. Raises apsw.Error."""
    now = SystemClock().read().wall_ms
    path.write_bytes(blank())
    with closing(apsw.Connection(str(path))) as connection:
        connection.pragma("journal_mode", "OFF")
        connection.pragma("synchronous", "OFF")
        with connection:
            _catalogue(connection, now)
        _fill(connection, rows, now)


def cursors() -> dict[int, str]:
    """Where the feed stands in what was made, by bucket: the catalogue, and the vouchers."""
    return {0: _cursor(1), BUCKET: _cursor(1)}


def delta(rows: int, after: str) -> Iterator[FeedPage]:
    """Pages about that many new vouchers, as they were sold; the first follows a cursor."""
    record = _filler()
    shuffled = sorted(enumerate(row_keys(rows)), key=lambda pair: _drawn("sold", pair[0]))
    begins, ends = (times.format_utc(at) for at in _standing(SystemClock().read().wall_ms)[:2])
    per_page = FEED_ITEMS_MAX // 2
    for start in range(0, rows, per_page):
        items: list[feed.Item] = []
        for number, (_, key) in enumerate(shuffled[start : start + per_page], start):
            voucher = uuid7(2**40 + number, _drawn("delta", number)[:10])
            items += (
                feed.SealedPut(k=b64u(key), record=b64u(record), voucher=voucher),
                feed.StatePut(
                    voucher=voucher,
                    version=1,
                    state="live",
                    generation=0,
                    used=0,
                    valid_from=begins,
                    valid_until=ends,
                    home=OUTLET,
                ),
            )
        end = _cursor(1 + 2 * start + len(items))
        more = start + per_page < rows
        yield FeedPage(from_=after, cursor=end, more=more, items=tuple(items))
        after = end


def cursor(page: int) -> str:
    """Where the feed stands after so many pages."""
    return _cursor(1 + page * FEED_ITEMS_MAX)


def _cursor(seq: int) -> str:
    return f"1.{_HISTORY}.{seq}"


def open_counter(data: DataDir) -> ShopCounter:
    """The counter of such a terminal, its write-ahead log warmed as at every start."""
    parts = assembly.open_checked(data, Options())
    parts.journal.warm()
    return ShopCounter(parts, has_printer=True)


def close_counter(counter: ShopCounter) -> None:
    """Close it again."""
    counter.close(assembly.close)


def row_keys(rows: int) -> Iterator[bytes]:
    """The row keys that stand for other vouchers: even, unpredictable, sorted."""
    step = _ROW_KEYS // max(rows, 1)
    for n in range(rows):
        value = n * step + int.from_bytes(_drawn("row", n)[:16]) % step
        yield value.to_bytes(sealed.ROW_KEY_BYTES)


def voucher_of(number: int) -> str:
    """The id of the voucher under the `number`-th of those keys."""
    return uuid7(number, _drawn("voucher", number)[:10])


def _drawn(purpose: str, number: int) -> bytes:
    return hashlib.sha256(f"hexiao-bench {purpose} {number}".encode()).digest()


def _identity(vault: Vault) -> Identity:
    central = Ed25519PrivateKey.from_private_bytes(_drawn("central", 0))
    return Identity(
        url="",
        merchant=1,
        merchant_name="Bench",
        posid=POSID,
        epoch=1,
        outlet=OUTLET,
        outlet_name="Bench",
        time_zone=_ZONE,
        sign_key=_drawn("sign", 0),
        seal_key=_drawn("seal", 0),
        server_keys={1: central.public_key().public_bytes_raw()},
        tag_keys={},
        vault_epoch=vault.epoch,
        vault_salt=vault.salt,
        vault_t=vault.t,
        vault_m=vault.m_kib,
        vault_p=vault.p,
    )


def _catalogue(connection: apsw.Connection, now: int) -> None:
    for table in TABLES:
        connection.execute(table)
    facts = {
        "schema": str(REPLICA_SCHEMA),
        "merchant": "1",
        "sealed_through": times.format_utc(now),
        "fresh_at": times.format_utc(now),
    }
    connection.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
    connection.execute("INSERT INTO outlet VALUES (?, 1, 'Bench')", (OUTLET,))
    connection.executemany("INSERT INTO cursor VALUES (?, ?)", cursors().items())
    connection.execute(
        "INSERT INTO product VALUES (?, 1, '面包 Bread', ?, '[]', 0, 1, 100, NULL)",
        (PRODUCT, json.dumps([OUTLET])),
    )
    connection.execute("INSERT INTO bucket VALUES (1, ?)", (json.dumps([OUTLET]),))


def _fill(connection: apsw.Connection, rows: int, now: int) -> None:
    """Other people's vouchers, in order, as a snapshot brings them."""
    record = _filler()
    keys_in_order = row_keys(rows)
    for start in range(0, rows, _CHUNK):
        numbers = range(start, min(start + _CHUNK, rows))
        sealed_rows = [
            sealed_row(next(keys_in_order), record, voucher_of(n), BUCKET) for n in numbers
        ]
        states = [(voucher_of(n), *_standing(now)) for n in numbers]
        with connection:  # one transaction each: the write-ahead log stays small
            connection.executemany(SEALED_PUT, sealed_rows)
            connection.executemany(_STATE, states)


def _filler() -> bytes:
    """Of the size of a sealed record."""
    return bytes(len(_sealed(_record(0), "0", "0000", Vault(1, bytes(16), *COST_LIGHT))[1]))


_STATE: Final = "INSERT INTO state VALUES (?, 1, 'live', 0, 0, ?, ?, ?, NULL, NULL, 1)"


def _standing(now: int) -> tuple[int, int, int]:
    return now - DAY_MS, now + DAY_MS, OUTLET


def _record(number: int) -> Record:
    secret = _drawn("secret", number)
    turn = 0
    # Central draws again when a code looks like a mobile number (decision 14).
    while any(map(codes.looks_like_mobile, codes.reserved(secret, SHARES))):
        turn += 1
        secret = _drawn(f"secret {turn}", number)
    return Record(
        voucher=uuid7(2**41 + number, _drawn("sample", number)[:10]),
        secret=secret,
        generation=0,
        horizon=codes.horizon(SHARES),
        shares=SHARES,
        product=PRODUCT,
        home=OUTLET,
        paid_fen=SHARES * 100,
    )


def _issue(connection: apsw.Connection, number: int, vault: Vault, now: int) -> Presented:
    record = _record(number)
    found = Presented(codes.derive(record.secret, 0), f"{number % 10_000:04d}")
    row_key, row = _sealed(record, found.code, found.last4, vault)
    connection.execute(SEALED_PUT, sealed_row(row_key, row, record.voucher, BUCKET))
    connection.execute(_STATE, (record.voucher, *_standing(now)))
    return found


def _sealed(record: Record, code: str, last4: str, vault: Vault) -> tuple[bytes, bytes]:
    key = sealed.stretch(code, last4, vault)
    nonce = _drawn("nonce", int.from_bytes(key.row_key))[: sealed.NONCE_BYTES]
    return key.row_key, sealed.seal(record, key, nonce)
