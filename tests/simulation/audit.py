"""What the auditor checks when a world has come to rest and everything was delivered.

Responsible for: comparing central's tables and every terminal's files with the auditor's own
books. The rule of `auditor` holds here too: rows and bytes are read, verdicts are computed anew.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from terminal import export
from terminal.verify_journal import verify_file
from terminal.verify_journal.verdict import HOLDS
from tests.simulation.auditor import Auditor, Sold, Written, hash_of, insist, read, replica_of
from tests.simulation.till import Till
from tests.vectors import reference
from vouchers import ids

LATE_MS = 10 * 60_000
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Move:
    """A redemption or reversal that central has booked, with when and where it came in.

    Of a branch its serial says its hash, too; `epoch` is the incarnation. `reverses` is the serial
    of what it undoes.
    """

    entry: Written
    outlet: int
    received_at: int
    at: int
    claimed: bool
    epoch: int
    serial: str
    reverses: str | None

    @property
    def shares(self) -> int:
        return int(self.entry.data["shares"])

    @property
    def arrival(self) -> tuple[int, str, int, int]:
        return self.received_at, self.entry.posid, self.epoch, self.entry.seq


@dataclass(frozen=True)
class Expected:
    """The verdict that an entry must have."""

    verdict: str
    excess: int = 0
    others: frozenset[str] = frozenset()
    related: bool = False


class Books:
    """Central's database, read as rows."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self._connection.row_factory = sqlite3.Row

    def close(self) -> None:
        self._connection.close()

    def rows(self, statement: str, *values: Any) -> list[Any]:
        return self._connection.execute(statement, values).fetchall()

    def by(self, table: str, *names: str) -> dict[Any, Any]:
        """A whole table by its key."""
        rows = self.rows(f"SELECT * FROM {table}")
        return {tuple(row[n] for n in names) if names[1:] else row[names[0]]: row for row in rows}


def stopped(till: Till) -> bool:
    """Whether a person has to act before this terminal redeems again."""
    if till.process is None:
        return True
    parts = till.process.parts
    text = parts.journal.connection.execute("SELECT value FROM meta WHERE key = 'fenced'")
    row = text.fetchone()
    return row is not None and json.loads(row[0])["epoch"] == parts.identity.epoch


def audit(auditor: Auditor, tills: Sequence[Till], path: Path, *, thorough: bool) -> None:
    """All checks. `thorough` also runs the stand-alone verifier over every journal."""
    books = Books(path)
    try:
        held = _streams(auditor, books)
        _nothing_lost(auditor, books, tills, held)
        _no_false_alarm(auditor, books, tills)
        moves = _moves(books, held)
        _bookings(auditor, books, moves)
        _bounds(auditor, tills, moves)
        _claims(books)
        for till in tills:
            if till.on:
                _journal(auditor, till, thorough=thorough)
            if not stopped(till):
                _converged(auditor, books, till, held)
    finally:
        books.close()


def _streams(auditor: Auditor, books: Books) -> dict[tuple[str, int], list[Written]]:
    """Every stream: no gap, a true chain, nothing that no terminal wrote, each entry once."""
    held: dict[tuple[str, int], list[Written]] = {}
    posids = {entry.posid for entry in auditor.known.values()}  # the others stayed at home
    for row in books.rows("SELECT * FROM entries ORDER BY posid, epoch, seq"):
        body = bytes(row["body"]).decode()
        entry = read(row["posid"], (row["epoch"], row["seq"], body, row["hash"]))
        known = entry.hash in auditor.known or entry.posid not in posids
        insist(known, "central holds an entry that nobody wrote:", body)
        held.setdefault((entry.posid, entry.epoch), []).append(entry)
    for key, stream in books.by("streams", "posid", "epoch").items():
        chain = held.get(key, [])
        prev = stream["first_prev"]
        for seq, entry in enumerate(chain, 1):
            insist(entry.seq == seq, key, "has a gap at", seq)
            insist(json.loads(entry.body)["prev"] == prev, key, seq, "does not follow")
            prev = entry.hash
        insist((stream["seq"], stream["head"]) == (len(chain), prev), key, "head is not its end")
    return held


