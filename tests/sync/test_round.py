"""A round over real HTTP: entries go up once, the feed comes down whole, trouble is told."""

import json
import threading
from dataclasses import replace

import pytest

from sync import messages
from sync.downlink import IDLE_PAUSE_MS, Downlink
from sync.errors import Busy, Garbled, Refused, Slow, Unreachable
from sync.feed import Checkpoint, FeedPage, KeyGone, KeyPut, ProductPut
from sync.messages import Directive, Head, Verdict, VerdictsPage
from sync.run import sync_once
from sync.sender import LINGER_MS, Fence
from sync.uplink import GREET_EVERY_MS, Uplink
from tests.sync.peer import KEYS, Bucket, Chain, Peer, ack_of, uuid
from tests.sync.server import Answered, ScriptedServer
from tests.sync.till import paths, refuse
from vouchers.ids import b64u


def test_one_round(till, service, server, ports):
    """Hello, journal, snapshot, feed, verdicts: everything that was to be exchanged is."""
    till.chains[1].grown(7)
    for number in range(5):
        service.buckets[0].change(uuid(number), 1)
    result = sync_once(ports)
    assert (result.pushed, result.up_to, result.behind, result.error) == (7, 7, 0, None)
    assert result.replica_age_s == 0
    assert service.peers[1].chain.bodies == till.chains[1].bodies
    assert till.copies[0].rows == service.buckets[0].states
    assert till.times == [(77, till.now, till.now)]
    assert paths(server)[:3] == ["hello", "journal/T1/1", "snapshot"]
    assert till.installed
    assert till.acks[0].signed.kid == 1


def test_the_next_round_only_brings_news(till, service, server, ports):
    """No snapshot again; one new entry and the changed rows."""
    sync_once(ports)
    till.chains[1].grown(1)
    service.buckets[0].change(uuid(1), 2)
    server.asked.clear()
    result = sync_once(ports)
    assert (result.pushed, result.pulled) == (1, 1)
    assert "snapshot" not in paths(server)
    assert till.copies[0].rows == service.buckets[0].states


def test_an_outage_is_one_error_and_no_loss(till, service):
    """Nobody there: everything stays, the round says so, and central is not asked twice."""
    till.chains[1].grown(3)
    with ScriptedServer(service) as gone:
        url = gone.url
    ports = till.ports(url)
    result = sync_once(ports)
    assert isinstance(result.error, Unreachable)
    assert (result.pushed, result.up_to, result.behind) == (0, 0, 3)
    assert result.replica_age_s is None
    assert not till.fences
    ports.central.close()


def test_a_large_backlog_goes_in_batches(till, service, server, ports):
    """Two thousand and one entries: three batches, in order."""
    till.chains[1].grown(2_001)
    assert sync_once(ports).pushed == 2_001
    assert paths(server).count("journal/T1/1") == 3
    assert service.peers[1].chain.bodies == till.chains[1].bodies


def test_entries_of_an_older_epoch_go_first(till, service, ports):
    """After a new enrolment what the old epoch still owes is delivered too."""
    till.chains = {1: Chain().grown(2), 2: Chain().grown(3, "second")}
    service.peers[2] = Peer()
    service.override = lambda asked: None
    till.acked = {2: 0}
    service.peers[2].signed = lambda: ack_of(
        "T1", 2, len(service.peers[2].chain.bodies), service.peers[2].chain.hashes[-1]
    )
    result = sync_once(ports)
    assert (result.pushed, result.up_to, result.behind) == (5, 3, 0)
    assert till.acked == {1: 2, 2: 3}


def test_verdicts_come_back(till, service, ports):
    """With the acknowledgement, and later by pages until there is no more."""
    verdict = Verdict(seq=1, serial="T1_1_00000001", verdict="over_redeemed", excess=1)
    till.chains[1].grown(1)
    hash_ = till.chains[1].hashes[1]
    answer = ack_of("T1", 1, 1, hash_, verdicts=(verdict,))
    service.override = lambda asked: (
        Answered(body=messages.encode(answer)) if "journal" in asked.path else None
    )
    service.verdict_pages = [
        VerdictsPage(verdicts=(verdict,), cursor="5", more=True),
        VerdictsPage(verdicts=(), cursor="9"),
    ]
    assert sync_once(ports).error is None
    assert till.verdicts == [verdict]
    assert [page.cursor for page in till.pages] == ["5", "9"]


