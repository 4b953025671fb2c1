"""A terminal and a central in memory, joined by real HTTP: the round's test bench.

`Till` implements the terminal's ports over lists; `Service` answers `/v1` from the model peer and
the model bucket. Nothing of the product is replaced between the ports and the socket.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import acks, keyring, messages, signing
from sync.errors import Outdated, Refused
from sync.feed import ProductPut, StatePut
from sync.journal_messages import HeldEpoch, HeldJournal, decode_set_aside
from sync.messages import HelloRequest, SentHead
from sync.notes import Note, NotesAnswer, decode_notes_request
from sync.ports import Ports, StreamHead
from sync.problems import Problem, problem_type
from sync.transport import HttpCentral, Terms
from tests.sync.peer import CENTRAL, KEYS, NOW, Bucket, Chain, Copy, Peer
from tests.sync.server import Answered, Asked
from vouchers import ids
from vouchers.replica_form import REPLICA_SCHEMA

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
UUID = "01890a5d-ac96-774b-bcce-b302099a8057"


@dataclass
class Till:
    """The ports of a terminal. Time stands still until a test moves it."""

    directory: Path
    chains: dict[int, Chain] = field(default_factory=lambda: {1: Chain()})
    acked: dict[int, int] = field(default_factory=dict)
    acks: list = field(default_factory=list)
    verdicts: list = field(default_factory=list)
    pages: list = field(default_factory=list)
    copies: dict[int, Copy] = field(default_factory=dict)
    empty: bool = True
    catalogue: list[int] = field(default_factory=lambda: [0])
    installed: list = field(default_factory=list)
    pulled_at: list[int] = field(default_factory=list)
    times: list = field(default_factory=list)
    directed_: list = field(default_factory=list)
    fences: list = field(default_factory=list)
    now: int = 1_000_000
    nonces: int = 0
    counts_rows: bool = True
    full_disk: bool = False
    noted: dict[str, str] = field(default_factory=dict)
    gone: list = field(default_factory=list)
    posid: str = "T1"
    keys: dict = field(default_factory=lambda: dict(KEYS))
    told_keys: list = field(default_factory=list)
    wanted_scope: str = "merchant"
    moves: int = 0

    def epochs(self):
        return sorted(self.chains)

    def notes(self, limit):
        return [Note(serial=s, note=n) for s, n in sorted(self.noted.items())][:limit]

    def notes_sent(self, notes, gone):
        self.gone += gone
        for one in notes:
            del self.noted[one.serial]

    def head(self, epoch):
        chain = self.chains[epoch]
        return StreamHead(epoch, len(chain.bodies), chain.hashes[-1])

    def hash_at(self, epoch, seq):
        return self.chains[epoch].hash_at(seq)

    def acknowledged(self, epoch):
        return self.acked.get(epoch, 0)

    def entries(self, epoch, *, after, limit):
        return self.chains[epoch].lines(after, limit)

    def acknowledge(self, ack):
        self.acks.append(ack)
        self.acked[ack.epoch] = max(self.acknowledged(ack.epoch), ack.up_to)

    def store_verdicts(self, epoch, verdicts):
        self.verdicts += verdicts

    def verdict_cursor(self):
        return self.pages[-1].cursor if self.pages else ""

    def store_verdict_page(self, page):
        self.pages.append(page)

    def scope(self):
        return self.wanted_scope

    def buckets(self):
        return list(self.catalogue)

    def cursor(self, bucket):
        return self.copies[bucket].cursor if bucket in self.copies else "0"

    def is_empty(self):
        return self.empty

    def apply_page(self, bucket, page):
        if self.full_disk:
            raise OSError("no space left")
        if page.moves < self.moves:
            raise Outdated("from before a move")
        self.empty = False
        for item in page.items:
            if isinstance(item, ProductPut) and item.bucket not in self.catalogue:
                self.catalogue.append(item.bucket)
        rows = tuple(item for item in page.items if isinstance(item, StatePut))
        own = self.copies.setdefault(bucket, Copy()).apply(page, rows)
        return own if self.counts_rows else None

    def download_path(self, manifest):
        return self.directory / manifest.sha256

    def install_snapshot(self, path, manifest):
        content = json.loads(path.read_bytes())
        self.installed.append(content)
        self.empty = False
        self.copies = {}
        for bucket, cursor in manifest.cursor.items():
            copy = self.copies[int(bucket)] = Copy()
            copy.cursor = cursor
            copy.rows = {v: tuple(row) for v, row in content[bucket].items()}

    def pulled(self, at_ms):
        self.pulled_at.append(at_ms)

    def age_s(self, now_ms):
        return (now_ms - self.pulled_at[-1]) // 1000 if self.pulled_at else None

    def now_ms(self):
        return 1_700_000_000_000

    def monotonic_ms(self):
        return self.now

    def random(self):
        return 0.0

    def nonce(self):
        self.nonces += 1
        return f"nonce-{self.nonces:06d}"

    def server_said(self, time, *, asked_ms, heard_ms):
        self.times.append((time.now, asked_ms, heard_ms))

    def hello(self, nonce):
        epoch = self.epochs()[-1]
        head = self.head(epoch)
        sent = SentHead(epoch=epoch, seq=head.seq, hash=head.hash)
        return HelloRequest(boot=1, instance=UUID, head=sent, nonce=nonce)

    def server_keys(self):
        return self.keys

    def keys_told(self, keys, tags, gone):
        self.told_keys.append((tuple(keys), tuple(tags), tuple(gone)))
        self.keys = keyring.without(keyring.adopt(self.keys, keys), gone)

    def directed(self, directives, nonce):
        self.directed_ += directives

    def fenced(self, epoch, fence):
        self.fences.append((epoch, fence))

    def ports(self, url, *, answer_s=5.0):
        terms = Terms(url, self.now_ms, self.monotonic_ms, self.nonce, answer_s=answer_s)
        return Ports(self, self, self, self, HttpCentral(terms, signing.Signer("T1_1", KEY)))


@dataclass
class Service:
    """Central's answers. `override` comes first: what it returns is the answer."""

    peers: dict[int, Peer] = field(default_factory=lambda: {1: Peer()})
    buckets: dict[int, Bucket] = field(default_factory=lambda: {0: Bucket()})
    head: messages.Head | None = None
    directives: tuple = ()
    verdict_pages: list = field(default_factory=list)
    snapshots: bool = True
    override: object = None
    noted: dict = field(default_factory=dict)
    deleted: tuple = ()

    def __call__(self, asked: Asked) -> Answered:
        signing.verify(
            asked.message,
            key_of={"T1_1": KEY.public_key().public_bytes_raw()}.get,
            now_ms=1_700_000_000_000,
            seen=lambda keyid, nonce: False,
        )
        given = self.override(asked) if callable(self.override) else None
        if given is not None:
            return given
        try:
            return Answered(body=self.answer(asked))
        except Refused as refused:
            return Answered(refused.problem.status, messages.encode(refused.problem))

    def answer(self, asked: Asked) -> bytes:
        parts = asked.path.split("/")[2:]
        query = dict(pair.split("=") for pair in asked.target.partition("?")[2].split("&") if pair)
        match parts:
            case ["hello"]:
                return messages.encode(self.hello(messages.decode_hello_request(asked.body)))
            case ["journal", "T1", *rest]:
                return messages.encode(self.journal(rest, asked.body))
            case ["notes"]:
                sent = decode_notes_request(asked.body).notes
                self.noted |= {one.serial: one.note for one in sent}
                return messages.encode(NotesAnswer(gone=self.deleted))
            case ["feed"]:
                bucket = self.buckets[int(query["bucket"])]
                return messages.encode(bucket.read(query["after"], min(3, int(query["limit"]))))
            case ["snapshot"] if self.snapshots:
                return messages.encode(self.manifest())
            case ["snapshots", _]:
                return self.file()
            case ["verdicts"]:
                if self.verdict_pages:
                    return messages.encode(self.verdict_pages.pop(0))
                after = query.get("after", "")
                return messages.encode(messages.VerdictsPage(verdicts=(), cursor=after))
        problem = Problem(type=problem_type("no_snapshot"), status=404)
        raise Refused(problem)

    def hello(self, request):
        text = acks.compose_time(77, request.nonce)
        signed = acks.sign(acks.TIME_DOMAIN, text, kid=1, key=CENTRAL)
        return messages.Hello(
            time=text, kid=1, sig=signed.sig, head=self.head, directives=self.directives
        )

    def journal(self, rest, body):
        match rest:
            case [epoch]:
                return self.peers[int(epoch)].take(messages.decode_batch(body))
            case [epoch, "aside"]:
                return self.peers[int(epoch)].set_aside(decode_set_aside(body))
        return self.held()

    def held(self):
        """What each stream is here, oldest epoch first."""
        epochs = [
            HeldEpoch(
                epoch=epoch,
                public_key=ids.b64u(KEY.public_key().public_bytes_raw()),
                previous_head=None,
                first_prev=peer.chain.hashes[0],
                seq=len(peer.chain.bodies),
                head=peer.chain.hashes[-1],
            )
            for epoch, peer in sorted(self.peers.items())
        ]
        return HeldJournal(epochs=tuple(epochs))

    def file(self):
        return json.dumps({str(n): b.states for n, b in self.buckets.items()}).encode()

    def manifest(self):
        fields = {
            "sha256": hashlib.sha256(self.file()).hexdigest(),
            "size": len(self.file()),
            "cursor": {str(n): f"1.a.{len(b.log)}" for n, b in self.buckets.items()},
            "sealed_through": NOW,
            "schema": REPLICA_SCHEMA,
        }
        text = acks.compose_manifest(**fields)
        signed = acks.sign(acks.MANIFEST_DOMAIN, text, kid=1, key=CENTRAL)
        return messages.Manifest(**fields, kid=1, sig=signed.sig)


def paths(server):
    """What was asked for, in order."""
    return [asked.path.removeprefix("/v1/") for asked in server.asked]


def refuse(path, reason, status, **more):
    """An override: this problem for every path with `path` in it."""
    body = messages.encode(Problem(type=problem_type(reason), status=status, **more))
    return lambda asked: Answered(status, body) if path in asked.path else None