def _nothing_lost(
    auditor: Auditor,
    books: Books,
    tills: Sequence[Till],
    held: dict[tuple[str, int], list[Written]],
) -> None:
    """What a clerk saw is at central; or in a journal that has been stopped, where people find it;
    or it was the tail of a disk that was put back.
    """
    central = {entry.hash for chain in held.values() for entry in chain}
    central |= {row["hash"] for row in books.rows("SELECT hash FROM branches")}
    waiting = {
        entry.hash for till in tills if stopped(till) for entry in auditor.logs.get(till.name, [])
    }
    for seen in auditor.seen:
        kept = seen.hash in central or seen.hash in waiting or seen.hash in auditor.forgotten
        insist(kept, f"{seen.till} showed {seen.serial} as done, and it is nowhere")
    for till in tills:
        if not stopped(till):
            missing = [e for e in auditor.logs[till.name] if e.hash not in central]
            insist(not missing, till.name, "has entries that central lacks:", missing[:1])


def _no_false_alarm(auditor: Auditor, books: Books, tills: Iterable[Till]) -> None:
    """Only a disk that was copied or put back is ever stopped, and then it is."""
    # A new process's first hello that comes after its own entries looks like an old disk: central
    # cannot tell, and says so to people. Nothing may be stopped by it.
    excused = auditor.cut | {name for till in tills for name in till.network.overtaken}
    for row in books.rows("SELECT * FROM alarms WHERE kind IN ('fork', 'clone')"):
        insist(row["posid"] in excused, "a false alarm:", dict(row))
    for row in books.rows("SELECT * FROM terminals WHERE state != 'active'"):
        insist(row["posid"] in auditor.cut, "fenced for nothing:", dict(row))
    barred = books.rows("SELECT * FROM bookings WHERE barred IS NOT NULL")
    insist(not barred, "an honest entry was not believed:", [dict(row) for row in barred])
    for till in tills:
        if stopped(till):
            insist(till.posid in auditor.cut, till.name, "stopped for nothing:", till.refused)


def _moves(books: Books, held: dict[tuple[str, int], list[Written]]) -> dict[str, list[Move]]:
    """Redemptions and reversals by voucher, in the order in which they came."""
    outlets = {key: row["outlet"] for key, row in books.by("streams", "posid", "epoch").items()}
    booked = books.by("bookings", "posid", "epoch", "seq")
    received = books.by("entries", "posid", "epoch", "seq")
    known = [
        (entry, entry.epoch, received[entry.posid, entry.epoch, entry.seq]["received_at"], None)
        for chain in held.values()
        for entry in chain
    ]
    moves: dict[str, list[Move]] = {}
    for entry, epoch, received_at, means in [*known, *_booked_of_branches(books)]:
        if entry.kind not in ("redeemed", "reversed"):
            continue
        key = (entry.posid, epoch, entry.seq)
        insist(key in booked, "stored, but not booked:", entry.body)
        came = booked[key]["received_at"]
        insist(came == received_at, key, "is booked as of", came, "and came at", received_at)
        said = str(entry.data["serial"])
        reverses = entry.data.get("reverses")
        move = Move(
            entry=entry,
            outlet=outlets[entry.posid, entry.epoch],
            received_at=received_at,
            at=_ms(json.loads(entry.body)["at"]),
            claimed=booked[key]["claim"] is not None,
            epoch=epoch,
            serial=said if means is None else means[said],
            reverses=reverses if means is None else means.get(reverses, reverses),
        )
        moves.setdefault(entry.data["voucher"], []).append(move)
    count = sum(len(some) for some in moves.values())
    insist(count == len(booked), "booked", len(booked), "of", count, "entries that move shares")
    return {
        voucher: sorted(_meant(some), key=lambda m: m.arrival) for voucher, some in moves.items()
    }


def _booked_of_branches(books: Books) -> list[tuple[Written, int, int, dict[str, str]]]:
    """The entries of branches that a person booked: incarnation, when, and what the serials of its
    chain mean.
    """
    rows = {row["hash"]: row for row in books.rows("SELECT * FROM branches")}
    decisions = books.by("decisions", "posid", "epoch", "decision")
    found = []
    for row in rows.values():
        decision = decisions.get((row["posid"], row["epoch"], row["decision"]))
        if decision is None or decision["way"] != "booked":
            continue
        body = bytes(row["body"]).decode()
        entry = read(row["posid"], (row["epoch"], row["seq"], body, row["hash"]))
        means, at = dict[str, str](), row
        while at is not None:
            said = f"{at['posid']}_{at['epoch']}_{at['seq']:08d}"
            means[said] = f"{said}_{at['hash'][:16]}"
            at = rows.get(json.loads(bytes(at["body"]))["prev"])
        found.append((entry, row["branch"] * 10**9 + row["epoch"], decision["at"], means))
    return found


