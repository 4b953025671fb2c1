"""Two rounds beside each other, as a person's `sync --once` and the worker's own are.

Goal: a snapshot is fetched and installed by one round at a time; both would write the same file.
Method: the first round is held inside its installing until the second has had its chance.
"""

import threading

from sync.downlink import Downlink
from tests.sync.server import ScriptedServer
from tests.sync.till import Service, Till


class CrowdedTill(Till):
    """Counts the rounds between asking for a file's name and having installed it."""

    inside = 0
    most = 0
    second_came = threading.Event()

    def download_path(self, manifest):
        self.inside += 1
        self.most = max(self.most, self.inside)
        if self.inside > 1:
            self.second_came.set()
        return super().download_path(manifest)

    def install_snapshot(self, path, manifest):
        self.second_came.wait(0.3)
        super().install_snapshot(path, manifest)
        self.inside -= 1


def test_one_round_takes_a_snapshot_at_a_time(tmp_path):
    """The second waits its turn, and both end well."""
    till = CrowdedTill(tmp_path)
    with ScriptedServer(Service()) as server:
        ports = till.ports(server.url)
        rounds = [Downlink(ports), Downlink(ports)]
        threads = [threading.Thread(target=each.drain) for each in rounds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        ports.central.close()
    assert till.most == 1
    assert till.installed
    assert [each.error for each in rounds] == [None, None]
