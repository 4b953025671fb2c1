"""A till for tests of the central service: it signs what a terminal signs, and keeps no files.

Responsible for: enrolling over real HTTP, composing a true chain of entries, sending it. Not
responsible for: deciding anything; tests tell it what to write, also what no real terminal would.
"""

import itertools
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from central import enrol as pairing_desk
from central.enrol import Pairing
from central.issuing import Issued
from central.service import Central
from sync import messages, pairing, signing
from sync.messages import Batch, BatchAnswer, Enrolment, EnrolmentRequest
from sync.transport import HttpCentral, Terms
from vouchers import entries, ids, sealed
from vouchers.entries import Entry, Kind, Totals
from vouchers.sealed import Vault


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def new_instance() -> str:
    """What a process calls itself."""
    return ids.uuid7(now_ms(), secrets.token_bytes(10))


def terms(url: str, *, skew_ms: int = 0) -> Terms:
    return Terms(
        url=url,
        now_ms=lambda: now_ms() + skew_ms,
        monotonic_ms=lambda: time.monotonic_ns() // 1_000_000,
        nonce=lambda: secrets.token_urlsafe(16),
    )


@dataclass
class Till:
    """An enrolled terminal with its journal in memory."""

    http: HttpCentral
    enrolment: Enrolment
    key: Ed25519PrivateKey
    seal_key: X25519PrivateKey
    url: str
    bodies: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    clock: Any = now_ms

    @property
    def posid(self) -> str:
        return self.enrolment.posid

    @property
    def epoch(self) -> int:
        return self.enrolment.epoch

    @property
    def vault(self) -> Vault:
        vault = self.enrolment.vault
        return Vault(vault.epoch, ids.unb64u(vault.salt), vault.t, vault.m, vault.p)

    def row_key(self, code: str, last4: str) -> str:
        return ids.b64u(sealed.stretch(code, last4, self.vault).row_key)

    def clone(self) -> "Till":
        """The same disk in a second machine."""
        return replace(self, bodies=list(self.bodies), heads=list(self.heads))

    def at(self, url: str) -> "Till":
        """The same till, speaking to another address."""
        signer = signing.Signer(signing.key_id(self.posid, self.epoch), self.key)
        return replace(self, http=HttpCentral(terms(url), signer), url=url)

    def add(self, kind: Kind, data: dict[str, object], **changes: Any) -> str:
        """Append an entry; answers its serial."""
        seq = len(self.bodies) + 1
        serial = ids.serial(self.posid, self.epoch, seq)
        data = {name: serial if value == "SERIAL" else value for name, value in data.items()}
        entry = Entry(
            merchant=self.enrolment.merchant,
            posid=self.posid,
            epoch=self.epoch,
            seq=seq,
            prev=self.heads[-1],
            at=self.clock(),
            boot="boot",
            mono_ms=seq,
            clock="ok",
            clerk="li",
            auth="os",
            shift=None,
            kind=kind,
            data=data,
            totals=self.totals.after(kind, data),
        )
        entry = msgspec.structs.replace(entry, **changes)
        self.totals = entry.totals
        self.put(entries.compose(entry))
        return serial

    def put(self, body: str) -> None:
        """Append any text as the next body."""
        self.bodies.append(body)
        self.heads.append(entries.entry_hash(body))

    def redeem(self, issued: Issued, shares: int = 1, **changes: Any) -> str:
        """Append a redemption. `at` and the like change the entry, the rest its data."""
        generation = changes.pop("generation", 0)
        left = changes.pop("left", max(0, issued.shares - shares))
        outer = {name: changes.pop(name) for name in ("at", "clock") if name in changes}
        data: dict[str, object] = {
            "serial": "SERIAL",
            "request": None,
            "claim": None,
            "voucher": issued.voucher,
            "generation": generation,
            "shares": shares,
            "left": left,
            "successor": left > 0,
            "credential": "code",
            "evidence": "row",
            "mode": "lone",
            "product": 1,
            "amount_fen": 0,
            "replica_version": None,
        }
        return self.add(Kind.REDEEMED, data | changes, **outer)

    def reverse(self, serial: str, issued: Issued, shares: int = 1, **changes: Any) -> str:
        """Append a reversal."""
        data: dict[str, object] = {
            "serial": "SERIAL",
            "reverses": serial,
            "voucher": issued.voucher,
            "generation": 0,
            "shares": shares,
            "left": 1,
            "amount_fen": 0,
            "reason_code": "mistake",
        }
        return self.add(Kind.REVERSED, data | changes)

    def batch(self, first: int = 1, last: int | None = None, **changes: Any) -> Batch:
        """Entries `first`..`last` as one batch, truly signed unless `changes` say otherwise."""
        last = len(self.bodies) if last is None else last
        whole = {
            "from_": first,
            "prev": self.heads[first - 1],
            "entries": tuple(self.bodies[first - 1 : last]),
            "sig": ids.b64u(entries.sign_entry(self.bodies[last - 1], self.key)),
        }
        return Batch(**(whole | changes))

    def push(self, first: int = 1, last: int | None = None, **changes: Any) -> BatchAnswer:
        return self.http.push(self.posid, self.epoch, self.batch(first, last, **changes))

    def hello(
        self,
        *,
        seq: int | None = None,
        instance: str = "",
        report: messages.Report | None = None,
        ack: messages.SentAck | None = None,
        **changes: Any,
    ) -> messages.Hello:
        """Say hello, as a new process unless an instance is given."""
        seq = len(self.bodies) if seq is None else seq
        head = {"epoch": self.epoch, "seq": seq, "hash": self.heads[seq]} | changes
        return self.http.hello(
            messages.HelloRequest(
                boot=1,
                instance=instance or new_instance(),
                head=messages.SentHead(**head),
                nonce=secrets.token_urlsafe(16),
                report=report,
                ack=ack,
            )
        )

    def export(self, first: int = 1) -> str:
        """The journal in the export form."""
        head = {
            "hexiao_export": 1,
            "merchant": self.enrolment.merchant,
            "posid": self.posid,
            "epoch": self.epoch,
            "public_key": ids.b64u(self.key.public_key().public_bytes_raw()),
            "first_prev": self.heads[0],
        }
        lines: list[dict[str, object]] = [head]
        for seq, body in itertools.islice(enumerate(self.bodies, start=1), first - 1, None):
            sig = ids.b64u(entries.sign_entry(body, self.key))
            lines.append({"seq": seq, "body": body, "hash": self.heads[seq], "sig": sig})
        return "".join(messages.encode(line).decode() + "\n" for line in lines)