def _meant(moves: Sequence[Move]) -> list[Move]:
    """A reversal by a later epoch of a disk that was a branch names what it redeemed there."""
    made = [m.serial for m in moves if m.entry.kind == "redeemed"]
    found = []
    for move in moves:
        said = move.reverses
        others = [serial for serial in made if serial.startswith(f"{said}_")]
        if said is not None and said not in made and len(others) == 1:
            found.append(replace(move, reverses=others[0]))
        else:
            found.append(move)
    return found


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _bookings(auditor: Auditor, books: Books, moves: dict[str, list[Move]]) -> None:
    """used = sum of net shares; generation as it follows; every verdict; every fen."""
    booked = books.by("bookings", "serial")
    for voucher, row in books.by("vouchers", "voucher").items():
        some = moves.get(voucher, [])
        expected, undone = expect(auditor.sold[voucher], row, some)
        standing = [m for m in some if m.entry.kind == "redeemed" and m.serial not in undone]
        used = sum(m.shares for m in standing)
        insist(row["used"] == used, voucher, "used is", row["used"], "should be", used)
        generation = max((_after(m.entry) for m in some), default=0)
        insist(row["generation"] == generation, voucher, row["generation"], "not", generation)
        for serial, due in expected.items():
            _same_verdict(booked[serial], due)
        capacity = row["shares"] - row["refunded_shares"]
        excess = sum(booked[m.serial]["excess"] for m in some)
        insist(excess == max(0, used - capacity), voucher, "excess", excess, "of", used, capacity)
        fen = sum(booked[m.serial]["amount_fen"] for m in standing)
        due_fen = (2 * row["paid_fen"] * min(used, row["shares"]) + row["shares"]) // (
            2 * row["shares"]
        )
        insist(fen == due_fen, voucher, "is booked with", fen, "fen instead of", due_fen)
        if used > row["shares"]:
            auditor.count("vouchers over-redeemed")
    for (voucher, generation), code in auditor.successors.items():
        secret = bytes(books.rows("SELECT secret FROM vouchers WHERE voucher = ?", voucher)[0][0])
        due_code = reference.code_of(secret, generation)
        insist(code == due_code, voucher, generation, "was given out as", code, "not", due_code)


def _after(entry: Written) -> int:
    """The generation that is current after an entry (section 7, Booking)."""
    data = entry.data
    if entry.kind == "reversed":
        return int(data["generation"])
    by_qr = data["evidence"] == "qr" and data["left"] > 0
    return int(data["generation"]) + int(data["successor"] or by_qr)


def expect(sold: Sold, row: Any, moves: Sequence[Move]) -> tuple[dict[str, Expected], set[str]]:
    """The verdicts of one voucher's entries, and the serials that were undone."""
    redeemed = {m.serial: m for m in moves if m.entry.kind == "redeemed"}
    verdicts, undone = _expect_reversals(redeemed, moves)
    standing = sorted(
        (m for m in redeemed.values() if m.serial not in undone),
        key=lambda m: (_rank(sold, m), m.arrival),
    )
    before, serials = 0, frozenset(m.serial for m in standing)
    for move in standing:
        beyond = before + move.shares - (sold.shares - row["refunded_shares"])
        excess = min(move.shares, max(0, beyond))
        before += move.shares
        if excess:
            verdict = "over_redeemed" if before > sold.shares else "after_refund"
            verdicts[move.serial] = Expected(verdict, excess, serials - {move.serial})
        else:
            verdicts[move.serial] = Expected(_plain(row, move))
    for serial in serials if before > sold.shares else ():
        if verdicts[serial].verdict != "over_redeemed":
            verdicts[serial] = replace(verdicts[serial], related=True)
    verdicts |= {serial: Expected(_plain(row, redeemed[serial])) for serial in undone}
    return verdicts, undone


