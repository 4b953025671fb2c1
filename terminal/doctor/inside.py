"""What the doctor looks at in an open terminal: database, journal, witness, clock, voucher list.

Responsible for: those checks, quick ones for a terminal that is at work and thorough ones for one
that is not. Not responsible for: opening, or words. Invariants: nothing is written; a check on a
running terminal holds the counter up for milliseconds only.
"""

import json
from collections.abc import Iterator
from typing import Final

import apsw

from terminal import startup
from terminal.doctor.finding import Found, found, guarded
from terminal.journal import Journal
from terminal.parts import Parts
from terminal.replica import Replica
from vouchers import entries
from vouchers.policy import Policy
from vouchers.times import HOUR_MS, MINUTE_MS

TAIL: Final = 500
"""Entries whose chain is checked while customers wait."""

_CLOCK_OFF_MS: Final = 5 * MINUTE_MS
_NEAR_PERCENT: Final = 80


def check(parts: Parts, *, running: bool) -> Iterator[Found]:
    """Everything that needs the journal."""
    yield from guarded("enrolment", lambda: _enrolment(parts))
    yield from guarded("database", lambda: _database(parts.journal))
    if running:
        yield from guarded("journal", lambda: _tail(parts.journal))
    else:
        yield from guarded("journal", lambda: _chain(parts))
    yield from guarded("witness", lambda: _witness(parts))
    yield from guarded("clock", lambda: _clock(parts))
    now = parts.clock.estimate().now
    yield from guarded(
        "replica", lambda: replica(parts.replica, parts.policy, now, thorough=not running)
    )
    yield from guarded("queue", lambda: _queue(parts))


def replica(held: Replica, policy: Policy, now: int, *, thorough: bool) -> Iterator[Found]:
    """The voucher list: there, whole, and how old. `now` is milliseconds UTC."""
    if not held.present:
        yield found("replica", "none")
        return
    wrong = held.check() if thorough else None
    if wrong is not None:
        yield found("replica", "damaged", why=wrong)
        return
    hours = max(0, now - held.fresh_at()) // HOUR_MS
    limit = policy.offline.max_replica_age_hours
    state = "too_old" if hours >= limit else "old" if 2 * hours >= limit else "good"
    yield found("replica", state, hours=hours, limit=limit)


def _enrolment(parts: Parts) -> Iterator[Found]:
    who, fence = parts.identity, parts.fence()
    if fence is not None:
        yield found("enrolment", "fenced", why=fence)
        return
    yield found("enrolment", "good", posid=who.posid, outlet=who.outlet_name, epoch=who.epoch)


def _database(journal: Journal) -> Iterator[Found]:
    """Opening refused any other mode already (`terminal.database`); this shows them."""
    pragma = journal.connection.pragma
    levels = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}
    modes = (
        f"journal_mode={pragma('journal_mode')}",
        f"synchronous={levels.get(int(str(pragma('synchronous'))), '?')}",
        f"locking_mode={pragma('locking_mode')}",
        f"cipher={pragma('cipher')}",
    )
    yield found("database", "good", sqlite=apsw.sqlite_lib_version(), modes=", ".join(modes))


def _chain(parts: Parts) -> Iterator[Found]:
    wrong = startup.file_fault(parts.journal) or startup.chain_fault(parts)
    if wrong is not None:
        yield found("journal", "broken", why=wrong)
        return
    yield found("journal", "good", count=parts.journal.count_after(0, 0), head=_head(parts.journal))


def _tail(journal: Journal) -> Iterator[Found]:
    """The newest entries; `startup` checked all of them before the first redemption."""
    head = journal.head()
    prev, count = None, 0
    for stored in journal.entries(head.epoch, max(0, head.seq - TAIL), TAIL):
        entry = entries.read_entry(stored.body)
        wrong = entries.entry_hash(stored.body) != stored.hash or prev not in (None, entry.prev)
        if wrong:
            why = f"{head.epoch}/{stored.seq}"
            yield found("journal", "broken", why=why)
            return
        prev, count = stored.hash, count + 1
    yield found("journal", "tail", count=count, head=_head(journal))


def _head(journal: Journal) -> str:
    return journal.head().hash[:16]


def _witness(parts: Parts) -> Iterator[Found]:
    finding = parts.witness.compare(parts.journal)
    seen = finding.witnessed
    state = "ahead" if finding.state == "differs" else finding.state
    if seen is None:
        yield found("witness", "missing")
    else:
        yield found("witness", state, epoch=seen.epoch, seq=seen.seq)


def _clock(parts: Parts) -> Iterator[Found]:
    estimate = parts.clock.estimate()
    off = abs(estimate.now - estimate.reading.wall_ms)
    if estimate.suspect:
        yield found("clock", "suspect")
    elif off > _CLOCK_OFF_MS:
        yield found("clock", "off", minutes=off // MINUTE_MS)
    else:
        anchor = json.loads(parts.journal.meta("anchor") or "{}")
        signed = anchor.get("boot") == estimate.reading.boot
        yield found("clock", "central" if signed else "machine")


def _queue(parts: Parts) -> Iterator[Found]:
    """What central has not acknowledged, and how much of the offline limits that uses."""
    count = parts.journal.count_after(*parts.journal.watermark("acknowledged"))
    if not count:
        yield found("queue", "empty")
        return
    used = 0
    if parts.replica.present:
        posture = parts.posture()
        shares = (
            (posture.redemptions_home, posture.limits.max_redemptions_home),
            (posture.redemptions_away, posture.limits.max_redemptions_away),
            (posture.value_fen, posture.limits.max_value_fen),
        )
        used = max(100 * have // most if most else 0 for have, most in shares)
    state = "full" if used >= 100 else "near" if used >= _NEAR_PERCENT else "some"
    yield found("queue", state, count=count, used=used)
