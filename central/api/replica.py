"""Routes that fill a replica: `/snapshot`, `/snapshots/{sha256}`, `/feed`, `/lookups`."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

from anyio import to_thread
from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from litestar.response import Stream

from central import ahead, lookups, snapshot
from central import feed as pages
from central.api import wire
from central.api.reading import Place, SharedReads
from central.api.waiting import Waiters
from central.api.wire import AnyRequest, ProblemError
from central.feed import Reader, Resync
from sync.limits import BUCKETS_MAX, FEED_ITEMS_MAX, FEED_WAIT_S_MAX
from sync.messages import decode_lookup_request

_RANGE: Final = re.compile(r"bytes=(\d{1,15})-(\d{1,15})?", re.ASCII)
_PLACE: Final = re.compile(r"\d{1,10}:1\.[0-9a-f]{1,16}\.\d{1,16}", re.ASCII)
_CURSOR: Final = re.compile(r"0|1\.[0-9a-f]{1,16}\.\d{1,16}", re.ASCII)


@get("/snapshot", sync_to_thread=True)
def manifest(request: AnyRequest) -> Response[bytes]:
    """The signed manifest of a snapshot; one is built if there is none fresh enough.

    `differs`: the place, `bucket:cursor`, at which the caller's checkpoint differed. `scope`
    `outlet`: with the vouchers that are good at the caller's outlet only.
    """
    who = wire.called(request, b"")
    differs = request.query_params.get("differs")
    if differs is not None and _PLACE.fullmatch(differs):
        pages.report_difference(wire.desk(request).central, who.terminal.posid, differs)
    offers = request.app.state["offers"]
    assert isinstance(offers, snapshot.Offers)
    only = request.query_params.get("scope") == "outlet"
    here = snapshot.buckets_at(wire.desk(request).central, who.terminal.outlet) if only else None
    built = offers.offer(buckets=here)
    if built is None:
        words = "the first snapshot is being built"
        raise ProblemError(503, "out_of_service", words, retry_after_s=15)
    return wire.answer(request, snapshot.manifest(built, wire.desk(request).gate.ring))


@get("/snapshots/{sha256:str}", sync_to_thread=True)
def snapshot_file(request: AnyRequest, sha256: FromPath[str]) -> Stream:
    """The file itself, from an offset if a `Range` asks for it."""
    wire.called(request, b"")
    path = None
    if re.fullmatch(r"[0-9a-f]{64}", sha256, re.ASCII):
        path = snapshot.file_of(wire.desk(request).central, sha256)
    if path is None:
        raise ProblemError(404, "not_found", "no such snapshot; ask for the manifest again")
    size = path.stat().st_size
    tag = f'"{sha256}"'
    # A range of another file than the one there is means nothing: the whole is sent.
    ranged = request.headers.get("if-range", tag) == tag
    start, end = _wanted(request.headers.get("range") if ranged else None, size)
    headers = {
        "accept-ranges": "bytes",
        "cache-control": "private, immutable, max-age=86400",
        "etag": tag,
        "content-length": str(end - start),
    }
    partial = (start, end) != (0, size)
    if partial:
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    return Stream(
        _cut(snapshot.portions(path, start), end - start),
        status_code=206 if partial else 200,
        media_type="application/vnd.sqlite3",
        headers=headers,
    )


def _wanted(header: str | None, size: int) -> tuple[int, int]:
    """The bytes asked for, as a half-open interval; everything when the header means nothing."""
    found = _RANGE.fullmatch(header or "")
    if found is None:
        return 0, size
    start, last = int(found[1]), int(found[2]) if found[2] else size - 1
    if start >= size or last < start:
        raise ProblemError(416, "bad_range", f"the file has {size} bytes")
    return start, min(last + 1, size)


def _cut(portions: Iterator[bytes], length: int) -> Iterator[bytes]:
    for part in portions:
        if length <= 0:
            return
        yield part[:length]
        length -= len(part)


@get("/feed")
async def feed(request: AnyRequest) -> Response[bytes]:
    """A page of changes; waits for one without holding a thread or a connection."""
    who = await wire.called_lately(request)
    wait_s = wire.number(request, "wait", 0, FEED_WAIT_S_MAX)
    place = _place(request)
    if wait_s:
        waiters = request.app.state["waiters"]
        assert isinstance(waiters, Waiters)
        await waiters.wait(_watched(request) | {place.bucket: place.after}, wait_s)
    reads = request.app.state["reads"]
    assert isinstance(reads, SharedReads)
    reader = Reader(who.terminal.posid, who.terminal.epoch)
    page = await reads.page(place, reader)
    if isinstance(page, Resync):
        if page.reason == pages.AHEAD:
            found = f"at {place.bucket}:{place.after}: the terminal has read beyond the head"
            report = partial(ahead.report, wire.desk(request).central)
            await to_thread.run_sync(report, reader.posid, found)
        raise ProblemError(410, page.reason, "take a new snapshot")
    return wire.packed(*page.body_for(reader, wire.accepted(request)))


def _place(request: AnyRequest) -> Place:
    after = request.query_params.get("after", pages.BEGINNING)
    if not _CURSOR.fullmatch(after):
        raise ProblemError(400, "garbled", "after must be a cursor")
    limit = max(1, wire.number(request, "limit", FEED_ITEMS_MAX, FEED_ITEMS_MAX))
    return Place(wire.number(request, "bucket", 0, 2**31 - 1), after, limit)


def _watched(request: AnyRequest) -> dict[int, str]:
    """`watch`: `bucket:cursor` of the caller's other buckets; news of any ends the wait."""
    text = request.query_params.get("watch", "")
    parts = [part.partition(":") for part in text.split(",") if part][:BUCKETS_MAX]
    if not all(bucket.isascii() and bucket.isdigit() for bucket, _, _ in parts):
        raise ProblemError(400, "garbled", "watch must be bucket:cursor,bucket:cursor,…")
    return {int(bucket): cursor for bucket, _, cursor in parts}


@post("/lookups", sync_to_thread=True)
def look_up(request: AnyRequest, body: RawBody) -> Response[bytes]:
    """The sealed row under a key that a replica does not have."""
    who = wire.called(request, body)
    asked = wire.read(request, body, decode_lookup_request)
    found = lookups.look_up(wire.desk(request).central, who.terminal, asked.row_key)
    match found:
        case lookups.Missed():
            raise ProblemError(404, "unknown_or_wrong", "no voucher opens with this")
        case lookups.Exhausted(retry_after_s=seconds):
            raise ProblemError(429, "locked", "too many misses", retry_after_s=seconds)
    return wire.answer(request, found)
