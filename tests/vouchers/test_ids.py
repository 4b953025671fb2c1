"""Names of things: serials, device codes, UUIDs and base64url, each in its one form."""

from __future__ import annotations

import uuid

import pytest

from vouchers import ids
from vouchers.ids import Serial

UUID = "0190f5a0-7c00-7abc-8def-0123456789ab"


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("T0007", True),
        ("a", True),
        ("A" * 32, True),
        ("A" * 33, False),
        ("", False),
        ("T-7", False),
        ("T_7", False),
        ("T 7", False),
        ("T7\n", False),
        ("柜7", False),
        ("７", False),
        ("é", False),
    ],
)
def test_a_device_code(text: str, good: bool) -> None:
    """EV-065, design section 6: POSID is 1 to 32 of A-Z a-z 0-9."""
    assert ids.is_posid(text) == good


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("T0007", 1, 123), "T0007_1_00000123"),
        (("a", 12, 99_999_999), "a_12_99999999"),
        (("A" * 32, 1, 100_000_000), "A" * 32 + "_1_100000000"),
    ],
)
def test_a_serial_goes_round(parts: tuple[str, int, int], text: str) -> None:
    """AX-01, design section 6: {posid}_{epoch}_{seq:08d}, within 100 characters."""
    assert ids.serial(*parts) == text
    assert ids.parse_serial(text) == Serial(*parts)
    assert len(text) <= 100


def test_a_serial_holds_only_what_upstream_allows() -> None:
    """AX-01: a-z A-Z 0-9 and _, 1 to 100 characters, also at its longest."""
    longest = ids.serial("Z" * 32, 999_999_999, 10**15 - 1)
    assert ids.parse_serial(longest) == Serial("Z" * 32, 999_999_999, 10**15 - 1)
    assert len(longest) <= 100
    assert set(longest) <= set("Z0123456789_")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "T0007",
        "T0007_1",
        "T0007_1_123",
        "T0007_1_0000123",
        "T0007_1_000000123",
        "T0007_1_00000000",
        "T0007_0_00000123",
        "T0007_01_00000123",
        "T0007_-1_00000123",
        "T0007_1_00000123_",
        "T0007_1_00000123\n",
        " T0007_1_00000123",
        "T-7_1_00000123",
        "_1_00000123",
        "T0007-1-00000123",
        "A" * 33 + "_1_00000123",
        "T0007_1_０００００１２３",
        "T0007_1_1" + "0" * 15,
        "T0007_1" + "0" * 9 + "_00000123",
    ],
)
def test_other_serials_are_none(text: str) -> None:
    """AX-01: a serial has one form; a hyphen, a missing or an extra zero is another text."""
    assert ids.parse_serial(text) is None


def test_an_entry_that_was_kept_apart_has_a_serial_of_its_own() -> None:
    """AX-01: of letters, digits and _, within 100 characters; and no text of the stream's own."""
    digest = "0123456789abcdef" * 4
    assert ids.branch_serial("T7", 1, 42, digest) == "T7_1_00000042_0123456789abcdef"
    longest = ids.branch_serial("Z" * 32, 999_999_999, 10**15 - 1, digest)
    assert len(longest) <= 100 and set(longest) <= set("Z0123456789_abcdef")
    assert ids.parse_serial(longest) is None
    assert ids.parse_branch_serial("T7_1_00000042_" + digest[:16]) == (
        Serial("T7", 1, 42),
        digest[:16],
    )
    for text in ("T7_1_00000042", "T7_1_00000042_0123456789abcdeF", "T7_1_42_0123456789abcdef"):
        assert ids.parse_branch_serial(text) is None


@pytest.mark.parametrize("parts", [("T-7", 1, 1), ("T7", 0, 1), ("T7", 1, 0)])
def test_a_wrong_serial_is_never_composed(parts: tuple[str, int, int]) -> None:
    """AX-01: epoch and sequence count from 1; composing another is a bug."""
    with pytest.raises(AssertionError):
        ids.serial(*parts)


def test_a_uuid_carries_time_and_noise() -> None:
    """Design section 6, RFC 9562: UUIDv7 from milliseconds, every random bit in its place."""
    assert ids.uuid7(0, bytes(10)) == "00000000-0000-7000-8000-000000000000"
    assert ids.uuid7(2**48 - 1, b"\xff" * 10) == "ffffffff-ffff-7fff-bfff-ffffffffffff"
    found = uuid.UUID(ids.uuid7(1_722_441_600_123, bytes(range(10))))
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert found.int >> 80 == 1_722_441_600_123
    assert len({ids.uuid7(1, (1 << bit).to_bytes(10, "big")) for bit in range(80)}) == 75


def test_uuids_sort_by_time() -> None:
    """RFC 9562: an id made a millisecond later sorts later as text."""
    assert ids.uuid7(1_000, b"\xff" * 10) < ids.uuid7(1_001, bytes(10))


@pytest.mark.parametrize(("ms", "rand"), [(-1, bytes(10)), (2**48, bytes(10)), (0, bytes(9))])
def test_a_uuid_needs_its_sizes(ms: int, rand: bytes) -> None:
    """RFC 9562: 48 bits of time and 10 random bytes, else the caller is wrong."""
    with pytest.raises(AssertionError):
        ids.uuid7(ms, rand)


@pytest.mark.parametrize(
    "text",
    [
        "",
        UUID.upper(),
        UUID.replace("-", ""),
        f"{{{UUID}}}",
        UUID + "\n",
        UUID[:-1],
        UUID + "0",
        "g" + UUID[1:],
        "urn:uuid:" + UUID,
        UUID.replace("0", "０"),
    ],
)
def test_a_uuid_has_one_text(text: str) -> None:
    """Design section 6: lower case with hyphens; the other spellings are not ours."""
    assert not ids.is_uuid(text)
    with pytest.raises(ValueError, match="UUID"):
        ids.uuid_bytes(text)


def test_a_uuid_goes_round_as_bytes() -> None:
    """Design section 6: 16 bytes in a QR, text everywhere else."""
    assert ids.is_uuid(UUID)
    assert ids.uuid_bytes(UUID).hex() == UUID.replace("-", "")
    assert ids.uuid_text(ids.uuid_bytes(UUID)) == UUID


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"", ""), (b"f", "Zg"), (b"fo", "Zm8"), (b"foo", "Zm9v"), (b"\xfb\xff", "-_8")],
)
def test_base64url_goes_round(raw: bytes, text: str) -> None:
    """Design section 6: keys and signatures are base64url without padding."""
    assert ids.b64u(raw) == text
    assert ids.unb64u(text) == raw


@pytest.mark.parametrize(
    "text",
    [
        "Zg==",
        "Zg=",
        "Zh",
        "Zm9",
        "+w",
        "/w",
        "Z",
        "Zm9vZ",
        " Zg",
        "Zg\n",
        "ab+d",
        "a=bc",
        "券券券券",
    ],
)
def test_base64url_has_one_form(text: str) -> None:
    """Design section 6: padding, the other alphabet and stray bits at the end are refused."""
    with pytest.raises(ValueError, match="base64url"):
        ids.unb64u(text)


def test_a_uuid_tells_when_it_was_made() -> None:
    """What is written into a UUIDv7 is read out of it; another text is refused."""
    assert ids.uuid_ms(ids.uuid7(1_720_584_000_123, bytes(10))) == 1_720_584_000_123
    with pytest.raises(ValueError):
        ids.uuid_ms("no uuid")
