"""A central that was put back from a backup gets again what it lost, and hears the proof of it."""

from sync.run import sync_once
from sync.uplink import Uplink
from tests.sync.peer import Chain, Peer
from tests.sync.server import Answered


def two_epochs(till, service):
    """A terminal that was paired again; all of both epochs is acknowledged."""
    till.chains = {1: Chain().grown(4), 2: Chain().grown(3, "second")}
    service.peers = {1: Peer(), 2: Peer(epoch=2)}


def test_a_central_that_was_put_back_gets_the_ends_of_older_epochs_too(till, service, ports):
    """Its hello speaks of the current epoch only; nothing of that is missing here."""
    two_epochs(till, service)
    assert sync_once(ports).behind == 0
    service.peers[1].chain.cut(1)
    assert sync_once(ports).error is None
    assert service.peers[1].chain.bodies == till.chains[1].bodies


def test_an_older_epoch_that_differs_or_is_unknown_there_is_left_alone(till, service, ports):
    """The first is for people; the second has no key there that anything could be believed by."""
    two_epochs(till, service)
    assert sync_once(ports).behind == 0
    service.peers[1].chain = Chain().grown(2, "another")
    assert sync_once(ports).error is None and not till.fences
    assert len(service.peers[1].chain.bodies) == 2 and not service.peers[1].rivals
    del service.peers[1]
    assert sync_once(ports).error is None


def test_an_answer_about_older_epochs_that_does_not_come_is_asked_for_again(till, service, ports):
    """Nothing else waits for it."""
    two_epochs(till, service)
    assert sync_once(ports).behind == 0
    service.peers[1].chain.cut(1)
    service.override = lambda asked: Answered(503) if asked.path == "/v1/journal/T1" else None
    assert sync_once(ports).error is None
    assert len(service.peers[1].chain.bodies) == 1
    service.override = None
    assert sync_once(ports).error is None
    assert service.peers[1].chain.bodies == till.chains[1].bodies


def test_what_central_lost_is_proved_before_it_is_sent_again(till, service, server, ports):
    """A gap below what was signed for: hello comes first, with the acknowledgement."""
    till.chains[1].grown(5)
    uplink = Uplink(ports)
    uplink.drain()
    service.peers[1].chain.cut(2)
    till.chains[1].grown(1)
    server.asked.clear()
    uplink.drain()
    assert [asked.path.removeprefix("/v1/") for asked in server.asked] == [
        "journal/T1/1",
        "hello",
        "journal/T1/1",
    ]
    assert service.peers[1].chain.bodies == till.chains[1].bodies
