"""The receiver skips nothing, believes nothing that does not fit, and knows when to start over."""

import pytest

from sync import acks, receiver
from sync.errors import Busy, Garbled, Slow
from sync.feed import (
    Checkpoint,
    FeedPage,
    SealedGone,
    decode_page,
)
from sync.limits import SNAPSHOT_BYTES_MAX
from sync.messages import Manifest, encode
from sync.pacing import Pace
from sync.problems import Problem
from sync.receiver import Follow, Pause, Receiving, TakeSnapshot
from tests.sync.peer import CENTRAL, KEYS, NOW, Bucket, Copy, refusal, uuid
from vouchers.replica_form import REPLICA_SCHEMA


def page(from_="1.a.5", cursor="1.a.7", more=False, **fields):
    return FeedPage(from_=from_, cursor=cursor, more=more, **fields)


def step(receiving, *, empty=False, now_ms=0):
    return receiver.plan(receiving, replica_is_empty=empty, now_ms=now_ms)


def fail(receiving, error):
    return receiver.failed(receiving, error, now_ms=0, chance=0.0)


def test_a_terminal_with_a_replica_follows_the_feed():
    """One without takes a snapshot first, unless central has none."""
    assert step(Receiving()) == Follow()
    assert isinstance(step(Receiving(), empty=True), TakeSnapshot)
    assert step(Receiving(no_snapshot=True), empty=True) == Follow()
    assert step(Receiving(snapshot_why="told so")) == TakeSnapshot("told so")


def test_pauses_are_kept():
    """Nothing is asked before its time."""
    assert step(Receiving(pace=Pace(1, 700)), now_ms=100) == Pause(600)
    assert step(Receiving(pace=Pace(1, 700)), now_ms=700) == Follow()


def test_a_page_that_continues_is_applied():
    """From our cursor, forward, in the same history; an empty page may stand still."""
    receiver.check_page(page(more=True), after="1.a.5")
    receiver.check_page(page(cursor="1.a.5"), after="1.a.5")
    receiver.check_page(page(from_="0", cursor="1.ff.0"), after="0")
    receiver.check_page(page(from_="0", cursor="0"), after="0")


ITEM = SealedGone(op="del", k="A" * 22)


@pytest.mark.parametrize(
    ("given", "after"),
    [
        (page(), "1.a.4"),
        (page(), "0"),
        (page(cursor="1.b.7"), "1.a.5"),
        (page(cursor="1.a.4"), "1.a.5"),
        (page(cursor="1.a.5", more=True), "1.a.5"),
        (page(cursor="0"), "1.a.5"),
        (page(from_="0", cursor="0", more=True), "0"),
        (page(from_="0", cursor="0", items=(ITEM,)), "0"),
        (page(from_="0", cursor="1.a.0", more=True), "0"),
        (page(items=(ITEM, ITEM, ITEM)), "1.a.5"),
    ],
)
def test_a_page_that_does_not_fit_is_refused(given, after):
    """Another start, another history, backwards, on the spot, or more than was asked for."""
    with pytest.raises(Garbled):
        receiver.check_page(given, after=after, limit=2)


def test_checkpoints_are_compared():
    """Count and digest must both agree, where both sides have them at the same place."""
    theirs = Checkpoint(seq=7, live=2, digest="ab" * 8)
    here = page(checkpoint=theirs)
    assert receiver.agrees(here, theirs)
    assert not receiver.agrees(here, Checkpoint(seq=7, live=3, digest="ab" * 8))
    assert not receiver.agrees(here, Checkpoint(seq=7, live=2, digest="ac" * 8))
    other = Checkpoint(seq=0, live=0, digest="00" * 8)
    assert receiver.agrees(page(), other)
    assert receiver.agrees(here, None)
    assert receiver.agrees(page(cursor="1.a.8", checkpoint=theirs), other)
    assert receiver.agrees(page(from_="0", cursor="0", checkpoint=theirs), other)


