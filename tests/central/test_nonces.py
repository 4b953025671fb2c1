"""The memory of nonces: a replay is known for as long as its signature would hold, no longer."""

from central.auth import NonceMemory
from sync.limits import REPLAY_MEMORY_S

MEMORY_MS = REPLAY_MEMORY_S * 1000


def test_a_nonce_is_known_while_it_could_be_replayed() -> None:
    memory = NonceMemory()
    assert not memory.seen("POS1_1", "n", 1_000)
    assert memory.seen("POS1_1", "n", 1_000)
    assert not memory.seen("POS2_1", "n", 1_000)
    assert memory.seen("POS1_1", "n", 1_000 + MEMORY_MS - 1)
    # Each try is remembered anew.
    assert memory.seen("POS1_1", "n", 1_000 + 2 * MEMORY_MS - 2)
    assert not memory.seen("POS1_1", "n", 1_000 + 3 * MEMORY_MS - 2)


def test_it_holds_no_more_than_may_be_replayed() -> None:
    """A request every half second for two memories long: only the last memory's are held."""
    memory = NonceMemory()
    step = 500
    for at in range(0, 2 * MEMORY_MS, step):
        assert not memory.seen("POS1_1", str(at), at)
        assert len(memory) <= MEMORY_MS // step
    assert len(memory) == MEMORY_MS // step
    assert memory.seen("POS1_1", str(MEMORY_MS + step), 2 * MEMORY_MS)


def test_a_clock_that_is_set_back_forgets_nothing_early() -> None:
    memory = NonceMemory()
    memory.seen("POS1_1", "late", 10 * MEMORY_MS)
    memory.seen("POS1_1", "early", 5 * MEMORY_MS)
    assert memory.seen("POS1_1", "early", 5 * MEMORY_MS + 1)
    assert memory.seen("POS1_1", "late", 5 * MEMORY_MS + 2)
