"""Pairing this terminal with central, for the first time or anew.

Responsible for: making the keys, redeeming the pairing code, and writing identity, recovery box
and the new epoch so that a crash between them loses nothing. Not responsible for: issuing codes
(central) or syncing. Invariants: private keys are made here and never leave; a second enrolment
keeps the journal and opens its next epoch; another terminal's data directory is never taken over.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from sync import keyring, pairing, sealedbox, signing
from sync.errors import NoContact, Refused, SyncError
from sync.messages import Enrolment
from sync.transport import HttpCentral, Terms
from terminal import assembly, history, keys, wiping
from terminal import identity as identities
from terminal.clock import SystemClock
from terminal.datadir import DataDir
from terminal.errors import Misconfigured, OutOfService
from terminal.identity import Identity
from terminal.journal import Journal
from terminal.parts import Parts
from terminal.recovery import Brought, Lost, bring_back, merged
from terminal.syncing import fresh_nonce
from terminal.witness import Finding
from vouchers import ids
from vouchers.entries import Kind, Totals
from vouchers.ids import unb64u

_TOTALS = tuple(field.name for field in fields(Totals))


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Who this terminal is now, what central gave back of its earlier epochs and what is lost."""

    identity: Identity
    brought: Brought


def enrol(
    data: DataDir,
    url: str,
    code: str,
    *,
    key_source: str,
    insecure_http: bool,
    ask_passphrase: Callable[[], str] | None = None,
) -> Enrolled:
    """Pair with central. Raises Misconfigured (a wrong code or address) or OutOfService."""
    data.ensure()
    with suppress(Misconfigured):  # a wiped terminal may be paired like a new one
        wiping.resume(data)
    sign_key, seal_key = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
    answer = _ask(url, code, sign_key, seal_key, insecure_http=insecure_http)
    before, database_key = _before(data, key_source, ask_passphrase)
    if before is not None and (before.merchant, before.posid) != (answer.merchant, answer.posid):
        raise Misconfigured(
            f"this data directory belongs to {before.posid} of merchant {before.merchant}, the code"
            f" to {answer.posid} of merchant {answer.merchant}: use another data directory"
        )
    identity = _identity(url, answer, sign_key, seal_key)
    recovery = sealedbox.seal(
        database_key, unb64u(answer.recovery_key), one_time=secrets.token_bytes(32)
    )
    keys.write_private(data.recovery, recovery)
    brought = Brought()
    if identity.epoch > 1:
        # Before the new epoch: an entry of an older one cannot be written after it has begun.
        brought = _bring_back(data, identity, before, database_key, insecure_http=insecure_http)
    identities.save(data, identity, database_key)
    wiping.enrolled_again(data)
    return Enrolled(identity, _open_epoch(data, ask_passphrase, brought, again=before is not None))


def _bring_back(
    data: DataDir,
    identity: Identity,
    before: Identity | None,
    database_key: bytes,
    *,
    insecure_http: bool,
) -> Brought:
    signer = identities.signer(identity)
    keyid = signing.key_id(identity.posid, identity.epoch)
    terms = _terms(identity.url, insecure_http=insecure_http)
    central = HttpCentral(terms, signing.Signer(keyid, signer.private))
    journal = Journal(
        data.journal, database_key, merchant=identity.merchant, posid=identity.posid, signer=signer
    )
    try:
        former = None if before is None else identities.signer(before)
        return bring_back(journal, central, identity, former)
    except SyncError as error:
        raise OutOfService(
            f"central did not give back what it holds of this terminal: {error}. Nothing is lost;"
            " ask for a new pairing code and enrol again"
        ) from error
    finally:
        journal.close()
        central.close()


def _ask(
    url: str,
    code: str,
    sign_key: Ed25519PrivateKey,
    seal_key: X25519PrivateKey,
    *,
    insecure_http: bool,
) -> Enrolment:
    terms = _terms(url, insecure_http=insecure_http)
    paired = pairing.read(code)
    if paired is None:
        raise Misconfigured(
            "this is not a pairing code: it has 18 characters, as `hexiao central enrol-code` shows"
        )
    try:
        central = HttpCentral(terms, None)
    except ValueError as error:
        raise Misconfigured(str(error)) from error
    try:
        public = seal_key.public_key().public_bytes_raw()
        answer = central.enrol(pairing.request(paired, sign_key, seal_public=public))
        pairing.check(paired, answer)
    except Refused as error:
        raise Misconfigured(
            f"central does not take this code ({error.problem.reason}): ask for a new one"
        ) from error
    except NoContact as error:
        raise OutOfService(f"central was not reached at {url}: {error}") from error
    except SyncError as error:
        raise Misconfigured(str(error)) from error
    finally:
        central.close()
    return answer


