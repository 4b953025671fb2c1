"""Putting a terminal together from its data directory.

Responsible for: opening key, identity, journal, replica, clock and witness in the right order, the
checks at start, and closing again. Not responsible for: holding the directory (`datadir.hold`),
workers or commands. Invariant: a terminal whose journal does not hold together, or was put back
from a backup, is never handed out for redeeming.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import apsw
from msgspec import Struct

from terminal import identity as identities
from terminal import keys, startup, wiping
from terminal.clock import Anchor, Clock, EstimatedClock, SystemClock
from terminal.datadir import DataDir
from terminal.errors import OutOfService
from terminal.guesses import Guesses
from terminal.identity import Identity
from terminal.journal import Journal
from terminal.parts import Online, Parts
from terminal.replica import Replica
from terminal.witness import Witness
from vouchers import entries
from vouchers.fields import EntryError
from vouchers.policy import Policy

VERSION: Final = "0.1.0"


class Options(Struct, frozen=True):
    """What the settings say about the core."""

    url_parameters: tuple[str, ...] = ("code", "yph")
    min_free_mb: int = 0
    ask_passphrase: Callable[[], str] | None = None
    issuer_patterns: tuple[str, ...] = ()


def open_parts(
    data: DataDir, options: Options, *, clock: Clock | None = None, online: Online | None = None
) -> Parts:
    """Open a terminal. Raises Misconfigured when it is not enrolled, OutOfService when broken."""
    wiping.resume(data)
    key = keys.fetch(data, options.ask_passphrase)
    identity = identities.load(data, key)
    signer = identities.signer(identity)
    journal = Journal(
        data.journal, key, merchant=identity.merchant, posid=identity.posid, signer=signer
    )
    try:
        opened = _Opened(key, identity, journal)
        return _assemble(data, options, opened, clock or SystemClock(), online)
    except apsw.Error as error:
        journal.close()
        raise OutOfService(
            f"the journal is damaged ({error}). Do not delete it: run `hexiao journal rescue"
            " --out FILE` and send the file to head office",
            "damaged",
        ) from error
    except BaseException:
        journal.close()
        raise


def open_checked(
    data: DataDir, options: Options, *, clock: Clock | None = None, online: Online | None = None
) -> Parts:
    """Open a terminal for redeeming: the journal is checked first. Raises OutOfService."""
    parts = open_parts(data, options, clock=clock, online=online)
    try:
        restored = startup.check(parts)
    except BaseException:
        close(parts)
        raise
    if restored is not None:
        close(parts)
        raise OutOfService(
            f"this journal was put back from a backup: entries {restored.first} to"
            f" {restored.last} of epoch {restored.epoch} happened here and are missing. Nothing can"
            " be redeemed until this terminal is enrolled anew: ask head office for a pairing code"
            " and run `hexiao enrol URL CODE`; central keeps what it has",
            "restored",
            first=restored.first,
            last=restored.last,
            epoch=restored.epoch,
        )
    return parts


def close(parts: Parts) -> None:
    """Close the files."""
    parts.replica.close()
    parts.journal.close()


class _Opened(Struct, frozen=True):
    key: bytes
    identity: Identity
    journal: Journal


def _assemble(
    data: DataDir, options: Options, opened: _Opened, clock: Clock, online: Online | None
) -> Parts:
    key, identity, journal = opened.key, opened.identity, opened.journal
    _settle_epoch(journal, identity)
    replica = Replica(data.replica, key, identity.posid)
    policy = identity.own(_policy(replica, identity))
    return Parts(
        data=data,
        identity=identity,
        journal=journal,
        replica=replica,
        clock=EstimatedClock(clock, floor_ms=_floor(journal), anchor=_anchor(journal)),
        witness=Witness(data.witness),
        guesses=Guesses(keys.derived(key, "guess"), policy.guess),
        server_keys=identities.server_keys(identity),
        policy=policy,
        url_parameters=options.url_parameters,
        issuer_patterns=options.issuer_patterns,
        min_free_mb=options.min_free_mb,
        online=online,
    )


def _settle_epoch(journal: Journal, identity: Identity) -> None:
    """The identity is written before the journal's epoch: finish what a crash between left."""
    if identity.epoch in journal.epochs():
        return
    totals = None
    if identity.previous_totals is not None:
        totals = entries.Totals(**identity.previous_totals)
    journal.open_epoch(epoch=identity.epoch, previous_head=identity.previous_head, totals=totals)


def _policy(replica: Replica, identity: Identity) -> Policy:
    if not replica.present:
        return identity.policy
    try:
        return replica.policy() or identity.policy
    except OutOfService:
        return identity.policy


def _floor(journal: Journal) -> int:
    head, last = journal.head(), 0
    # An entry that cannot be read is what the check at the start finds, and a rescue passes over.
    with suppress(EntryError):
        last = entries.read_entry(journal.entry(head.epoch, head.seq).body).at if head.seq else 0
    return max(last, int(journal.meta("floor") or 0))


def _anchor(journal: Journal) -> Anchor | None:
    text = journal.meta("anchor")
    if text is None:
        return None
    raw = json.loads(text)
    return Anchor(int(raw["server_ms"]), str(raw["boot"]), int(raw["mono_ms"]))
