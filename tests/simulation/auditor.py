"""The auditor: keeps the books a second time and compares.

Responsible for: what the clerks saw, what stands in the journals, what every voucher may give, and
the checks while a world runs. The checks at its end are in `audit`. Not responsible for: making
anything happen. Rule for these two files: they read bytes and rows (entry bodies, SQLite tables)
and compute from the text of the contract; they call nothing of `vouchers`, `terminal` or `central`
that decides or adds up.
"""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from central.issuing import Issued, NewOrder
from terminal import database, keys
from terminal.outcomes import Redeemed, Reversed
from tests.simulation.service import Answered, Asked
from tests.simulation.template import PRICE_FEN
from tests.simulation.till import Process, Till
from tests.vectors import reference


class Wrong(AssertionError):
    """A promise was broken."""


def insist(holds: object, *words: object) -> None:
    """Raise `Wrong` with these words unless it holds."""
    if not holds:
        raise Wrong(" ".join(str(word) for word in words))


@contextlib.contextmanager
def replica_of(till: Till) -> Iterator[apsw.Connection]:
    """A terminal's replica, to look at."""
    data = till.data
    connection = database.open_replica(data.replica, keys.fetch(data, None))
    connection.set_exec_trace(None)  # nobody dies of being looked at
    try:
        yield connection
    finally:
        connection.close()


def hash_of(body: str) -> str:
    """Design, section 6: the hash of an entry."""
    return hashlib.sha256(b"hexiao-entry-v1" + body.encode()).hexdigest()


@dataclass(frozen=True)
class Written:
    """An entry as it stands in a journal."""

    posid: str
    epoch: int
    seq: int
    hash: str
    body: str
    data: dict[str, Any]
    kind: str


def read(posid: str, row: tuple[int, int, str, str]) -> Written:
    """An entry from its row; the hash is computed, not believed."""
    epoch, seq, body, stored = row
    insist(hash_of(body) == stored, posid, epoch, seq, "has a hash that is not its body's")
    raw = json.loads(body)
    insist((raw["posid"], raw["epoch"], raw["seq"]) == (posid, epoch, seq), "misplaced", body)
    return Written(posid, epoch, seq, stored, body, raw["data"], raw["kind"])


@dataclass(frozen=True)
class Sold:
    """What was sold: the facts of a voucher that never change."""

    voucher: str
    shares: int
    home: int | None
    paid_fen: int


@dataclass(frozen=True)
class Seen:
    """Something that a clerk saw as done."""

    till: str
    serial: str
    hash: str


