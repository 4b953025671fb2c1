"""The link: unplug during every call, bounded writes, exclusive opening, nothing escapes."""

import os
import socket
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
import serial.rfc2217

from drivers.errors import Claimed, DriverError, Misconfigured, Stalled, Unplugged
from drivers.link import LineSettings, Link
from tests.drivers.waiting import Seen, until

SETTINGS = LineSettings()


class Pty:
    """The device's side of a pty, by hand."""

    def __init__(self) -> None:
        self.device, self.host = os.openpty()
        self.path = os.ttyname(self.host)

    def close(self) -> None:
        descriptors, self.device = (self.device, self.host), -1
        for descriptor in descriptors:
            os.close(descriptor)


@pytest.fixture
def pty() -> Iterator[Pty]:
    made = Pty()
    yield made
    if made.device >= 0:
        made.close()


class Heard:
    def __init__(self) -> None:
        self.bytes: Seen[bytes] = Seen()
        self.lost: Seen[str] = Seen()

    def link(self, port: str, settings: LineSettings = SETTINGS) -> Link:
        return Link(port, settings, on_bytes=self.bytes, on_lost=self.lost)


def test_bytes_both_ways(pty: Pty) -> None:
    """What one side writes the other reads, eight bits clean."""
    heard = Heard()
    link = heard.link(pty.path)
    link.open()
    everything = bytes(range(256))
    assert link.write(everything, timeout_ms=1_000) == 256
    assert os.read(pty.device, 4096) == everything
    os.write(pty.device, everything)
    until(lambda: b"".join(heard.bytes) == everything)
    link.close()
    link.close()


@pytest.mark.parametrize(
    ("port", "error"),
    [
        ("/dev/there-is-no-such-port", Unplugged),
        ("nothing://x", Misconfigured),
        ("socket://nowhere", Misconfigured),
        ("emulated://toaster", Misconfigured),
        ("/dev/null", Misconfigured),
        ("/", DriverError),
        ("", DriverError),
    ],
)
def test_what_cannot_be_opened(port: str, error: type[DriverError]) -> None:
    """A missing port may come; a wrong one will not; never another exception."""
    from drivers.emulated import register

    register()
    link = Heard().link(port)
    with pytest.raises(error):
        link.open()
    link.close()


def test_a_port_is_claimed(pty: Pty) -> None:
    """A second opening of the same port is refused while the first holds it."""
    first, second = Heard().link(pty.path), Heard().link(pty.path)
    first.open()
    with pytest.raises(Claimed):
        second.open()
    first.close()
    third = Heard().link(pty.path)
    third.open()
    third.close()


def test_unplugged_while_reading(pty: Pty) -> None:
    """Told once, and nothing after it."""
    heard = Heard()
    link = heard.link(pty.path)
    link.open()
    pty.close()
    assert pty.path in heard.lost.wait()
    link.close()
    assert len(heard.lost) == 1


def test_unplugged_before_every_call(pty: Pty) -> None:
    """write raises Unplugged; discard and close do not raise."""
    heard = Heard()
    link = heard.link(pty.path)
    with pytest.raises(Unplugged):
        link.write(b"x", timeout_ms=10)
    link.open()
    pty.close()
    heard.lost.wait()
    with pytest.raises(Unplugged):
        link.write(b"x" * 100, timeout_ms=100)
    link.discard_output()
    link.close()
    with pytest.raises(Unplugged):
        link.write(b"x", timeout_ms=10)
    link.discard_output()


def test_a_device_that_takes_nothing_ends_at_the_deadline(pty: Pty) -> None:
    """The count is what the device will get, and the call is not late."""
    link = Heard().link(pty.path)
    link.open()
    started = time.monotonic()
    taken = link.write(b"x" * 100_000, timeout_ms=150)
    assert time.monotonic() - started < 1.0
    assert 0 < taken < 100_000
    taken += link.write(b"y" * 100_000, timeout_ms=50)
    got = 0
    while got < taken:
        got += len(os.read(pty.device, 65_536))
    assert got == taken
    link.close()


def test_unplugged_while_writing(pty: Pty) -> None:
    """A write that waits ends with Unplugged, not with OSError."""
    heard = Heard()
    link = heard.link(pty.path)
    link.open()
    link.write(b"x" * 100_000, timeout_ms=50)
    puller = threading.Timer(0.05, pty.close)
    puller.start()
    with pytest.raises(Unplugged):
        for _ in range(50):
            link.write(b"x" * 1_000, timeout_ms=100)
    puller.join()
    link.close()


def test_closing_from_another_thread_while_reading(pty: Pty) -> None:
    """No TypeError from inside pyserial, and no loss is told: we closed it ourselves."""
    heard = Heard()
    link = heard.link(pty.path)
    link.open()
    worker = threading.Thread(target=link.close)
    worker.start()
    worker.join(3)
    assert not worker.is_alive() and not heard.lost


def test_a_tcp_port() -> None:
    """socket:// has a descriptor too; the other side's closing is a loss."""
    server = socket.create_server(("127.0.0.1", 0))
    heard = Heard()
    link = heard.link(f"socket://127.0.0.1:{server.getsockname()[1]}")
    link.open()
    other = server.accept()[0]
    assert link.write(b"hello", timeout_ms=500) == 5
    assert other.recv(10) == b"hello"
    other.sendall(b"world")
    assert heard.bytes.wait() == b"world"
    other.close()
    heard.lost.wait()
    link.close()
    server.close()
    with pytest.raises(Unplugged):
        heard.link(link.port).open()


