"""Pairing this terminal with central, for the first time or anew.

Responsible for: making the keys, redeeming the pairing code, and writing identity, recovery box
and the new epoch so that a crash between them loses nothing. Not responsible for: issuing codes
(central) or syncing. Invariants: private keys are made here and never leave; a second enrolment
keeps the journal and opens its next epoch; another terminal's data directory is never taken over.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from sync import pairing, sealedbox
from sync.errors import NoContact, Refused, SyncError
from sync.messages import Enrolment
from sync.transport import HttpCentral, Terms
from terminal import assembly, keys
from terminal import identity as identities
from terminal.clock import SystemClock
from terminal.datadir import DataDir
from terminal.errors import Misconfigured, OutOfService
from terminal.identity import Identity
from terminal.syncing import fresh_nonce
from vouchers.entries import Kind, Totals
from vouchers.ids import unb64u

_TOTALS = tuple(field.name for field in fields(Totals))


def enrol(
    data: DataDir,
    url: str,
    code: str,
    *,
    key_source: str,
    insecure_http: bool,
    ask_passphrase: Callable[[], str] | None = None,
) -> Identity:
    """Pair with central. Raises Misconfigured (a wrong code or address) or OutOfService."""
    data.ensure()
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
    identities.save(data, identity, database_key)
    _open_epoch(data, ask_passphrase, again=before is not None)
    return identity


def _ask(
    url: str,
    code: str,
    sign_key: Ed25519PrivateKey,
    seal_key: X25519PrivateKey,
    *,
    insecure_http: bool,
) -> Enrolment:
    clock = SystemClock()
    terms = Terms(
        url=url,
        now_ms=lambda: clock.read().wall_ms,
        monotonic_ms=lambda: clock.read().mono_ms,
        nonce=fresh_nonce,
        insecure_http=insecure_http,
    )
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
        server_keys={key.kid: unb64u(key.key) for key in answer.server_keys},
        tag_keys={
            key.kid: sealedbox.open_box(unb64u(key.sealed), private) for key in answer.k_tags
        },
        vault_epoch=answer.vault.epoch,
        vault_salt=unb64u(answer.vault.salt),
        vault_t=answer.vault.t,
        vault_m=answer.vault.m,
        vault_p=answer.vault.p,
        scope=answer.scope,
        policy=answer.policy,
        previous_head=answer.previous_head,
        previous_totals=None
        if answer.previous_totals is None
        else {name: getattr(answer.previous_totals, name) for name in _TOTALS},
    )


def _open_epoch(data: DataDir, ask: Callable[[], str] | None, *, again: bool) -> None:
    """Open the journal once, which opens the epoch; journal what an earlier one may have lost."""
    parts = assembly.open_parts(data, assembly.Options(ask_passphrase=ask))
    try:
        if again:
            finding = parts.witness.compare(parts.journal)
            seen = finding.witnessed
            lost = finding.state in ("ahead", "differs") and seen is not None
            data_of: dict[str, object] = {
                "witness": finding.state,
                "witnessed_epoch": seen.epoch if lost and seen is not None else None,
                "witnessed_seq": seen.seq if lost and seen is not None else None,
            }
            estimate = parts.clock.estimate()
            with parts.journal.transaction() as connection:
                stamp = parts.stamp(estimate, parts.identity.posid)
                parts.journal.append(connection, Kind.RECOVERED, data_of, stamp)
        with suppress(OSError):  # its medium may be missing; without a witness nothing is refused
            parts.witness.write(parts.journal.head())
    finally:
        assembly.close(parts)