def pair(central: Central, url: str, posid: str, outlet: int = 1, *, skew_ms: int = 0) -> Till:
    """Enrol a new till, as its installer would."""
    made = pairing_desk.make_code(central, outlet, posid)
    assert isinstance(made, Pairing), made
    return pair_with(made.code, url, skew_ms=skew_ms)


def pair_with(code: str, url: str, *, skew_ms: int = 0) -> Till:
    """Enrol with a code in hand."""
    key, seal_key = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
    seal_public = seal_key.public_key().public_bytes_raw()
    stranger = HttpCentral(terms(url), None)
    answer = stranger.enrol(
        EnrolmentRequest(
            code=code,
            sign_key=ids.b64u(key.public_key().public_bytes_raw()),
            seal_key=ids.b64u(seal_public),
            proof=pairing.prove(code, key, seal_public=seal_public),
        )
    )
    stranger.close()
    signer = signing.Signer(signing.key_id(answer.posid, answer.epoch), key)
    record = entries.enrolment_record(
        merchant=answer.merchant,
        posid=answer.posid,
        epoch=answer.epoch,
        public_key=key.public_key().public_bytes_raw(),
        previous_head=answer.previous_head,
    )
    before = answer.previous_totals
    totals = Totals() if before is None else Totals(**{n: getattr(before, n) for n in _TOTALS})
    return Till(
        http=HttpCentral(terms(url, skew_ms=skew_ms), signer),
        enrolment=answer,
        key=key,
        seal_key=seal_key,
        url=url,
        heads=[entries.first_prev(record)],
        totals=totals,
    )


_TOTALS = tuple(Totals.__dataclass_fields__)