def test_a_port_without_descriptor() -> None:
    """loop:// goes through pyserial's methods: bytes come back, closing ends the reader."""
    heard = Heard()
    link = heard.link("loop://", LineSettings(baud=115200))
    link.open()
    assert link.write(b"hello", timeout_ms=500) == 5
    until(lambda: b"".join(heard.bytes) == b"hello")
    link.discard_output()
    link.close()
    assert not heard.lost


class Box:
    """A serial-to-network box that speaks RFC 2217, with pyserial's own server side."""

    def __init__(self) -> None:
        self.wire = serial.serial_for_url("loop://", timeout=0.02)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.running = True
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        host = self.server.accept()[0]
        host.settimeout(0.02)
        manager = serial.rfc2217.PortManager(self.wire, Flushing(host))
        while self.running:
            try:
                data = host.recv(4096)
                self.wire.write(b"".join(manager.filter(data)))
                self.running = self.running and data != b""
            except TimeoutError:
                pass
            if back := self.wire.read(256):
                host.sendall(b"".join(manager.escape(back)))
        host.close()


class Flushing:
    """What PortManager writes its negotiation to."""

    def __init__(self, host: socket.socket) -> None:
        self.write = host.sendall


@pytest.mark.filterwarnings("ignore::DeprecationWarning:serial")
def test_a_serial_to_network_box() -> None:
    """rfc2217:// sets the line and carries every byte, 0xFF included."""
    box = Box()
    heard = Heard()
    link = heard.link(f"rfc2217://127.0.0.1:{box.port}", LineSettings(baud=19_200))
    link.open()
    everything = bytes(range(256))
    assert link.write(everything, timeout_ms=2_000) == 256
    until(lambda: b"".join(heard.bytes) == everything)
    assert box.wire.baudrate == 19_200
    box.running = False
    heard.lost.wait()
    link.close()
    box.thread.join(2)


def test_a_write_timeout_without_descriptor_counts_as_taken() -> None:
    """Its fate is not known, so it is never offered again."""
    link = Heard().link("loop://", LineSettings(baud=300))
    link.open()
    assert link.write(b"x" * 256, timeout_ms=50) == 256
    link.close()


def test_spy_writes_a_trace(pty: Pty, tmp_path: Path) -> None:
    """A field trace of any port: both directions go through pyserial, so that it sees them."""
    trace = tmp_path / "trace.txt"
    heard = Heard()
    link = heard.link(f"spy://{pty.path}?file={trace}")
    link.open()
    assert link.write(b"question", timeout_ms=500) == 8
    os.write(pty.device, b"answer")
    until(lambda: b"".join(heard.bytes) == b"answer")
    link.close()
    assert "question" in trace.read_text() and "nswer" in trace.read_text()


def test_a_fault_in_a_callback_is_not_a_loss(pty: Pty) -> None:
    """A bug in the listener must not look like a pulled cable."""
    lost: Seen[str] = Seen()
    crashed: Seen[object] = Seen()

    def broken(data: bytes) -> None:
        raise TypeError(data)

    link = Link(pty.path, SETTINGS, on_bytes=broken, on_lost=lost)
    before, threading.excepthook = threading.excepthook, crashed
    link.open()
    os.write(pty.device, b"x")
    crashed.wait()
    threading.excepthook = before
    link.close()
    assert not lost


def test_stalled_says_how_much() -> None:
    """The count belongs to the error."""
    fault = Stalled("the printer takes nothing", taken=3, offered=9)
    assert (fault.taken, fault.offered) == (3, 9) and "3 of 9" in str(fault)


@pytest.mark.parametrize("flow", ["none", "rtscts", "xonxoff"])
@pytest.mark.parametrize("stop", [1, 2])
def test_the_wire_is_set_as_it_was_told(pty: Pty, flow: str, stop: int) -> None:
    """As the system then says of the port. A pty has eight bits and no parity, whatever is set:
    for those what was asked for counts.
    """
    link = Heard().link(pty.path, LineSettings(19200, 7, "E", stop, flow))
    link.open()
    iflag, _, cflag, _, ispeed, ospeed, _ = termios.tcgetattr(pty.host)
    asked = link._serial.get_settings()
    link.close()
    software = termios.IXON | termios.IXOFF
    assert iflag & software == (software if flow == "xonxoff" else 0)
    assert bool(cflag & termios.CRTSCTS) == (flow == "rtscts")
    assert bool(cflag & termios.CSTOPB) == (stop == 2)
    assert ispeed == ospeed == termios.B19200
    assert (asked["bytesize"], asked["parity"]) == (7, "E")


def test_an_emulated_port_is_free_after_closing() -> None:
    """Closed by the one, it can be opened by the next at once."""
    from drivers.emulated import register

    bench = register()
    for _ in range(3):
        link = Heard().link("emulated://printer?name=shared")
        link.open()
        busy = Heard().link("emulated://printer?name=shared")
        with pytest.raises(Claimed):
            busy.open()
        link.close()
    bench.clear()
