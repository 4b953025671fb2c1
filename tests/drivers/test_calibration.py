"""Proposing settings for an unknown serial scanner from what it sends."""

import threading

import pytest

from drivers.emulated.scanner import EmulatedScanner, Piece
from drivers.link import LineSettings
from drivers.scanner.calibration import APART_MS, Chunk, propose_serial, record
from tests.drivers.waiting import until


def scans(*payloads: bytes, pause_ms: int = 0) -> list[Chunk]:
    """Each payload in two chunks with a pause between them."""
    out = []
    for number, payload in enumerate(payloads):
        at = number * 10 * APART_MS
        out += [Chunk(payload[:2], at), Chunk(payload[2:], at + pause_ms)]
    return out


@pytest.mark.parametrize(
    ("chunks", "terminators", "prefix", "aim", "idle_ms", "good"),
    [
        (scans(b"123\r", b"456\r", b"789\r"), ("cr",), "", False, 0, True),
        (scans(b"123\r\n", b"456\r\n", b"789\r\n"), ("cr", "lf"), "", False, 0, True),
        (scans(b"123\r\r", b"456\r\r", b"789\r\r"), ("cr",), "", False, 0, True),
        (scans(b"\x02123\x03", b"\x02456\x03", b"\x0278\x03"), ("etx",), "\x02", False, 0, True),
        (scans(b"]Q1123\t", b"]C0456\t", b"]E0789\t"), ("tab",), "", True, 0, True),
        (scans(b"123", b"456", b"789"), (), "", False, 120, False),
        (scans(b"123", b"456", b"789", pause_ms=90), (), "", False, 180, False),
        (scans(b"123\r", b"123\r", b"123\r"), ("cr",), "", False, 0, False),
        (scans(b"123\r"), ("cr",), "", False, 0, False),
        (scans(b"\r\r", b"\r\r", b"\r\r\r"), ("cr",), "", False, 0, False),
        ([], (), "", False, 120, False),
    ],
)
def test_proposals(
    chunks: list[Chunk],
    terminators: tuple[str, ...],
    prefix: str,
    aim: bool,
    idle_ms: int,
    good: bool,
) -> None:
    """What all scans share is the setting; what cannot be told is said."""
    found = propose_serial(chunks)
    assert (found.terminators, found.aim, found.idle_ms) == (terminators, aim, idle_ms)
    assert found.prefix == prefix or terminators == ("cr",)
    if len({chunk.data for chunk in chunks}) > 3 or not chunks:
        assert (found.advice == "") is good


def test_recording_over_a_wire() -> None:
    """Ends when enough scans were made and the line is quiet."""
    device = EmulatedScanner()
    port = device.attach_pty()
    done: list[list[Chunk]] = []
    worker = threading.Thread(target=lambda: done.append(record(port, LineSettings(), 2, 10.0)))
    worker.start()
    until(lambda: worker.is_alive())
    device.send([Piece(b"111\r", after_ms=100), Piece(b"222\r", after_ms=APART_MS + 50)])
    worker.join(5)
    assert b"".join(chunk.data for chunk in done[0]) == b"111\r222\r"
    assert propose_serial(done[0]).terminators == ("cr",)
    device.stop()
    assert record(device_port_gone(), LineSettings(), 1, 0.05) == []


def device_port_gone() -> str:
    return "loop://"
