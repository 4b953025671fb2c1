"""What fills a replica: enrolment, hello, snapshot, feed, look-ups, over real HTTP."""

import hashlib
import json
import sqlite3
import threading
import time
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from central import catalogue, enrol, feed, orders, policies, reports, restoring, sealing, snapshot
from central.catalogue import NewProduct, Product
from central.errors import Refused as No
from central.service import Central, open_central
from sync import acks, messages, receiver, sealedbox, signing
from sync.errors import Refused
from sync.feed import (
    FeedPage,
    PolicyPut,
    ProductPut,
    SealedGone,
    SealedPut,
    StatePut,
    digest_text,
    row_digest,
)
from sync.replica_schema import RESERVED_BYTES
from tests.central import till as tills
from tests.central.conftest import Pair, issue, served
from tests.central.till import Till
from vouchers import codes, ids, qr, sealed
from vouchers.replica_form import REPLICA_SCHEMA


def pull(till: Till, bucket: int, after: str = "0", limit: int = 5_000) -> list[FeedPage]:
    pages = []
    while True:
        page = till.http.feed(bucket, after=after, limit=limit, wait_s=0)
        receiver.check_page(page, after=after)
        pages.append(page)
        if not page.more:
            return pages
        after = page.cursor


def states(pages: list[FeedPage]) -> dict[str, StatePut]:
    return {i.voucher: i for page in pages for i in page.items if isinstance(i, StatePut)}


def test_enrolment_tells_a_terminal_who_it_is(central: Central, url: str) -> None:
    """EV-030, EV-065: a registered device of an outlet; the tag key opens for it alone."""
    made = enrol.make_code(central, 2, "GATE7")
    assert isinstance(made, enrol.Pairing)
    till = tills.pair_with(made.code, url)
    told = till.enrolment
    assert (told.posid, told.epoch, told.outlet.id, told.outlet.name) == ("GATE7", 1, 2, "West")
    assert (told.merchant, told.time_zone) == (1, "Asia/Shanghai")
    assert (told.vault.t, told.vault.m, told.vault.p) == sealed.COST_LIGHT
    (tag,) = told.k_tags
    secret = sealedbox.open_box(ids.unb64u(tag.sealed), till.seal_key.private_bytes_raw())
    issued = issue(central)
    keys = {1: _public(till)}
    read = qr.decode(issued.qr, keys)
    assert qr.tag_matches(read, secret, "1234") and not qr.tag_matches(read, secret, "1235")
    assert (read.code, read.voucher, read.shares) == (issued.code, issued.voucher, 1)
    with pytest.raises(Refused) as used:
        tills.pair_with(made.code, url)
    assert (used.value.problem.status, used.value.reason) == (403, "unknown_code")
    till.http.close()


def _public(till: Till) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(ids.unb64u(till.enrolment.server_keys[0].key))


def test_a_pairing_code_has_five_tries_and_names_its_central(central: Central, url: str) -> None:
    made = enrol.make_code(central, 1, "POS1")
    assert isinstance(made, enrol.Pairing)
    plain = made.code.replace("-", "")
    wrong = plain[:9] + ("2" if plain[9] == "1" else "1") + plain[10:]
    for _ in range(5):
        with pytest.raises(Refused):
            tills.pair_with(wrong, url)
    with pytest.raises(Refused) as spent:
        tills.pair_with(made.code, url)
    assert spent.value.reason == "unknown_code"
    foreign = plain[:10] + ("00000000" if plain[10:] != "00000000" else "11111111")
    with pytest.raises(Refused) as other:
        tills.pair_with(foreign, url)
    assert other.value.reason == "wrong_central"


