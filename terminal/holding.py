"""Who holds the journal, and what central wants of it.

Responsible for: what `hello` says, central's directives, and stopping this terminal when central or
its own disk say so. Not responsible for: the protocol (`sync`), or destroying anything (`wiping`).
Invariants: only an order that central signed for this terminal and this question is kept; what is
kept survives a restart.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec

from sync import keyring, messages, sealedbox
from sync.acks import Signed, check_directive
from sync.errors import Garbled
from sync.feed import KeyPut
from sync.sender import Fence
from terminal import acknowledged, history, keys
from terminal import identity as identities
from terminal.counter import ShopCounter
from terminal.errors import TerminalError
from terminal.identity import Identity
from terminal.parts import FENCE, Parts
from terminal.startup import BOOTS
from vouchers.ids import unb64u

WIPE: Final = "wipe"
"""The trouble of a terminal that was ordered to destroy what it holds."""

SUPERSEDED: Final = "superseded"
"""The trouble of a disk whose terminal was paired again on another one."""


class HolderOfTerminal:
    """Implements `sync.ports.HolderPort` for one process that holds the data directory."""

    def __init__(
        self, counter: ShopCounter, database_key: bytes, *, instance: str, version: str
    ) -> None:
        self._counter, self._key = counter, database_key
        self._instance, self._version = instance, version

    def hello(self, nonce: str) -> messages.HelloRequest:
        """Who is speaking, and where its journal ends."""
        head = self._counter.exclusive(lambda parts: parts.journal.head())
        boot = self._counter.exclusive(lambda parts: int(parts.journal.meta(BOOTS) or 0))
        ack = self._counter.exclusive(
            lambda parts: acknowledged.furthest(parts.journal.connection, head.epoch)
        )
        return messages.HelloRequest(
            boot=boot,
            instance=self._instance,
            head=messages.SentHead(epoch=head.epoch, seq=head.seq, hash=head.hash),
            nonce=nonce,
            version=self._version,
            report=self._report(),
            ack=ack,
        )

    def _report(self) -> messages.Report | None:
        """How this terminal is; None while even that cannot be read."""
        try:
            status, data = self._counter.status(), self._counter.parts.data
            return messages.Report(
                queue=status.unacknowledged,
                replica_age_s=status.replica_age_s,
                printer=status.printer,
                scanner=status.scanner,
                clock=status.clock,
                notices=len(status.notices),
                disk_free_mb=data.free_bytes() >> 20,
                key_source=keys.recorded(data).source,
            )
        except (TerminalError, OSError):
            return None

    def server_keys(self) -> dict[int, bytes]:
        """Central's keys: that of the pairing, and those that followed from it."""
        return dict(self._counter.parts.identity.server_keys)

    def keys_told(
        self,
        keys: Sequence[messages.ServerKey | KeyPut],
        tags: Sequence[messages.SealedKey],
        gone: Sequence[int],
    ) -> None:
        """Keep the keys of central that are vouched for, beside those of the pairing."""

        def keep(parts: Parts) -> None:
            known = parts.identity
            believed = keyring.without(keyring.adopt(known.server_keys, keys), gone)
            told = _opened_tags(known, tags)
            new = msgspec.structs.replace(known, server_keys=believed, tag_keys=told)
            if new != known:
                identities.save(parts.data, new, self._key)
                parts.identity, parts.server_keys = new, identities.server_keys(new)

        self._counter.exclusive(keep)

    def directed(self, directives: Sequence[messages.Directive], nonce: str) -> None:
        """Show central's messages, keep its order to wipe; snapshots are `sync`'s own business."""
        for directive in directives:
            if directive.do == "message":
                self._note("message", {"text": directive.text})
            if directive.do in (WIPE, SUPERSEDED):
                self._take_order(directive, nonce)

    def _take_order(self, directive: messages.Directive, nonce: str) -> None:
        """Redeem no more from here on; after a `wipe` the worker destroys, once all is sent."""
        identity = self._counter.parts.identity
        signed = Signed(directive.text, directive.kid, directive.sig or "")
        try:
            check_directive(
                signed,
                self.server_keys(),
                do=directive.do,
                posid=identity.posid,
                epoch=identity.epoch,
                nonce=nonce,
            )
        except Garbled:
            verb = "wipe" if directive.do == WIPE else "stop"
            words = f"An unsigned order to {verb} this terminal was ignored"
            self._note("message", {"text": words})
            return
        self._stop(identity.epoch, directive.do)
        kind = "revoked" if directive.do == WIPE else "fenced"
        self._note(kind, {"trouble": directive.do})

    def fenced(self, epoch: int, fence: Fence) -> None:
        """Redeem no more under this epoch: a new enrolment opens the next, which an older epoch's
        trouble does not touch."""
        if epoch == self._counter.parts.identity.epoch:
            self._stop(epoch, fence.trouble)
            kind = "revoked" if fence.trouble == "revoked" else "fenced"
            self._note(kind, {"trouble": fence.trouble})

    def _stop(self, epoch: int, trouble: str) -> None:
        def stop(parts: Parts) -> None:
            with parts.journal.transaction() as connection:
                text = json.dumps({"epoch": epoch, "trouble": trouble})
                parts.journal.set_meta(connection, FENCE, text)

        self._counter.exclusive(stop)

    def _note(self, kind: str, detail: dict[str, object]) -> None:
        self._counter.exclusive(lambda parts: history.note(parts, kind, None, detail))


def _opened_tags(identity: Identity, tags: Sequence[messages.SealedKey]) -> dict[int, bytes]:
    """The keys of voucher QRs, with those that are new and open. None ever changes."""
    known = dict(identity.tag_keys)
    for tag in tags:
        if tag.kid not in known:
            with suppress(sealedbox.BoxError):
                known[tag.kid] = sealedbox.open_box(unb64u(tag.sealed), identity.seal_key)
    return known
