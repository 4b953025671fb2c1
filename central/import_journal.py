"""A rescued or exported journal, ingested as if it had synced.

Responsible for: reading the export form (design, section 6) and handing it to `ingest` in portions.
Not responsible for: believing what is inside; every entry carries its own signature and is checked.
Invariants: importing twice changes nothing; a file of another central, or of no enrolled terminal,
is refused; only what a good signature stands for goes on the stream, so that a damaged end is
never in the way of the terminal's own word.
"""

import contextlib
import itertools
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select

from central import forks, schema
from central.arriving import Upload
from central.database import retried
from central.errors import OutOfService, Refused
from central.ingest import Forked, Gap, Held, UnknownStream, head_seq, ingest
from central.service import Central
from sync.limits import BATCH_ENTRIES_MAX, ENTRY_BYTES_MAX
from sync.shapes import Hash, Key32, Posid, Positive, Small
from vouchers import entries, ids

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
    sig: str | None = None


@dataclass(frozen=True, slots=True)
class Rescued:
    """What became of a journal file: `added` entries were new, `up_to` is now held.

    Of its end no signature stands for `apart` entries, which are kept apart; `unreadable` lines are
    in the file only.
    """

    posid: str
    epoch: int
    read: int
    added: int
    up_to: int
    apart: int = 0
    unreadable: int = 0


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
            believed = _believed(file, ids.unb64u(header.public_key))
            lines = _raw(file)
            taken, end = _take(central, header, itertools.islice(lines, believed))
            if isinstance(taken, Refused) and taken.reason != "fork":
                return taken
            rest = _rest(central, header, lines, end)
            return taken if isinstance(taken, Refused) else _told(path, taken, rest)
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


def _raw(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.readline(_LINE_BYTES_MAX), b"")


def _believed(file: BinaryIO, public_key: bytes) -> int:
    """How many lines there are up to the last one that its own signature stands for."""
    begin = file.tell()
    starts = array("Q", itertools.accumulate(map(len, _raw(file)), initial=begin))
    key = Ed25519PublicKey.from_public_bytes(public_key)
    found = 0
    for index in range(len(starts) - 2, -1, -1):
        file.seek(starts[index])
        if _is_signed(file.readline(_LINE_BYTES_MAX), key):
            found = index + 1
            break
    file.seek(begin)
    return found


def _is_signed(raw: bytes, key: Ed25519PublicKey) -> bool:
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
        line = _LINE.decode(raw)
        digest = entries.entry_hash(line.body)
        return line.sig is not None and entries.signature_holds(digest, _signature(line.sig), key)
    return False


def _signature(text: str) -> bytes:
    """A signature as bytes; one that is damaged beyond reading is a wrong one."""
    with contextlib.suppress(ValueError):
        return ids.unb64u(text)
    return bytes(64)


@dataclass(frozen=True, slots=True)
class _Rest:
    """The end of a file that nobody signed for: how many entries could be read, how many of them
    are kept apart, and how many lines could not be read.
    """

    read: int
    apart: int
    unreadable: int


def _rest(central: Central, header: Header, raw: Iterator[bytes], end: Line | None) -> _Rest:
    """Keep apart what nobody signed for."""
    lines, unreadable = list[Line](), 0
    for text in raw:
        try:
            lines.append(_LINE.decode(text))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            unreadable += 1
    apart = 0
    for portion in _portions(iter(lines)):
        apart += _keep_apart(central, _upload(central, header, portion, end))
        end = portion[-1]
    return _Rest(len(lines), apart, unreadable)


def _told(path: Path, done: Rescued, rest: _Rest) -> Rescued | Refused:
    read = done.read + rest.read
    if rest.unreadable and not read:
        return Refused("unreadable", f"{path.name} is not a journal export: no line can be read")
    return replace(done, read=read, apart=rest.apart, unreadable=rest.unreadable)


@retried
def _keep_apart(central: Central, upload: Upload) -> int:
    with central.write() as work:
        return forks.keep_unproven(central, work, upload)


def _take(
    central: Central, header: Header, raw: Iterator[bytes]
) -> tuple[Rescued | Refused, Line | None]:
    """Ingest what a signature stands for; what became of it, and its last line."""
    read, added, up_to = 0, 0, _held(central, header)
    end: Line | None = None
    fork: Forked | None = None
    for portion in _portions(map(_LINE.decode, raw)):
        result = ingest(central, _upload(central, header, portion, end))
        end = portion[-1]
        if isinstance(result, Forked):  # the rest of the file is kept apart with it
            fork = fork or result
        elif not isinstance(result, Held):
            return _refused(fork or result), end
        else:
            read, added, up_to = read + len(portion), added + result.added, result.up_to
    done = Rescued(header.posid, header.epoch, read, added, up_to)
    return (_refused(fork) if fork else done), end


def _held(central: Central, header: Header) -> int:
    with central.read() as work:
        return head_seq(work, header.posid, header.epoch)


def _portions(lines: Iterator[Line]) -> Iterator[list[Line]]:
    portion: list[Line] = []
    for line in lines:
        if len(portion) == BATCH_ENTRIES_MAX or (portion and line.seq != portion[-1].seq + 1):
            yield portion
            portion = []
        portion.append(line)
    if portion:
        yield portion


def _upload(central: Central, header: Header, portion: Sequence[Line], end: Line | None) -> Upload:
    """A portion that comes after the line `end` of the file, if there is one."""
    first = portion[0].seq
    if end is not None and end.seq == first - 1:
        before = entries.entry_hash(end.body)
    else:
        before = _hash_before(central, header, first)
    return Upload(
        posid=header.posid,
        epoch=header.epoch,
        first=first,
        prev=before,
        bodies=[line.body for line in portion],
        signatures={line.seq: _signature(line.sig) for line in portion if line.sig is not None},
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
