"""Pages that were read before a move of vouchers, and buckets that turn up, over real HTTP."""

import msgspec

from sync import messages
from sync.downlink import OUTDATED_MAX, Downlink
from sync.feed import FeedPage
from sync.run import sync_once
from tests.sync.peer import Bucket, uuid
from tests.sync.server import Answered
from tests.sync.till import paths


def test_a_page_from_before_a_move_is_asked_for_again(till, service, server, ports):
    """Another round was faster: the next answer is of now. One that never is: a new snapshot."""
    sync_once(ports)
    till.moves = 1
    old = FeedPage(from_="1.a.0", cursor="1.a.0", more=False)
    pages = [old, old, msgspec.structs.replace(old, moves=1)]
    service.override = lambda asked: (
        Answered(body=messages.encode(pages.pop(0))) if pages and "feed" in asked.path else None
    )
    assert sync_once(ports).error is None
    assert len(till.installed) == 1 and not pages
    service.override = None
    server.asked.clear()
    sync_once(ports)
    assert paths(server).count("feed") >= OUTDATED_MAX
    assert len(till.installed) > 1


def test_a_poll_from_before_a_move_is_asked_for_again(till, service, ports):
    """The poll ends, and the next step pulls."""
    downlink = Downlink(ports)
    downlink.drain()

    def move(asked):
        till.moves = 1 if "wait=" in asked.target else 0

    service.override = move
    assert downlink.step(25) == 0
    assert downlink.error is None and len(till.installed) == 1


def test_a_bucket_that_a_poll_names_is_pulled_at_once(till, service, server, ports):
    """A first product at a terminal whose only bucket was the catalogue: no second poll first."""
    downlink = Downlink(ports)
    downlink.drain()
    service.buckets[4] = Bucket()
    service.buckets[4].change(uuid(1), 1)

    def publish(asked):
        if "wait=" in asked.target and not service.buckets[0].log:
            till.catalogue.append(4)
            service.buckets[0].change(uuid(2), 1)

    service.override = publish
    assert downlink.step(25) == 0
    assert sum("wait=" in one.target for one in server.asked) == 1
    service.override = None
    downlink.step(0)
    assert till.copies[4].rows == service.buckets[4].states


def test_the_scope_is_asked_for_with_the_snapshot(till, server, ports):
    """A terminal of one outlet takes the file of that."""
    till.wanted_scope = "outlet"
    sync_once(ports)
    asked = [one.target for one in server.asked if one.path.endswith("/snapshot")]
    assert asked == ["/v1/snapshot?schema=1&scope=outlet"]
