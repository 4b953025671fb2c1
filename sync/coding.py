"""Compression of bodies: zstd and gzip, both ways, bounded.

Responsible for: encoding what is worth it and decoding what came, never beyond a limit. Not
responsible for: digests; they are over the encoded bytes.
Invariants: an unfinished, padded or unknown encoding is `Garbled`, whatever it holds; memory stays
within the limit and one block.
"""

import gzip
import zlib
from dataclasses import dataclass
from typing import Final

import zstandard

from sync.errors import Garbled

ACCEPTED: Final = "zstd, gzip"
"""The Accept-Encoding of either side."""

WORTH_BYTES: Final = 1_024
"""Below this a body is sent as it is: it fits one packet anyway."""

_ZSTD_LEVEL: Final = 3
_ZSTD_WINDOW_MAX: Final = 8 << 20
_PIECE: Final = 1_024
_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS


def encode(body: bytes, accepted: str = ACCEPTED) -> tuple[bytes, str | None]:
    """The body as it goes out, and its Content-Encoding (None: as it is).

    `accepted` is the other side's Accept-Encoding.
    """
    names = _names(accepted)
    if len(body) < WORTH_BYTES or not names & {"zstd", "gzip"}:
        return body, None
    if "zstd" in names:
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body), "zstd"
    return gzip.compress(body, compresslevel=6, mtime=0), "gzip"


def _names(accepted: str) -> set[str]:
    return {part.partition(";")[0].strip().lower() for part in accepted.split(",")}


@dataclass(frozen=True, slots=True)
class Opening:
    """How many bodies begin: `frame` is its zstd frame but for the last block, None if too small.

    To compress the same megabyte anew for each of a thousand readers took most of a server's time.
    """

    plain: bytes
    frame: bytes | None


def opening(plain: bytes) -> Opening:
    """The beginning that bodies share, compressed once for all of them."""
    if len(plain) < WORTH_BYTES:
        return Opening(plain, None)
    params = zstandard.ZstdCompressionParameters.from_level(
        _ZSTD_LEVEL, source_size=len(plain), write_content_size=False
    )
    packer = zstandard.ZstdCompressor(compression_params=params).compressobj()
    frame = packer.compress(plain) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return Opening(plain, frame)


def finish(begun: Opening, end: bytes, accepted: str) -> tuple[bytes, str | None]:
    """One of the bodies, as `encode` would answer it; `end` is shorter than `WORTH_BYTES`."""
    assert len(end) < WORTH_BYTES
    if begun.frame is None or "zstd" not in _names(accepted):
        return encode(begun.plain + end, accepted)
    # RFC 8878, 3.1.1.2: a block that is the last (bit 0), raw (bits 1 and 2 are 0), of this size.
    return begun.frame + (1 | len(end) << 3).to_bytes(3, "little") + end, "zstd"


def decode(body: bytes, coding: str | None, *, limit: int) -> bytes:
    """The body as it was, at most `limit` bytes. Raises `Garbled`."""
    match (coding or "identity").strip().lower():
        case "identity":
            plain = body
        case "zstd":
            plain = _unzstd(body, limit)
        case "gzip" | "x-gzip":
            plain = _gunzip(body, limit)
        case other:
            raise Garbled(f"unknown content encoding {other[:20]!r}")
    if len(plain) > limit:
        raise Garbled(f"a body unfolds to more than {limit} bytes")
    return plain


def _unzstd(body: bytes, limit: int) -> bytes:
    frame = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_MAX).decompressobj()
    parts: list[bytes] = []
    size = 0
    try:
        # Piece by piece: a kilobyte of zstd can unfold to 32 MiB, the whole body to anything.
        for start in range(0, len(body), _PIECE):
            parts.append(frame.decompress(body[start : start + _PIECE]))
            size += len(parts[-1])
            if size > limit:
                break
    except zstandard.ZstdError as error:
        raise Garbled(f"not zstd: {error}") from error
    if size <= limit and (not frame.eof or frame.unused_data):
        raise Garbled("a zstd body is cut short or padded")
    return b"".join(parts)


def _gunzip(body: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(_GZIP_WBITS)
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise Garbled(f"not gzip: {error}") from error
    if len(plain) <= limit and (not stream.eof or stream.unused_data):
        raise Garbled("a gzip body is cut short or padded")
    return plain
