"""`journal list / verify / export / rescue` (design, section 5).

Responsible for: showing, checking and copying the journal. Not responsible for: changing it; none
of these writes to it. Invariant: `rescue` needs nothing but the data directory and its key, so it
works on a dead terminal's disk.
"""

import os
from argparse import Namespace
from pathlib import Path

from terminal import acknowledged, export, notes, startup
from terminal.desk import DONE, OUT_OF_SERVICE, Desk, Io, fail
from terminal.errors import Misconfigured
from terminal.journal import Stored
from terminal.parts import Parts
from vouchers import entries, ids, times


def list_entries(desk: Desk, args: Namespace, io: Io) -> int:
    """Entries, oldest first; by request, serial or kind."""
    found = desk.station.counter.exclusive(lambda parts: _select(parts, args))
    named, _ = _named(args.serial or "")
    if not found and named is not None and named.posid == desk.station.counter.parts.identity.posid:
        io.err(
            f"{args.serial} is not in this journal. If there is a slip of it from this terminal,"
            " the entry is lost: keep the slip and tell head office\n"
        )
    for stored in found:
        entry = entries.read_entry(stored.body)
        if args.json:
            io.json(
                {
                    "serial": ids.serial(entry.posid, entry.epoch, entry.seq),
                    "epoch": entry.epoch,
                    "seq": entry.seq,
                    "kind": str(entry.kind),
                    "at": times.format_utc(entry.at),
                    "clerk": entry.clerk,
                    "data": dict(entry.data),
                    "hash": stored.hash,
                }
            )
        else:
            said = ids.serial(entry.posid, entry.epoch, entry.seq)
            io.out(f"{said}  {times.format_utc(entry.at)}  {entry.kind}  {entry.clerk}\n")
    return DONE


def verify(desk: Desk, args: Namespace, io: Io) -> int:
    """Check chain, signatures and totals."""

    def check(parts: Parts) -> tuple[str | None, int]:
        wrong = startup.file_fault(parts.journal) or startup.chain_fault(parts, everything=True)
        return wrong, parts.journal.count_after(0, 0)

    wrong, count = desk.station.counter.exclusive(check)
    if wrong is not None:
        message = f"the journal does not hold: {wrong}. Keep it; run `hexiao journal rescue`"
        return fail("out_of_service", message, io, as_json=args.json)
    head = desk.station.counter.exclusive(lambda parts: parts.journal.head())
    if args.json:
        io.json({"ok": True, "entries": count, "epoch": head.epoch, "head": head.hash})
    else:
        io.out(f"{count} entries hold together; head {head.hash[:16]}\n")
    return DONE


def export_entries(desk: Desk, args: Namespace, io: Io) -> int:
    """Entries as JSON lines, to a file or standard output; by default of the current epoch."""

    def collect(parts: Parts) -> list[str]:
        epoch, known = args.epoch or parts.journal.head().epoch, parts.journal.epochs()
        if epoch not in known:
            raise Misconfigured(f"this journal holds no epoch {epoch}, only {known}")
        return _lines(parts, epoch, args.since)

    return _put(desk.station.counter.exclusive(collect), args, io)


def rescue(desk: Desk, args: Namespace, io: Io) -> int:
    """What central has not acknowledged, one file per epoch (`import-journal` takes each)."""
    return desk.station.counter.exclusive(lambda parts: rescue_parts(parts, args, io))


def rescue_parts(parts: Parts, args: Namespace, io: Io) -> int:
    """The same on parts that were opened without being checked: a damaged journal's case."""
    out = Path(args.out)
    written = 0
    for epoch in parts.journal.epochs():
        since = acknowledged.up_to(parts.journal.connection, epoch)
        found = _lines(parts, epoch, since)
        if len(found) > 1:
            path = out if written == 0 else out.with_name(f"{out.stem}-{epoch}{out.suffix}")
            path.write_text("\n".join(found) + "\n", encoding="utf-8")
            io.err(f"{len(found) - 1} entries of epoch {epoch} in {path}\n")
            written += len(found) - 1
    if written == 0:
        io.err("central has acknowledged everything: there is nothing to rescue\n")
    if args.json:
        io.json({"ok": True, "entries": written})
    return DONE


def delete_note(desk: Desk, args: Namespace, io: Io) -> int:
    """Take a clerk's note back, here now and at head office with the next contact."""
    if not desk.station.counter.exclusive(lambda parts: notes.delete(parts, args.serial)):
        raise Misconfigured(f"there is no note on {args.serial}: `hexiao journal list` has serials")
    if args.json:
        io.json({"ok": True, "serial": args.serial})
    else:
        io.out(f"the note on {args.serial} is deleted\n")
    return DONE


def _named(serial: str) -> tuple[ids.Serial | None, str]:
    """The number that a serial names and how the entry's hash begins, if it says that too."""
    return ids.parse_branch_serial(serial) or (ids.parse_serial(serial), "")


def _select(parts: Parts, args: Namespace) -> list[Stored]:
    if args.request:
        found = parts.journal.find_request(args.request)
        return [] if found is None else [found]
    if args.serial:
        named, digest = _named(args.serial)
        if named is None or named.posid != parts.identity.posid:
            return []
        ones = parts.journal.entries(named.epoch, named.seq - 1, 1)
        return [stored for stored in ones if stored.hash.startswith(digest)]
    kinds = (args.kind,) if args.kind else tuple(map(str, entries.Kind))
    marks = ", ".join("?" * len(kinds))
    rows = parts.journal.connection.execute(
        f"SELECT epoch, seq, body, hash, sig FROM entry WHERE kind IN ({marks}) ORDER BY id",
        kinds,
    )
    return [Stored(*row) for row in rows]


def _lines(parts: Parts, epoch: int, since: int) -> list[str]:
    return list(
        export.lines(
            parts.journal,
            epoch=epoch,
            since=since,
            merchant=parts.identity.merchant,
            posid=parts.identity.posid,
        )
    )


def _put(found: list[str], args: Namespace, io: Io) -> int:
    text = "\n".join(found) + "\n"
    if not args.out:
        io.out(text)
        return DONE
    try:
        Path(args.out).write_text(text, encoding="utf-8")
    except OSError as error:
        io.err(f"{args.out} cannot be written: {os.strerror(error.errno or 0)}\n")
        return OUT_OF_SERVICE
    io.err(f"{len(found) - 1} entries in {args.out}\n")
    return DONE
