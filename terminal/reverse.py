"""The reverse use case: undoing a redemption of this terminal (decision 11).

Responsible for: finding the redemption, deciding and committing the reversal. Not responsible for:
judging it; central does, when it arrives. Invariants: a reversal names the original serial and its
whole count (AX-04); the same reversal again is the same success (AX-05); the shares return to the
voucher's current code.
"""

from dataclasses import dataclass

import apsw

from terminal import slip_jobs
from terminal.journal import Stored
from terminal.outcomes import Reversed
from terminal.parts import Parts
from vouchers import entries, ids, rules
from vouchers.entries import REVERSAL_REASONS, Entry, Kind, Redemption, Reversal
from vouchers.limits import NOTE_CHARS_MAX
from vouchers.reasons import Refusal
from vouchers.rules import ReversalCase
from vouchers.standing import effective


@dataclass(frozen=True, slots=True)
class Undo:
    """What the clerk asked for. `note` goes into a table of its own, never into the journal."""

    serial: str
    reason_code: str
    clerk: str
    note: str = ""
    slip: bool = True
    supervisor: bool = False


@dataclass(frozen=True, slots=True)
class _Original:
    stored: Stored
    entry: Entry
    redemption: Redemption
    reversed_by: str | None


def reverse(parts: Parts, undo: Undo) -> Reversed | Refusal:
    """Undo a redemption. Raises OutOfService when nothing was done, OutcomeUnknown otherwise."""
    assert undo.reason_code in REVERSAL_REASONS
    original = _find(parts, undo.serial)
    if original is not None and original.reversed_by is not None:
        return _first_result(parts, original.reversed_by)
    refusal = rules.decide_reversal(_case(parts, undo, original))
    if refusal is not None:
        return refusal
    assert original is not None
    parts.ensure_fit()
    return _commit(parts, undo, original)


def _find(parts: Parts, serial: str) -> _Original | None:
    row = parts.journal.connection.execute(
        "SELECT epoch, seq, reversed_by FROM redemption WHERE serial = ?", (serial,)
    ).fetchone()
    if row is None:
        return None
    stored = parts.journal.entry(row[0], row[1])
    entry = entries.read_entry(stored.body)
    return _Original(stored, entry, entries.read_redemption(entry), row[2])


def done(parts: Parts, serial: str) -> Reversed | None:
    """The reversal of a redemption, if it stands in the journal."""
    original = _find(parts, serial)
    if original is None or original.reversed_by is None:
        return None
    return _first_result(parts, original.reversed_by)


def _case(parts: Parts, undo: Undo, original: _Original | None) -> ReversalCase:
    named = ids.parse_serial(undo.serial)
    return ReversalCase(
        found=original is not None,
        own=named is None or named.posid == parts.identity.posid,
        redeemed_at=0 if original is None else original.entry.at,
        now=parts.clock.estimate().now,
        clerk_minutes=parts.policy.reversal.clerk_minutes,
        supervisor=undo.supervisor,
        shares=0 if original is None else original.redemption.shares,
    )


def _first_result(parts: Parts, serial: str) -> Reversed:
    named = ids.parse_serial(serial)
    assert named is not None
    entry = entries.read_entry(parts.journal.entry(named.epoch, named.seq).body)
    return _reversed(entry, entries.read_reversal(entry), repeated=True)


def _commit(parts: Parts, undo: Undo, original: _Original) -> Reversed:
    estimate = parts.clock.estimate()
    redemption = original.redemption
    generation, used = _standing(parts, original)
    shares_total = _total(parts, original)
    used_after = max(0, used - redemption.shares)

    def data(serial: str) -> dict[str, object]:
        return {
            "serial": serial,
            "reverses": redemption.serial,
            "voucher": redemption.voucher,
            "generation": generation,
            "shares": redemption.shares,
            "left": max(0, shares_total - used_after),
            "amount_fen": redemption.amount_fen,
            "reason_code": undo.reason_code,
        }

    stamp = parts.stamp(estimate, undo.clerk)
    with parts.journal.transaction() as connection:
        stored, entry = parts.journal.append(connection, Kind.REVERSED, data, stamp)
        reversal = entries.read_reversal(entry)
        connection.execute(
            "UPDATE redemption SET reversed_by = ? WHERE serial = ?",
            (reversal.serial, redemption.serial),
        )
        connection.execute(
            "INSERT INTO own_use VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                redemption.voucher,
                stored.epoch,
                stored.seq,
                generation,
                -redemption.shares,
                generation,
                used_after,
                shares_total,
            ),
        )
        _keep_note(connection, reversal.serial, undo.note)
        if undo.slip:
            facts = slip_jobs.facts_of(parts, entry, stored.hash)
            slip_jobs.queue(connection, facts, None, estimate.now)
    parts.clock.journalled(estimate.now)
    return _reversed(entry, reversal, repeated=False)


def _standing(parts: Parts, original: _Original) -> tuple[int, int]:
    """The voucher's current generation and used shares by this terminal's view."""
    redemption = original.redemption
    state = parts.known_state(redemption.voucher)
    if state is None:
        uses = parts.own_uses(redemption.voucher, 0, 0)
        generation = max((use.after for use in uses), default=redemption.generation)
        return generation, max(redemption.shares, sum(use.shares for use in uses))
    own = parts.own_uses(redemption.voucher, state.reflects_epoch, state.reflects_seq)
    now = effective(state.standing, own)
    return now.generation, now.used


def _total(parts: Parts, original: _Original) -> int:
    """The shares the voucher was bought with, as known when it was redeemed here."""
    row = parts.journal.connection.execute(
        "SELECT total FROM own_use WHERE voucher = ? AND epoch = ? AND seq = ?",
        (original.redemption.voucher, original.stored.epoch, original.stored.seq),
    ).fetchone()
    assert row is not None
    return int(row[0])


def _keep_note(connection: apsw.Connection, serial: str, note: str) -> None:
    text = note.strip()[:NOTE_CHARS_MAX]
    if text:
        connection.execute("INSERT INTO note VALUES (?, ?)", (serial, text))


def _reversed(entry: Entry, reversal: Reversal, *, repeated: bool) -> Reversed:
    return Reversed(
        serial=reversal.serial,
        reverses=reversal.reverses,
        voucher=reversal.voucher,
        shares=reversal.shares,
        left=reversal.left,
        at=entry.at,
        repeated=repeated,
    )
