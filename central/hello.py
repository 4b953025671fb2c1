"""Hello: a holder of a journal says who it is and where its chain ends (design, section 7).

Responsible for: comparing heads, the lease of the speaking instance, the signed time. Not
responsible for: HTTP, or what a terminal does when it is told to stop. Invariants: an instance
takes the lease only where its head equals or extends what central holds and what the one before it
named; another is told `fork`, raises an alarm, and nothing changes for the first; where both extend
the same entries differently, both are stopped.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, select, update

from central import ahead, alarms, keys, schema
from central.database import retried
from central.errors import Refused
from central.keys import Keyring
from central.service import Central, Work
from sync import acks
from sync.messages import Directive, Head, Hello, HelloRequest, SentHead

# Made once: every terminal says hello four times an hour, and to put a statement together takes
# SQLAlchemy longer than to run it.
_TERMINAL: Final = select(schema.terminals).where(
    schema.terminals.c.merchant == bindparam("merchant"),
    schema.terminals.c.posid == bindparam("posid"),
)
_TERMINAL_LOCKED: Final = _TERMINAL.with_for_update()
_STREAM: Final = select(schema.streams).where(
    schema.streams.c.merchant == bindparam("merchant"),
    schema.streams.c.posid == bindparam("posid"),
    schema.streams.c.epoch == bindparam("epoch"),
)
_HASH: Final = select(schema.entries.c.hash).where(
    schema.entries.c.merchant == bindparam("merchant"),
    schema.entries.c.posid == bindparam("posid"),
    schema.entries.c.epoch == bindparam("epoch"),
    schema.entries.c.seq == bindparam("seq"),
)


@dataclass(frozen=True, slots=True)
class Terminal:
    """An enrolled terminal: `epoch` is its current one, `state` active, fenced or revoked."""

    posid: str
    epoch: int
    outlet: int
    state: str


def find(work: Work, posid: str) -> Terminal | None:
    """A terminal by its device code."""
    named = {"merchant": work.merchant, "posid": posid}
    row = work.connection.execute(_TERMINAL, named).one_or_none()
    return None if row is None else read_row(row)


def read_row(row: Any) -> Terminal:
    """A terminal from a row of the table."""
    return Terminal(row.posid, row.epoch, row.outlet, row.state)


@dataclass(frozen=True, slots=True)
class _Lease:
    """Who spoke last for a terminal, and the head it named. `former` spoke before it."""

    instance: str | None
    former: str | None
    head: SentHead | None
    cloned: bool

    @classmethod
    def of(cls, row: Any) -> "_Lease":
        about = json.loads(row.about or "{}")
        head = about.get("head") or {}
        named = SentHead(**head) if head.get("epoch") == row.epoch else None
        return cls(row.instance, about.get("former"), named, bool(about.get("cloned")))


@retried
def hello(central: Central, who: Terminal, asked: HelloRequest) -> Hello | Refused:
    """Answer a holder; it keeps the lease if its head equals or extends ours."""
    with central.write() as work:
        ring = keys.load(work)
        row = _row(work, who.posid)
        if row.state == "fenced":
            return Refused("fork", "this terminal is fenced after a fork; pair it again")
        if row.state == "revoked":
            _hear_revoked(work, row)
            return Refused("revoked", "closed") if row.wipe_at is None else _wipe(work, who, asked)
        stream = _stream(work, who.posid, who.epoch)
        head = Head(epoch=who.epoch, seq=stream.seq, hash=stream.head) if stream.seq else None
        if asked.head.epoch == who.epoch:
            lease = _Lease.of(row)
            refused = _compare(central, work, stream, lease, asked)
            if refused is not None:
                return refused
            if asked.head.seq >= stream.seq and not _is_older(lease, asked):
                _take_lease(central, work, row, lease, asked)
        if asked.ack is not None:
            ahead.check_ack(central, work, ring, stream, asked.ack)
        signed = _time(work, ring, asked)
    return Hello(
        time=signed.text,
        kid=signed.kid,
        sig=signed.sig,
        head=head,
        keys=ring.vouched(),
        k_tags=ring.sealed_tags(bytes(row.seal_key), central.random, later=True),
    )


def _time(work: Work, ring: Keyring, asked: HelloRequest) -> acks.Signed:
    text = acks.compose_time(work.now, asked.nonce)
    return acks.sign(acks.TIME_DOMAIN, text, kid=ring.sign_kid, key=ring.sign)


def _hear_revoked(work: Work, row: Any) -> None:
    table = schema.terminals
    work.connection.execute(
        update(table)
        .where(table.c.merchant == work.merchant, table.c.posid == row.posid)
        .values(seen_at=work.now)
    )


def _wipe(work: Work, who: Terminal, asked: HelloRequest) -> Hello:
    """The one answer that a closed terminal gets: destroy what you hold, signed."""
    ring = keys.load(work)
    time = _time(work, ring, asked)
    wipe = _order(ring, "wipe", who.posid, who.epoch, asked)
    return Hello(time=time.text, kid=time.kid, sig=time.sig, directives=(wipe,))


def _order(ring: Keyring, do: str, posid: str, epoch: int, asked: HelloRequest) -> Directive:
    text = acks.compose_directive(do, posid, epoch, nonce=asked.nonce)
    order = acks.sign(acks.DIRECTIVE_DOMAIN, text, kid=ring.sign_kid, key=ring.sign)
    return Directive(do=do, text=order.text, kid=order.kid, sig=order.sig)


def superseded(central: Central, posid: str, epoch: int, asked: HelloRequest) -> Hello:
    """Answer a disk whose terminal was paired again since: stop, signed. Changes nothing here.

    What it still has goes up under the key of its epoch, so it hears how far that has come.
    """
    with central.read() as work:
        ring, stream = keys.load(work), _stream(work, posid, epoch)
        time = _time(work, ring, asked)
    head = Head(epoch=epoch, seq=stream.seq, hash=stream.head) if stream.seq else None
    stop = _order(ring, "superseded", posid, epoch, asked)
    return Hello(time=time.text, kid=time.kid, sig=time.sig, head=head, directives=(stop,))


def _compare(
    central: Central, work: Work, stream: Any, lease: _Lease, asked: HelloRequest
) -> Refused | None:
    """Whether the speaker must stop: its head is neither ours nor an extension of it."""
    seq, named = asked.head.seq, lease.head
    held = _hash_at(work, stream, seq)
    if held is not None and held != asked.head.hash:
        return _stop(central, work, stream, f"the holder's entry {seq} is not the one central has")
    if lease.instance in (None, asked.instance):
        return None  # its own messages may overtake each other
    if seq < stream.seq:
        return _stop(
            central, work, stream, f"central holds entry {stream.seq}, this journal ends before it"
        )
    if named is None or seq > named.seq:
        return None
    if seq < named.seq:
        words = f"entry {named.seq} was named for this terminal, this journal ends before it"
        return _stop(central, work, stream, words)
    if asked.head.hash != named.hash:
        _fence(work, stream)
        words = f"two holders of this terminal's journal differ at entry {seq}: both are stopped"
        return _stop(central, work, stream, words)
    return None


def _stop(central: Central, work: Work, stream: Any, words: str) -> Refused:
    alarms.raise_alarm(central, work, "fork", stream.posid, words)
    return Refused("fork", words)


def _fence(work: Work, stream: Any) -> None:
    table = schema.terminals
    work.connection.execute(
        update(table)
        .where(table.c.merchant == work.merchant, table.c.posid == stream.posid)
        .values(state="fenced")
    )


def _is_older(lease: _Lease, asked: HelloRequest) -> bool:
    """A message that was overtaken by a later one of the same holder."""
    named = lease.head
    return lease.instance == asked.instance and named is not None and asked.head.seq < named.seq


def _row(work: Work, posid: str) -> Any:
    named = {"merchant": work.merchant, "posid": posid}
    return work.connection.execute(_TERMINAL_LOCKED, named).one()


def _stream(work: Work, posid: str, epoch: int) -> Any:
    named = {"merchant": work.merchant, "posid": posid, "epoch": epoch}
    return work.connection.execute(_STREAM, named).one()


def _hash_at(work: Work, stream: Any, seq: int) -> str | None:
    """The hash that central has at a sequence; None where it has nothing yet."""
    if seq == 0:
        return str(stream.first_prev)
    found = work.connection.execute(
        _HASH,
        {"merchant": work.merchant, "posid": stream.posid, "epoch": stream.epoch, "seq": seq},
    ).scalar()
    return None if found is None else str(found)


def _take_lease(central: Central, work: Work, row: Any, lease: _Lease, asked: HelloRequest) -> None:
    """The speaker holds the journal from now on.

    A process that ended never speaks again: one that was followed by another and comes back proves
    that two are alive on two copies of the disk.
    """
    back = asked.instance == lease.former
    if back and not lease.cloned:
        words = "two processes speak for this terminal in turn: its disk was copied"
        alarms.raise_alarm(central, work, "clone", row.posid, words)
    changed = lease.instance != asked.instance
    about = json.loads(row.about or "{}") | {
        "version": asked.version,
        "head": msgspec.to_builtins(asked.head),
        "former": lease.instance if changed else lease.former,
        "cloned": lease.cloned or back,
        "report": msgspec.to_builtins(asked.report),
        "reported_at": work.now,
    }
    table = schema.terminals
    work.connection.execute(
        update(table)
        .where(table.c.merchant == work.merchant, table.c.posid == row.posid)
        .values(instance=asked.instance, boot=asked.boot, seen_at=work.now, about=json.dumps(about))
    )
