"""Platform codes: derivation, check digit, horizon, and reading what people type."""

from __future__ import annotations

import hashlib
import hmac
from itertools import pairwise

import pytest

from vouchers import codes
from vouchers.reasons import Reason, Refusal

SECRET = bytes(range(32))


def checked(digits: str) -> str:
    return digits + codes.damm_digit(digits)


def said(found: str | Refusal) -> str:
    if isinstance(found, str):
        return found
    return f"{found.reason} {found.detail['looks_like']}" if found.detail else str(found.reason)


def test_the_published_example_of_the_check_digit() -> None:
    """Design section 6: Damm's quasigroup as commonly published gives 572 the digit 4."""
    assert codes.damm_digit("572") == "4"
    assert codes.damm_digit("5724") == "0"
    assert codes.damm_digit("") == "0"


def test_the_check_digit_catches_single_errors_and_swaps() -> None:
    """Decision 14: the last digit finds every wrong digit and every swap of two neighbours."""
    code = checked("2084615937")
    for place, digit in enumerate(code):
        for other in "0123456789":
            typed = code[:place] + other + code[place + 1 :]
            assert (codes.damm_digit(typed) == "0") == (other == digit)
    for place, (first, second) in enumerate(pairwise(code)):
        typed = code[:place] + second + first + code[place + 2 :]
        assert (codes.damm_digit(typed) == "0") == (first == second)


@pytest.mark.parametrize("digits", range(6, 12))
def test_a_code_follows_the_formula(digits: int) -> None:
    """Design section 6, EV-045: n digits from the HMAC of the generation, then the check digit."""
    for generation in (0, 1, 7, 300):
        mac = hmac.new(SECRET, b"hexiao-code-v1" + generation.to_bytes(4, "big"), hashlib.sha256)
        low = 10 ** (digits - 2)
        body = str(low + int.from_bytes(mac.digest()[:16], "big") % (9 * low))
        code = codes.derive(SECRET, generation, digits)
        assert code == checked(body)
        assert len(code) == digits
        assert code[0] != "0"


def test_eleven_digits_are_the_default() -> None:
    """Decision 14: codes that this platform issues have 11 digits unless told."""
    assert codes.derive(SECRET, 3) == codes.derive(SECRET, 3, 11)


@pytest.mark.parametrize(("generation", "digits"), [(0, 5), (0, 12), (-1, 11)])
def test_a_code_outside_the_contract_is_a_bug(generation: int, digits: int) -> None:
    """EV-045: asking for 5 or 12 digits is no refusal, it is a mistake of the program."""
    with pytest.raises(AssertionError):
        codes.derive(SECRET, generation, digits)


@pytest.mark.parametrize(
    ("shares", "last"), [(1, 8), (2, 9), (16, 23), (17, 24), (18, 24), (9_999, 24)]
)
def test_the_horizon(shares: int, last: int) -> None:
    """Design section 6: H = min(shares - 1, 16) + 8."""
    assert codes.horizon(shares) == last


def test_a_voucher_has_a_share() -> None:
    """Design section 6: a horizon of no shares is a bug."""
    with pytest.raises(AssertionError):
        codes.horizon(0)


def test_reserved_codes_are_all_up_to_the_horizon() -> None:
    """Design section 6: central checks the codes of the generations 0..H for collisions."""
    found = codes.reserved(SECRET, 3, digits=8)
    assert found == tuple(codes.derive(SECRET, g, 8) for g in range(11))
    assert codes.reserved(SECRET, 1)[8] == codes.derive(SECRET, 8)


@pytest.mark.parametrize("head", range(10, 20))
def test_what_a_mobile_number_looks_like(head: int) -> None:
    """Decision 14: 13 to 19 with 11 digits is a mobile number, 10 to 12 is not."""
    assert codes.looks_like_mobile(f"{head}800001234") == (head >= 13)
    assert not codes.looks_like_mobile(f"{head}80000123")
    assert not codes.looks_like_mobile(f"{head}8000012345")
    assert not codes.looks_like_mobile(f"{head}800001234\n")


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("0012 34", "001234"),
        ("００１２３４", "001234"),
        (" 12-34\t56\r\n", "123456"),
        ("12\u300034\u00a056", "123456"),
        ("12－34", "1234"),
        ("12a", "12a"),
        ("", ""),
    ],
)
def test_normalising_keeps_zeros(text: str, digits: str) -> None:
    """EV-045, decision 14: spaces and full-width digits are normalised, zeros never trimmed."""
    assert codes.normalise(text) == digits


@pytest.mark.parametrize("body", ["12345", "1234567890", "00123", "0000000000"])
def test_a_good_code_is_read(body: str) -> None:
    """EV-045: 6 to 11 digits with their check digit, leading zeros kept, any width."""
    code = checked(body)
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in code)
    assert codes.read_code(code) == codes.read_code(f" {code[:4]} {code[4:]}\n") == code
    assert codes.read_code(wide) == code


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (checked("1234"), "malformed length"),
        (checked("12345678901"), "malformed length"),
        ("1" * 5_000, "malformed length"),
        ("", "malformed text"),
        ("12345a", "malformed text"),
        ("+123456", "malformed text"),
        ("12.3456", "malformed text"),
        ("１２３四５６", "malformed text"),
        ("١٢٣٤٥٦", "malformed text"),
        ("13800001234", "malformed mobile"),
        ("138 0000 1234", "malformed mobile"),
        ("123456", "mistyped"),
    ],
)
def test_what_is_no_code_says_what_it_looks_like(text: str, found: str) -> None:
    """EV-045, decisions 13 and 14: refused here, free of charge, with the mistake named."""
    assert said(codes.read_code(text)) == found


def test_the_length_is_told() -> None:
    """EV-045: the refusal says how many digits there were, never which."""
    found = codes.read_code("12345")
    assert found == Refusal(Reason.MALFORMED, {"looks_like": "length", "digits": 5})


def test_a_code_that_is_only_long_enough_with_separators() -> None:
    """EV-045: separators do not count, up to the length of a scan."""
    code = checked("12345")
    assert codes.read_code(code + " " * (4_096 - 6)) == code
    assert said(codes.read_code(code + " " * (4_097 - 6))) == "malformed length"


@pytest.mark.parametrize("text", ["0012", "００１２", " 00 12 ", "00-12"])
def test_last_four_are_text(text: str) -> None:
    """EV-041: the last four keep their zeros and are compared as text."""
    assert codes.read_last4(text) == "0012"


@pytest.mark.parametrize("text", ["", "123", "12345", "12a4", "abcd", "١٢٣٤", "1234" + " " * 5_000])
def test_other_last_fours_are_malformed(text: str) -> None:
    """EV-041: three, five or no digits are refused before anything is charged."""
    assert said(codes.read_last4(text)) == "malformed last4"
