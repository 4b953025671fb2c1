"""Who calls: the signature of a request, believed against the key a terminal enrolled.

Responsible for: finding the key, the memory of nonces, the answer to a clock that is off. Not
responsible for: the cryptography (`sync.signing`), what the caller may do. Invariants: an unsigned
request never reaches a handler that knows terminals; what a revoked terminal may still do is for
the route to say; the nonce memory is per process, so a replay to another process only repeats what
is idempotent.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from central import hello, keys, schema
from central.hello import Terminal
from central.keys import Keyring
from central.service import Central
from sync import acks, signing
from sync.limits import NONCE_BYTES, REPLAY_MEMORY_S
from sync.signing import Message

_SWEEP_EVERY: Final = 1_024


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
        self._until: dict[tuple[str, str], int] = {}

    def seen(self, keyid: str, nonce: str, now_ms: int) -> bool:
        """Remember a nonce; True if it was there before."""
        with self._lock:
            if len(self._until) % _SWEEP_EVERY == 0:
                self._until = {pair: end for pair, end in self._until.items() if end > now_ms}
            before = self._until.get((keyid, nonce), 0) > now_ms
            self._until[keyid, nonce] = now_ms + REPLAY_MEMORY_S * 1000
            return before


class Gate:
    """Believes requests. One per process."""

    def __init__(self, central: Central) -> None:
        """Load the key ring once: keys change only by `migrate` and restarts."""
        self._central = central
        self._nonces = NonceMemory()
        with central.read() as work:
            self.ring: Keyring = keys.load(work)

    def called(self, message: Message) -> Called:
        """The caller of a request. Raises SignatureError."""
        now = self._central.clock()
        caller = signing.verify(
            message,
            key_of=self._key_of,
            now_ms=now,
            seen=lambda keyid, nonce: self._nonces.seen(keyid, nonce, now),
            own_nonce=lambda nonce: signing.is_own_nonce(nonce, self.ring.nonce, now_ms=now),
        )
        named = signing.read_key_id(caller.keyid)
        assert named is not None, "a key was found under this id"
        posid, epoch = named
        with self._central.read() as work:
            terminal = hello.find(work, posid)
        assert terminal is not None, "its stream was found"
        return Called(terminal, epoch)

    def _key_of(self, keyid: str) -> bytes | None:
        named = signing.read_key_id(keyid)
        if named is None:
            return None
        table = schema.streams
        with self._central.read() as work:
            found = work.connection.execute(
                select(table.c.public_key).where(
                    table.c.merchant == work.merchant,
                    table.c.posid == named[0],
                    table.c.epoch == named[1],
                )
            ).scalar()
        return None if found is None else bytes(found)

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
