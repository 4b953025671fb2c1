"""Scans on their way from a real pty to whoever takes them."""

import os
import queue
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.scanner.profile import ScannerProfile
from drivers.scanner.scan import Scan
from terminal.scanning import ScannerWorker, voucher_text
from tests.drivers.waiting import until


@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    """A serial line: the end that writes, and the port's name."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_a_symbol_read_twice_in_a_moment_is_delivered_once(
    line: tuple[int, str], tmp_path: Path
) -> None:
    """A trigger held too long is no second scan; another symbol is."""
    master, port = line
    taken: queue.Queue[Scan] = queue.Queue()
    worker = ScannerWorker(port, ScannerProfile(), taken.put, statistics=tmp_path / "scanner.json")
    worker.start()
    until(lambda: worker.state == "ready")  # what came before the port was open is dropped
    os.write(master, b"12345674\r\n12345674\r\n98765432\r\n")
    assert [taken.get(timeout=5).text for _ in range(2)] == ["12345674", "98765432"]
    worker.stop()
    assert taken.empty()
    assert '"good_scan_count": 3' in (tmp_path / "scanner.json").read_text()


def scan(text: str, symbology: str) -> Scan:
    return Scan(text.encode(), text, "", symbology, "utf-8", complete=True, at=0)


def test_a_gs1_string_gives_the_configured_field_only() -> None:
    """Only a GS1 symbol is split, only for the identifier that was set, and never by guessing."""
    assert voucher_text(scan("0109501101530003\x1d2112345674", "gs1-128"), "21") == "12345674"
    assert voucher_text(scan("2112345674", "qr"), "21") == "2112345674"
    assert voucher_text(scan("2112345674", "gs1-qr"), "") == "2112345674"
    assert voucher_text(scan("99x", "gs1-qr"), "21") == "99x"
    assert voucher_text(scan("zz", "gs1-qr"), "21") == "zz"
