"""Bodies survive compression; damage and bombs do not survive decoding."""

import gzip
import random
import zlib

import pytest
import zstandard

from sync import coding
from sync.errors import Garbled

BODY = b'{"entries":"' + b"0123456789" * 1_000 + b'"}'
LIMIT = len(BODY)


@pytest.mark.parametrize(
    ("accepted", "used"),
    [
        ("zstd, gzip", "zstd"),
        ("gzip;q=0.5, deflate", "gzip"),
        ("deflate", None),
        ("", None),
    ],
)
def test_bodies_go_round(accepted, used):
    """What the other side accepts is used, zstd first; the body comes back whole."""
    encoded, name = coding.encode(BODY, accepted)
    assert name == used
    assert coding.decode(encoded, name, limit=LIMIT) == BODY
    assert used is None or len(encoded) < len(BODY)


def test_small_bodies_stay_as_they_are():
    """Nothing is gained by compressing a claim."""
    assert coding.encode(b"{}") == (b"{}", None)


@pytest.mark.parametrize("name", ["zstd", "gzip", "X-GZIP "])
def test_damage_is_noticed(name):
    """Cut short at every byte, padded, or no such format at all."""
    encoded, _ = coding.encode(BODY, "zstd" if name == "zstd" else "gzip")
    for cut in range(len(encoded)):
        with pytest.raises(Garbled):
            coding.decode(encoded[:cut], name, limit=LIMIT)
    for wrong in (encoded + b"x", b"<html>"):
        with pytest.raises(Garbled):
            coding.decode(wrong, name, limit=LIMIT)


@pytest.mark.parametrize("accepted", ["zstd, gzip", "gzip", "identity"])
@pytest.mark.parametrize("size", [0, 1, 1_023, 1_024, 5_000, 131_072, 3_000_001])
def test_a_shared_beginning_and_an_own_end_are_one_body(size, accepted):
    """Compressed once, ended for each reader; cut short, it is damaged like any other."""
    random.seed(size)
    plain = bytes(random.choices(b"0123456789abcdef", k=size))
    begun = coding.opening(plain)
    for end in (b"}", b',"reflects":{"epoch":1,"seq":7}}', b"x" * 1_023):
        body, how = coding.finish(begun, end, accepted)
        assert coding.decode(body, how, limit=4 << 20) == plain + end
        if how == "zstd":
            assert accepted == "zstd, gzip"
            with pytest.raises(Garbled):
                coding.decode(body[:-1], how, limit=4 << 20)
    if size >= 1_024 and accepted == "zstd, gzip":
        assert how == "zstd" and len(body) < size + 1_023


def test_unknown_codings_are_refused():
    """No guessing at br."""
    with pytest.raises(Garbled):
        coding.decode(BODY, "br", limit=LIMIT)


@pytest.mark.parametrize("name", [None, "gzip", "zstd"])
def test_a_bomb_does_not_go_off(name):
    """A body that unfolds beyond the limit is refused before it is whole."""
    bomb = bytes(50_000_000)
    encoded = {
        None: lambda: bomb,
        "gzip": lambda: gzip.compress(bomb),
        "zstd": lambda: zstandard.compress(bomb),
    }[name]()
    with pytest.raises(Garbled, match="unfolds"):
        coding.decode(encoded, name, limit=1_000)


def test_raw_deflate_is_not_gzip():
    """zlib's own format is refused."""
    with pytest.raises(Garbled):
        coding.decode(zlib.compress(BODY), "gzip", limit=LIMIT)