def test_verdicts_that_go_nowhere(service, ports):
    """More of the same for ever is refused."""
    service.verdict_pages = [VerdictsPage(verdicts=(), cursor="", more=True)]
    assert isinstance(sync_once(ports).error, Garbled)


@pytest.mark.parametrize("reason", ["fork", "revoked"])
def test_central_fences_at_hello(till, service, server, ports, reason):
    """A second holder stops sending, a revoked terminal only redeeming; reading goes on."""
    till.chains[1].grown(2)
    service.override = refuse("hello", reason, 409, detail="another holder")
    result = sync_once(ports)
    assert result.fence.trouble == reason
    assert result.pushed == (2 if reason == "revoked" else 0)
    assert till.fences == [(1, result.fence)]
    assert till.pulled_at


def test_hello_finds_a_disk_that_went_back(till, service, ports):
    """Central holds more than this journal: said once, nothing sent."""
    service.head = Head(epoch=1, seq=9, hash="ab" * 32)
    result = sync_once(ports)
    assert result.fence.trouble == "rolled_back"
    assert len(till.fences) == 1


def test_an_acknowledgement_finds_a_fork(till, service, ports):
    """Another entry under our name stops the stream."""
    till.chains[1].grown(2)
    other = Chain().grown(2, "other")
    body = messages.encode(ack_of("T1", 1, 2, other.hashes[2]))
    service.override = lambda asked: Answered(body=body) if "journal" in asked.path else None
    result = sync_once(ports)
    assert result.fence.trouble == "fork"
    assert (till.acks, result.behind) == ([], 2)


def test_a_hello_that_is_not_centrals(till, service, ports):
    """A time signed by a stranger is not heard; entries still go, to a believed acknowledgement."""
    till.chains[1].grown(1)
    stranger = {"time": "{}", "kid": 9, "sig": "S" * 85 + "A"}
    service.override = lambda asked: (
        Answered(body=json.dumps(stranger).encode()) if "hello" in asked.path else None
    )
    uplink = Uplink(ports)
    assert uplink.drain() == 1
    assert isinstance(uplink.error, Garbled)
    assert till.times == []


def test_directives_reach_the_holder(till, service, server, ports):
    """A message is handed on; `rebootstrap` takes a new snapshot."""
    sync_once(ports)
    service.directives = (Directive(do="message", text="hi"), Directive(do="rebootstrap"))
    server.asked.clear()
    assert sync_once(ports).error is None
    assert [directive.do for directive in till.directed_] == ["message", "rebootstrap"]
    assert "snapshot" in paths(server)


def test_the_uplink_waits_as_it_should(till, service, server, ports):
    """Until the next hello; a moment for company; a pause after a failure; then it sends."""
    uplink = Uplink(ports)
    spread = int(GREET_EVERY_MS * till.random() / 4)
    assert uplink.step() == GREET_EVERY_MS - spread
    till.chains[1].grown(1)
    assert uplink.step() == LINGER_MS
    till.now += LINGER_MS - 1
    assert uplink.step() == 1
    till.now += 1
    service.override = refuse("journal", "busy", 503, retry_after_s=3)
    assert uplink.step() == 3_500
    assert isinstance(uplink.error, Busy)
    service.override = None
    till.now += 3_499
    assert uplink.step() == 1
    till.now += 1
    assert uplink.step() == 0
    assert uplink.error is None
    till.now += GREET_EVERY_MS
    uplink.step()
    assert paths(server).count("hello") == 2


def test_the_first_hello_is_tried_again(till, service, server, ports):
    """A failed hello has a pause of its own and does not hold entries back."""
    service.override = refuse("hello", "busy", 503)
    till.chains[1].grown(1)
    uplink = Uplink(ports)
    till.now += LINGER_MS
    assert uplink.step(flush=True) == 0
    assert uplink.step() == 500
    service.override = None
    till.now += 500
    uplink.step()
    assert till.times


