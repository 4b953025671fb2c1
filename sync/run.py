"""One full round, for `hexiao sync --once` and whoever wants everything exchanged now.

Responsible for: hello, pushing all of the journal, pulling all of the feed, and the sum of it. Not
responsible for: going on in the background; a worker calls `Uplink.step` and `Downlink.step`.
"""

from dataclasses import dataclass

from sync.downlink import Downlink
from sync.errors import NoContact, SyncError
from sync.ports import Ports
from sync.sender import Fence
from sync.uplink import Uplink


@dataclass(frozen=True, slots=True)
class Result:
    """What a round came to. `pulled` are feed items, `pushed` entries that central signed for.

    `up_to` is the last of them in the current epoch, `behind` counts those it has not signed for.
    `error` says why the round did not finish; it is a `NoContact` where central was not reached.
    `fence` stops this terminal until a person acts; `poison` is an entry central cannot read.
    """

    pulled: int
    pushed: int
    up_to: int
    behind: int
    replica_age_s: int | None
    error: SyncError | None
    fence: Fence | None
    poison: int | None


def sync_once(ports: Ports) -> Result:
    """Say hello, push, pull. Errors of the network are in the result; others are raised."""
    uplink, downlink = Uplink(ports), Downlink(ports)
    pushed = uplink.drain()
    # Where central did not answer a push it is not asked for a page: once is enough to wait.
    pulled = 0 if isinstance(uplink.error, NoContact) else downlink.drain()
    current = ports.journal.epochs()[-1]
    return Result(
        pulled=pulled,
        pushed=pushed,
        up_to=ports.journal.acknowledged(current),
        behind=uplink.behind(),
        replica_age_s=ports.replica.age_s(ports.clock.now_ms()),
        error=uplink.error or downlink.error,
        fence=uplink.fence,
        poison=uplink.poison,
    )
