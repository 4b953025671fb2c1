"""Zebra Simple Serial Interface: packets with a length and a checksum, acknowledged by the host.

Responsible for: packing and unpacking. Pure. Not responsible for: when to send.
A packet is `length opcode source status data checksum16`, length counting everything but the
checksum, the checksum being the two's complement of the sum (guide 72E-40451). Invariant: a decode
packet is acknowledged exactly once; one with a bad checksum is answered by NAK and dropped, so that
the scanner sends it again.
"""

from drivers.scanner import aim
from drivers.scanner.profile import ScannerProfile
from drivers.scanner.scan import Scan, read_text

ACK, NAK, DECODE = 0xD0, 0xD1, 0xF3
START_SESSION, STOP_SESSION, BEEP = 0xE4, 0xE5, 0xE6
SCAN_ENABLE, SCAN_DISABLE = 0xE9, 0xEA
_HOST = 4
_PAUSE_MS = 100  # a packet is sent in one go; a longer pause inside one means that bytes were lost
_SYMBOLOGIES = {
    0x01: "code39",
    0x02: "codabar",
    0x03: "code128",
    0x07: "code93",
    0x08: "ean",
    0x0A: "ean-8",
    0x0B: "ean",
    0x0F: "gs1-128",
    0x11: "pdf417",
    0x1B: "datamatrix",
    0x1C: "qr",
    0x2D: "aztec",
    0x30: "gs1-databar",
    0xF0: "qr",
}


def message(opcode: int, data: bytes = b"") -> bytes:
    """A packet from the host."""
    body = bytes([4 + len(data), opcode, _HOST, 0]) + data
    return body + _checksum(body)


def _checksum(body: bytes) -> bytes:
    return (-sum(body) & 0xFFFF).to_bytes(2, "big")


class SsiFramer:
    """The same contract as `framer.Framer`, with replies to send."""

    def __init__(self, profile: ScannerProfile) -> None:
        self._profile = profile
        self._buffer = bytearray()
        self._replies = bytearray()
        self._last_ms = 0
        self.dropped = 0

    def feed(self, data: bytes, now_ms: int) -> list[Scan]:
        """Take bytes that arrived now."""
        self.tick(now_ms)
        self._buffer += data
        self._last_ms = now_ms
        scans: list[Scan] = []
        while (packet := self._packet()) is not None:
            scans += self._read(packet, now_ms)
        return scans

    def tick(self, now_ms: int) -> list[Scan]:
        """Time passed: a packet that stopped in the middle is given up."""
        if self._buffer and now_ms - self._last_ms >= _PAUSE_MS:
            self._buffer.clear()
            self.dropped += 1
        return []

    def due_ms(self) -> int | None:
        """When `tick` has something to do, or None."""
        return self._last_ms + _PAUSE_MS if self._buffer else None

    def reset(self) -> None:
        """The link was lost."""
        self._buffer.clear()
        self._replies.clear()

    def replies(self) -> bytes:
        """Acknowledgements to send now; each is handed out once."""
        data = bytes(self._replies)
        self._replies.clear()
        return data

    def _packet(self) -> bytes | None:
        while self._buffer and self._buffer[0] < 4:  # no packet is that short: noise
            del self._buffer[0]
        if not self._buffer or len(self._buffer) < self._buffer[0] + 2:
            return None
        size = self._buffer[0] + 2
        packet = bytes(self._buffer[:size])
        del self._buffer[:size]
        return packet

    def _read(self, packet: bytes, now_ms: int) -> list[Scan]:
        body, check = packet[:-2], packet[-2:]
        if _checksum(body) != check:
            self.dropped += 1
            self._replies += message(NAK, b"\x01")
            return []
        if body[1] != DECODE or len(body) < 6:
            return []  # an acknowledgement or an event; acknowledging those would go round for ever
        self._replies += message(ACK)
        identifier, raw = aim.split(body[5:]) if self._profile.aim else ("", body[5:])
        kind = aim.symbology(identifier) if identifier else _SYMBOLOGIES.get(body[4], "unknown")
        text, charset = read_text(raw, self._profile.charsets)
        return [Scan(raw, text, identifier, kind, charset, complete=True, at=now_ms)]
