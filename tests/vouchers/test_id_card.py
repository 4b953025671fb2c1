"""ID numbers: the check character, and the hash upstream platforms deliver in their place."""

import hashlib

import pytest

from vouchers.id_card import looks_like_number, number_valid, read_id_card, upstream_hash

NUMBER = "11010519491231002X"  # a published example, not a person's
MD5 = hashlib.md5(NUMBER.encode(), usedforsecurity=False).hexdigest()


def test_the_check_character() -> None:
    """Mod 11; a lower-case x counts, and every other last character is wrong."""
    assert number_valid(NUMBER) and number_valid(NUMBER.lower())
    assert not any(number_valid(NUMBER[:17] + wrong) for wrong in "0123456789")
    assert not number_valid("X" * 18) and not number_valid("１" * 17 + "X")


def test_a_number_is_told_from_other_long_numbers() -> None:
    """By the date of birth too: one in eleven payment codes has the right last digit."""
    assert looks_like_number(NUMBER) and looks_like_number(NUMBER.lower())
    assert not looks_like_number(NUMBER[:17] + "1")
    payment = next(f"13{n:015d}{check}" for n in range(99) for check in "0123456789X"
                   if number_valid(f"13{n:015d}{check}"))  # fmt: skip
    assert not looks_like_number(payment)


def test_the_hash_is_of_the_upper_case_number() -> None:
    """AX-17: what Taobao's id_card holds."""
    assert upstream_hash(NUMBER) == upstream_hash(NUMBER.lower()) == MD5


@pytest.mark.parametrize(
    ("text", "md5"),
    [
        (NUMBER, MD5),
        (f" {NUMBER.lower()}\n", MD5),
        (MD5, MD5),
        (MD5.upper(), MD5),
        ("110105194912310021", None),
        ("1.10105E+17", None),
        (MD5[:31], None),
        ("", None),
    ],
)
def test_what_head_office_may_hand_in(text: str, md5: str | None) -> None:
    """A number or its hash; a number that a spreadsheet has rounded is none."""
    assert read_id_card(text) == md5