def test_a_snapshot_opens_with_code_and_last_four_only(
    central: Central, pair: Pair, tmp_path: Path
) -> None:
    voucher = issue(central, shares=3, home=1)
    till = pair("POS1")
    manifest = till.http.manifest()
    receiver.check_manifest(manifest, {1: ids.unb64u(till.enrolment.server_keys[0].key)})
    path = tmp_path / "replica.db"
    till.http.download(manifest, path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == manifest.sha256
    with sqlite3.connect(path) as file:
        rows = file.execute("SELECT k, record, voucher FROM sealed").fetchall()
        (state,) = file.execute("SELECT * FROM state").fetchall()
        products = file.execute("SELECT id, name, outlets, bucket FROM product").fetchall()
        cursors = dict(file.execute("SELECT bucket, cursor FROM cursor"))
        streams = file.execute("SELECT * FROM streams").fetchall()
        meta = dict(file.execute("SELECT * FROM meta"))
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    key = sealed.stretch(voucher.code, "1234", till.vault)
    (record,) = [sealed.open_record(row[1], key) for row in rows if row[0] == key.row_key]
    assert (record.voucher, record.shares, record.home) == (voucher.voucher, 3, 1)
    # The next generation is sealed too, so that another counter can open the successor.
    successor = sealed.stretch(codes.derive(record.secret, 1), "1234", till.vault)
    assert successor.row_key in {row[0] for row in rows}
    assert state[:5] == (voucher.voucher, 1, "live", 0, 0) and state[-3:-1] == (None, None)
    assert products == [(1, "Bread", "[1, 2]", 1)]
    assert {str(b): c for b, c in cursors.items()} == manifest.cursor
    assert streams == [("POS1", 1, 0)]
    assert (meta["schema"], meta["merchant"]) == (str(REPLICA_SCHEMA), "1")
    raw = path.read_bytes()
    assert raw[20] == RESERVED_BYTES  # a terminal can encrypt it where it lies
    assert voucher.code.encode() not in raw and b"13800001234" not in raw
    resumed = tmp_path / "resumed.db"
    resumed.write_bytes(b"")
    (tmp_path / "resumed.db.part").write_bytes(raw[:1000])
    till.http.download(manifest, resumed)
    assert resumed.read_bytes() == raw


def test_a_snapshot_is_shared_until_it_is_far_behind(
    central: Central, pair: Pair, tmp_path: Path
) -> None:
    for _ in range(30):
        issue(central)
    till = pair("POS1")
    first = till.http.manifest()
    issue(central)
    assert till.http.manifest().sha256 == first.sha256
    (page,) = pull(till, 1, after=first.cursor["1"])
    assert len(page.items) == 2
    made = {first.sha256}
    for _ in range(4):
        for _ in range(8):
            issue(central)
        snapshot.current(central)
        made.add(till.http.manifest().sha256)
    assert len(made) == 5
    assert len(list(central.spool.glob("*.db"))) == snapshot.KEPT
    with pytest.raises(Refused) as gone:
        till.http.download(first, tmp_path / "old.db")
    assert gone.value.problem.status == 404
    for path in central.spool.glob("*.json"):
        path.write_text("{broken")
    assert till.http.manifest().size > 0
    moment = tills.now_ms() + snapshot.AGE_MS_MAX + 1_000
    later = Central(central.database, 1, central.name, central.zone, central.spool, lambda: moment)
    assert snapshot.current(later).built_at == moment


def test_the_feed_gives_the_same_state_in_any_pages(central: Central, pair: Pair) -> None:
    vouchers = [issue(central, shares=2) for _ in range(5)]
    orders.request_refund(central, vouchers[0].order)
    till = pair("POS1")
    whole, split = pull(till, 1), pull(till, 1, limit=2)
    assert len(whole) == 1 and len(split) > 3
    assert states(whole) == states(split)
    assert states(whole)[vouchers[0].voucher].state == "refunding"
    check = whole[-1].checkpoint
    assert check is not None and check.live == 5
    digest = sum(row_digest(s.voucher, s.version) for s in states(whole).values())
    assert check.digest == digest_text(digest)
    kinds = {type(item) for item in pull(till, 0)[0].items}
    assert {ProductPut, PolicyPut} <= kinds


def test_pages_reflect_the_terminals_own_entries(central: Central, pair: Pair) -> None:
    voucher = issue(central, shares=3)
    till = pair("POS1")
    before = pull(till, 1)[-1]
    assert before.reflects is not None and before.reflects.seq == 0
    till.redeem(voucher)
    answer = till.push()
    assert isinstance(answer.cursor, dict)
    # The job that seals the code after next may have published by now, or publishes here.
    sealing.run(central)
    (page,) = pull(till, 1, after=before.cursor)
    assert page.reflects is not None and page.reflects.seq == 1
    row = states([page])[voucher.voucher]
    assert (row.used, row.generation, row.version) == (1, 1, 2)
    (rest,) = pull(till, 1, after=answer.cursor["1"])
    assert voucher.voucher not in states([rest]), "the answer names the place of its own entries"
    assert rest.cursor == page.cursor or rest.items


def test_a_redemption_that_was_undone_before_it_was_sent_is_reflected(
    central: Central, pair: Pair
) -> None:
    """EV-038: nothing is left of both, and still the terminal hears that they are counted: while it
    does not, its own row of the voucher stays good, under a former number too.
    """
    voucher = issue(central)
    till = pair("POS1")
    cursor = pull(till, 1)[-1].cursor
    till.reverse(till.redeem(voucher), voucher)
    till.push()
    (page,) = pull(till, 1, after=cursor)
    assert page.reflects is not None and page.reflects.seq == 2
    state = states([page])[voucher.voucher]
    assert (state.used, state.generation, state.version) == (0, 0, 2)
    till.push()  # what is sent twice says nothing new
    assert pull(till, 1, after=page.cursor)[-1].items == ()


def test_a_cursor_of_another_history_takes_a_new_snapshot(central: Central, pair: Pair) -> None:
    """Design 7: a cursor that cannot be served is 410 with the reason."""
    issue(central)
    till = pair("POS1")
    epoch = pull(till, 1)[-1].cursor.split(".")[1]
    for cursor, reason in (("1.00000000000000ff.1", "epoch"), (f"1.{epoch}.99", "ahead")):
        with pytest.raises(Refused) as no:
            till.http.feed(1, after=cursor, limit=10, wait_s=0)
        assert (no.value.problem.status, no.value.reason) == (410, reason)
    with pytest.raises(Refused) as unknown:
        till.http.feed(77, after="0", limit=10, wait_s=0)
    assert unknown.value.problem.status == 410


def test_a_restored_service_begins_new_histories(
    central: Central, pair: Pair, tmp_path: Path
) -> None:
    """After a restore no cursor leads into a past that is gone, and journals fill the hole."""
    voucher = issue(central, shares=3)
    till = pair("POS1")
    first = till.http.manifest()
    till.redeem(voucher)
    till.push()
    cursor = pull(till, 1)[-1].cursor
    heard = till.http.verdicts("0").cursor
    assert restoring.renew(central) == 2
    with pytest.raises(Refused) as gone:
        till.http.feed(1, after=cursor, limit=10, wait_s=0)
    assert (gone.value.problem.status, gone.value.reason) == (410, "epoch")
    assert till.http.manifest().sha256 != first.sha256
    assert states(pull(till, 1))[voucher.voucher].used == 1
    till.redeem(voucher, 3, generation=1, left=0)
    till.push(2)
    assert [v.verdict for v in till.http.verdicts(heard).verdicts][-1] == "over_redeemed"


def test_a_changed_policy_comes_down_the_feed(central: Central, pair: Pair) -> None:
    till = pair("POS1")
    cursor = pull(till, 0)[-1].cursor
    changed = policies.change(central, ["claim.budget_ms=250"])
    assert not isinstance(changed, No)
    (page,) = pull(till, 0, after=cursor)
    assert page.items == (PolicyPut(policy=changed),)


def test_a_long_poll_ends_with_the_change(central: Central, pair: Pair) -> None:
    """A refund reaches a waiting terminal within 2 s, also when it waits on another bucket."""
    voucher = issue(central)
    till = pair("POS1")
    here, there = pull(till, 1)[-1].cursor, pull(till, 0)[-1].cursor
    threading.Timer(0.2, orders.request_refund, (central, voucher.order)).start()
    began = tills.now_ms()
    page = till.http.feed(1, after=here, limit=10, wait_s=20)
    assert tills.now_ms() - began < 2_000
    assert states([page])[voucher.voucher].state == "refunding"
    threading.Timer(0.2, orders.withdraw_refund, (central, voucher.order)).start()
    other = till.http.feed(0, after=there, limit=10, wait_s=20, watch=f"1:{page.cursor}")
    assert other.items == () and tills.now_ms() - began < 4_000
    assert till.http.feed(1, after=page.cursor, limit=10, wait_s=0).items


def test_a_poll_at_one_process_ends_with_a_redemption_at_another(
    central: Central, pair: Pair
) -> None:
    """Two processes on one database: what is uploaded to one reaches who waits at the other."""
    voucher = issue(central, shares=3)
    till, other = pair("POS1"), pair("POS2", 2)
    there = open_central(central.database.url)
    with served(there) as url:
        waiting = other.at(url)
        cursor = pull(waiting, 1)[-1].cursor
        till.redeem(voucher)
        threading.Timer(0.2, till.push).start()
        began = tills.now_ms()
        page = waiting.http.feed(1, after=cursor, limit=10, wait_s=20)
        assert tills.now_ms() - began < 2_200
        assert states([page])[voucher.voucher].used == 1
        waiting.http.close()
    there.database.close()


def test_a_changed_mobile_takes_the_old_rows_away(central: Central, pair: Pair) -> None:
    """EV-038: the new last four open the voucher, the old ones nothing."""
    voucher = issue(central, shares=2)
    till = pair("POS1")
    cursor = pull(till, 1)[-1].cursor
    old = {i.k for p in pull(till, 1) for i in p.items if isinstance(i, SealedPut)}
    changed = orders.change_mobile(central, voucher.order, "139 0000 5678")
    assert isinstance(changed, orders.Order)
    (page,) = pull(till, 1, after=cursor)
    assert {i.k for i in page.items if isinstance(i, SealedGone)} == old
    new = {i.k for i in page.items if isinstance(i, SealedPut)}
    assert till.row_key(voucher.code, "5678") in new and not new & old


def test_lookups_answer_what_the_replica_misses_and_charge_misses(
    central: Central, pair: Pair
) -> None:
    """Decision 13: 20 misses in 10 minutes, then 429 and an alarm; a hit is not charged."""
    voucher = issue(central)
    till = pair("POS1")
    ask = messages.LookupRequest(row_key=till.row_key(voucher.code, "1234"))
    found = till.http.look_up(ask, budget_ms=5_000)
    assert found is not None and found.voucher == voucher.voucher
    record = sealed.open_record(
        ids.unb64u(found.record), sealed.stretch(voucher.code, "1234", till.vault)
    )
    assert record.voucher == voucher.voucher
    for number in range(20):
        miss = messages.LookupRequest(row_key=till.row_key(voucher.code, f"{number:04d}"))
        assert till.http.look_up(miss, budget_ms=5_000) is None
    with pytest.raises(Refused) as locked:
        till.http.look_up(ask, budget_ms=5_000)
    assert (locked.value.problem.status, locked.value.reason) == (429, "locked")
    assert 0 < (locked.value.problem.retry_after_s or 0) <= 600
    with central.read() as work:
        assert [row["kind"] for row in reports.alarms(work)] == ["guessing"]


def test_hello_compares_heads(central: Central, pair: Pair) -> None:
    """Design 7: a head that equals or extends ours keeps the lease; one that differs forks."""
    till = pair("POS1")
    first = till.hello()
    assert first.head is None
    voucher = issue(central)
    till.redeem(voucher)
    assert till.hello().head is None
    till.push()
    said = till.hello()
    assert said.head is not None and (said.head.seq, said.head.hash) == (1, till.heads[1])
    keys = {1: ids.unb64u(till.enrolment.server_keys[0].key)}
    nonce = json.loads(said.time)["nonce"]
    told = acks.read_time(acks.Signed(said.time, said.kid, said.sig), keys, nonce=nonce)
    assert abs(told.now - tills.now_ms()) < 60_000
    with pytest.raises(Refused) as behind:
        till.hello(seq=0)
    assert (behind.value.problem.status, behind.value.reason) == (409, "fork")
    with pytest.raises(Refused) as fork:
        till.hello(seq=1, hash="0" * 64)
    assert (fork.value.problem.status, fork.value.reason) == (409, "fork")


def test_a_terminal_with_a_wrong_clock_still_syncs(central: Central, pair: Pair) -> None:
    """AX-15: beyond 300 s a server nonce replaces the time; the answer carries signed time."""
    till = pair("POS1", skew_ms=-370 * 24 * 3_600_000)
    assert till.hello().head is None
    unsigned = httpx.get(f"{till.url}/v1/snapshot")
    assert unsigned.status_code == 401 and unsigned.json()["type"].endswith("/unsigned")
    assert unsigned.headers["content-type"] == "application/problem+json"


def test_an_answer_does_not_wait_for_a_delayed_acknowledgement(
    central: Central, pair: Pair
) -> None:
    """Nagle's algorithm would make the best of many answers wait 40 ms; a claim has 400."""
    till = pair("POS1")
    best = 1.0
    for _ in range(10):
        began = time.perf_counter()
        till.http.verdicts("0")
        best = min(best, time.perf_counter() - began)
    assert best < 0.035


def test_a_replayed_request_is_refused(central: Central, pair: Pair) -> None:
    till = pair("POS1")
    headers = {"Host": till.url.removeprefix("http://")}
    message = signing.Message("GET", headers["Host"], "/v1/verdicts?after=0", headers, b"")
    signer = signing.Signer(signing.key_id("POS1", 1), till.key)
    signing.sign(message, signer, created_s=tills.now_ms() // 1000, nonce="0123456789abcdef")
    first = httpx.get(f"{till.url}/v1/verdicts?after=0", headers=headers)
    again = httpx.get(f"{till.url}/v1/verdicts?after=0", headers=headers)
    other = httpx.get(f"{till.url}/v1/verdicts?after=1", headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (200, 401, 401)
    assert again.json()["type"].endswith("/replayed")


def test_bodies_that_cannot_be_read_are_problems(central: Central, pair: Pair) -> None:
    """Never a traceback: garbage, wrong types, too large, wrong encoding, unknown routes."""
    till = pair("POS1")
    bodies = (
        b"",
        b"{",
        b"\xff\xfe",
        b'{"code": 5}',
        b'{"code":"12345678","sign_key":"x","seal_key":"y","proof":"z","extra":1}',
        "🎉".encode() * 9_000,
    )
    for body in bodies:
        answer = httpx.post(f"{till.url}/v1/enrolments", content=body)
        assert answer.status_code in (400, 413), body[:20]
        assert answer.headers["content-type"] == "application/problem+json"
    packed = httpx.post(
        f"{till.url}/v1/enrolments", content=b"no zstd", headers={"content-encoding": "zstd"}
    )
    assert packed.status_code == 400
    large = httpx.post(f"{till.url}/v1/enrolments", content=bytes(3 << 20))
    assert large.status_code == 413
    missing = httpx.get(f"{till.url}/v1/nothing")
    assert missing.status_code == 404 and missing.json()["type"].endswith("/not_found")
    described = httpx.get(f"{till.url}/openapi.json").json()
    assert "/v1/journal/{posid}/{epoch}" in described["paths"]
    assert "sync API" in httpx.get(f"{till.url}/docs").text
    assert httpx.get(f"{till.url}/health").json()["ok"] is True


def test_every_distinct_set_of_outlets_is_one_bucket(central: Central, pair: Pair) -> None:
    made = catalogue.add_product(central, NewProduct("West only", 100, (2,)))
    again = catalogue.add_product(central, NewProduct("Both again", 100, (2, 1)))
    assert isinstance(made, Product) and isinstance(again, Product)
    assert (made.bucket, again.bucket) == (2, 1)
    till = pair("POS1")
    with central.read() as work:
        assert set(feed.heads(work)) == {0, 1, 2}
    assert pull(till, 2)[-1].items == ()