def manifest(**changes):
    fields = {
        "sha256": "ab" * 32,
        "size": 4096,
        "cursor": {"0": "1.a.5"},
        "sealed_through": NOW,
        "schema": REPLICA_SCHEMA,
    } | changes
    text = acks.compose_manifest(**fields)
    signed = acks.sign(acks.MANIFEST_DOMAIN, text, kid=1, key=CENTRAL)
    return Manifest(**fields, kid=1, sig=signed.sig)


def test_a_signed_manifest_is_believed():
    """Every field is under the signature."""
    receiver.check_manifest(manifest(), KEYS)
    good = manifest()
    for change in (
        {"sha256": "ac" * 32},
        {"size": 1},
        {"cursor": {"0": "1.a.6"}},
        {"sealed_through": "2027-11-22T03:04:05.678Z"},
        {"kid": 2},
    ):
        fields = {name: getattr(good, name) for name in good.__struct_fields__}
        with pytest.raises(Garbled):
            receiver.check_manifest(Manifest(**(fields | change)), KEYS)


@pytest.mark.parametrize("change", [{"schema": 1}, {"size": 0}, {"size": SNAPSHOT_BYTES_MAX + 1}])
def test_a_manifest_that_is_not_for_us(change):
    """Signed, but of another schema or an impossible size."""
    with pytest.raises(Garbled):
        receiver.check_manifest(manifest(**change), KEYS)


def test_a_cursor_that_cannot_be_served():
    """410 leads to a snapshot at once; the same again after it leads to a pause as well."""
    first = fail(Receiving(), refusal("floor", 410))
    assert step(first) == TakeSnapshot("central says floor")
    again = fail(receiver.installed(first), refusal("floor", 410))
    assert step(again) == Pause(1_000)
    assert receiver.succeeded(receiver.installed(again)) == Receiving()


def test_central_without_snapshots():
    """The feed is followed from its beginning, and the choice is remembered."""
    after = fail(Receiving(snapshot_why="empty"), refusal("no_snapshot", 404))
    assert step(after, empty=True) == Follow()
    assert receiver.succeeded(after).no_snapshot
    other = fail(Receiving(snapshot_why="empty"), refusal("not_found", 404))
    assert (other.no_snapshot, other.pace.failures) == (False, 1)


def test_failures_cost_time():
    """An outage pauses; central's own wish is added."""
    assert fail(Receiving(), Slow("x")).pace == Pace(1, 500)
    busy = Busy(Problem(type="/problems/busy", status=429, retry_after_s=3))
    assert fail(Receiving(), busy).pace == Pace(1, 3_500)


def test_any_split_of_pages_gives_the_same_state(rng):
    """Pages of any size, repeated, late or from another place: the copy ends as the bucket is."""
    for _ in range(30):
        bucket, copy, old = Bucket(), Copy(), []
        for _ in range(120):
            if rng.random() < 0.5:
                bucket.change(uuid(rng.randrange(9)), rng.randrange(5))
            after = copy.cursor if rng.random() < 0.7 or not old else rng.choice(old).cursor
            got = decode_page(encode(bucket.read(after, rng.randint(1, 4))))
            if old and rng.random() < 0.2:
                got = rng.choice(old)
            old.append(got)
            try:
                receiver.check_page(got, after=copy.cursor)
            except Garbled:
                continue
            copy.apply(got)
        more, agreed = True, False
        while more:
            last = bucket.read(copy.cursor, rng.randint(1, 4))
            receiver.check_page(last, after=copy.cursor)
            agreed, more = receiver.agrees(last, copy.apply(last)), last.more
        assert copy.rows == bucket.states
        assert agreed


def test_a_row_that_went_astray_shows_at_the_checkpoint():
    """Losing one applied row is noticed at the end of the feed."""
    bucket, copy = Bucket(), Copy()
    for number in range(5):
        bucket.change(uuid(number), 1)
    whole = bucket.read("0", 10)
    lossy = FeedPage(**{n: getattr(whole, n) for n in whole.__struct_fields__ if n != "items"})
    assert not receiver.agrees(whole, copy.apply(lossy))
