"""What central, or something on the way, will not take: found, passed, and never lost."""

import json

import pytest

from sync.messages import Head
from sync.run import sync_once
from sync.uplink import Uplink
from tests.sync.server import Answered
from tests.sync.till import refuse


def bad_entry(name, status=400):
    """Central that cannot read a batch with this entry in it."""

    def answer(asked):
        if not asked.path.endswith("/journal/T1/1") or name not in asked.body.decode():
            return None
        return refuse("", "garbled", status)(asked)

    return answer


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_poisoned_entry_is_passed(till, service, server, ports, status):
    """Wherever it stands: what is before and behind it arrives, itself by its hash alone."""
    chain = till.chains[1]
    chain.grown(6)
    chain.append("poison")
    chain.grown(5)
    service.override = bad_entry("poison", status)
    result = sync_once(ports)
    assert (result.pushed, result.behind, result.poison, result.error) == (12, 0, None, None)
    assert service.peers[1].aside == {7: till.hash_at(1, 7)}
    assert service.peers[1].chain.hashes == chain.hashes


@pytest.mark.parametrize("reason", ["not_found", "garbled"])
def test_a_central_that_sets_nothing_aside_is_asked_slowly(till, service, ports, reason):
    """An older one, say: the entry is named, and nothing is lost."""
    till.chains[1].append("poison")
    till.chains[1].grown(2)
    bad = bad_entry("poison")
    aside = refuse("/aside", reason, 404 if reason == "not_found" else 400)
    service.override = lambda asked: bad(asked) or aside(asked)
    result = sync_once(ports)
    assert (result.poison, result.behind, result.error.reason) == (1, 3, reason)


def test_a_central_that_fails_over_one_entry_gets_the_others(till, service, ports):
    """500, whenever it is in the batch: what is before it arrives at once, what is behind it after
    an hour, with the entry's hash; what a central that was mended gets whole is not set aside."""
    till.chains[1].grown(2)
    till.chains[1].append("poison")
    till.chains[1].grown(2)
    service.override = bad_entry("poison", 500)
    uplink = Uplink(ports)

    def minutes(count):
        for _ in range(count):
            held = service.peers[1].signed()
            seq = len(service.peers[1].chain.bodies)
            service.head = Head(epoch=1, seq=seq, hash=json.loads(held.ack)["head"])
            uplink.drain()
            till.now += 60_000

    minutes(60)
    assert till.acknowledged(1) == 2 and service.peers[1].aside == {}
    minutes(5)
    assert uplink.behind() == 0 and service.peers[1].aside == {3: till.hash_at(1, 3)}
    till.chains[1].append("poison")
    minutes(70)
    till.chains[1].append("poison")
    minutes(60)
    service.override = None
    minutes(10)
    assert uplink.behind() == 0 and list(service.peers[1].aside) == [3, 6]


@pytest.mark.parametrize("path", ["hello", "notes"])
def test_whatever_is_asked_central_may_ask_for_a_pause(till, service, ports, path):
    """As with the journal, so with all else that goes up."""
    till.noted = {"T1_1_00000001": "why"} if path == "notes" else {}
    service.override = refuse(path, "busy", 503, retry_after_s=30)
    assert Uplink(ports).step() == 30_500


def test_a_proxy_that_refuses_large_bodies_gets_smaller_ones(till, service, ports):
    """Its 413 is no word of central: batches shrink, and no entry is set aside for it."""
    till.chains[1].grown(12)
    small = lambda asked: len(asked.body) < 600  # noqa: E731
    service.override = lambda asked: None if small(asked) else Answered(413, b"<html>")
    uplink = Uplink(ports)
    for _ in range(12):
        uplink.drain()
        till.now += 120_000
    assert uplink.behind() == 0 and service.peers[1].aside == {}
    service.override = lambda asked: Answered(413, b"<html>") if "journal" in asked.path else None
    till.chains[1].grown(1)
    for _ in range(4):
        uplink.drain()
        till.now += 120_000
    assert uplink.behind() == 1 and service.peers[1].aside == {}
