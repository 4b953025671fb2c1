"""`emulate printer` as a call: a door, live paper, orders from a person."""

import socket
import threading
from pathlib import Path

from drivers.emulated.machine import Build
from drivers.emulated.run_printer import Where, emulate_printer
from tests.drivers.waiting import Seen, until


def run(
    where: Where, orders: list[str], png: Path | None = None
) -> tuple[Seen[str], threading.Event]:
    shown: Seen[str] = Seen()
    stop = threading.Event()
    threading.Thread(
        target=emulate_printer,
        args=(Build(), where),
        kwargs={"show": shown, "stop": stop, "png": png, "orders": iter(orders)},
        daemon=True,
    ).start()
    return shown, stop


def test_over_tcp(tmp_path: Path) -> None:
    """The first line is the port; then the paper as it comes; the picture when it rests."""
    shown, stop = run(Where(tcp_port=0), ["nonsense", "near end"], tmp_path / "paper.png")
    port = int(shown.wait().strip().rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as host:
        host.sendall("优惠券 voucher\n".encode("gb18030"))
        assert shown.wait() == "优惠券 voucher\n"
        until(lambda: status(host) == b"\x1e")
        host.sendall(b"second\n")
        assert shown.wait() == "second\n"
    until((tmp_path / "paper.png").exists)
    stop.set()


def status(host: socket.socket) -> bytes:
    host.sendall(b"\x10\x04\x04")
    return host.recv(1)


def test_on_a_pty_with_a_lasting_name(tmp_path: Path) -> None:
    """The name is shown, and what is written to it is printed."""
    shown, stop = run(Where(link=tmp_path / "printer"), [])
    assert shown.wait().strip() == str(tmp_path / "printer")
    (tmp_path / "printer").write_bytes(b"hello\n")
    assert shown.wait() == "hello\n"
    stop.set()


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
    emulate_printer(
        Build(), Where(link=tmp_path / "p"), show=shown, stop=stop, orders=iter(orders())
    )
    assert shown.wait().strip().endswith("p")