def test_entries_wait_for_a_first_hello_that_may_still_arrive(till, service, server):
    """Behind them its head would look like a disk that went back, and raise a false alarm. Once
    central has heard this process, a late hello holds nothing up."""
    answered = threading.Event()

    def late(asked):
        if "hello" in asked.path:
            answered.wait(10)

    ports = till.ports(server.url, answer_s=0.1)
    service.override = late
    till.chains[1].grown(1)
    uplink = Uplink(ports)
    assert uplink.step(flush=True) > 0
    assert isinstance(uplink.error, Slow) and paths(server) == ["hello"]
    answered.set()
    uplink._ports = ports = replace(ports, central=till.ports(server.url).central)
    till.now += 60_000
    assert uplink.step(flush=True) == 0
    assert [path.split("/")[0] for path in paths(server)] == ["hello", "hello", "journal"]
    uplink._greet_error = Slow("a later one")
    till.chains[1].grown(1)
    assert uplink.step(flush=True) == 0
    ports.central.close()


def test_a_central_without_snapshots(till, service, server, ports):
    """The feed is followed from its beginning."""
    service.snapshots = False
    for number in range(8):
        service.buckets[0].change(uuid(number), number)
    result = sync_once(ports)
    assert (result.error, result.pulled) == (None, 8)
    assert till.copies[0].rows == service.buckets[0].states
    assert not till.installed


def test_a_bucket_that_the_catalogue_names_is_pulled_too(till, service, ports):
    """A new product brings its bucket within the same round."""
    service.snapshots = False
    service.buckets[4] = Bucket()
    service.buckets[4].change(uuid(1), 1)
    product = ProductPut(
        id=1,
        name="两人餐",
        outlets=(1,),
        weekdays=(1,),
        online_only=False,
        bucket=4,
        price_fen=1,
        version=1,
    )
    catalogue = FeedPage(from_="0", cursor="1.a.1", more=False, items=(product,))
    service.override = lambda asked: (
        Answered(body=messages.encode(catalogue)) if "bucket=0&after=0" in asked.target else None
    )
    service.buckets[0].change(uuid(9), 0)
    assert sync_once(ports).error is None
    assert till.catalogue == [0, 4]
    assert till.copies[4].rows == service.buckets[4].states


@pytest.mark.parametrize("counts_rows", [True, False])
def test_a_replica_that_went_astray_is_replaced(till, service, ports, counts_rows):
    """A lost row shows at the checkpoint, where the replica keeps count."""
    for number in range(4):
        service.buckets[0].change(uuid(number), 1)
    sync_once(ports)
    till.counts_rows = counts_rows
    till.copies[0].rows.popitem()
    service.buckets[0].change(uuid(0), 2)
    assert sync_once(ports).error is None
    assert (len(till.installed) == 2) is counts_rows
    assert (till.copies[0].rows == service.buckets[0].states) is counts_rows


def test_a_cursor_that_cannot_be_served(till, service, ports):
    """410: a new snapshot in the same round. For ever: a pause."""
    sync_once(ports)
    gone = [refuse("feed", "epoch", 410)]
    service.override = lambda asked: gone.pop()(asked) if gone and "feed" in asked.path else None
    assert sync_once(ports).error is None
    assert len(till.installed) == 2
    service.override = refuse("feed", "epoch", 410)
    result = sync_once(ports)
    assert isinstance(result.error, Refused)
    assert len(till.installed) == 3


def test_a_page_from_elsewhere_is_not_applied(till, service, ports):
    """A page that does not continue the cursor changes nothing."""
    service.buckets[0].change(uuid(1), 1)
    sync_once(ports)
    page = FeedPage(from_="1.a.7", cursor="1.a.9", more=False)
    service.override = lambda asked: (
        Answered(body=messages.encode(page)) if "feed" in asked.path else None
    )
    assert isinstance(sync_once(ports).error, Garbled)
    assert till.cursor(0) == "1.a.1"


def test_a_full_disk_costs_a_pause(till, service, ports):
    """What cannot be stored is an error of the round, not the end of the worker."""
    service.snapshots = False
    till.full_disk = True
    result = sync_once(ports)
    assert isinstance(result.error, Garbled)
    assert "no space left" in str(result.error)


def test_the_downlink_polls(till, service, server, ports):
    """Everything is pulled, then one poll is held on the last bucket, watching the others."""
    till.catalogue = [0, 4]
    service.buckets[4] = Bucket()
    downlink = Downlink(ports)
    assert downlink.step(25) == 0
    assert downlink.step(25) == 0
    assert server.asked[-1].target == (
        "/v1/feed?schema=1&bucket=4&after=1.a.0&limit=5000&wait=25&watch=0%3A1.a.0"
    )


