"""A rescued or exported journal, ingested as if it had synced.

Responsible for: reading the export form (design, section 6) and handing it to `ingest` in portions.
Not responsible for: believing it; every entry carries its own signature and is checked. Invariants:
importing twice changes nothing; a file of another central, or of no enrolled terminal, is refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import select

from central import schema
from central.arriving import Upload
from central.errors import OutOfService, Refused
from central.ingest import Forked, Gap, Held, UnknownStream, ingest
from central.service import Central
from sync.limits import BATCH_ENTRIES_MAX, ENTRY_BYTES_MAX
from sync.shapes import Hash, Key32, Posid, Positive, Signature, Small
from vouchers import ids

_LINE_BYTES_MAX: Final = 2 * ENTRY_BYTES_MAX


class Header(msgspec.Struct, frozen=True):
    """The first line of an export."""

    hexiao_export: int
    merchant: Small
    posid: Posid
    epoch: Positive
    public_key: Key32
    first_prev: Hash


class Line(msgspec.Struct, frozen=True):
    """One entry of an export."""

    seq: Positive
    body: str
    hash: Hash
    sig: Signature | None = None


@dataclass(frozen=True, slots=True)
class Rescued:
    """What became of a journal file: `added` entries were new, `up_to` is now held."""

    posid: str
    epoch: int
    read: int
    added: int
    up_to: int


_HEADER: Final = msgspec.json.Decoder(Header)
_LINE: Final = msgspec.json.Decoder(Line)


def run(central: Central, path: Path) -> Rescued | Refused:
    """Ingest a journal file. Raises OutOfService when it cannot be read."""
    try:
        with path.open("rb") as file:
            header = _HEADER.decode(file.readline(_LINE_BYTES_MAX))
            wrong = _foreign(central, header)
            if wrong is not None:
                return wrong
            return _take(central, header, iter(lambda: file.readline(_LINE_BYTES_MAX), b""))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Refused("unreadable", f"{path.name} is not a journal export: {error}")
    except OSError as error:
        raise OutOfService(f"{path}: {error.strerror or error}") from error


def _foreign(central: Central, header: Header) -> Refused | None:
    table = schema.streams
    with central.read() as work:
        row = work.connection.execute(
            select(table).where(
                table.c.merchant == work.merchant,
                table.c.posid == header.posid,
                table.c.epoch == header.epoch,
            )
        ).one_or_none()
    if header.hexiao_export != 1:
        return Refused("unreadable", "an export of a version this program does not read")
    if row is None or header.merchant != central.merchant:
        return Refused("unknown_stream", "no terminal of this central has that POSID and epoch")
    same = (ids.b64u(row.public_key), row.first_prev) == (header.public_key, header.first_prev)
    if not same:
        return Refused("unknown_stream", "the file was signed with another key than was enrolled")
    return None


def _take(central: Central, header: Header, raw: Iterator[bytes]) -> Rescued | Refused:
    read = added = up_to = 0
    prev: str | None = None
    fork: Forked | None = None
    for portion in _portions(raw):
        result = ingest(central, _upload(central, header, portion, prev))
        prev = portion[-1].hash
        if isinstance(result, Forked):  # the rest of the file is kept apart with it
            fork = fork or result
        elif not isinstance(result, Held):
            return _refused(fork or result)
        else:
            read, added, up_to = read + len(portion), added + result.added, result.up_to
    return _refused(fork) if fork else Rescued(header.posid, header.epoch, read, added, up_to)


def _portions(raw: Iterator[bytes]) -> Iterator[list[Line]]:
    portion: list[Line] = []
    for text in raw:
        line = _LINE.decode(text)
        if len(portion) == BATCH_ENTRIES_MAX or (portion and line.seq != portion[-1].seq + 1):
            yield portion
            portion = []
        portion.append(line)
    if portion:
        yield portion


def _upload(central: Central, header: Header, portion: Sequence[Line], prev: str | None) -> Upload:
    first = portion[0].seq
    before = prev or _hash_before(central, header, first)
    return Upload(
        posid=header.posid,
        epoch=header.epoch,
        first=first,
        prev=before,
        bodies=[line.body for line in portion],
        signatures={line.seq: ids.unb64u(line.sig) for line in portion if line.sig is not None},
    )


def _hash_before(central: Central, header: Header, seq: int) -> str:
    """The hash that a file from the middle continues: the file does not say it, central knows."""
    table = schema.entries
    with central.read() as work:
        found = work.connection.execute(
            select(table.c.hash).where(
                table.c.merchant == work.merchant,
                table.c.posid == header.posid,
                table.c.epoch == header.epoch,
                table.c.seq == seq - 1,
            )
        ).scalar()
    return header.first_prev if found is None else str(found)


def _refused(result: Gap | Forked | UnknownStream) -> Refused:
    match result:
        case Gap(expected=expected):
            return Refused("gap", f"entry {expected} is missing in the file and here")
        case Forked(at=at):
            words = f"entry {at} differs from what is here; kept apart, not booked"
            return Refused("fork", f"{words}: see `hexiao central branch list`")
        case UnknownStream():
            return Refused("unknown_stream", "no terminal has that POSID and epoch")