def _terms(url: str, *, insecure_http: bool) -> Terms:
    clock = SystemClock()
    return Terms(
        url=url,
        now_ms=lambda: clock.read().wall_ms,
        monotonic_ms=lambda: clock.read().mono_ms,
        nonce=fresh_nonce,
        insecure_http=insecure_http,
    )


def _before(
    data: DataDir, key_source: str, ask_passphrase: Callable[[], str] | None
) -> tuple[Identity | None, bytes]:
    if not data.key_source.exists():
        return None, keys.choose(data, key_source, ask_passphrase)[1]
    key = keys.fetch(data, ask_passphrase)
    return (identities.load(data, key) if data.identity.exists() else None), key


def _identity(
    url: str, answer: Enrolment, sign_key: Ed25519PrivateKey, seal_key: X25519PrivateKey
) -> Identity:
    private = seal_key.private_bytes_raw()
    return Identity(
        url=url,
        merchant=answer.merchant,
        merchant_name=answer.merchant_name,
        posid=answer.posid,
        epoch=answer.epoch,
        outlet=answer.outlet.id,
        outlet_name=answer.outlet.name,
        time_zone=answer.time_zone,
        sign_key=sign_key.private_bytes_raw(),
        seal_key=private,
        server_keys=keyring.adopt(
            {answer.server_keys[0].kid: unb64u(answer.server_keys[0].key)}, answer.server_keys
        ),
        tag_keys={
            key.kid: sealedbox.open_box(unb64u(key.sealed), private) for key in answer.k_tags
        },
        vault_epoch=answer.vault.epoch,
        vault_salt=unb64u(answer.vault.salt),
        vault_t=answer.vault.t,
        vault_m=answer.vault.m,
        vault_p=answer.vault.p,
        policy=answer.policy,
        previous_head=answer.previous_head,
        previous_totals=None
        if answer.previous_totals is None
        else {name: getattr(answer.previous_totals, name) for name in _TOTALS},
    )


def _open_epoch(
    data: DataDir, ask: Callable[[], str] | None, brought: Brought, *, again: bool
) -> Brought:
    """Open the journal once, which opens the epoch; journal what came back and what is lost."""
    parts = assembly.open_parts(data, assembly.Options(ask_passphrase=ask))
    try:
        if again or parts.identity.epoch > 1:
            finding = parts.witness.compare(parts.journal)
            brought = replace(brought, lost=merged(brought.lost, _witnessed(parts, finding)))
            estimate = parts.clock.estimate()
            with parts.journal.transaction() as connection:
                stamp = parts.stamp(estimate, parts.identity.posid)
                data_of = _recovered(finding, brought)
                parts.journal.append(connection, Kind.RECOVERED, data_of, stamp)
            for lost in brought.lost:
                history.note(parts, "lost", None, _told(parts.identity.posid, lost))
        with suppress(OSError):  # its medium may be missing; without a witness nothing is refused
            parts.witness.write(parts.journal.head())
    finally:
        assembly.close(parts)
    return brought


def _told(posid: str, lost: Lost) -> dict[str, object]:
    first, last = (ids.serial(posid, lost.epoch, seq) for seq in (lost.first, lost.last))
    return {"count": lost.last - lost.first + 1, "text": f"{first} - {last}"}


def _witnessed(parts: Parts, finding: Finding) -> Lost | None:
    """The entries that the witness proves and the journal still does not hold."""
    seen = finding.witnessed
    if seen is None or finding.state not in ("ahead", "differs"):
        return None
    known = seen.epoch in parts.journal.epochs()
    here = parts.journal.head(seen.epoch).seq if known else 0
    return Lost(seen.epoch, here + 1, seen.seq, "witness") if seen.seq > here else None


def _recovered(finding: Finding, brought: Brought) -> dict[str, object]:
    seen = finding.witnessed if finding.state in ("ahead", "differs") else None
    return {
        "witness": finding.state,
        "witnessed_epoch": None if seen is None else seen.epoch,
        "witnessed_seq": None if seen is None else seen.seq,
        "fetched": brought.fetched,
        "lost": sum(lost.last - lost.first + 1 for lost in brought.lost),
    }