def test_news_that_come_with_a_poll_are_applied(till, service, server, ports):
    """A change made while central holds the poll arrives with its answer."""
    downlink = Downlink(ports)
    downlink.drain()

    def change(asked):
        if "wait=" in asked.target and not service.buckets[0].log:
            service.buckets[0].change(uuid(1), 1)

    service.override = change
    assert downlink.step(25) == 0
    assert till.copies[0].rows == service.buckets[0].states
    assert downlink.pulled == 1


def test_news_after_news_cost_one_request_each(till, service, server, ports):
    """A busy chain has news every moment; the verdicts are asked for every ten seconds."""
    downlink = Downlink(ports)
    downlink.drain()
    server.asked.clear()

    def change(asked):
        if "wait=" in asked.target and len(service.buckets[0].log) < 14:
            till.now += 1_000
            service.buckets[0].change(uuid(len(service.buckets[0].log)), 1)

    service.override = change
    while downlink.pulled < 14:
        downlink.step(25)
    assert till.copies[0].rows == service.buckets[0].states
    assert paths(server).count("verdicts") == 2
    assert paths(server).count("feed") <= 14 + 3
    assert till.pulled_at


def test_keys_of_the_feed_are_handed_on(till, service, ports):
    """Before the page's cursor is kept, so that a crash between does not lose them."""
    downlink = Downlink(ports)
    downlink.drain()
    key = b64u(b"q" * 32)
    page = FeedPage(
        from_="1.a.0",
        cursor="1.a.1",
        more=False,
        items=(KeyPut(kid=2, key=key), KeyGone(op="del", kid=1)),
    )
    service.override = lambda asked: (
        Answered(body=messages.encode(page)) if "after=1.a.0" in asked.target else None
    )
    till.full_disk = True
    downlink.step(0)
    assert till.told_keys == [((page.items[0],), (), (1,))]
    assert till.cursor(0) == "1.a.0" and till.keys == KEYS


def test_a_central_that_holds_no_polls_is_left_alone(till, service, ports):
    """Empty and at once, twice: then there is a pause between the polls."""
    downlink = Downlink(ports)
    downlink.drain()
    assert [downlink.step(25) for _ in range(3)] == [0, IDLE_PAUSE_MS, IDLE_PAUSE_MS]
    service.override = lambda asked: setattr(
        till, "now", till.now + (25_000 if "wait=" in asked.target else 0)
    )
    assert [downlink.step(25) for _ in range(2)] == [0, 0]
    service.override = None
    service.buckets[0].change(uuid(1), 1)
    assert downlink.step(25) == 0


def test_a_checkpoint_that_comes_with_a_poll(till, service, server, ports):
    """Also there a difference takes a new snapshot."""
    downlink = Downlink(ports)
    downlink.drain()
    page = FeedPage(
        from_="1.a.0",
        cursor="1.a.0",
        more=False,
        checkpoint=Checkpoint(seq=0, live=5, digest="ab" * 8),
    )
    service.override = lambda asked: (
        Answered(body=messages.encode(page)) if "wait=" in asked.target else None
    )
    assert downlink.step(25) == 0
    service.override = None
    downlink.step(25)
    assert len(till.installed) == 2
    told = [asked.target for asked in server.asked if asked.target.startswith("/v1/snapshot?")]
    assert told == ["/v1/snapshot?schema=1", "/v1/snapshot?schema=1&differs=0%3A1.a.0"]


def test_the_downlink_pauses_after_a_failure(till, service, ports):
    """An outage costs half a second, then a second, and then it works."""
    service.override = refuse("feed", "broken", 500)
    downlink = Downlink(ports)
    assert downlink.step(25) == 0
    assert downlink.step(25) == 500
    assert downlink.step(25) == 500
    till.now += 500
    assert downlink.step(25) == 1_000
    assert isinstance(downlink.error, Refused)
    service.override = None
    till.now += 1_000
    downlink.step(25)
    assert downlink.error is None


