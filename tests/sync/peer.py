"""A central that fits on one page, as the oracle: it keeps chains and books nothing.

It follows design section 7 word by word (contiguous, idempotent, gap, fork) and shares the wire
types with the product, so every message in a test passes through both sides.
"""

import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import acks, receiver
from sync.errors import Refused
from sync.feed import Checkpoint, FeedPage, StatePut, digest_text, row_digest
from sync.journal_messages import SetAside, decode_set_aside
from sync.messages import Batch, BatchAnswer, decode_batch, decode_batch_answer, encode
from sync.problems import Problem, problem_type
from sync.sender import JournalLine

CENTRAL = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
KEYS = {1: CENTRAL.public_key().public_bytes_raw()}
FIRST_PREV = "00" * 32
NOW = "2026-11-22T03:04:05.678Z"


def body_hash(body: str) -> str:
    return hashlib.sha256(b"hexiao-entry-v1" + body.encode()).hexdigest()


def refusal(reason: str, status: int, **more) -> Refused:
    return Refused(Problem(type=problem_type(reason), status=status, **more))


def ack_of(posid: str, epoch: int, up_to: int, head: str, **more) -> BatchAnswer:
    text = acks.compose_ack(posid, epoch, up_to, head=head, at_ms=0)
    signed = acks.sign(acks.ACK_DOMAIN, text, kid=1, key=CENTRAL)
    return BatchAnswer(ack=signed.text, kid=1, sig=signed.sig, **more)


@dataclass
class Chain:
    """A journal: bodies name their predecessor, so that hashes are a chain."""

    name: str = "T1"
    bodies: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=lambda: [FIRST_PREV])

    def append(self, words: str = "") -> None:
        body = f'{{"prev":"{self.hashes[-1]}","words":"{words}"}}'
        self.bodies.append(body)
        self.hashes.append(body_hash(body))

    def grown(self, count: int, words: str = "") -> "Chain":
        for _ in range(count):
            self.append(words)
        return self

    def copy(self) -> "Chain":
        return Chain(self.name, list(self.bodies), list(self.hashes))

    def cut(self, length: int) -> None:
        del self.bodies[length:]
        del self.hashes[length + 1 :]

    def hash_at(self, seq: int) -> str | None:
        return self.hashes[seq] if seq < len(self.hashes) else None

    def lines(self, after: int, limit: int) -> list[JournalLine]:
        return [
            JournalLine(after + i + 1, body, self.hashes[after + i + 1], "S" * 85 + "A")
            for i, body in enumerate(self.bodies[after : after + limit])
        ]


@dataclass
class Peer:
    """Central's side of one stream."""

    chain: Chain = field(default_factory=Chain)
    rivals: list[Batch] = field(default_factory=list)
    fenced: bool = False
    epoch: int = 1
    aside: dict = field(default_factory=dict)

    def set_aside(self, entry: SetAside) -> BatchAnswer:
        """The chain goes on over a hash alone."""
        entry = decode_set_aside(encode(entry))
        assert (entry.seq, entry.prev) == (len(self.chain.bodies) + 1, self.chain.hashes[-1])
        self.aside[entry.seq] = entry.hash
        self.chain.bodies.append("")
        self.chain.hashes.append(entry.hash)
        return self.signed()

    def take(self, batch: Batch) -> BatchAnswer:
        """One transaction: gap, fork, or append what is new; then sign for what is held."""
        batch = decode_batch(encode(batch))
        held = len(self.chain.bodies)
        if self.fenced:
            raise refusal("fork", 409)
        if batch.from_ > held + 1:
            raise refusal("gap", 409, expected=held + 1)
        hashes = [batch.prev, *(body_hash(body) for body in batch.entries)]
        for offset, sent in enumerate(hashes):
            known = self.chain.hash_at(batch.from_ - 1 + offset)
            if known is not None and known != sent:
                self.fenced = True
                self.rivals.append(batch)
                raise refusal("fork", 409, detail=f"entry {batch.from_ - 1 + offset}")
        for body in batch.entries[held + 1 - batch.from_ :]:
            self.chain.bodies.append(body)
            self.chain.hashes.append(body_hash(body))
        return self.signed()

    def signed(self) -> BatchAnswer:
        seq = len(self.chain.bodies)
        answer = ack_of(self.chain.name, self.epoch, seq, self.chain.hashes[seq])
        return decode_batch_answer(encode(answer))


def uuid(number):
    return f"01890a5d-ac96-774b-bcce-{number:012x}"


class Bucket:
    """Central's side of one bucket: states by commit sequence, newest per voucher."""

    def __init__(self):
        self.log, self.states = [], {}

    def change(self, voucher, used):
        version = self.states.get(voucher, (0, 0))[0] + 1
        self.states[voucher] = (version, used)
        self.log.append(voucher)

    def read(self, after, limit):
        start = 0 if after == "0" else int(after.split(".")[2])
        rows = self.log[start : start + limit]
        end = start + len(rows)
        more = end < len(self.log)
        digest = sum(row_digest(v, version) for v, (version, _) in self.states.items())
        items = tuple(
            StatePut(
                voucher=voucher,
                version=self.states[voucher][0],
                state="live",
                generation=0,
                used=self.states[voucher][1],
                valid_from=NOW,
                valid_until=NOW,
            )
            for voucher in dict.fromkeys(rows)
        )
        checkpoint = Checkpoint(seq=end, live=len(self.states), digest=digest_text(digest))
        return FeedPage(
            from_=after,
            cursor=f"1.a.{end}",
            more=more,
            items=items,
            checkpoint=None if more else checkpoint,
        )


class Copy:
    """A replica of one bucket."""

    def __init__(self):
        self.cursor, self.rows = "0", {}

    def apply(self, page, rows=None):
        for item in page.items if rows is None else rows:
            if item.version > self.rows.get(item.voucher, (0, 0))[0]:
                self.rows[item.voucher] = (item.version, item.used)
        self.cursor = page.cursor
        digest = sum(row_digest(v, version) for v, (version, _) in self.rows.items())
        seq = receiver.place(page.cursor).seq
        return Checkpoint(seq=seq, live=len(self.rows), digest=digest_text(digest))
