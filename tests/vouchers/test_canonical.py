"""Canonical JSON: one text for one value, and nothing else is read."""

from __future__ import annotations

import json

import pytest

from vouchers import canonical

LARGEST = 2**53 - 1


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-7, "-7"),
        (LARGEST, "9007199254740991"),
        (-LARGEST, "-9007199254740991"),
        ("", '""'),
        ("券 é \U0001f600", '"券 é \U0001f600"'),
        ('"\\/', '"\\"\\\\/"'),
        ("\b\t\n\f\r\x00\x1f\x7f\u2028", '"\\b\\t\\n\\f\\r\\u0000\\u001f\x7f\u2028"'),
        ([], "[]"),
        ({}, "{}"),
        ([1, "a", None], '[1,"a",null]'),
        ({"b": 1, "a": {"d": [], "c": 2}}, '{"a":{"c":2,"d":[]},"b":1}'),
        # U+1F600 is D83D DE00 in UTF-16 and so before U+FB33, though its code point is higher.
        (
            {"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3, "\r": 4, "1": 5},
            '{"\\r":4,"1":5,"\u20ac":3,"\U0001f600":2,"\ufb33":1}',
        ),
    ],
)
def test_one_text_for_one_value(value: object, text: str) -> None:
    """Design section 6: RFC 8785 restricted; non-ASCII unescaped, names by UTF-16 units."""
    assert canonical.encode(value) == text
    assert canonical.decode(text) == value
    assert type(canonical.decode(text)) is type(value)


def test_a_tuple_is_an_array() -> None:
    """Design section 6: what we hold in a tuple is written as an array."""
    assert canonical.encode((1, (2,))) == "[1,[2]]"


@pytest.mark.parametrize(
    "value",
    [
        LARGEST + 1,
        -LARGEST - 1,
        10**400,
        1.0,
        0.5,
        float("nan"),
        float("inf"),
        b"a",
        {1},
        object(),
        {1: 2},
        {None: 2},
        {True: 2},
        {"a": 1.5},
        ["\ud800"],
        {"\udfff": 1},
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0],  # the same in every process
)
def test_what_has_no_form_is_not_written(value: object) -> None:
    """Design section 6: no floats, no integers from 2^53, no lone surrogates, names are text."""
    with pytest.raises(ValueError, match=r".+"):
        canonical.encode(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1\n",
        "\ufeff1",
        "01",
        "+1",
        "-0",
        "1.0",
        "1e3",
        "0.1",
        "NaN",
        "Infinity",
        "-Infinity",
        "9007199254740992",
        "-9007199254740992",
        "1" * 5_000,
        "nul",
        "True",
        "'a'",
        '"a',
        '"\\u0061"',
        '"\\/"',
        '"\\u001F"',
        '"\\ud83d\\ude00"',
        '"\\ud800"',
        '"\ud800"',
        '{"\\udc00":1}',
        '"\n"',
        "[1, 2]",
        "[1,]",
        '{"b":1,"a":2}',
        '{"a":1,"a":1}',
        '{"a":1,"a":2}',
        '{"a" :1}',
        '{"a":{"b":1,"b":1}}',
        "{1:2}",
        "[1][2]",
        "1 // one",
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_another_text_is_refused(text: str) -> None:
    """Design section 6: a text that `encode` would not have written cannot be signed over."""
    with pytest.raises(ValueError, match=r".+"):
        canonical.decode(text)


def test_nesting_ends_somewhere() -> None:
    """A document is at most 16 levels deep below the top, written or read."""
    assert canonical.decode(canonical.encode(nested(17))) == nested(17)
    with pytest.raises(ValueError, match="deeply"):
        canonical.encode(nested(18))
    with pytest.raises(ValueError, match="deeply"):
        canonical.decode(json.dumps(nested(18), separators=(",", ":")))
    with pytest.raises(ValueError, match="deeply"):
        canonical.encode({"a": nested(17)})


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_hostile_depth_is_a_refusal(opening: str) -> None:
    """A hundred thousand brackets are refused like any other text, without falling over."""
    with pytest.raises(ValueError, match="deeply"):
        canonical.decode(opening * 100_000)


def test_an_object_is_asked_for_by_name() -> None:
    """Entries, acknowledgements and records are objects; anything else is refused."""
    assert canonical.decode_object('{"a":1}') == {"a": 1}
    for text in ("[]", "1", "null", '"a"'):
        with pytest.raises(ValueError, match="not an object"):
            canonical.decode_object(text)