@pytest.mark.parametrize("reason", ["fork", "revoked"])
def test_a_stop_that_the_feed_says_stops_the_sending_loop(till, service, server, ports, reason):
    """Whichever loop hears it: the other takes the word over, and it is told to the person once."""
    uplink, downlink = Uplink(ports), Downlink(ports)
    uplink.drain()
    service.override = refuse("/feed", reason, 409, detail="why")
    downlink.drain()
    till.chains[1].grown(2)
    uplink.drain()
    assert till.fences == [(1, uplink.fence)] and uplink.fence.trouble == reason
    assert uplink.fence.detail == "why"
    assert till.acked.get(1, 0) == (2 if reason == "revoked" else 0)


def test_a_terminal_that_hears_it_is_closed_asks_at_once_whether_to_wipe(
    till, service, server, ports
):
    """The order comes in answer to a hello only, and the next regular one is minutes away."""
    uplink, downlink = Uplink(ports), Downlink(ports)
    uplink.drain()
    service.override = refuse("/feed", "revoked", 403)
    downlink.drain()
    for _ in range(5):
        uplink.step()
    assert uplink.fence.trouble == "revoked" and paths(server).count("hello") == 2


def test_a_revoked_terminal_still_sends_what_it_has(till, service, server, ports):
    """Central sets it aside and keeps it; and hello goes on, for it may say `wipe`."""
    till.chains[1].grown(3)
    service.override = refuse("/hello", "revoked", 403)
    uplink = Uplink(ports)
    assert uplink.drain() == 3 and uplink.fence.trouble == "revoked"
    service.override = None
    till.now += 120_000
    uplink.step()
    assert paths(server).count("hello") == 2 and len(till.fences) == 1


def test_a_revoked_terminal_whose_journal_is_refused_too_waits(till, service, server, ports):
    """Refused again and again, it does not ask in a tight loop."""
    till.chains[1].grown(1)
    service.override = refuse("/", "revoked", 403)
    uplink = Uplink(ports)
    uplink.drain()
    assert uplink.fence.trouble == "revoked" and uplink.step(flush=True) > 0
    assert paths(server).count("journal/T1/1") <= 2


def test_an_older_epoch_that_stopped_does_not_stop_the_next(till, service, server, ports):
    """Its branch was kept apart at central; the new epoch greets, sends and is not fenced."""
    till.chains[1].grown(2)
    till.chains[2] = Chain().grown(2)
    service.peers[2] = Peer(epoch=2)
    service.peers[1].fenced = True
    uplink = Uplink(ports)
    assert uplink.drain() == 2 and uplink.fence is None
    assert [epoch for epoch, _ in till.fences] == [1]


def test_notes_go_up_when_no_entry_waits(till, service, server, ports):
    """After the journal; a hundred at a time; what head office deleted goes here too."""
    till.chains[1].grown(1)
    till.noted = {f"T1_1_{number:08d}": "why" for number in range(1, 151)}
    service.deleted = ("T1_1_00000007",)
    assert sync_once(ports).error is None
    assert len(service.noted) == 150 and till.noted == {} and till.gone == ["T1_1_00000007"] * 2
    assert paths(server)[:4] == ["hello", "journal/T1/1", "notes", "notes"]


def test_notes_that_do_not_pass_hold_up_nothing(till, service, ports):
    """An older central: they are tried again later, and nobody is told that it is away."""
    till.noted = {"T1_1_00000001": "why"}
    service.override = refuse("/notes", "not_found", 404)
    uplink = Uplink(ports)
    assert uplink.step() == 500 and uplink.step() == 500
    assert uplink.error is None
    service.override = None
    till.now += 500
    assert uplink.step() == 0 and till.noted == {}
    uplink._stop(Fence("fork", "x"))
    till.noted = {"T1_1_00000001": "why"}
    uplink.step()
    assert till.noted


def test_a_401_asks_central_and_stops_nothing(till, service, ports):
    """Whoever sits on the line can say `unknown_key`: only a signed answer stops a terminal. It is
    asked for once, not at every failure."""
    service.override = refuse("feed", "unknown_key", 401)
    downlink = Downlink(ports)
    assert [downlink.step(25), downlink.step(25)] == [0, 500]
    assert ports.mailbox.fence is None and ports.mailbox.take_greet()
    till.now += 500
    assert downlink.step(25) > 0 and not ports.mailbox.take_greet()
