"""A connection cut at any byte of an upload or of its answer: everything is booked once."""

import socket
import threading

import pytest

from sync.errors import NoContact
from sync.uplink import Uplink
from tests.sync.server import ScriptedServer
from tests.sync.till import Service, Till


class Cutter:
    """Forwards connections; ends the next one after `up` bytes there or `down` bytes back."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.up: int | None = None
        self.down: int | None = None
        self.carried = [0, 0]
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.carried = [0, 0]
            pair = [
                threading.Thread(target=self._pipe, args=args, daemon=True)
                for args in ((near, far, self.up, 0), (far, near, self.down, 1))
            ]
            for thread in pair:
                thread.start()

    def _pipe(self, source: socket.socket, sink: socket.socket, limit: int | None, way: int):
        try:
            while limit is None or self.carried[way] < limit:
                room = 65_536 if limit is None else limit - self.carried[way]
                chunk = source.recv(min(room, 65_536))
                if not chunk:
                    break
                sink.sendall(chunk)
                self.carried[way] += len(chunk)
        except OSError:
            self.carried[way] += 0
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue


def exchange(till, url):
    """Hello and an upload over one connection; what went wrong."""
    ports = till.ports(url)
    uplink = Uplink(ports)
    uplink.drain()
    ports.central.close()
    return uplink.error


def cut_everywhere(tmp_path, step):
    """Cut an exchange at every `step`-th byte, both ways; returns how many cuts were felt."""
    service, cuts = Service(), 0
    with ScriptedServer(service) as server:
        cutter = Cutter(int(server.url.rpartition(":")[2]))
        till = Till(tmp_path)
        till.chains[1].grown(3)
        assert exchange(till, cutter.url) is None
        for way, most in (("up", cutter.carried[0]), ("down", cutter.carried[1])):
            for at in range(0, most, step):
                till.chains[1].grown(3)
                setattr(cutter, way, at)
                error = exchange(till, cutter.url)
                assert error is None or isinstance(error, NoContact)
                cuts += error is not None
                setattr(cutter, way, None)
                assert exchange(till, cutter.url) is None
                assert service.peers[1].chain.bodies == till.chains[1].bodies
                assert till.acked[1] == len(till.chains[1].bodies)
        cutter.close()
    return cuts


def test_cuts(tmp_path):
    """Every 97th byte here; `make soak` takes every single one."""
    assert cut_everywhere(tmp_path, 97) > 20


@pytest.mark.soak
def test_cuts_at_every_byte(tmp_path):
    """Each offset once."""
    assert cut_everywhere(tmp_path, 1) > 1_000
