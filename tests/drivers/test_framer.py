"""Bytes of a scanner to scans: terminators, splits, pauses, noise, lengths, charsets."""

import itertools
import random
from collections.abc import Iterable

import pytest

from drivers.scanner.framer import Framer
from drivers.scanner.profile import ScannerProfile
from drivers.scanner.scan import Scan

CR_ONLY = ScannerProfile(terminators=("cr",))


def texts(framer: Framer, pieces: Iterable[bytes], step_ms: int = 1) -> list[str]:
    scans: list[Scan] = []
    for at, piece in enumerate(pieces):
        scans += framer.feed(piece, at * step_ms)
    return [scan.text for scan in scans]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\n\r"])
def test_each_usual_ending_makes_one_scan(end: bytes) -> None:
    """CR, LF and both in either order end one scan, whole or split between the two."""
    assert texts(Framer(ScannerProfile()), [b"123" + end + b"456" + end]) == ["123", "456"]
    split = [bytes([byte]) for byte in b"123" + end + b"456" + end]
    assert texts(Framer(ScannerProfile()), split) == ["123", "456"]


def test_two_carriage_returns_are_one_scan() -> None:
    """A suffix of CR CR is not a second, empty scan."""
    assert texts(Framer(ScannerProfile()), [b"123\r\r"]) == ["123"]


def test_a_pause_inside_a_scan_does_not_cut_it() -> None:
    """A radio cradle pauses for 400 ms in the middle of a code."""
    framer = Framer(ScannerProfile())
    assert framer.feed(b"12345", 0) == []
    assert framer.due_ms() is None
    assert [scan.raw for scan in framer.feed(b"678901\r", 400)] == [b"12345678901"]


def test_line_feeds_inside_a_code_survive_when_only_cr_ends() -> None:
    """A QR may hold line feeds; a profile that ends by CR keeps them."""
    assert texts(Framer(CR_ONLY), [b"a\nb\r"]) == ["a\nb"]


def test_silence_ends_a_scan_only_where_the_profile_says_so() -> None:
    """A scanner without a suffix: complete is False, at is the last byte's time."""
    framer = Framer(ScannerProfile(terminators=(), idle_ms=120))
    assert framer.feed(b"123", 10) == []
    assert framer.due_ms() == 130
    assert framer.tick(129) == []
    (scan,) = framer.tick(130)
    assert (scan.text, scan.complete, scan.at) == ("123", False, 10)
    assert framer.due_ms() is None and framer.tick(500) == []
    assert framer.feed(b"4", 600) == [] and [s.text for s in framer.feed(b"5", 800)] == ["4"]


def test_too_long_is_dropped_up_to_the_next_terminator() -> None:
    """A stuck key or noise does not become a scan and does not take the next one with it."""
    framer = Framer(ScannerProfile(length_max=10))
    assert texts(framer, [b"x" * 5000, b"y" * 5000 + b"\r123\r"]) == ["123"]
    assert framer.dropped == 1


def test_noise_of_plugging_in_is_dropped() -> None:
    """NUL and 0xFF around a scan are not part of it; alone they are nothing."""
    assert texts(Framer(ScannerProfile()), [b"\x00\xff123\xff\r\x00\r"]) == ["123"]


def test_a_required_prefix_is_stripped_and_missed() -> None:
    """With a prefix in the profile, what comes without it is not a scan."""
    framer = Framer(ScannerProfile(prefix="\x02"))
    assert texts(framer, [b"\x02123\r", b"456\r"]) == ["123"]
    assert framer.dropped == 1


def test_short_scans_are_dropped() -> None:
    """Below the profile's length nothing is handed on."""
    framer = Framer(ScannerProfile(length_min=4))
    assert texts(framer, [b"123\r1234\r"]) == ["1234"]
    assert framer.dropped == 1


def test_losing_the_link_forgets_half_a_scan() -> None:
    """Half a scan before the loss is not joined to the scan after it."""
    framer = Framer(ScannerProfile())
    framer.feed(b"123", 0)
    framer.reset()
    assert [scan.text for scan in framer.feed(b"456\r", 5)] == ["456"]
    assert framer.replies() == b""


@pytest.mark.parametrize(
    ("raw", "text", "charset"),
    [
        ("优惠券".encode(), "优惠券", "utf-8"),
        ("优惠券".encode("gb18030"), "优惠券", "gb18030"),
        (b"\xff\xfe1", "ÿþ1", "unknown"),
    ],
)
def test_charsets_are_tried_in_order(raw: bytes, text: str, charset: str) -> None:
    """UTF-8 strictly, else GB18030 strictly, else Latin-1 marked unknown; raw is always kept."""
    (scan,) = Framer(CR_ONLY).feed(b"A" + raw + b"A\r", 0)
    assert (scan.raw, scan.text, scan.charset) == (b"A" + raw + b"A", f"A{text}A", charset)


def test_identifiers_are_split_only_by_profile() -> None:
    """A voucher may begin with a bracket: only a profile that says so strips the identifier."""
    (plain,) = Framer(ScannerProfile()).feed(b"]Q1123\r", 0)
    assert (plain.text, plain.aim, plain.symbology) == ("]Q1123", "", "unknown")
    (aimed,) = Framer(ScannerProfile(aim=True)).feed(b"]Q1123\r", 0)
    assert (aimed.text, aimed.aim, aimed.symbology) == ("123", "]Q1", "qr")


def test_any_split_gives_the_same_scans(rng: random.Random) -> None:
    """The stream cut at random places, many times: none lost, merged or doubled."""
    codes = [str(rng.randrange(10**10, 10**11)) for _ in range(200)]
    stream = b"".join(code.encode() + rng.choice([b"\r", b"\n", b"\r\n"]) for code in codes)
    for _ in range(20):
        cuts = sorted(rng.sample(range(len(stream)), 50))
        edges = [0, *cuts, len(stream)]
        pieces = [stream[a:b] for a, b in itertools.pairwise(edges)]
        assert texts(Framer(ScannerProfile()), pieces) == codes


def test_garbage_never_raises(rng: random.Random) -> None:
    """Whatever comes, the framer goes on and stays within its bound."""
    framer = Framer(ScannerProfile(aim=True, length_max=64))
    for at in range(2000):
        for scan in framer.feed(rng.randbytes(rng.randrange(20)), at):
            assert len(scan.raw) <= 64