def _expect_reversals(
    redeemed: dict[str, Move], moves: Sequence[Move]
) -> tuple[dict[str, Expected], set[str]]:
    verdicts: dict[str, Expected] = {}
    undone: set[str] = set()
    for move in moves:
        if move.entry.kind != "reversed":
            continue
        original = redeemed.get(move.reverses or "")
        verdict = "accepted"
        if original is None or original.serial in undone:
            verdict = "nothing_to_reverse"
        elif (original.shares, original.entry.posid) != (move.shares, move.entry.posid):
            verdict = "reversal_mismatch"
        else:
            undone.add(original.serial)
        verdicts[move.serial] = Expected(verdict)
    return verdicts, undone


def _rank(sold: Sold, move: Move) -> int:
    if move.claimed:
        return 0
    if sold.home == move.outlet:
        return 1
    return 2 if move.entry.data["mode"] == "hub" else 3


def _plain(row: Any, move: Move) -> str:
    in_time = row["valid_from"] - LATE_MS <= move.at < row["valid_until"] + LATE_MS
    return "accepted" if in_time else "late"


def _same_verdict(row: Any, due: Expected) -> None:
    found = Expected(
        row["verdict"],
        row["excess"],
        frozenset(json.loads(row["others"])),
        "related" in json.loads(row["flags"]),
    )
    insist(found == due, row["serial"], "is judged", found, "and should be", due)


def _bounds(auditor: Auditor, tills: Sequence[Till], moves: dict[str, list[Move]]) -> None:
    """Over-redemption <= (K-1) x R at the home of K tills + T_foreign x min(R, f) (section 7).

    A disk that was copied or put back is one more till (G8). R is what was sold. Where a foreign
    till was granted claims, or gave again after central had heard of its last time, or central
    was put back meanwhile, the bound of one outage does not speak; then each till's own limit,
    checked when it gave, is all there is.
    """
    beyond = auditor.foreign_claims.keys() | auditor.lone_again | auditor.forgotten_claims
    for voucher, some in moves.items():
        sold = auditor.sold[voucher]
        undone = {m.reverses for m in some if m.entry.kind == "reversed"}
        used = sum(m.shares for m in some if m.entry.kind == "redeemed" and m.serial not in undone)
        if voucher in beyond:
            continue
        lives = [till for till in tills for _ in range(till.lives)]
        home = sum(till.outlet == sold.home for till in lives)
        foreign = len(lives) - home
        spill = foreign * min(sold.shares, auditor.allowed)
        bound = max(0, home - 1) * sold.shares + spill
        insist(used - sold.shares <= bound, voucher, "was over-redeemed beyond", bound)


def _claims(books: Books) -> None:
    """A claim counts for one entry of its own terminal and voucher, and then holds nothing."""
    claims = books.by("claims", "claim")
    named: set[str] = set()
    for row in books.rows("SELECT * FROM bookings WHERE claim IS NOT NULL"):
        claim = claims[row["claim"]]
        insist(row["claim"] not in named, "a claim counted twice:", row["serial"])
        named.add(row["claim"])
        mine = (claim["posid"], claim["voucher"]) == (row["posid"], row["voucher"])
        insist(mine, "somebody else's claim counted:", row["serial"])
        insist(claim["state"] == "used", "a claim was not consumed by", row["serial"])


def _journal(auditor: Auditor, till: Till, *, thorough: bool) -> None:
    """The file holds what was observed, chained, and its totals add up."""
    process = till.process
    assert process is not None
    journal = process.parts.journal
    log = auditor.logs[till.name]
    rows = journal.connection.execute(
        "SELECT epoch, seq, body, hash FROM entry ORDER BY epoch, seq"
    ).fetchall()
    insist([row[3] for row in rows] == [e.hash for e in log], till.name, "changed its past")
    _effects(till, log)
    sums = dict.fromkeys(
        ("redemptions", "shares", "amount_fen", "reversals", "reversed_shares", "reversed_fen"), 0
    )
    before: str | None = None
    for entry in log:
        raw = json.loads(entry.body)
        if entry.seq == 1:
            before = journal.epoch_record(entry.epoch)[2]
            sums = dict(json.loads(_start(journal, entry.epoch)))
        insist(raw["prev"] == before, till.name, entry.epoch, entry.seq, "does not follow")
        before = hash_of(entry.body)
        _add(sums, entry)
        insist(raw["totals"] == sums, till.name, raw["totals"], "should be", sums)
    if thorough:
        _verify(till)


