"""AIM, GS1, SSI, host commands, mistakes, key codes, double reads: the pure parts."""

import random

import pytest

from drivers.scanner import aim, gs1, ssi
from drivers.scanner.commands import FAMILIES, Action, command
from drivers.scanner.double_read import DoubleRead
from drivers.scanner.framing import framer_for
from drivers.scanner.keymap import KeyDecoder
from drivers.scanner.mistaken import Mistake, link_parameter, name_mistake
from drivers.scanner.profile import ScannerProfile
from drivers.scanner.scan import Scan


def scan(text: str, symbology: str = "unknown", at: int = 0) -> Scan:
    return Scan(text.encode(), text, "", symbology, "utf-8", complete=True, at=at)


@pytest.mark.parametrize(
    ("data", "identifier", "rest", "name"),
    [
        (b"]Q1abc", "]Q1", b"abc", "qr"),
        (b"]Q3abc", "]Q3", b"abc", "gs1-qr"),
        (b"]C1abc", "]C1", b"abc", "gs1-128"),
        (b"]C0abc", "]C0", b"abc", "code128"),
        (b"]E0690", "]E0", b"690", "ean"),
        (b"]E4690", "]E4", b"690", "ean-8"),
        (b"]d2x", "]d2", b"x", "gs1-datamatrix"),
        (b"]e0x", "]e0", b"x", "gs1-databar"),
        (b"]Y0x", "]Y0", b"x", "unknown"),
        (b"abc", "", b"abc", "unknown"),
        (b"]1Q", "", b"]1Q", "unknown"),
        (b"]Q", "", b"]Q", "unknown"),
        (b"]Q\xff", "", b"]Q\xff", "unknown"),
    ],
)
def test_aim(data: bytes, identifier: str, rest: bytes, name: str) -> None:
    """Three characters in front, or none."""
    assert aim.split(data) == (identifier, rest)
    assert aim.symbology(identifier) == name


def test_gs1_elements() -> None:
    """Fixed lengths need no separator, variable ones end at GS or at the end."""
    text = "\x1d0106901234567892172706301012AB\x1d21SER\x1d810012"
    with pytest.raises(gs1.NotGs1):
        gs1.parse(text)
    elements = gs1.parse("0106901234567892172706301012AB\x1d21SER\x1d8110123")
    assert [(one.identifier, one.value) for one in elements] == [
        ("01", "06901234567892"),
        ("17", "270630"),
        ("10", "12AB"),
        ("21", "SER"),
        ("8110", "123"),
    ]
    assert gs1.value_of(elements, "17") == "270630" and gs1.value_of(elements, "99") is None
    assert gs1.parse("\x1d255" + "6" * 13)[0].identifier == "255"


@pytest.mark.parametrize("text", ["01069", "010690123456789X", "10", "10" + "A" * 21, "77x"])
def test_gs1_is_never_guessed(text: str) -> None:
    """Too short, not digits, empty, too long (a dropped GS), unknown."""
    with pytest.raises(gs1.NotGs1):
        gs1.parse(text)


def test_ssi_messages_are_the_published_ones() -> None:
    """Acknowledge, beep, start: the bytes that the guide's readers computed too."""
    assert ssi.message(ssi.ACK) == bytes.fromhex("04d00400ff28")
    assert ssi.message(ssi.BEEP, b"\x00") == bytes.fromhex("05e6040000ff11")
    assert ssi.message(ssi.START_SESSION) == bytes.fromhex("04e40400ff14")


def decode(payload: bytes, kind: int = 0x1C) -> bytes:
    """A decode packet as a Zebra scanner sends it."""
    body = bytes([5 + len(payload), ssi.DECODE, 0, 0, kind]) + payload
    return body + (-sum(body) & 0xFFFF).to_bytes(2, "big")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_ssi_scans_are_acknowledged_once(size: int) -> None:
    """Noise, two scans, an acknowledgement of the scanner: two scans and two answers."""
    framer = framer_for(ScannerProfile(framing="ssi"))
    stream = b"\x00\x01" + decode(b"12345678901") + ssi.message(ssi.ACK) + decode(b"x", 0x03)
    scans = []
    for start in range(0, len(stream), size):
        scans += framer.feed(stream[start : start + size], 0)
    assert [(one.text, one.symbology) for one in scans] == [("12345678901", "qr"), ("x", "code128")]
    assert framer.replies() == 2 * ssi.message(ssi.ACK)
    assert framer.replies() == b""


def test_ssi_bad_checksums_are_refused() -> None:
    """A damaged packet is answered by NAK, so that the scanner sends it again."""
    framer = ssi.SsiFramer(ScannerProfile(framing="ssi", aim=True))
    damaged = bytearray(decode(b"]Q1123"))
    damaged[7] ^= 1
    assert framer.feed(bytes(damaged), 0) == [] and framer.dropped == 1
    assert framer.replies() == ssi.message(ssi.NAK, b"\x01")
    (one,) = framer.feed(decode(b"]Q1123"), 1)
    assert (one.text, one.aim, one.symbology) == ("123", "]Q1", "qr")
    short = bytes([5, ssi.DECODE, 0, 0, 0x1C])
    assert framer.feed(short + (-sum(short) & 0xFFFF).to_bytes(2, "big"), 2) == []


