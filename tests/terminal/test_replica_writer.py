"""Pages and snapshots on their way into the replica."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from sync.feed import Checkpoint, FeedPage, decode_page, digest_text, row_digest
from sync.messages import Manifest
from sync.replica_schema import PAGE_BYTES, RESERVED_BYTES, SEALED_PUT, TABLES, blank, sealed_row
from sync.snapshot_file import part_of
from terminal import ciphers, database, replica_scope, snapshots
from terminal.counter import ShopCounter
from terminal.replica import Replica
from terminal.replica_writer import ReplicaWriter
from terminal.syncing import ReplicaOfTerminal
from tests.terminal.asking import reason, redeem, view
from tests.terminal.shop import HERE, NOW, Shop
from vouchers import codes, sealed, times
from vouchers.ids import b64u
from vouchers.reasons import Reason
from vouchers.replica_form import REPLICA_SCHEMA
from vouchers.times import DAY_MS

VOUCHER = "0190f5a0-7c00-7abc-8def-0123456789ab"


@pytest.fixture
def writer(shop: Shop) -> Iterator[ReplicaWriter]:
    made = ReplicaWriter(shop.data.replica, shop.key)
    yield made
    made.close()


@pytest.fixture
def port(counter: ShopCounter, writer: ReplicaWriter) -> ReplicaOfTerminal:
    return ReplicaOfTerminal(counter, writer)


def page(*items: dict[str, object], at: str = "0", to: str = "1.a.1", **more: object) -> FeedPage:
    body = {"from": at, "cursor": to, "more": False, "items": items, **more}
    return decode_page(json.dumps(body).encode())


def state(**changes: object) -> dict[str, object]:
    return {
        "t": "state",
        "op": "put",
        "voucher": VOUCHER,
        "version": 2,
        "state": "live",
        "generation": 0,
        "used": 0,
        "valid_from": times.format_utc(NOW - DAY_MS),
        "valid_until": times.format_utc(NOW + DAY_MS),
        "home": HERE,
        **changes,
    }


def product(**changes: object) -> dict[str, object]:
    return {
        "t": "product",
        "op": "put",
        "id": 7,
        "name": "Tea 茶",
        "outlets": [1],
        "weekdays": [],
        "online_only": False,
        "bucket": 4,
        "price_fen": 900,
        "version": 2,
        **changes,
    }


def one(shop: Shop, question: str) -> object:
    row = shop.database.execute(question).fetchone()
    return row and row[0]


def test_a_page_and_its_cursor_are_applied_together(shop: Shop, port: ReplicaOfTerminal) -> None:
    """Every kind of item lands, and the cursor with them."""
    items = (
        product(),
        state(used=2),
        {"t": "outlet", "op": "put", "id": 9, "name": "New", "version": 1},
        {"t": "sealed", "op": "put", "k": b64u(b"k" * 16), "record": "AAAA", "voucher": VOUCHER},
        {"t": "key", "op": "put", "kid": 2, "key": b64u(b"q" * 32)},
    )
    port.apply_page(0, page(*items, reflects={"epoch": 1, "seq": 4}, to="1.a.9"))
    assert port.cursor(0) == "1.a.9" and port.cursor(1) == "0"
    assert one(shop, "SELECT name FROM product WHERE id = 7") == "Tea 茶"
    assert one(shop, "SELECT name FROM outlet WHERE id = 9") == "New"
    assert one(shop, "SELECT count(*) FROM sealed") == 1
    assert one(shop, "SELECT reflects_seq FROM state") == 4
    assert list(port.buckets()) == [0, 1, 4]


def test_sealed_through_is_what_all_of_the_replica_reached(
    shop: Shop, port: ReplicaOfTerminal
) -> None:
    """A page of one bucket, or half of a bucket, promises nothing about the rest."""

    def promised() -> object:
        return one(shop, "SELECT value FROM meta WHERE key = 'sealed_through'")

    before = promised()
    times_of = [f"2024-07-11T00:00:0{second}.000Z" for second in range(4)]
    port.apply_page(0, page(product(), sealed_through=times_of[0]))
    port.apply_page(4, page(state(), sealed_through=times_of[1]))
    port.apply_page(1, page(more=True, sealed_through=times_of[2]))
    assert promised() == before
    port.apply_page(1, page(at="1.a.1", to="1.a.2", sealed_through=times_of[3]))
    assert promised() == times_of[1]


def test_half_a_bucket_takes_an_earlier_promise_back(shop: Shop, port: ReplicaOfTerminal) -> None:
    """The state that it brings may be of a code that waits to be sealed again; the line may then
    fail before the rest comes, and another bucket may come instead.
    """

    def promised() -> object:
        return one(shop, "SELECT value FROM meta WHERE key = 'sealed_through'")

    earlier, now, later = (f"2024-07-1{day}T00:00:00.000Z" for day in (0, 1, 2))
    port.apply_page(0, page(product(), sealed_through=now))
    port.apply_page(1, page(sealed_through=now))
    port.apply_page(4, page(sealed_through=now, to="1.a.1"))
    assert promised() == now
    port.apply_page(4, page(state(), at="1.a.1", to="1.a.2", more=True, sealed_through=earlier))
    assert promised() == earlier
    port.apply_page(1, page(at="1.a.1", to="1.a.2", sealed_through=later))
    assert promised() == earlier
    port.apply_page(4, page(at="1.a.2", to="1.a.3", sealed_through=later))
    assert promised() == later


def test_what_central_takes_back_is_gone(shop: Shop, port: ReplicaOfTerminal) -> None:
    """A deletion removes a row that is not newer than it."""
    key = b64u(b"k" * 16)
    outlet = {"t": "outlet", "op": "put", "id": 9, "name": "New", "version": 1}
    row = {"t": "sealed", "op": "put", "k": key, "record": "AAAA", "voucher": VOUCHER}
    kid = {"t": "key", "op": "put", "kid": 2, "key": b64u(b"q" * 32)}
    port.apply_page(0, page(product(), state(), outlet, row, kid))
    gone = (
        {"t": "product", "op": "del", "id": 7, "version": 2},
        {"t": "outlet", "op": "del", "id": 9, "version": 2},
        {"t": "sealed", "op": "del", "k": key},
        {"t": "key", "op": "del", "kid": 2},
        {"t": "state", "op": "del", "voucher": VOUCHER, "version": 1},
    )
    port.apply_page(0, page(*gone, at="1.a.1", to="1.a.2"))
    assert one(shop, "SELECT count(*) FROM sealed") == 0
    assert one(shop, "SELECT count(*) FROM product WHERE id = 7") == 0
    assert one(shop, "SELECT count(*) FROM outlet WHERE id = 9") == 0
    assert one(shop, "SELECT count(*) FROM state") == 1, "a newer state survives an older deletion"
    port.apply_page(
        0,
        page({"t": "state", "op": "del", "voucher": VOUCHER, "version": 2}, at="1.a.2", to="1.a.3"),
    )
    assert one(shop, "SELECT count(*) FROM state") == 0


def test_older_versions_change_nothing(shop: Shop, port: ReplicaOfTerminal) -> None:
    """Items are applied by version: a late old one is passed over, the same one again is free."""
    newer = (state(used=2, version=5), product(version=5, name="Tea"))
    port.apply_page(0, page(*newer))
    older = (state(used=1, version=4), product(version=4, name="Coffee"))
    port.apply_page(0, page(*older, *newer, *older, at="1.a.1", to="1.a.2"))
    assert one(shop, "SELECT used FROM state") == 2
    assert one(shop, "SELECT name FROM product WHERE id = 7") == "Tea"


def test_a_page_that_was_overtaken_is_passed_over(shop: Shop, port: ReplicaOfTerminal) -> None:
    """A page whose `from` is not the cursor is not applied, so a replayed one does no harm."""
    first = page(state(used=1))
    port.apply_page(0, first)
    port.apply_page(0, page(state(used=2, version=3), at="1.a.1", to="1.a.2"))
    port.apply_page(0, first)
    port.apply_page(0, page(state(used=9, version=9), at="1.a.7", to="1.a.8"))
    assert port.cursor(0) == "1.a.2" and one(shop, "SELECT used FROM state") == 2


def test_a_page_is_applied_whole_or_not(shop: Shop, port: ReplicaOfTerminal) -> None:
    """An item that cannot be stored leaves neither the items before it nor the cursor."""
    shop.database.execute(
        "CREATE TRIGGER full BEFORE INSERT ON state BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(ValueError, match="no"):
        port.apply_page(0, page(product(), state()))
    assert port.cursor(0) == "0" and one(shop, "SELECT count(*) FROM product WHERE id = 7") == 0


def test_a_damaged_file_is_replaced_and_ends_no_thread(
    shop: Shop, port: ReplicaOfTerminal, tmp_path: Path
) -> None:
    """Pages of noise in the middle of the file are an error of the round, then a snapshot."""
    shop.issue()
    assert not port.is_empty()
    shop.database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    size = shop.data.replica.stat().st_size
    with shop.data.replica.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * (size - 4096))
    with pytest.raises(ValueError, match="damaged"):
        port.apply_page(0, page(product(), state()))
    assert port.is_empty()
    port.install_snapshot(snapshot(tmp_path, CODE, "1234", shop), manifest())
    assert not port.is_empty()


def test_a_policy_of_the_feed_holds_at_once(
    shop: Shop, counter: ShopCounter, port: ReplicaOfTerminal
) -> None:
    """A new policy changes the limits of the running terminal; an older one does not undo it."""
    sample = shop.issue(2, home=HERE)
    strict = {"version": 5, "guess": {"per_code": 1}, "offline": {"max_value_fen": 999}}
    port.apply_page(0, page({"t": "policy", "op": "put", "policy": strict}))
    assert counter.parts.policy.version == 5 and counter.parts.guesses.limits.per_code == 1
    assert reason(counter.look_up(sample.code(), sample.last4)) is Reason.OFFLINE_LIMIT
    counter.look_up(sample.code(), "9999")
    assert reason(counter.look_up(sample.code(), sample.last4)) is Reason.LOCKED
    old = {"t": "policy", "op": "put", "policy": {"version": 4}}
    port.apply_page(0, page(old, at="1.a.1", to="1.a.2"))
    assert counter.parts.policy.version == 5


def test_redeeming_goes_on_while_pages_arrive(
    shop: Shop, counter: ShopCounter, port: ReplicaOfTerminal
) -> None:
    """What a page says of a voucher counts from the next look on."""
    sample = shop.issue(5)
    redeem(counter, sample, 1)
    item = state(voucher=sample.voucher, version=9, used=3, generation=1)
    port.apply_page(0, page(item, reflects={"epoch": 1, "seq": 1}))
    assert view(counter, sample.code(1), sample.last4).left == 2


def test_a_row_that_went_astray_shows_at_the_checkpoint(
    shop: Shop, port: ReplicaOfTerminal
) -> None:
    """The count moves with the rows that pages change, whatever their order and number."""
    shop.set_meta("tally:1", "0:" + "0" * 16)
    other = VOUCHER[:-1] + "c"
    first = port.apply_page(1, page(state(), state(voucher=other, version=7)))
    second = port.apply_page(
        1,
        page(
            state(version=3),
            state(version=2, used=1),
            {"t": "state", "op": "del", "voucher": other, "version": 7},
            {"t": "state", "op": "del", "voucher": other, "version": 9},
            at="1.a.1",
            to="1.a.2",
        ),
    )
    assert first is not None and (first.seq, first.live) == (1, 2)
    digest = digest_text(row_digest(VOUCHER, 3))
    assert second == Checkpoint(seq=2, live=1, digest=digest)
    shop.database.execute("UPDATE state SET version = 2")
    third = port.apply_page(1, page(state(version=4), at="1.a.2", to="1.a.3"))
    assert third is not None and third.digest != digest_text(row_digest(VOUCHER, 4))


def test_nothing_is_compared_where_nothing_was_counted(shop: Shop, port: ReplicaOfTerminal) -> None:
    """A snapshot of an older central says nothing of what it holds; a new bucket begins at none."""
    shop.database.execute("INSERT INTO cursor VALUES (4, '1.a.1')")
    assert port.apply_page(4, page(at="1.a.1", to="1.a.2")) is None
    begun = port.apply_page(5, page(state(), to="1.b.1"))
    assert begun is not None and begun.live == 1


# Snapshots


def snapshot(
    folder: Path, sample_code: str, last4: str, shop: Shop, begun: bytes = blank(), **changes: str
) -> Path:
    """A file as central makes it: plain SQLite, one sealed voucher."""
    path = folder / "snapshot.db"
    path.write_bytes(begun)
    database = apsw.Connection(str(path))
    with database:
        for table in TABLES:
            database.execute(table)
        meta = {"schema": str(REPLICA_SCHEMA), "policy": '{"version": 7}', **changes}
        for item in meta.items():
            database.execute("INSERT INTO meta VALUES (?, ?)", item)
        key = sealed.stretch(sample_code, last4, shop.vault)
        record = sealed.Record(VOUCHER, b"z" * 32, 0, 9, 1, 7, HERE, 900)
        database.execute(
            SEALED_PUT,
            sealed_row(key.row_key, sealed.seal(record, key, bytes(12)), VOUCHER, 4),
        )
        database.execute(
            "INSERT INTO state VALUES (?, 1, 'live', 0, 0, ?, ?, 1, NULL, NULL, 4)",
            (VOUCHER, NOW - DAY_MS, NOW + DAY_MS),
        )
        database.execute("INSERT INTO product VALUES (7, 1, 'Tea', '[1]', '[]', 0, 4, 900, NULL)")
        database.execute("INSERT INTO bucket VALUES (4, '[1]')")
    database.close()
    return path


def manifest(**changes: object) -> Manifest:
    said: dict[str, object] = {
        "sha256": "0" * 64,
        "size": 1,
        "cursor": {"0": "1.a.77", "4": "1.a.78"},
        "sealed_through": times.format_utc(NOW),
        "schema": REPLICA_SCHEMA,
        "kid": 1,
        "sig": "x" * 85 + "A",
    }
    return Manifest(**(said | changes))  # type: ignore[arg-type]


CODE = codes.derive(b"z" * 32, 0)


def test_a_snapshot_takes_the_replica_s_place(
    tmp_path: Path, shop: Shop, counter: ShopCounter, port: ReplicaOfTerminal
) -> None:
    """After the install its vouchers open, its cursors and policy hold, and it is encrypted."""
    old = shop.issue()
    shop.database.close()
    counter.parts.replica.damaged = True
    port.install_snapshot(snapshot(tmp_path, CODE, "1234", shop), manifest())
    assert view(counter, CODE, "1234").product_name == "Tea"
    assert reason(counter.look_up(old.code(), old.last4)) is Reason.UNKNOWN_OR_WRONG
    assert (port.cursor(0), port.cursor(4)) == ("1.a.77", "1.a.78")
    assert counter.parts.policy.version == 7 and not counter.parts.replica.damaged
    assert counter.parts.replica.sealed_through() == NOW
    assert not shop.data.replica.read_bytes().startswith(b"SQLite format")
    assert shop.data.replica.stat().st_mode & 0o777 == 0o600
    assert not port.is_empty()


def test_a_snapshot_is_encrypted_where_it_lies(
    tmp_path: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages keep their number and their free room, which now holds what proves them whole."""
    monkeypatch.setattr(ciphers, "quickest", lambda: ciphers.AEGIS)
    path = snapshot(tmp_path, CODE, "1234", shop)
    plain = path.read_bytes()
    snapshots.make_ready(path, manifest(), shop.key)
    encrypted = path.read_bytes()
    assert len(encrypted) == len(plain) and path.stat().st_mode & 0o777 == 0o600
    for start in range(0, len(plain), PAGE_BYTES):
        room = slice(start + PAGE_BYTES - RESERVED_BYTES, start + PAGE_BYTES)
        assert plain[room] == bytes(RESERVED_BYTES) != encrypted[room]


