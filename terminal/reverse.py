"""The reverse use case: undoing a redemption of this terminal (decision 11).

Responsible for: finding the redemption, deciding and committing the reversal. Not responsible for:
judging it; central does, when it arrives. Invariants: a reversal names the original serial and its
whole count (AX-04); the same reversal again is the same success (AX-05); the shares return to the
voucher's current code.
"""

from typing import Any

import apsw
from msgspec import Struct

from terminal import slip_jobs
from terminal.journal import Stored
from terminal.journal_schema import REVERSAL_OF, Effect, entry_id
from terminal.outcomes import Reversed
from terminal.parts import Parts
from vouchers import entries, ids, rules
from vouchers.entries import REVERSAL_REASONS, Entry, Kind, Redemption, Reversal
from vouchers.limits import NOTE_CHARS_MAX
from vouchers.reasons import Refusal
from vouchers.rules import ReversalCase
from vouchers.standing import effective


class Undo(Struct, frozen=True):
    """What the clerk asked for. `note` goes into a table of its own, never into the journal."""

    serial: str
    reason_code: str
    clerk: str
    note: str = ""
    slip: bool = True
    supervisor: bool = False


class _Original(Struct, frozen=True):
    """A redemption, the shares its voucher was bought with, and the reversal that undid it."""

    entry: Entry
    redemption: Redemption
    total: int
    undone: Stored | None


def reverse(parts: Parts, undo: Undo) -> Reversed | Refusal:
    """Undo a redemption. Raises OutOfService when nothing was done, OutcomeUnknown otherwise."""
    assert undo.reason_code in REVERSAL_REASONS
    original = _find(parts, undo.serial)
    if original is not None and original.undone is not None:
        return _first_result(original.undone)
    refusal = rules.decide_reversal(_case(parts, undo, original))
    if refusal is not None:
        return refusal
    assert original is not None
    parts.ensure_fit()
    return _commit(parts, undo, original)


def _find(parts: Parts, serial: str) -> _Original | None:
    named = ids.parse_serial(serial)
    if named is None:
        return None
    row: Any = parts.journal.connection.execute(
        "SELECT e.kind, e.total, r.epoch, r.seq FROM entry e"
        f" LEFT JOIN entry r ON r.id = {REVERSAL_OF} WHERE e.id = ?",
        (entry_id(named.epoch, named.seq),),
    ).fetchone()
    if row is None or row[0] != Kind.REDEEMED:
        return None
    entry = entries.read_entry(parts.journal.entry(named.epoch, named.seq).body)
    if entry.posid != named.posid:
        return None
    undone = None if row[2] is None else parts.journal.entry(row[2], row[3])
    return _Original(entry, entries.read_redemption(entry), row[1], undone)


def done(parts: Parts, serial: str) -> Reversed | None:
    """The reversal of a redemption, if it stands in the journal."""
    original = _find(parts, serial)
    if original is None or original.undone is None:
        return None
    return _first_result(original.undone)


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


def _first_result(stored: Stored) -> Reversed:
    entry = entries.read_entry(stored.body)
    return _reversed(entry, entries.read_reversal(entry), repeated=True)


def _commit(parts: Parts, undo: Undo, original: _Original) -> Reversed:
    estimate = parts.clock.estimate()
    redemption = original.redemption
    generation, used = _standing(parts, original)
    used_after = max(0, used - redemption.shares)
    data: dict[str, object] = {
        "reverses": redemption.serial,
        "voucher": redemption.voucher,
        "generation": generation,
        "shares": redemption.shares,
        "left": max(0, original.total - used_after),
        "amount_fen": redemption.amount_fen,
        "reason_code": undo.reason_code,
    }
    effect = Effect(
        voucher=redemption.voucher,
        generation=generation,
        shares=-redemption.shares,
        after=generation,
        used_after=used_after,
        total=original.total,
        reverses=entry_id(original.entry.epoch, original.entry.seq),
    )
    stamp = parts.stamp(estimate, undo.clerk)
    with parts.journal.transaction() as connection:
        data["serial"] = parts.journal.next_serial()
        stored, entry = parts.journal.append(connection, Kind.REVERSED, data, stamp, effect)
        reversal = entries.read_reversal(entry)
        _keep_note(connection, reversal.serial, undo.note)
        if undo.slip:
            facts = slip_jobs.facts_of(parts, entry, stored.hash)
            slip_jobs.queue(connection, stored, facts, None, estimate.now)
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


def _keep_note(connection: apsw.Connection, serial: str, note: str) -> None:
    text = note.strip()[:NOTE_CHARS_MAX]
    if text:
        connection.execute("INSERT INTO note (serial, note) VALUES (?, ?)", (serial, text))


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
