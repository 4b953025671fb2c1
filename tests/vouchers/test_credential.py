"""Telling apart what was presented, and naming what was scanned by mistake."""

from __future__ import annotations

import pytest

from vouchers import codes
from vouchers.credential import PlatformCode, SignedQr, read_credential
from vouchers.reasons import Reason, Refusal

CODE = "2084615937" + codes.damm_digit("2084615937")
MISTYPED = CODE[:-1] + str((int(CODE[-1]) + 1) % 10)


def looks_like(text: str) -> object:
    found = read_credential(text)
    assert isinstance(found, Refusal)
    assert found.reason is Reason.MALFORMED
    return found.detail["looks_like"]


@pytest.mark.parametrize("text", [CODE, f" {CODE}\r\n", f"{CODE[:3]} {CODE[3:7]} {CODE[7:]}"])
def test_digits_are_a_platform_code(text: str) -> None:
    """EV-041, EV-045: digits with a right check digit, however they are grouped."""
    assert read_credential(text) == PlatformCode(CODE)


def test_leading_zeros_are_kept() -> None:
    """EV-045: 001234 keeps its zeros."""
    code = "00123" + codes.damm_digit("00123")
    assert read_credential(code) == PlatformCode(code)


def test_a_wrong_check_digit_is_mistyped() -> None:
    """Decision 13: a failed check digit is its own answer and costs nothing."""
    assert read_credential(MISTYPED) == Refusal(Reason.MISTYPED)


@pytest.mark.parametrize("text", ["HX1:", "HX1:NCF", " HX1:NCF \r\n"])
def test_a_signed_qr_is_handed_on_unread(text: str) -> None:
    """Design section 6: what begins with HX1: claims to be signed; verifying is not done here."""
    assert read_credential(text) == SignedQr(text.strip("\r\n\t").lstrip())


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "empty"),
        (" \t\r\n\u3000", "empty"),
        ("1" * 4_097, "length"),
        ("HX1:" + "A" * 4_093, "length"),
        ("12345", "length"),
        ("1" * 15, "length"),
        ("9" * 18, "length"),
        ("hello", "text"),
        ("hx1:NCF", "text"),
        ("12345a", "text"),
        ("12\x0045678", "text"),
        ("qr123456", "text"),
        ("13800001234", "mobile"),
        ("１３８００００１２３４", "mobile"),
        ("https://a.example/", "link"),
        ("HTTP://A.EXAMPLE", "link"),
        ("https://a.example/?id=1", "link"),
        ("https://a.example/?code=", "link"),
        ("https://[a/?code=1", "link"),
        ("https://a.example/?" + "&".join(["a=1"] * 101), "link"),
        ("11010519491231002X", "id_card"),
        ("1101 0519 4912 3100 2x", "id_card"),
        ("440524188001010014", "length"),
        ("110105194912310021", "payment"),
        ("6901234567892", "goods"),
        ("012345678905", "goods"),
        ("12345678901231", "goods"),
    ],
)
def test_every_mistake_has_its_name(text: str, mistake: str) -> None:
    """EV-042, decision 13, hardware notes 5.3: a mistake costs nothing and is named."""
    assert looks_like(text) == mistake


@pytest.mark.parametrize("head", range(35))
def test_payment_codes_by_their_first_digits(head: int) -> None:
    """Hardware notes 5.3: 18 digits from 25 to 30 or 10 to 15 are somebody's payment code."""
    payment = 10 <= head <= 15 or 25 <= head <= 30
    assert looks_like(f"{head:02d}" + "1" * 16) == ("payment" if payment else "length")


@pytest.mark.parametrize(
    ("digits", "mistake"), [(15, "length"), (16, "payment"), (24, "payment"), (25, "length")]
)
def test_payment_codes_by_their_length(digits: int, mistake: str) -> None:
    """Hardware notes 5.3: payment codes have 16 to 24 digits."""
    assert looks_like("28" + "1" * (digits - 2)) == mistake


@pytest.mark.parametrize(
    "link",
    [
        f"https://a.example/v?code={CODE}",
        f"HTTPS://a.example/v?yph={CODE}#top",
        f" http://a.example/v?x=1&code={CODE}&code=5 ",
        f"https://a.example/?code={CODE[:4]}%20{CODE[4:]}",
    ],
)
def test_a_link_gives_up_its_code(link: str) -> None:
    """Hardware notes 5.3: a configured parameter is read, the page is never opened."""
    assert read_credential(link) == PlatformCode(CODE)


def test_the_parameters_are_the_owners() -> None:
    """Hardware notes 5.3: another parameter works where it is configured, and only there."""
    link = f"https://a.example/v?ticket={CODE}"
    assert read_credential(link, ("ticket",)) == PlatformCode(CODE)
    assert looks_like(link) == "link"


@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        (MISTYPED, Refusal(Reason.MISTYPED)),
        ("13800001234", Refusal(Reason.MALFORMED, {"looks_like": "mobile"})),
        ("abc", Refusal(Reason.MALFORMED, {"looks_like": "text"})),
    ],
)
def test_a_link_with_a_bad_code_says_so(value: str, refusal: Refusal) -> None:
    """Decision 13: the code inside a link is judged like a typed one."""
    assert read_credential(f"https://a.example/?code={value}") == refusal


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        (f"qr{CODE}", "qr{code}"),
        (f"QR{CODE}\r\n", "qr{code}"),
        (f"ic{CODE[:3]} {CODE[3:]}", "ic{code}"),
        (f"https://v.example/v/{CODE}", "https://v.example/v/{code}*"),
        (f"https://v.example/v/{CODE}?from=sms&n=1", "https://v.example/v/{code}*"),
        (f"https://any.example/a/b/{CODE}.html", "*/{code}.html"),
        (f"(shop) [1+1] {CODE}", "(shop) [1+1] {code}"),
    ],
)
def test_an_issuer_s_pattern_gives_up_its_code(text: str, pattern: str) -> None:
    """Hardware notes 5.3: reader prefixes and links with the code in their path, where the owner
    said so, and only there."""
    assert read_credential(text, (), ("no{code}", pattern)) == PlatformCode(CODE)
    assert not isinstance(read_credential(text, ()), PlatformCode)


@pytest.mark.parametrize("text", [f"xqr{CODE}", f"qr{CODE}x", "qr123", f"qr{'1' * 50}", "qr"])
def test_a_pattern_fits_whole_or_not_at_all(text: str) -> None:
    """Nothing is taken out of the middle of something else."""
    assert looks_like(text) == "text"
    assert not isinstance(read_credential(text, (), ("qr{code}",)), PlatformCode)


def test_the_code_in_a_pattern_is_judged_like_a_typed_one() -> None:
    """Decision 13: a wrong digit is told, a signed QR is never taken apart."""
    assert read_credential(f"qr{MISTYPED}", (), ("qr{code}",)) == Refusal(Reason.MISTYPED)
    assert isinstance(read_credential(f"HX1:{CODE}", (), ("*{code}",)), SignedQr)


def test_no_pattern_holds_the_counter_up() -> None:
    """The longest text that is read at all, made to fit late or never."""
    text = "1" * 4_096
    for pattern in ("*{code}x", "{code}*x", "1*{code}1x"):
        assert not isinstance(read_credential(text, (), (pattern,)), PlatformCode)
