"""What a scanner or a clerk may present, and what was scanned by mistake.

Goal: each presented text is read as the one thing it is, or the mistake is named, at no cost
(EV-045, decision 13). Method: texts as they come from phones, goods and payment pages.
"""

from __future__ import annotations

import pytest

from vouchers import codes
from vouchers.credential import PlatformCode, SignedQr, read_credential
from vouchers.reasons import Reason, Refusal

CODE = "23456789013"
assert codes.damm_digit(CODE) == "0"


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        f" {CODE}\r\n",
        "234-5678-9013",
        "\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff10\uff11\uff13",
        f"https://example.com/v?code={CODE}",
        f"HTTP://EXAMPLE.COM/?x=1&yph={CODE}&y=2",
        f"https://example.com/?code={CODE}&code=999999",
    ],
)
def test_the_code_is_found(text: str) -> None:
    """Digits however they are written, and a web link with a configured parameter."""
    assert read_credential(text) == PlatformCode(CODE)


def test_a_signed_qr_is_handed_on() -> None:
    """Whether it is genuine is asked later; here it is only recognised."""
    assert read_credential(" HX1:ABC ") == SignedQr("HX1:ABC")


def test_other_parameters_can_be_configured() -> None:
    """A shop's own links carry the code under a name of its own."""
    link = f"https://example.com/v?ticket={CODE}"
    assert read_credential(link, ("ticket",)) == PlatformCode(CODE)
    assert isinstance(read_credential(link), Refusal)


@pytest.mark.parametrize(
    ("text", "looks_like"),
    [
        ("", "empty"),
        (" \t\r\n", "empty"),
        ("1" * 4_097, "length"),
        ("12345", "length"),
        ("13800138000", "mobile"),
        ("138 0013 8000", "mobile"),
        ("134567890123456789", "payment"),
        ("284567890123456789", "payment"),
        ("6901234567892", "goods"),
        ("690123456789", "goods"),
        ("hello", "text"),
        ("🧧🧧🧧🧧🧧🧧", "text"),
        ("1234\x1b[2J56", "text"),
        ("1234\x0056", "text"),
        ("https://example.com/v", "link"),
        ("https://example.com/?other=23456789013", "link"),
        ("https://[broken/?code=23456789013", "link"),
        ("https://example.com/?" + "a=1&" * 101 + "code=23456789013", "link"),
        ("https://example.com/?code=hello", "text"),
    ],
)
def test_a_mistake_is_named(text: str, looks_like: str) -> None:
    """The clerk is told what was scanned instead, and nothing is charged."""
    found = read_credential(text)
    assert isinstance(found, Refusal)
    assert (found.reason, found.detail["looks_like"]) == (Reason.MALFORMED, looks_like)


def test_a_wrong_digit_in_a_link_is_mistyped() -> None:
    """The check digit is asked wherever the code comes from."""
    found = read_credential("https://example.com/?code=23456789014")
    assert isinstance(found, Refusal)
    assert found.reason is Reason.MISTYPED


@pytest.mark.parametrize(
    ("text", "digits"), [("1234", "1234"), (" 00 07 ", "0007"), ("１２３４", "1234")]
)
def test_last_four_are_read(text: str, digits: str) -> None:
    """EV-041: four digits as text; leading zeros stay."""
    assert codes.read_last4(text) == digits


@pytest.mark.parametrize("text", ["", "123", "12345", "12a4", "一二三四", "1" * 5_000])
def test_other_last_four_are_refused(text: str) -> None:
    """Anything but four digits is malformed, not a miss."""
    found = codes.read_last4(text)
    assert isinstance(found, Refusal)
    assert found.reason is Reason.MALFORMED


def test_a_very_long_code_is_refused_unread() -> None:
    """Input is bounded before it is normalised."""
    assert codes.read_code("1" * 4_097) == Refusal(Reason.MALFORMED, {"looks_like": "length"})
