"""Who calls: the signature of a request, believed against the key a terminal enrolled.

Responsible for: finding the key, the memory of nonces, the answer to a clock that is off. Not
responsible for: the cryptography (`sync.signing`), what the caller may do. Invariants: an unsigned
request never reaches a handler that knows terminals; what a revoked terminal may still do is for
the route to say; whoever only reads the feed is known as of `LATELY_MS` ago; the nonce memory is
per process, so a replay to another process only repeats what is idempotent.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, select

from central import hello, keys, ledger, schema
from central.hello import Terminal
from central.keys import Keyring
from central.service import Central
from sync import acks, signing
from sync.limits import NONCE_BYTES, REPLAY_MEMORY_S
from sync.signing import Message

LATELY_MS: Final = 5_000
"""For so long a terminal may still read the feed after it was revoked or fenced elsewhere."""

RING_MS: Final = 10_000
"""A key that another process made signs here, too, after this long."""

_REMEMBERED_MAX: Final = 100_000
_KEYID: Final = re.compile(r'keyid="([^"]{1,64})"', re.ASCII)


# Made once: nearly every request asks it.
_SIGNER: Final = (
    select(schema.terminals, schema.streams.c.public_key)
    .join(
        schema.streams,
        (schema.streams.c.merchant == schema.terminals.c.merchant)
        & (schema.streams.c.posid == schema.terminals.c.posid),
    )
    .where(
        schema.terminals.c.merchant == bindparam("merchant"),
        schema.terminals.c.posid == bindparam("posid"),
        schema.streams.c.epoch == bindparam("epoch"),
    )
)


@dataclass(frozen=True, slots=True)
class _Known:
    terminal: Terminal
    public_key: bytes
    read_at: int


@dataclass(frozen=True, slots=True)
class Called:
    """A believed caller; `epoch` is the one it signed as, which may be older than its current."""

    terminal: Terminal
    epoch: int


class NonceMemory:
    """The nonces seen lately. Safe to share between threads."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._until = OrderedDict[tuple[str, str], int]()

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._until)

    def seen(self, keyid: str, nonce: str, now_ms: int) -> bool:
        """Remember a nonce; True if it was there before."""
        with self._lock:
            # The oldest stand first, so each is looked at once, when its time is over.
            while self._until and next(iter(self._until.values())) <= now_ms:
                self._until.popitem(last=False)
            before = self._until.pop((keyid, nonce), 0) > now_ms
            self._until[keyid, nonce] = now_ms + REPLAY_MEMORY_S * 1000
            return before


class Gate:
    """Believes requests. One per process."""

    def __init__(self, central: Central) -> None:
        """Nobody is known yet."""
        self._central = central
        self._nonces = NonceMemory()
        self._lately: dict[str, _Known] = {}
        self._refreshed_at = 0
        self._refreshing = threading.Lock()
        self._ring: tuple[Keyring, int] | None = None

    @property
    def ring(self) -> Keyring:
        """The keys of this service, as of at most `RING_MS` ago: they may change while it runs."""
        now, known = self._central.clock(), self._ring
        if known is None or not 0 <= now - known[1] < RING_MS:
            with self._central.read() as work:
                known = self._ring = keys.load(work), now
        return known[0]

    def called(self, message: Message, *, lately: bool = False) -> Called:
        """The caller of a request. Raises SignatureError.

        `lately`: what the database said of the terminal within `LATELY_MS` will do, so that
        thousands who wait for news do not ask it again and again.
        """
        now = self._central.clock()
        known: dict[str, _Known] = {}

        def key_of(keyid: str) -> bytes | None:
            found = self._remembered(keyid, now) if lately else None
            found = found or self._find(keyid, now)
            if found is None:
                return None
            known[keyid] = found
            return found.public_key

        caller = signing.verify(
            message,
            key_of=key_of,
            now_ms=now,
            seen=lambda keyid, nonce: self._nonces.seen(keyid, nonce, now),
            own_nonce=lambda nonce: signing.is_own_nonce(nonce, self.ring.nonce, now_ms=now),
        )
        named = signing.read_key_id(caller.keyid)
        assert named is not None, "a key was found under this id"
        return Called(known[caller.keyid].terminal, named[1])

    def remembers(self, message: Message) -> bool:
        """Whether `called` with `lately` would answer without asking the database."""
        named = _KEYID.search(message.headers.get("signature-input", ""))
        return named is not None and self._remembered(named[1], self._central.clock()) is not None

    def _remembered(self, keyid: str, now: int) -> _Known | None:
        found = self._lately.get(keyid)
        if found is None or not 0 <= now - max(found.read_at, self._refreshed_at) < LATELY_MS:
            return None
        return found

    def refresh(self) -> None:
        """Look at all remembered terminals again, at once, if that was not done just now.

        One by one, a thousand of them would each wait for a thread and a connection.
        """
        with self._refreshing:
            now, table = self._central.clock(), schema.terminals
            if 0 <= now - self._refreshed_at < LATELY_MS // 2:
                return
            known = dict(self._lately)
            posids = sorted({one.terminal.posid for one in known.values()})
            terminals: dict[str, Terminal] = {}
            with self._central.read() as work:
                for part in ledger.parts(posids):
                    rows = work.connection.execute(
                        select(table).where(
                            table.c.merchant == work.merchant, table.c.posid.in_(part)
                        )
                    )
                    terminals |= {row.posid: hello.read_row(row) for row in rows}
            self._lately = {
                keyid: _Known(terminals[one.terminal.posid], one.public_key, now)
                for keyid, one in known.items()
                if one.terminal.posid in terminals
            }
            self._refreshed_at = now

    def _find(self, keyid: str, now: int) -> _Known | None:
        named = signing.read_key_id(keyid)
        if named is None:
            return None
        with self._central.read() as work:
            of = {"merchant": work.merchant, "posid": named[0], "epoch": named[1]}
            row = work.connection.execute(_SIGNER, of).one_or_none()
        if row is None:
            return None
        if len(self._lately) >= _REMEMBERED_MAX:
            self._lately.clear()
        known = _Known(hello.read_row(row), bytes(row.public_key), now)
        self._lately[keyid] = known
        return known

    def server_time(self) -> Mapping[str, str | int]:
        """A nonce and the signed time that repeats it, for a terminal with a wrong clock."""
        now = self._central.clock()
        nonce = signing.issue_nonce(
            self.ring.nonce, now_ms=now, random=self._central.random(NONCE_BYTES)
        )
        signed = acks.sign(
            acks.TIME_DOMAIN,
            acks.compose_time(now, nonce),
            kid=self.ring.sign_kid,
            key=self.ring.sign,
        )
        return {"nonce": nonce, "time": signed.text, "kid": signed.kid, "sig": signed.sig}