@pytest.mark.parametrize("cipher", [ciphers.AEGIS, ciphers.CHACHA20])
@pytest.mark.parametrize("begun", [b"", blank()])
def test_a_snapshot_serves_whatever_cipher_and_room_it_has(
    tmp_path: Path,
    shop: Shop,
    counter: ShopCounter,
    port: ReplicaOfTerminal,
    monkeypatch: pytest.MonkeyPatch,
    cipher: str,
    begun: bytes,
) -> None:
    """A page without the right room is built anew, and the file is later read as it is."""
    path = snapshot(tmp_path, CODE, "1234", shop, begun=begun)
    shop.database.close()
    monkeypatch.setattr(ciphers, "quickest", lambda: cipher)
    port.install_snapshot(path, manifest())
    monkeypatch.setattr(ciphers, "quickest", lambda: "another processor's")
    assert ciphers.of(shop.data.replica) == cipher
    assert view(counter, CODE, "1234").product_name == "Tea"


def test_a_page_that_does_not_prove_itself_is_refused(
    tmp_path: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bit that the disk changes between encrypting and checking is found by the check."""
    path = snapshot(tmp_path, CODE, "1234", shop)
    encrypt = database.encrypt_replica

    def encrypt_and_spoil(connection: apsw.Connection, key: bytes) -> None:
        encrypt(connection, key)
        with path.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last[0] ^ 1]))

    monkeypatch.setattr(database, "encrypt_replica", encrypt_and_spoil)
    with pytest.raises((ValueError, apsw.Error)):
        snapshots.make_ready(path, manifest(), shop.key)


@pytest.mark.parametrize("wrong", ["noise", "schema", "table", "torn"])
def test_a_snapshot_that_cannot_serve_leaves_the_old_file(
    tmp_path: Path, shop: Shop, counter: ShopCounter, port: ReplicaOfTerminal, wrong: str
) -> None:
    """Noise, another version or a torn file is refused, and the counter goes on as before."""
    old = shop.issue()
    changes = {"schema": "999"} if wrong == "schema" else {}
    path = snapshot(tmp_path, CODE, "1234", shop, **changes)
    if wrong == "noise":
        path.write_bytes(b"noise" * 3000)
    elif wrong == "torn":
        path.write_bytes(path.read_bytes()[:9000])
    elif wrong == "table":
        database = apsw.Connection(str(path))
        database.execute("DROP TABLE cursor")
        database.close()
    before = shop.data.replica.read_bytes()
    with pytest.raises(ValueError):
        port.install_snapshot(path, manifest())
    assert shop.data.replica.read_bytes() == before
    assert view(counter, old.code(), old.last4).left == 1


def test_a_rename_that_fails_leaves_the_old_file(
    tmp_path: Path, shop: Shop, counter: ShopCounter, writer: ReplicaWriter
) -> None:
    """A disk that will not rename keeps the old replica serving."""
    old = shop.issue()

    def swap(replace: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        writer.install(snapshot(tmp_path, CODE, "1234", shop), manifest(), swap)
    assert view(counter, old.code(), old.last4).left == 1


def test_a_replica_is_empty_until_one_can_be_read(shop: Shop, port: ReplicaOfTerminal) -> None:
    """No file, noise or another version asks for a snapshot."""
    assert not port.is_empty()
    shop.set_meta("schema", "999")
    assert port.is_empty()
    shop.database.close()
    port._writer.close()
    shop.data.replica.write_bytes(b"noise" * 3000)
    assert port.is_empty()
    shop.data.replica.unlink()
    assert port.is_empty()


def test_confirming_makes_it_young(shop: Shop, port: ReplicaOfTerminal) -> None:
    """`pulled` sets the age to nothing; a replica that was never confirmed has none."""
    port.pulled(NOW + 60_000)
    assert port.age_s(NOW + 90_000) == 30
    shop.database.execute("DELETE FROM meta")
    assert port.age_s(NOW) is None


# Room on the disk


def test_other_downloads_make_room(shop: Shop, port: ReplicaOfTerminal) -> None:
    """A part of the same snapshot is continued; what was left of another one is deleted."""
    mine = port.download_path(manifest())
    part = part_of(mine)
    part.write_bytes(b"half")
    other = mine.with_name("f" * 64 + ".db")
    other.write_bytes(b"whole, and never installed")
    part_of(other).write_bytes(b"half of another")
    assert port.download_path(manifest()) == mine
    assert list(mine.parent.iterdir()) == [part]


def test_a_snapshot_without_room_is_not_begun(
    shop: Shop, counter: ShopCounter, port: ReplicaOfTerminal
) -> None:
    """What the journal needs stays free; the old list serves, and the words say what is missing."""
    old = shop.issue()
    free = shop.data.free_bytes()
    fits = port.download_path(manifest(size=free // 2))
    part_of(fits).write_bytes(b"half")
    counter.parts.min_free_mb = free // 2**20 - 10
    with pytest.raises(OSError, match="MB more on this disk"):
        port.download_path(manifest(size=free // 2))
    assert not part_of(fits).exists()
    assert view(counter, old.code(), old.last4).left == 1


def test_what_is_installed_opens_with_this_key_only(
    tmp_path: Path, shop: Shop, port: ReplicaOfTerminal
) -> None:
    path = snapshot(tmp_path, CODE, "1234", shop)
    port.install_snapshot(path, manifest())
    port._writer.close()
    stranger = ReplicaWriter(shop.data.replica, bytes(32))
    assert not stranger.readable()
    stranger.close()


def test_keys_that_begin_alike_open_their_own_rows(shop: Shop, port: ReplicaOfTerminal) -> None:
    """Put, replaced, moved, taken back and let go of: the other one stays as it is."""
    one_key, other_key = bytes(15) + b"1", bytes(15) + b"2"

    def put(key: bytes, record: bytes) -> dict[str, object]:
        said = {"t": "sealed", "op": "put", "k": b64u(key), "voucher": VOUCHER}
        return {**said, "record": b64u(record)}

    def gone(key: bytes, **more: object) -> dict[str, object]:
        return {"t": "sealed", "op": "del", "k": b64u(key), **more}

    def found() -> list[bytes | None]:
        return [replica.sealed(key) for key in (one_key, other_key, bytes(16))]

    replica = Replica(shop.data.replica, shop.key, "T1")
    port.apply_page(0, page(product()))
    port.apply_page(4, page(put(one_key, b"a"), put(other_key, b"b")))
    assert found() == [b"a", b"b", None]
    port.apply_page(4, page(put(other_key, b"c"), gone(one_key), at="1.a.1", to="1.a.2"))
    assert found() == [None, b"c", None]
    port.apply_page(1, page(put(one_key, b"d")))
    port.apply_page(4, page(gone(other_key, bucket=1), at="1.a.2", to="1.a.3"))
    buckets = "SELECT group_concat(bucket, ' ') FROM (SELECT bucket FROM sealed ORDER BY k)"
    assert found() == [b"d", b"c", None] and one(shop, buckets) == "1 -2"
    replica_scope.let_go(shop.database, 1, lambda: None)
    assert found() == [None, None, None]
    replica.close()


def test_what_happened_to_one_row_keeps_its_order(shop: Shop, port: ReplicaOfTerminal) -> None:
    """Rows are written in runs and sorted; put, taken back and put again is still there."""
    first, second = b64u(b"k" * 16), b64u(b"a" * 16)

    def row(key: str, record: bytes) -> dict[str, object]:
        said: dict[str, object] = {"t": "sealed", "op": "put", "k": key, "voucher": VOUCHER}
        return {**said, "record": b64u(record)}

    port.apply_page(
        0,
        page(
            row(first, b"one"),
            state(version=3, used=1),
            row(second, b"zzz"),
            row(first, b"two"),
            {"t": "sealed", "op": "del", "k": second},
            {"t": "sealed", "op": "del", "k": first},
            state(version=2, used=9),
            row(first, b"aaa"),
            state(version=4, used=4),
        ),
    )
    assert one(shop, "SELECT group_concat(record) FROM sealed") == b"aaa".decode()
    assert shop.database.execute("SELECT version, used FROM state").fetchall() == [(4, 4)]


def test_a_long_page_makes_way_again_and_again(shop: Shop) -> None:
    """A clerk who comes in the middle of it is let in before its end."""
    asked: list[int] = []
    writer = ReplicaWriter(shop.data.replica, shop.key, make_way=lambda: asked.append(1))
    rows = [
        {"t": "sealed", "op": "put", "k": b64u(bytes([n]) * 16), "record": "AA", "voucher": VOUCHER}
        for n in range(200)
    ]
    writer.apply(0, page(*rows))
    writer.close()
    assert len(asked) == 8, "four times while rows are made, four times while they are written"