def test_ssi_gives_up_half_a_packet() -> None:
    """Bytes lost in the middle: after a pause the next packet is read from its start."""
    framer = ssi.SsiFramer(ScannerProfile(framing="ssi"))
    assert framer.feed(decode(b"123")[:5], 0) == []
    assert framer.due_ms() == 100 and framer.tick(99) == []
    framer.tick(100)
    assert framer.due_ms() is None and framer.dropped == 1
    assert [one.text for one in framer.feed(decode(b"456"), 200)] == ["456"]
    framer.feed(b"\x09\xf3", 300)
    framer.reset()
    assert framer.due_ms() is None


def test_garbage_never_raises_in_ssi(rng: random.Random) -> None:
    """Anything may come from a line."""
    framer = ssi.SsiFramer(ScannerProfile(framing="ssi"))
    for at in range(1_000):
        framer.feed(rng.randbytes(rng.randrange(30)), at * 13)


def test_commands() -> None:
    """Each family's bytes; what a family cannot is nothing; stored settings are never sent."""
    assert (
        command("datalogic", Action.BAD) == b"F" and command("honeywell", Action.GOOD) == b"\x1b7"
    )
    assert command("newland", Action.DISABLE) == b"\x7e\x01\x30\x30\x30\x30#SCNENA0;\x03"
    assert command("newland", Action.BAD) == b"" and command("unheard-of", Action.GOOD) == b""
    assert all(b"@SCN" not in command(family, action) for family in FAMILIES for action in Action)


@pytest.mark.parametrize(
    ("text", "symbology", "mistake"),
    [
        ("6901234567892", "unknown", Mistake.GOODS),
        ("6901234567891", "unknown", None),
        ("6901234567891", "ean", Mistake.GOODS),
        ("96385074", "unknown", Mistake.GOODS),
        ("281234567890123456", "unknown", Mistake.PAYMENT),
        ("131234567890123456", "unknown", Mistake.PAYMENT),
        ("991234567890123456", "unknown", None),
        ("13800138000", "unknown", Mistake.PHONE),
        ("12345678901", "unknown", None),
        ("https://example.test/x", "qr", Mistake.LINK),
        ("HX1:ABC", "qr", None),
        ("１２３", "qr", None),
    ],
)
def test_mistakes_have_names(text: str, symbology: str, mistake: Mistake | None) -> None:
    """Goods barcode, payment code, phone number, web link."""
    assert name_mistake(scan(text, symbology)) is mistake


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("https://example.test/v?yph=123&code=456", "456"),
        ("HTTP://example.test/v?yph=123", "123"),
        ("https://example.test/v?other=1", None),
        ("https://example.test/v?code=", None),
        ("ftp://example.test/?code=1", None),
        ("https://[broken/?code=1", None),
        ("https://example.test/?code=1" + "x" * 3_000, None),
    ],
)
def test_a_link_gives_its_parameter_and_is_never_opened(text: str, value: str | None) -> None:
    """The first configured name that has a value."""
    assert link_parameter(text, ("code", "yph")) == value


def press(decoder: KeyDecoder, *codes: int) -> bytes:
    out = b""
    for code in codes:
        out += decoder.event(1, abs(code), 1 if code > 0 else 0)
    return out


def test_key_codes() -> None:
    """Digits, letters with Shift and Caps Lock, signs, keypad, Enter, and GS by Control."""
    keys = KeyDecoder()
    assert press(keys, 2, -2, 3, -3, 28) == b"12\r"
    assert press(keys, 42, 30, -30, 2, -2, -42, 30) == b"A!a"
    assert press(keys, 58, -58, 30, 42, 30, -42, 58, 30) == b"Aaa"
    assert press(keys, 42, 71, 55, -42, 39, 42, 39, -42) == b"7*;:"
    assert press(keys, 29, 27, -27, 2, -29) == b"\x1d"
    assert keys.event(0, 0, 0) == b"" and keys.event(1, 30, 2) == b"" and press(keys, 200) == b""
    press(keys, 42)
    keys.reset()
    assert press(keys, 30) == b"a"


def test_double_reads() -> None:
    """The same payload within the window, counted from the last; others and later are new."""
    double = DoubleRead(1_500)
    assert [double.repeated(scan("1", at=at)) for at in (0, 1_000, 2_000, 4_000)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert not double.repeated(scan("2", at=4_100))
    double.forget()
    assert not double.repeated(scan("2", at=4_200)) and double.repeats == 2