@dataclass
class Auditor:
    """One world's books. `logs` are the journals by terminal (a clone has its own)."""

    sold: dict[str, Sold] = field(default_factory=dict)
    logs: dict[str, list[Written]] = field(default_factory=dict)
    known: dict[str, Written] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    answers: dict[str, tuple[str, str]] = field(default_factory=dict)
    successors: dict[tuple[str, int], str] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    """POSIDs whose disk was put back or copied: only these may ever be fenced."""
    starts: set[str] = field(default_factory=set)
    """The first `prev` of every epoch."""
    forgotten: set[str] = field(default_factory=set)
    """Hashes of entries that a restored disk no longer has."""
    foreign_claims: dict[str, int] = field(default_factory=dict)
    lone_again: set[str] = field(default_factory=set)
    """Vouchers that a foreign terminal gave alone of more than once, with central between."""
    forgotten_claims: set[str] = field(default_factory=set)
    """Vouchers given of before central was put back."""
    allowed: int = 0
    """The largest allowance of the policies this world had."""
    told: dict[str, str] = field(default_factory=dict)
    """What central said last that it holds, by terminal, since it was started."""
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, what: str) -> None:
        """Something happened; a world that never does a thing proves nothing about it."""
        self.counts[what] = self.counts.get(what, 0) + 1

    # --- journals ---------------------------------------------------------------------------

    def observe(self, till: Till) -> list[Written]:
        """Read what is new in a running terminal's journal."""
        if till.process is None or till.process.parts.journal.broken:
            return []  # what a failed handle shows may not be there
        log = self.logs.setdefault(till.name, [])
        after = (log[-1].epoch, log[-1].seq) if log else (0, 0)
        rows = till.process.parts.journal.connection.execute(
            "SELECT epoch, seq, body, hash FROM entry WHERE (epoch, seq) > (?, ?)"
            " ORDER BY epoch, seq",
            after,
        ).fetchall()
        new = [read(till.posid, row) for row in rows]
        log += new
        self.known |= {entry.hash: entry for entry in new}
        return new

    def put_back(self, till: Till) -> set[str]:
        """The terminal's disk is an older one now; `logs` starts again. Answers what was there."""
        self.cut.add(till.posid)
        before = {entry.hash for entry in self.logs.pop(till.name, [])}
        self.forgotten |= before
        self.count("restored")
        return before

    def central_put_back(self) -> None:
        """Central forgot what came since its backup. Claims that it forgot hold nothing, so the
        bound of one outage says nothing of what was given until now.
        """
        moved = {entry.data["voucher"] for entry in self.known.values() if "voucher" in entry.data}
        self.forgotten_claims |= moved
        self.count("central put back")

    def started(self, till: Till) -> None:
        """A process began; what the disk still has is not forgotten."""
        self.told.pop(till.name, None)
        if not till.on:
            return
        self.observe(till)
        log = self.logs[till.name]
        self.forgotten -= {entry.hash for entry in log}
        journal = till.process.parts.journal if till.process else None
        assert journal is not None
        self.starts |= {journal.epoch_record(epoch)[2] for epoch in journal.epochs()}

    # --- what a clerk saw -------------------------------------------------------------------

    def redeemed(self, till: Till, request: str, done: Redeemed) -> None:
        """The clerk saw a redemption as done."""
        process = till.process
        assert process is not None
        new = self.observe(till)
        entry = next(e for e in reversed(self.logs[till.name]) if e.hash == done.head)
        data = entry.data
        insist(entry.kind == "redeemed", "shown as done, but it is", entry.kind)
        shown = (done.serial, done.voucher, done.shares, done.left, done.mode)
        written = tuple(data[name] for name in ("serial", "voucher", "shares", "left", "mode"))
        insist(shown == written, "shown", shown, "written", written)
        before = self.answers.setdefault(till.posid + request, (done.serial, done.head))
        same = before == (done.serial, done.head) or till.posid in self.cut
        insist(same, "one request, two entries:", before, done)
        self.seen.append(Seen(till.name, done.serial, done.head))
        if not done.repeated and entry in new:
            self.count(f"redeemed {done.mode}")
            self._within_what_it_knows(till, process, entry)
        if done.successor_code is not None:
            self._successor(done.voucher, data["generation"] + 1, done.successor_code)

    def refused(self, till: Till, request: str) -> None:
        """The counter refused; never what it had answered before (one request, one answer)."""
        before = self.answers.get(till.posid + request)
        insist(
            before is None or till.posid in self.cut,
            f"{till.name} refuses what it had done under this request:",
            before,
        )

    def heard(self, till: Till, asked: Asked, answer: Answered) -> None:
        """A terminal was told what central holds of it."""
        if answer.status != 200:
            return
        if asked.path == "hello":
            head = json.loads(answer.body)["head"]
            told = None if head is None else head["hash"]
        else:
            told = json.loads(json.loads(answer.body)["ack"])["head"]
        if told is not None:
            self.told[till.name] = told

    def undone(self, till: Till, done: Reversed) -> None:
        """The clerk saw a reversal as done."""
        self.observe(till)
        mine = [e for e in self.logs[till.name] if e.data.get("serial") == done.serial]
        insist(len(mine) == 1 and mine[0].kind == "reversed", "no such reversal", done)
        twice = [
            e
            for e in self.logs[till.name]
            if e.kind == "reversed" and e.data["reverses"] == done.reverses
        ]
        insist(len(twice) == 1, "one redemption reversed twice:", done.reverses)
        self.seen.append(Seen(till.name, done.serial, mine[0].hash))
        self.count("reversed")

    def _successor(self, voucher: str, generation: int, code: str) -> None:
        known = self.successors.setdefault((voucher, generation), code)
        insist(known == code, "two codes of one generation:", voucher, generation, known, code)

    # --- what a terminal may give -----------------------------------------------------------

    def _within_what_it_knows(self, till: Till, process: Process, entry: Written) -> None:
        """G0: never more than it knows of; alone never more than its right; never when stopped."""
        sold = self.sold[entry.data["voucher"]]
        journal = process.parts.journal.connection
        fence = journal.execute("SELECT value FROM meta WHERE key = 'fenced'").fetchone()
        insist(
            fence is None or json.loads(fence[0])["epoch"] != entry.epoch,
            till.name,
            "redeemed although it was told to stop",
        )
        told = self.told.get(till.name)
        insist(
            told is None or told in {e.hash for e in self.logs[till.name]} | self.starts,
            f"{till.name} redeemed although central holds {told}, which it does not have",
        )
        with replica_of(till) as replica:
            used, own = self.knowledge(till, replica, sold.voucher)
        insist(
            used + own <= sold.shares,
            f"{till.name} gave {entry.data['serial']}: it knew of {used} used and gave {own}"
            f" itself, of {sold.shares}",
        )
        if entry.data["mode"] == "online":
            if sold.home != till.outlet:
                shares = self.foreign_claims.get(sold.voucher, 0) + entry.data["shares"]
                self.foreign_claims[sold.voucher] = shares
            return
        self._alone(till, process, entry, own)

    def knowledge(self, till: Till, replica: apsw.Connection, voucher: str) -> tuple[int, int]:
        """Shares used as the replica says, and own net shares that this does not include."""
        assert till.process is not None
        row = replica.execute(
            "SELECT used, reflects_epoch, reflects_seq FROM state WHERE voucher = ?", (voucher,)
        ).fetchone()
        stream = replica.execute(
            "SELECT epoch, seq FROM streams WHERE posid = ? ORDER BY epoch DESC LIMIT 1",
            (till.posid,),
        ).fetchone()
        used, epoch, seq = row or (0, 0, 0)
        if epoch is None:
            epoch, seq = stream or (0, 0)
        acked = dict(
            till.process.parts.journal.connection.execute(
                "SELECT epoch, max(up_to) FROM ack GROUP BY epoch"
            )
        )
        own = 0
        for entry in self.logs[till.name]:
            if entry.data.get("voucher") != voucher or entry.kind not in ("redeemed", "reversed"):
                continue
            here = (epoch or 0, seq or 0)
            older = entry.epoch < here[0] and entry.seq <= acked.get(entry.epoch, 0)
            if not older and (entry.epoch < here[0] or (entry.epoch, entry.seq) > here):
                own += entry.data["shares"] * (1 if entry.kind == "redeemed" else -1)
        return int(used), own

    def _alone(self, till: Till, process: Process, entry: Written, own: int) -> None:
        """Section 7, Policy and Home: the allowances and caps of a terminal on its own."""
        sold, offline = self.sold[entry.data["voucher"]], process.parts.policy.offline
        by_qr = entry.data["evidence"] == "qr"
        if sold.home == till.outlet:
            right = sold.shares if offline.tills == "shared_risk" else 0
        elif sold.home is not None:
            right = offline.foreign_shares_qr if by_qr else offline.foreign_shares_row
        else:
            right = offline.unhomed_shares
            right = min(right, offline.foreign_shares_qr) if by_qr else right
        insist(own <= right, f"{till.name} gave {own} alone, its right is {right}:", entry.body)
        place = (till.posid, entry.epoch, entry.seq)
        earlier = [
            e
            for e in self.logs[till.name]
            if e.data.get("voucher") == sold.voucher and e.kind == "redeemed" and e is not entry
        ]
        if sold.home != till.outlet and earlier:
            self.lone_again.add(sold.voucher)
        journal = process.parts.journal.connection
        mark = journal.execute(
            "SELECT epoch, seq FROM watermark WHERE name = 'acknowledged'"
        ).fetchone()
        alone = [
            e
            for e in self.logs[till.name]
            if (e.epoch, e.seq) > (mark or (0, 0))
            and e.kind == "redeemed"
            and e.data["mode"] != "online"
        ]
        home = [e for e in alone if self.sold[e.data["voucher"]].home == till.outlet]
        away = len(alone) - len(home)
        most = offline.max_redemptions
        # The policy may have become stricter since the others were made.
        kept = len(home) <= most.home if entry in home else away <= most.elsewhere
        insist(kept, place, "beyond the count cap")
        value = sum(e.data["amount_fen"] for e in alone)
        insist(value <= offline.max_value_fen, place, "beyond the value cap:", value)

    # --- central ----------------------------------------------------------------------------

    def issued(self, issued: Issued, order: NewOrder) -> None:
        """A voucher was sold."""
        paid_fen = PRICE_FEN[order.product] * issued.shares
        self.sold[issued.voucher] = Sold(issued.voucher, issued.shares, order.home, paid_fen)
        self._successor(issued.voucher, 0, issued.code)

    def claim_answered(self, path: Path, asked: Asked, answer: Answered, now_ms: int) -> None:
        """When a claim is granted, the shares that claims hold and those booked are there.

        Asked again it is answered as before, also when others have sent what they gave meanwhile.
        """
        if answer.status != 200 or not json.loads(answer.body)["granted"]:
            return
        self.count("granted")
        wanted = json.loads(asked.body)
        voucher = wanted["voucher"]
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as books:
            (granted_at,) = books.execute(
                "SELECT granted_at FROM claims WHERE claim = ?", (wanted["claim"],)
            ).fetchone()
            if granted_at < now_ms:
                return
            (held,) = books.execute(
                "SELECT sum(shares) FROM claims WHERE voucher = ? AND state = 'granted'"
                " AND granted_at > ?",
                (voucher, now_ms - 15 * 60_000),
            ).fetchone()
            used, capacity = books.execute(
                "SELECT used, shares - refunded_shares FROM vouchers WHERE voucher = ?", (voucher,)
            ).fetchone()
        insist(
            held + used <= capacity,
            f"claims of {voucher} hold {held}, {used} are booked, of {capacity}",
        )

    def code_of(self, secret: bytes, generation: int) -> str:
        """The code of a generation, by the second reading of the contract."""
        return reference.code_of(secret, generation)
