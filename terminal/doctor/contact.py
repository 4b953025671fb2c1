"""Whether central answers this terminal: one signed question, within seconds.

Responsible for: asking and naming the outcome. Not responsible for: synchronising. Invariants: it
changes nothing on either side; it ends in time even where a name does not resolve.
"""

import queue
import threading
from collections.abc import Iterator
from typing import Final

from terminal import identity as identities
from terminal.doctor.finding import Found, found
from terminal.identity import Identity

ANSWER_S: Final = 3.0
_MARGIN_S: Final = 1.0


def check(
    identity: Identity, now_ms: int, *, enabled: bool, insecure_http: bool
) -> Iterator[Found]:
    """Ask central for nothing new. `now_ms` is the time to sign with, milliseconds UTC."""
    if not enabled or not identity.url:
        yield found("sync", "none")
        return
    answers: queue.SimpleQueue[Found] = queue.SimpleQueue()

    def ask() -> None:
        answers.put(_asked(identity, now_ms, insecure_http=insecure_http))

    # A thread, because no option bounds the time that resolving a name takes.
    threading.Thread(target=ask, name="doctor", daemon=True).start()
    try:
        yield answers.get(timeout=ANSWER_S + _MARGIN_S)
    except queue.Empty:
        yield found("sync", "away", url=identity.url, why=f"{ANSWER_S:.0f} s")


def _asked(identity: Identity, now_ms: int, *, insecure_http: bool) -> Found:
    try:
        from sync import signing
        from sync.errors import NoContact, Refused
        from sync.transport import HttpCentral, Terms
        from terminal.clock import SystemClock
        from terminal.syncing import fresh_nonce
    except ImportError:
        return found("sync", "missing")
    clock = SystemClock()
    terms = Terms(
        url=identity.url,
        now_ms=lambda: now_ms,
        monotonic_ms=lambda: clock.read().mono_ms,
        nonce=fresh_nonce,
        insecure_http=insecure_http,
        answer_s=ANSWER_S,
    )
    keyid = signing.key_id(identity.posid, identity.epoch)
    try:
        central = HttpCentral(terms, signing.Signer(keyid, identities.signer(identity).private))
    except ValueError as error:
        return found("sync", "wrong", why=error)
    try:
        central.verdicts("")
    except Refused as error:
        return found("sync", "refused", why=error.problem.reason)
    except NoContact as error:
        return found("sync", "away", url=identity.url, why=error)
    finally:
        central.close()
    return found("sync", "good", url=identity.url)
