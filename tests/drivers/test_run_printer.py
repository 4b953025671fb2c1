"""`emulate printer` as a call: a door, live paper, orders from a person."""

import queue
import socket
import threading
from pathlib import Path

import pytest

from drivers.emulated.machine import Build
from drivers.emulated.run_printer import Person, Where, emulate_printer
from tests.drivers.waiting import Seen, until


class Running:
    """An emulated printer in a thread, with a person who says one thing after the other."""

    def __init__(self, where: Where, png: Path | None = None) -> None:
        self.shown: Seen[str] = Seen()
        self.told: Seen[tuple[str, str]] = Seen()
        self.stop = threading.Event()
        self.say: queue.SimpleQueue[str] = queue.SimpleQueue()
        orders = iter(self.say.get, None)
        person = Person(self.shown, lambda kind, text: self.told((kind, text)), orders)
        threading.Thread(
            target=emulate_printer,
            args=(Build(), where, person),
            kwargs={"stop": self.stop, "png": png},
            daemon=True,
        ).start()


def test_over_tcp(tmp_path: Path) -> None:
    """The first line is the port; then the paper as it comes; the picture when it rests."""
    one = Running(Where(tcp_port=0), tmp_path / "paper.png")
    port = int(one.shown.wait().strip().rpartition(":")[2])
    one.say.put("nonsense")
    assert one.told.wait() == ("unknown", "nonsense")
    one.say.put("near end")
    with socket.create_connection(("127.0.0.1", port)) as host:
        host.sendall("优惠券 voucher\n".encode("gb18030"))
        assert one.shown.wait() == "优惠券 voucher\n"
        until(lambda: status(host) == b"\x1e")
        host.sendall(b"second\n")
        assert one.shown.wait() == "second\n"
    until((tmp_path / "paper.png").exists)
    one.stop.set()


def test_unplugged_from_the_network(tmp_path: Path) -> None:
    """The connection is gone, and nobody is let in until it is plugged in again."""
    one = Running(Where(tcp_port=0))
    port = int(one.shown.wait().strip().rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as host:
        assert status(host) == b"\x12"
        one.say.put("unplug")
        assert host.recv(1) == b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as host:
        host.sendall(b"\x10\x04\x04")
        one.say.put("dance")
        assert one.told.wait() == ("unknown", "dance")
        host.settimeout(0.05)
        with pytest.raises(TimeoutError):
            host.recv(1)
        one.say.put("plug in")
        host.settimeout(5)
        assert host.recv(1) == b"\x12"
    one.stop.set()


def test_unplugged_and_plugged_in_under_another_name() -> None:
    """A pty comes back as another one, as ttyUSB0 does, and its name is told."""
    one = Running(Where())
    first = one.shown.wait().strip()
    one.say.put("unplug")
    one.say.put("plug in")
    kind, second = one.told.wait()
    assert kind == "plugged" and Path(second).exists()
    Path(second).write_bytes(b"again\n")
    assert one.shown.wait() == "again\n"
    assert first.startswith("/dev/")
    one.stop.set()


def status(host: socket.socket) -> bytes:
    host.sendall(b"\x10\x04\x04")
    return host.recv(1)


def test_on_a_pty_with_a_lasting_name(tmp_path: Path) -> None:
    """The name is shown, and what is written to it is printed."""
    one = Running(Where(link=tmp_path / "printer"))
    assert one.shown.wait().strip() == str(tmp_path / "printer")
    (tmp_path / "printer").write_bytes(b"hello\n")
    assert one.shown.wait() == "hello\n"
    one.stop.set()


def test_orders_end_with_the_printer(tmp_path: Path) -> None:
    """After stop no order is obeyed."""
    go = threading.Event()

    def orders() -> "list[str]":
        go.wait(2)
        return ["paper out"]

    shown: Seen[str] = Seen()
    stop = threading.Event()
    stop.set()
    go.set()
    person = Person(shown, lambda *_: None, iter(orders()))
    emulate_printer(Build(), Where(link=tmp_path / "p"), person, stop=stop)
    assert shown.wait().strip().endswith("p")


def test_a_file_that_has_the_name_is_left_alone(tmp_path: Path) -> None:
    """Only a link of an earlier run is replaced."""
    kept = tmp_path / "printer"
    kept.write_text("mine")
    person = Person(print, lambda *_: None)
    with pytest.raises(FileExistsError):
        emulate_printer(Build(), Where(link=kept), person, stop=threading.Event())
    assert kept.read_text() == "mine"
