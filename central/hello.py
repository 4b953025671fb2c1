"""Hello: a holder of a journal says who it is and where its chain ends (design, section 7).

Responsible for: comparing heads, the lease of the speaking instance, the signed time. Not
responsible for: HTTP, or what a terminal does when central knows more of it than its own disk.
Invariants: an instance keeps the lease only while its head equals or extends what central holds;
one that differs is told `fork` and raises an alarm, and nothing changes for the other.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from central import alarms, keys, schema
from central.database import retried
from central.errors import Refused
from central.service import Central, Work
from sync import acks
from sync.messages import Head, Hello, HelloRequest, SentHead


@dataclass(frozen=True, slots=True)
class Terminal:
    """An enrolled terminal: `epoch` is its current one, `state` active, fenced or revoked."""

    posid: str
    epoch: int
    outlet: int
    state: str


def find(work: Work, posid: str) -> Terminal | None:
    """A terminal by its device code."""
    table = schema.terminals
    row = work.connection.execute(
        select(table).where(table.c.merchant == work.merchant, table.c.posid == posid)
    ).one_or_none()
    return None if row is None else Terminal(row.posid, row.epoch, row.outlet, row.state)


@retried
def hello(central: Central, who: Terminal, asked: HelloRequest) -> Hello | Refused:
    """Answer a holder; it keeps the lease if its head equals or extends ours."""
    with central.write() as work:
        ring = keys.load(work)
        if who.state == "fenced":
            return Refused("fork", "this terminal is fenced after a fork; pair it again")
        stream = _stream(work, who.posid, who.epoch)
        head = Head(epoch=who.epoch, seq=stream.seq, hash=stream.head) if stream.seq else None
        if asked.head.epoch == who.epoch:
            expected = _hash_at(work, stream, asked.head.seq)
            if expected is not None and expected != asked.head.hash:
                words = f"the holder's entry {asked.head.seq} is not the one central has"
                alarms.raise_alarm(central, work, "fork", who.posid, words)
                return Refused("fork", words)
            if asked.head.seq >= stream.seq:
                _lease(work, who, asked)
        text = acks.compose_time(work.now, asked.nonce)
        signed = acks.sign(acks.TIME_DOMAIN, text, kid=ring.sign_kid, key=ring.sign)
    return Hello(time=signed.text, kid=signed.kid, sig=signed.sig, head=head)


def _stream(work: Work, posid: str, epoch: int) -> Any:
    table = schema.streams
    return work.connection.execute(
        select(table).where(
            table.c.merchant == work.merchant, table.c.posid == posid, table.c.epoch == epoch
        )
    ).one()


def _hash_at(work: Work, stream: Any, seq: int) -> str | None:
    """The hash that central has at a sequence; None where it has nothing yet."""
    if seq == 0:
        return str(stream.first_prev)
    table = schema.entries
    found = work.connection.execute(
        select(table.c.hash).where(
            table.c.merchant == work.merchant,
            table.c.posid == stream.posid,
            table.c.epoch == stream.epoch,
            table.c.seq == seq,
        )
    ).scalar()
    return None if found is None else str(found)


def _lease(work: Work, who: Terminal, asked: HelloRequest) -> None:
    table = schema.terminals
    work.connection.execute(
        update(table)
        .where(table.c.merchant == work.merchant, table.c.posid == who.posid)
        .values(
            instance=asked.instance,
            boot=asked.boot,
            seen_at=work.now,
            about=json.dumps({"version": asked.version, "head": _head(asked.head)}),
        )
    )


def _head(head: SentHead) -> dict[str, object]:
    return {"epoch": head.epoch, "seq": head.seq, "hash": head.hash}