def _effects(till: Till, log: Sequence[Written]) -> None:
    """What became true with an entry is there if and only if the entry is."""
    process = till.process
    assert process is not None
    rows = process.parts.journal.connection.execute(
        "SELECT epoch, seq, shares, request FROM entry WHERE voucher IS NOT NULL"
    )
    moved = {
        (
            e.epoch,
            e.seq,
            e.data["shares"] if e.kind == "redeemed" else -e.data["shares"],
            e.data.get("request"),
        )
        for e in log
        if e.kind in ("redeemed", "reversed")
    }
    insist(set(rows) == moved, till.name, "has other effects than entries:", moved)


def _start(journal: Any, epoch: int) -> str:
    row = journal.connection.execute(
        "SELECT totals FROM epoch WHERE epoch = ?", (epoch,)
    ).fetchone()
    return str(row[0])


def _add(sums: dict[str, int], entry: Written) -> None:
    names = {
        "redeemed": ("redemptions", "shares", "amount_fen"),
        "reversed": ("reversals", "reversed_shares", "reversed_fen"),
    }.get(entry.kind)
    if names is not None:
        steps = (1, entry.data["shares"], entry.data["amount_fen"])
        for name, step in zip(names, steps, strict=True):
            sums[name] += step


def _verify(till: Till) -> None:
    """The verifier that shares no code with the writer believes every epoch's export."""
    process = till.process
    assert process is not None
    identity, journal = process.parts.identity, process.parts.journal
    for epoch in journal.epochs():
        path = till.disk / f"export.{epoch}"
        lines = export.lines(
            journal, epoch=epoch, since=0, merchant=identity.merchant, posid=identity.posid
        )
        path.write_text("".join(line + "\n" for line in lines))
        key = ids.b64u(journal.epoch_record(epoch)[1])
        said: list[str] = []
        status = verify_file(str(path), key, as_json=True, out=said.append, err=said.append)
        insist(status == HOLDS, till.name, "does not verify:", *said)


def _converged(
    auditor: Auditor, books: Books, till: Till, held: dict[tuple[str, int], list[Written]]
) -> None:
    """A terminal that may redeem knows exactly what central knows."""
    process = till.process
    assert process is not None
    log = auditor.logs[till.name]
    epoch = process.parts.identity.epoch
    mine = [e.hash for e in log if e.epoch == epoch]
    theirs = [e.hash for e in held.get((till.posid, epoch), [])]
    insist(mine == theirs, till.name, "goes on although its journal is not central's stream")
    names = ("version", "state", "generation", "used", "valid_from", "valid_until", "home")
    with replica_of(till) as replica:
        rows = replica.execute(f"SELECT voucher, {', '.join(names)} FROM state")
        states = {row[0]: row[1:] for row in rows}
        sealed = set(replica.execute("SELECT k, record, voucher FROM sealed"))
        for voucher, row in books.by("vouchers", "voucher").items():
            due = tuple(row[name] for name in names)
            insist(states.get(voucher) == due, till.name, voucher, states.get(voucher), "not", due)
            used, own = auditor.knowledge(till, replica, voucher)
            insist(used + own == row["used"], till.name, voucher, "counts", used, own, row["used"])
    due_rows = {
        (bytes(row["k"]), bytes(row["record"]), row["voucher"])
        for row in books.rows("SELECT k, record, voucher FROM sealed")
    }
    insist(sealed == due_rows, till.name, "has", len(sealed), "sealed rows of", len(due_rows))
    _verdicts(books, till)


def _verdicts(books: Books, till: Till) -> None:
    """Both counters are told: every verdict of this device is known where it stands."""
    process = till.process
    assert process is not None
    names = "serial, verdict, flags, excess, others, settled"
    here = set(process.parts.journal.connection.execute(f"SELECT {names} FROM verdict"))
    there = {
        tuple(row)
        for row in books.rows(f"SELECT {names} FROM bookings WHERE posid = ?", till.posid)
    }

    def plain(rows: Iterable[Any]) -> set[Any]:
        return {
            (r[0], r[1], tuple(json.loads(r[2])), r[3], tuple(json.loads(r[4])), r[5]) for r in rows
        }

    insist(plain(here) == plain(there), till.name, "heard", here, "instead of", there)
